"""What every page must be: one small file that runs no script, asks for nothing from outside, and can be heard."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

MOST_BYTES = 2_000_000
HOSTILE = "<script>alert('x')</script>\"&\x00\u202e" + "long " * 200


class Page(HTMLParser):
    """Collects the tags, references and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_data(self, data):
        self.texts.append(data.strip())


def check_page(html: str) -> Page:
    """Assert what holds for every page, and return it parsed."""
    assert len(html.encode()) < MOST_BYTES
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not re.search(r" on\w+=", re.sub(r'"[^"]*"', '""', html)), "no handler of events"
    assert not [reference for reference in page.references if ":" in reference or reference.startswith("/")]
    assert "url(" not in html
    assert "@import" not in html
    assert page.tags.count("h1") == 1
    assert "\x00" not in html
    assert "\u202e" not in html
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        root = ET.fromstring(picture)  # noqa: S314 (our own)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"]
        assert not re.search(r"\b(nan|inf)\b", " ".join(el.attrib.get("d", "") for el in root.iter()))
    return page
