"""What pyproject.toml cannot say: the configurations go into the package, the readme gets links that work anywhere."""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
# [text](target) and ![text](target) whose target is a file of the repository.
_LINK = re.compile(r"!?\[([^\]]*)\]\((?!https?://)[^)]*\)")


class BuildWithConfigs(build_py):
    """Copies configs/ to avslowfast/configs, where an installed package looks for its configurations."""

    def run(self) -> None:
        """Build the package; an editable installation reads configs/ of the repository instead."""
        super().run()
        if not self.editable_mode:
            for source, target in self._configs():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """The files that are built, with the configurations."""
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in self._configs())]

    def _configs(self) -> list[tuple[Path, Path]]:
        """(file of the repository, where it goes) of every configuration."""
        folder = HERE / "configs"
        target = Path(self.build_lib) / "avslowfast" / "configs"
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".csv"))
        return [(path, target / path.relative_to(folder)) for path in files]


def readme_for_an_index() -> str:
    """README.md without links and images that only work in the repository: their text stays."""
    return _LINK.sub(r"\1", (HERE / "README.md").read_text(encoding="utf-8"))


setup(
    cmdclass={"build_py": BuildWithConfigs},
    long_description=readme_for_an_index(),
    long_description_content_type="text/markdown",
)
