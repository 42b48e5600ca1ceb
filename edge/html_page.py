"""Self-contained HTML pages for reports: one file, nothing from elsewhere, no script.

Everything that is not :class:`Html` is escaped. Light and dark follow the reader; all text keeps a contrast of 4.5:1
(``tests/edge/test_html_page.py`` computes it), and what is wider than the window scrolls by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as _escape

__all__ = ["Html", "bullets", "figure", "join", "page", "paragraph", "section", "table", "tag", "tiles", "words"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A page loads nothing: styles and pictures are inside it."""
_VOID = frozenset({"br", "hr", "img", "meta"})

CSS = """
:root { color-scheme: light dark; --page: #fcfcfb; --card: #f1f3f4; --text: #1c2126; --soft: #545d66; --line: #d3d8dd;
  --truth: #858e97; --c1: #0a6b4e; --c2: #9a5200; --c3: #6a3fb5; --c4: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #15181b; --card: #1f2428; --text: #e7eaed; --soft: #a9b2bb;
  --line: #3a4148; --truth: #79828b; --c1: #4fc993; --c2: #f0ab50; --c3: #bda4f7; --c4: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.75rem 0 .75rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, ul { margin: .5rem 0; max-width: 46rem; } ul { padding-left: 1.25rem; } li { margin: .25rem 0; }
.soft, figcaption, caption, .tiles small { color: var(--soft); }
.notice { display: inline-block; margin: .75rem 0 0; padding: .25rem .75rem; border: 1px solid var(--line);
  border-radius: 1rem; background: var(--card); font-size: .9rem; font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.tiles > div { background: var(--card); border-radius: .6rem; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tiles span { font-size: .9rem; font-weight: 600; } .tiles small { display: block; line-height: 1.35; }
.scroll { overflow-x: auto; margin: 1rem 0; } .scroll:focus-visible { outline: 2px solid var(--c1); }
table { border-collapse: collapse; min-width: min(100%, 24rem); font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; font-size: .92rem; }
th, td { padding: .35rem .7rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody th { font-weight: 500; } thead th { color: var(--soft); font-weight: 600; vertical-align: bottom;
  white-space: nowrap; }
.n { text-align: right; white-space: nowrap; } code { font-size: .85em; overflow-wrap: anywhere; }
figure { margin: 1.25rem 0; } figcaption { font-size: .92rem; max-width: 46rem; }
figure svg { display: block; width: 100%; min-width: 34rem; height: auto; font-size: 12.5px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .25rem 0;
  font-size: .92rem; }
.legend svg { display: inline-block; min-width: 0; width: 26px; height: 14px; vertical-align: -2px;
  margin-right: .4rem; }
svg text { fill: var(--soft); } svg .grid { stroke: var(--line); stroke-width: 1; }
svg path, svg line { fill: none; stroke-linecap: round; stroke-linejoin: round; }
svg .truth { stroke: var(--truth); stroke-width: 4; } svg .rule { stroke: var(--text); stroke-width: 1.2; }
svg .dash { stroke-dasharray: 5 5; } svg .c1 { stroke: var(--c1); } svg .c2 { stroke: var(--c2); }
svg .c3 { stroke: var(--c3); } svg .c4 { stroke: var(--c4); }
@media print { body { max-width: none; } .scroll { overflow: visible; } h2 { break-after: avoid; }
  figure, table { break-inside: avoid; } }
"""
"""The style of every page; ``edge/svg_plot.py`` draws with ``truth``, ``rule``, ``dash`` and ``c1`` to ``c4``."""


class Html(str):
    """Text that is HTML already. Make it from literals and from the functions here, never from a file's content."""

    __slots__ = ()


def words(text: object) -> Html:
    """Anything as HTML: escaped, unless it is Html."""
    return text if isinstance(text, Html) else Html(_escape(str(text), quote=True))


def join(parts: Iterable[object]) -> Html:
    """The parts one after the other, each escaped unless it is Html."""
    return Html("".join(words(part) for part in parts))


def tag(element: str, /, *children: object, **attributes: object) -> Html:
    """One element. Attribute names lose a trailing ``_`` and have ``-`` for ``_``; those that are None are left out."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    opening = "".join(f' {key}="{words(str(value))}"' for key, value in named.items())
    return Html(f"<{element}{opening}>" + ("" if element in _VOID else f"{join(children)}</{element}>"))


def paragraph(*parts: object, soft: bool = False) -> Html:
    """Running text, ``soft`` for what is beside the point."""
    return tag("p", *parts, class_="soft" if soft else None)


def bullets(items: Iterable[object]) -> Html:
    """A list; nothing for no items."""
    rows = [tag("li", item) for item in items]
    return tag("ul", *rows) if rows else Html("")


def section(heading: str, *content: object, level: int = 2) -> Html:
    """A heading and what stands below it."""
    return tag("section", tag(f"h{level}", heading), *content)


def table(
    caption: object, head: Sequence[object], rows: Iterable[Sequence[object]], *, text_columns: Sequence[int] = (0,)
) -> Html:
    """A table whose first column heads the rows. Columns that are not ``text_columns`` are numbers, to the right.

    ValueError for a row that has not as many cells as ``head``.
    """
    kinds = [None if column in text_columns else "n" for column in range(len(head))]
    top = [tag("th", cell, scope="col", class_=kind) for cell, kind in zip(head, kinds, strict=True)]
    body = [tag("tr", *(_cell(*cell) for cell in zip(row, kinds, range(len(head)), strict=True))) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", *top)), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label="table")


def _cell(cell: object, kind: str | None, column: int) -> Html:
    return tag("td", cell, class_=kind) if column else tag("th", cell, scope="row", class_=kind)


def tiles(items: Iterable[tuple[object, object, object]]) -> Html:
    """Key figures side by side: name, figure, and what it means."""
    made = [tag("div", tag("span", name), tag("b", value), tag("small", note)) for name, value, note in items]
    return tag("div", *made, class_="tiles")


def figure(drawing: Html, caption: object, *, legend: Iterable[Html] = ()) -> Html:
    """A drawing with its caption below, and a legend of entries from :func:`edge.svg_plot.key` between."""
    entries = [tag("li", entry) for entry in legend]
    keys = tag("ul", *entries, class_="legend") if entries else ""
    scrolled = tag("div", drawing, class_="scroll", tabindex=0, role="region", aria_label="plot")
    return tag("figure", scrolled, keys, tag("figcaption", caption))


def page(title: str, *content: object) -> str:
    """A whole page, ready to be written as UTF-8."""
    head = join([
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", Html(CSS)),
    ])  # fmt: skip
    return f"<!DOCTYPE html>\n{tag('html', tag('head', head), tag('body', *content), lang='en')}\n"
