"""Reports as self-contained HTML pages: tables and small charts, no external resources."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

Cell = str | int | float | None

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #e4e7ec;
  --paper: #fff; --ours: #2f6fde; --theirs: #b8c0cc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf0; --soft: #98a2b3; --line: #2b3442;
  --paper: #12161d; --ours: #6ea0ff; --theirs: #4a5568; } }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 20rem; }
th, td { padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; max-width: 100%; height: auto; margin: .6rem 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } .ours { fill: var(--ours); } .theirs { fill: var(--theirs); }
""".strip()


def page(title: str, subtitle: str, sections: Mapping[str, Sequence[str]]) -> bytes:
    """Return a page; `sections` maps a heading to HTML fragments from this module."""
    parts = [f"<h1>{escape(title)}</h1>", paragraph(subtitle)]
    for heading, pieces in sections.items():
        parts += [f"<h2>{escape(heading)}</h2>", *pieces]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{body}\n</html>\n"
    ).encode()


def paragraph(text: str) -> str:
    """Return a line of text in the secondary colour."""
    return f'<p class="soft">{escape(text)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table; number columns are right-aligned, `None` is a dash."""
    first = rows[0] if rows else head
    titles = "".join(
        f"<th{_side(value)}>{escape(name)}</th>" for name, value in zip(head, first, strict=False)
    )
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{titles}</tr>{lines}</table></div>'


def _cell(value: Cell) -> str:
    return f"<td{_side(value)}>{escape(show(value))}</td>"


def _side(value: Cell) -> str:
    return "" if isinstance(value, str) else ' class="n"'


def show(value: Cell) -> str:
    """Return a value as text: four significant digits, thousands separated."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"  # noqa: PLR2004
    return f"{value:,}" if isinstance(value, int) else value


_ROW, _BAR, _LABEL, _WIDTH = 20, 12, 190, 640
_LABEL_LETTERS: Final = 26


def bars(values: Mapping[str, float], *, rivals: Mapping[str, float] | None = None) -> str:
    """Return a bar chart: for each name its value, and under it, thinner, its rival's."""
    rivals = rivals or {}
    largest = max([*values.values(), *rivals.values(), 0.0]) or 1.0
    scale = (_WIDTH - _LABEL - 90) / largest
    lines = []
    for i, (name, value) in enumerate(values.items()):
        y = i * _ROW
        lines.append(_label(y + 12, name))
        lines.append(_bar(y + 2, value * scale, _BAR, "ours"))
        if name in rivals:
            lines.append(_bar(y + _BAR + 2, rivals[name] * scale, 3, "theirs"))
        x = _LABEL + value * scale + 6
        lines.append(f'<text class="soft" x="{x:.1f}" y="{y + 12}">{escape(show(value))}</text>')
    size = f'viewBox="0 0 {_WIDTH} {len(values) * _ROW}" width="{_WIDTH}"'
    return f'<svg {size} role="img">{"".join(lines)}</svg>'


def _label(y: float, name: str) -> str:
    cut = name if len(name) <= _LABEL_LETTERS else f"{name[: _LABEL_LETTERS - 1]}…"
    return f'<text x="0" y="{y}"><title>{escape(name)}</title>{escape(cut)}</text>'


def _bar(y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{max(width, 0.5):.1f}"'
        f' height="{height}" rx="2"/>'
    )
