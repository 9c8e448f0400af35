"""Hook of MkDocs: pages that stand outside docs/, sections that one page takes from another, files that pages link.

Pages of the root folder stay where they are, and are read from there. A paragraph of a page in docs/ that is nothing
but a link to a section of such a page, `[Export](../GETTING_STARTED.md#export)`, becomes that section, which leaves its
own page; links to it follow. A file of the repository that a page links is published as it is.
"""

import functools
import os
import posixpath
import re
from pathlib import Path

from markdown.extensions.toc import slugify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = [*sorted(path.name for path in ROOT.glob("*.md")), "examples/plugin/README.md"]

_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]*)(#[\w-]+)?(?=\))")
_TAKEN = re.compile(r"^\[[^\]]+\]\(\.\./([\w/]+\.md)#([\w-]+)\)$", re.MULTILINE)
_HEADING = re.compile(r"^## (.+)$")


def sections(text: str) -> dict[str, str]:
    """{anchor: text with its heading} of a page by its headings of the second level; "" is what stands before them."""
    found, anchor, fenced = {"": ""}, "", False
    for line in text.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading:
            anchor = slugify(heading[1], "-")
            found[anchor] = ""
        found[anchor] += line
    return found


@functools.cache
def taken() -> dict[tuple[str, str], str]:
    """{(page, anchor): the page in docs/ that takes this section}.

    Raises:
        PluginError: Two pages take it, or it is missing.
    """
    found: dict[tuple[str, str], str] = {}
    for page in sorted((ROOT / "docs").glob("*.md")):
        for key in _TAKEN.findall(page.read_text()):
            if key in found or key[1] not in sections((ROOT / key[0]).read_text()):
                raise PluginError(f"{page.name}: section {'#'.join(key)} is missing, or another page has it as well")
            found[key] = page.name
    return found


def place(path: str) -> str:
    """Where a file of the repository is on the site; both relative, with slashes."""
    return path.removeprefix("docs/")


def linked(text: str, base: str) -> list[str]:
    """Files of the repository, other than pages, that a page in folder `base` of the repository links."""
    paths = {posixpath.normpath(posixpath.join(base, path)) for path, _ in _LINK.findall(text) if path}
    return [path for path in sorted(paths) if (ROOT / path).is_file() and not path.endswith(".md")]


def relinked(text: str, base: str, here: str) -> str:
    """A page's text with links as they are on the site.

    Args:
        text: Text of a file in folder `base` of the repository.
        base: This folder.
        here: Page of the site that shows the text.
    """

    def on_site(match: re.Match[str]) -> str:
        path, anchor = match[1], match[2] or ""
        source = posixpath.normpath(posixpath.join(base, path)) if path else ""
        if source and (ROOT / source).is_dir():
            source = f"{source}/README.md"
        target = taken().get((source, anchor[1:])) or (place(source) if source else "")
        if not target or target == here:
            return anchor or here
        return posixpath.relpath(target, posixpath.dirname(here) or ".") + anchor

    return _LINK.sub(on_site, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and the files that pages link."""
    taken.cache_clear()
    for page in OUTSIDE:
        files.append(File.generated(config, page, abs_src_path=str(ROOT / page)))
    texts = {page: page for page in OUTSIDE} | {f"docs/{path.name}": path for path in (ROOT / "docs").glob("*.md")}
    wanted = {file for page in texts for file in linked((ROOT / page).read_text(), posixpath.dirname(page))}
    for path in sorted(wanted):
        if not path.startswith("docs/"):
            files.append(File.generated(config, path, abs_src_path=os.path.join(ROOT, path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page as it is on the site: with the sections that it takes, without those that it gives."""
    here = page.file.src_uri
    base = posixpath.dirname(here) if here in OUTSIDE else "docs"
    parts = sections(markdown)
    own = "".join(text for anchor, text in parts.items() if (here, anchor) not in taken())
    result = ""
    end = 0
    for match in _TAKEN.finditer(own):
        text = sections((ROOT / match[1]).read_text())[match[2]]
        result += relinked(own[end : match.start()], base, here)
        # An anchor alone means the page that the section is from.
        result += relinked(text.rstrip().replace("](#", f"]({posixpath.basename(match[1])}#"), "", here)
        end = match.end()
    return result + relinked(own[end:], base, here)
