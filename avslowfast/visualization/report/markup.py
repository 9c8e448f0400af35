"""HTML of the page: tables, figures, style."""

import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..draw import plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; }
.figure { background: #fff; border-radius: 6px; padding: .3rem; width: fit-content; }
.figure svg { max-width: min(100%, 1080px); min-width: 340px; height: auto; display: block; }
.figure.row svg { min-width: 700px; }
table { border-collapse: collapse; }
td, th { padding: .2rem .7rem; border-bottom: 1px solid var(--soft); text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .8rem; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: .5rem; overflow-wrap: anywhere; font-size: .85rem; }
.card img, .card audio { width: 100%; }
.big { display: flex; flex-wrap: wrap; gap: 1.2rem; }
.big div { border-left: 3px solid #0072B2; padding-left: .6rem; }
.big b { display: block; font-size: 1.4rem; }
details pre { overflow-x: auto; background: var(--soft); padding: .6rem; border-radius: 6px; }
.bar { --w: min(160px, 28vw); background: #0072B2; height: .6rem; border-radius: 3px; display: inline-block; }
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
        f"<body><h1>{html.escape(title)}</h1>{''.join(parts)}</body></html>"
    )


def table(rows: Iterable[Sequence[str]], numbers: Sequence[int] = (1,), headings: Sequence[str] = ()) -> str:
    """A table that scrolls where it is too wide; "" without rows.

    Args:
        rows: HTML of the cells.
        numbers: Columns that hold numbers.
        headings: Of the columns, HTML; none by default.
    """
    lines = [
        "".join(f"<td{' class=n' if i in numbers else ''}>{cell}</td>" for i, cell in enumerate(row)) for row in rows
    ]
    if not lines:
        return ""
    if headings:
        lines.insert(0, "".join(f"<th>{cell}</th>" for cell in headings))
    return f"<div class='wide'><table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"


def number(value: float | int | str) -> str:
    """A value as HTML; fractions with two digits after the point."""
    return f"{value:.2f}" if isinstance(value, float) else html.escape(str(value))


def svg(figure: "Figure", row: bool = False) -> str:
    """A figure as inline SVG.

    Args:
        figure: The figure.
        row: It is a row of panels, which scrolls where it would become too small to read.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with plain_text(figure), rc_context({"svg.fonttype": "none", "svg.hashsalt": "avslowfast"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return f"<div class='wide'><div class='figure{' row' if row else ''}'>{text[text.index('<svg') :]}</div></div>"
