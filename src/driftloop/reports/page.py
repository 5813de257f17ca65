"""The look that all pages share: one self-contained file, readable in Kubeflow's sandboxed frame and when printed.

Takes plain values and finished markup; knows nothing of models or verdicts.
"""

from collections.abc import Mapping, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #2563eb; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; }
table.matrix td { text-align: right; background: color-mix(in srgb, var(--accent) var(--share), transparent); }
figure { display: inline-block; margin: 1rem 1.5rem 0 0; }
figcaption { font-weight: 600; }
svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
"""


def render_page(title: str, *sections: str) -> str:
    """Return a whole HTML document.

    Args:
        title: plain text.
        sections: finished markup, in order.
    """
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def fact_table(facts: Mapping[str, str]) -> str:
    """Return a table of names and values, given as plain text."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return f"<table>{rows}</table>"


def matrix_table(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return a square table of counts, each cell shaded by its share of the row."""
    head = "".join(f"<th>{escape(label)}</th>" for label in labels)
    rows = []
    for label, row in zip(labels, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(f'<td style="--share: {60 * count // total}%">{count:,}</td>' for count in row)
        rows.append(f"<tr><th>{escape(label)}</th>{cells}</tr>")
    return f'<h2>{escape(title)}</h2><table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
