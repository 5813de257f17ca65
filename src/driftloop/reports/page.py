"""The look that all pages share: one self-contained file, readable in Kubeflow's sandboxed frame and when printed.

Takes plain values and finished markup; knows nothing of models or verdicts. A page runs no script and asks for
nothing from outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftloop.reports.charts import Tone
from driftloop.reports.markup import name, plain

# The colours are told apart by the colour-blind (blue, orange, teal, purple), and have a contrast of 4.5 for text.
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b2430; --muted: #596575; --line: #dfe4ea; --card: #f5f7fa;
  --a: #0b62a4; --b: #c2570c; --c: #0a7d6a; --ref: #6f7b8a; --good: #0a7d6a; --warn: #b45309; --bad: #b42318;
  --fault: #7c3aad; }
@media (prefers-color-scheme: dark) { :root { --paper: #11161c; --ink: #e5eaf0; --muted: #9aa7b6; --line: #2a333d;
  --card: #1a2129; --a: #5fb0ee; --b: #f39a5b; --c: #45c4aa; --ref: #93a0af; --good: #45c4aa; --warn: #f0b429;
  --bad: #ff8478; --fault: #c39bea; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.6rem 1.2rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
header { border-bottom: 1px solid var(--line); padding-bottom: .9rem; }
header .about { color: var(--muted); font-size: .87rem; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; }
h1 { font-size: 1.65rem; line-height: 1.2; margin: .35rem 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.3rem 0 .3rem; }
header p { margin: 0; color: var(--muted); max-width: 48rem; }
p { max-width: 48rem; }
.lede { font-size: 1.06rem; margin: 1.1rem 0 .2rem; }
a { color: var(--a); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.1rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--tone, var(--line));
  border-radius: 6px; padding: .55rem .8rem .6rem; min-width: 0; overflow-wrap: anywhere; }
.card .what { color: var(--muted); font-size: .82rem; }
.card .value { font-size: 1.4rem; font-weight: 600; line-height: 1.25; }
.card .more { color: var(--muted); font-size: .82rem; }
.badge { display: inline-block; border: 1px solid var(--tone, var(--muted)); color: var(--tone, var(--muted));
  border-radius: 99px; padding: 0 .55rem; font-size: .84rem; font-weight: 600; white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; font-size: .93rem; }
th, td { border-bottom: 1px solid var(--line); padding: .34rem 1.1rem .34rem 0; text-align: left; vertical-align: top;
  max-width: 28rem; overflow-wrap: break-word; }
th { font-weight: 600; } thead th { color: var(--muted); font-size: .84rem; vertical-align: bottom; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; } td svg { display: block; }
table.matrix td { text-align: right; padding: .35rem .7rem; min-width: 4rem;
  background: color-mix(in srgb, var(--a) var(--share), transparent); }
table.matrix th { padding: .35rem .7rem; text-align: right; }
table.dense th, table.dense td { padding: .2rem .4rem; min-width: 2.1rem; }
table.matrix .small { color: var(--muted); font-size: .8rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1.2rem 2rem; }
figure { margin: .6rem 0 0; min-width: 0; break-inside: avoid; }
figcaption { font-weight: 600; }
.legend { color: var(--muted); font-size: .84rem; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .35rem -.08rem 0;
  background: var(--tone); } .key:not(:first-child) { margin-left: .8rem; }
.note { color: var(--muted); font-size: .84rem; margin: .2rem 0 0; }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--muted); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg text.row, svg text.label { fill: var(--ink); } svg text.row { font-size: 12px; }
svg text.sign { fill: var(--paper); font-weight: 700; }
.a { --tone: var(--a); } .b { --tone: var(--b); } .c { --tone: var(--c); } .ref { --tone: var(--ref); }
.good { --tone: var(--good); } .warn { --tone: var(--warn); } .bad { --tone: var(--bad); }
.fault { --tone: var(--fault); } .none { --tone: var(--line); }
path.line { fill: none; stroke: var(--tone); stroke-width: 2; stroke-linejoin: round; } path.thin { stroke-width: 1.2; }
path.band { fill: var(--tone); opacity: .16; } .dots { fill: var(--tone); } .dots.faint { opacity: .4; }
.bars { fill: var(--tone); } .bars.quiet { opacity: .35; }
path.bars { fill-opacity: .55; stroke: var(--tone); stroke-width: .5; }
path.rule { fill: none; stroke: var(--tone); stroke-width: 1.2; stroke-dasharray: 4 4; }
svg text.a, svg text.b, svg text.c, svg text.ref, svg text.good, svg text.warn, svg text.bad, svg text.fault {
  fill: var(--tone); }
path.grid { stroke: var(--line); stroke-width: 1; fill: none; } path.tick, path.axis { stroke: var(--ref); fill: none; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --muted: #444; --line: #ccc; --card: #fff;
  --a: #0b62a4; --b: #c2570c; --c: #0a7d6a; --ref: #6f7b8a; } body { padding: 0; font-size: 11pt; }
  .card, table.matrix td, .key, .bars { print-color-adjust: exact; } h2 { break-after: avoid; } }
"""


