"""HTML of the page: tables, figures, style."""

import functools
import html
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from ..draw import svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); gap: .8rem; }
.figure svg { width: 100%; max-width: 560px; height: auto; display: block; }
.figure.big svg { max-width: 1080px; min-width: 640px; }
.matrix { max-height: 80vh; overflow: auto; }
.matrix img { --zoom: 1; width: calc(var(--side) * var(--zoom) * 1.5); max-width: none; image-rendering: pixelated; }
@media (prefers-color-scheme: dark) { .matrix img, .figure image { filter: invert(1) hue-rotate(180deg); } }
input { font: inherit; padding: .3rem .5rem; max-width: 100%; }
th button { font: inherit; font-weight: bold; background: none; border: 0; padding: 0; color: inherit; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
:focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
iframe { border: 0; width: 100%; height: 90vh; }
table { border-collapse: collapse; }
td, th { padding: .2rem .7rem; border-bottom: 1px solid var(--soft); text-align: left; min-width: 6rem;
  unicode-bidi: plaintext; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; min-width: 4rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .8rem; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: .5rem; font-size: .85rem; }
.card img, .card audio, .card video { width: 100%; }
.card.wide { grid-column: 1 / -1; }
.big { display: flex; flex-wrap: wrap; gap: 1.2rem; }
.big div { border-left: 3px solid #0072B2; padding-left: .6rem; }
.big b { display: block; font-size: 1.4rem; }
details { margin: .4rem 0; }
details pre { overflow-x: auto; background: var(--soft); padding: .6rem; border-radius: 6px; }
.bar { width: calc(min(160px, 28vw) * var(--share)); height: .6rem; border-radius: 3px; display: inline-block; }
@media (max-width: 600px) { table { font-size: .87rem; } td, th { padding: .2rem .3rem; min-width: 5.3rem; }
  td.n, th.n { min-width: 4.6rem; }
  td:has(.bar), th.none { display: none; } }
"""


def document(title: str, sections: Iterable[tuple[str, str]]) -> str:
    """A whole page.

    Args:
        title: Plain text.
        sections: (title, HTML); one without content is left out, one without a title has no heading.
    """
    parts = [f"<h2>{heading}</h2>{body}" if heading else body for heading, body in sections if body]
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<link rel='icon' href='data:,'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    return (
        f"<!doctype html><html lang='en'><head>{head}</head>"
        f"<body><h1>{html.escape(title)}</h1>{''.join(parts)}<script>{_script()}</script></body></html>"
    )


def table(rows: Iterable[Sequence[str]], numbers: Sequence[int] = (1,), headings: Sequence[str] = ()) -> str:
    """A table that scrolls where it is too wide; "" without rows.

    Args:
        rows: HTML of the cells.
        numbers: Columns that hold numbers.
        headings: Of the columns, HTML; none by default.
    """
    body = _lines(rows, numbers)
    if not body:
        return ""
    cells = (f"<th{_kind(i, numbers)}>{cell}</th>" for i, cell in enumerate(headings))
    head = f"<tr>{''.join(cells)}</tr>" if headings else ""
    return f"<div class='wide'><table>{head}{body}</table></div>"


def _lines(rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> str:
    """The rows of a table."""
    lines = ("".join(f"<td{_kind(i, numbers)}>{cell}</td>" for i, cell in enumerate(row)) for row in rows)
    return "".join(f"<tr>{line}</tr>" for line in lines)


def _kind(column: int, numbers: Sequence[int]) -> str:
    return " class=n" if column in numbers else ""


def number(value: float | int | str) -> str:
    """A value as HTML; fractions with two digits after the point."""
    return f"{value:.2f}" if isinstance(value, float) else html.escape(str(value))


def searchable(name: str, rows: Iterable[Sequence[str]], numbers: Sequence[int], headings: Sequence[str]) -> str:
    """A table whose rows can be searched by their first cell and sorted by any column; "" without rows.

    Args:
        name: Of the table, different from other tables' of the page.
        rows: HTML of the cells.
        numbers: Columns that hold numbers.
        headings: Of the columns, HTML.
    """
    body = _lines(rows, numbers)
    if not body:
        return ""
    head = "".join(
        f"<th scope='col'{_kind(i, numbers) if cell else ' class=none'}><button type='button'>{cell}</button></th>"
        for i, cell in enumerate(headings)
    )
    return (
        f"<p><label>Search <input type='search' data-searches='{name}'></label> <output></output></p>"
        f"<div class='wide'><table id='{name}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


@functools.cache
def _script() -> str:
    return files(__package__).joinpath("report.js").read_text(encoding="utf-8")


def figures(drawn: Iterable[str]) -> str:
    """Figures beside one another, below one another where there is no room; "" without any.

    Args:
        drawn: From `svg`.
    """
    body = "".join(drawn)
    return f"<div class='figures'>{body}</div>" if body else ""


def svg(figure: "Figure", words: str, wide: bool = False) -> str:
    """A figure as inline SVG, whose lines and letters have the page's colour.

    Args:
        figure: The figure.
        words: What it shows, for those who do not see it.
        wide: It scrolls where it would become too small to read.
    """
    text = svg_text(figure).replace("<svg", f"<svg role='img' aria-label='{html.escape(words, quote=True)}'", 1)
    if not wide:
        return f"<div><div class='figure'>{text}</div></div>"
    # What scrolls can be reached with the keyboard.
    region = f"class='wide' tabindex='0' role='region' aria-label='{html.escape(words, quote=True)}'"
    return f"<div {region}><div class='figure big'>{text}</div></div>"
