"""Where the repository is, for the commands that write its documents or need more of it than the package."""

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def checkout() -> Path | None:
    """Root of the repository that this package is imported from; None for an installed wheel."""
    return _ROOT if (_ROOT / "pyproject.toml").is_file() else None


def document(name: str) -> Path:
    """A file or folder of the repository, e.g. "docs"; in the current folder where there is no repository."""
    return (checkout() or Path()) / name