_FEW_LABELS = 6


@dataclass(frozen=True)
class Card:
    """A key figure."""

    what: str
    value: str
    more: str = ""
    tone: Tone = "none"


@dataclass(frozen=True)
class Header:
    """What a page is about."""

    title: str
    answers: str
    """The question that the page answers, as one plain sentence."""
    about: Mapping[str, str]
    """Loop, run, model and the like; plain text, empty values are left out."""


def render_page(header: Header | str, *sections: str) -> str:
    """Return a whole HTML document.

    Args:
        header: what the page is about, or a mere title.
        sections: finished markup, in order.
    """
    if isinstance(header, str):
        header = Header(header, "", {})
    body = "\n".join(section for section in sections if section)
    about = "".join(
        f"<span>{name(key)} <b>{plain(value, 80)}</b></span>" for key, value in header.about.items() if value
    )
    answers = f"<p>{plain(header.answers)}</p>" if header.answers else ""
    title = plain(header.title, 120)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f'<style>{_STYLE}</style>\n</head>\n<body>\n<header><div class="about">{about}</div><h1>{title}</h1>'
        f"{answers}</header>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def cards(*figures: Card) -> str:
    """Return key figures side by side."""
    shown = "".join(
        f'<div class="card {card.tone}"><div class="what">{plain(card.what, 60)}</div>'
        f'<div class="value">{plain(card.value, 60)}</div>'
        + (f'<div class="more">{plain(card.more, 120)}</div>' if card.more else "")
        + "</div>"
        for card in figures
    )
    return f'<div class="cards">{shown}</div>'


def section(title: str, *content: str, note: str = "") -> str:
    """Return a heading and what stands below it; nothing where there is nothing below it."""
    body = "".join(content)
    explained = f'<p class="note">{plain(note)}</p>' if note else ""
    return f"<section><h2>{plain(title)}</h2>{explained}{body}</section>" if body else ""


def figures(*shown: str) -> str:
    """Return finished figures side by side where the page is wide enough."""
    return f'<div class="figures">{"".join(shown)}</div>' if any(shown) else ""


def paragraph(text: str, *, lede: bool = False) -> str:
    """Return plain text as a paragraph; a lede is what to read first."""
    return f'<p class="lede">{plain(text)}</p>' if lede else f"<p>{plain(text)}</p>"


def badge(text: str, tone: Tone) -> str:
    """Return a word in a coloured outline."""
    return f'<span class="badge {tone}">{plain(text, 40)}</span>'


def fact_table(facts: Mapping[str, str]) -> str:
    """Return a table of names and values, given as plain text."""
    rows = "".join(
        f"<tr><th>{plain(key, 80)}</th><td>{plain(value, 600)}</td></tr>" for key, value in facts.items() if value
    )
    return f'<div class="scroll"><table>{rows}</table></div>'


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = (), most: int = 300
) -> str:
    """Return a table; more rows than `most` are counted and left out.

    Args:
        columns: plain names; the name of a column of pictures may be empty.
        rows: finished markup for each cell.
        numbers: indices of the columns that are set to the right.
        most: rows shown.
    """
    kinds = [' class="n"' if index in numbers else "" for index in range(len(columns))]
    head = "".join(f'<th scope="col"{kind}>{plain(text)}</th>' for kind, text in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows[:most]
    )
    left_out = f'<p class="note">{len(rows) - most:,} more rows are not shown.</p>' if len(rows) > most else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{left_out}'


def matrix_table(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return a square table of counts, each cell shaded by its share of the row; few classes have it written, too."""
    is_dense = len(labels) > _FEW_LABELS
    head = "".join(f'<th scope="col">{name(label)}</th>' for label in labels)
    rows = []
    for label, row in zip(labels, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(
            f'<td style="--share: {60 * count // total}%">{count:,}'
            + ("" if is_dense else f'<br><span class="small">{count / total:.0%}</span>')
            + "</td>"
            for count in row
        )
        rows.append(f'<tr><th scope="row">{name(label)}</th>{cells}</tr>')
    return (
        f'<figure><figcaption>{plain(title)}</figcaption><div class="scroll">'
        f'<table class="matrix{" dense" if is_dense else ""}">'
        f"<tr><th></th>{head}</tr>{''.join(rows)}</table></div></figure>"
    )
