"""HTML by h1 to h6: block text with its line structure. Navigation, scripts and tables of contents are left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ..document import Section
from .marked_text import _from_one

_SKIPPED = {"script", "style", "nav", "header", "footer", "form", "button", "select", "noscript", "svg", "head", "aside", "template"}
_BLOCKS = {"p", "div", "li", "dd", "dt", "tr", "blockquote", "section", "article", "ul", "ol", "dl", "table", "figure", "figcaption", "hr"}
_VOID = {"br", "img", "hr", "input", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"}
_NAVIGATION = re.compile(
    r"nav(header|footer|igation)?\b|sidebar|(?<![a-z])toc(?![a-z])|contents|related|footer|breadcrumb|menu|docnav|titlepage|copyright|legalnotice|header(bar)?\b",
    re.I,
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[Section] = []
        self.depth, self.title, self.body = 0, "", [""]
        self.heading: list[str] | None = None
        self.skipping: list[str] = []
        self.preformatted = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            if not self.skipping and tag in ("br", "hr"):
                self._break(tag == "hr")
            return
        if self.skipping:
            self.skipping.append(tag)
            return
        names = " ".join(value or "" for name, value in attributes if name in ("class", "id", "role"))
        if tag in _SKIPPED or (tag in ("div", "table", "ul", "ol", "section", "dl", "p", "span") and names and _NAVIGATION.search(names)):
            self.skipping = [tag]
            return
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self._close(int(tag[1]))
            self.heading = []
        elif tag == "pre":
            self._break(True)
            self.preformatted += 1
        elif tag in _BLOCKS:
            self._break(tag in ("p", "blockquote", "table", "ul", "ol", "dl", "dt"))
            if tag == "li":
                self.body[-1] += "- "
        elif tag in ("td", "th") and self.body[-1]:
            self.body[-1] += "  "

    def handle_endtag(self, tag: str) -> None:
        if self.skipping:
            if tag in self.skipping:
                while self.skipping and self.skipping.pop() != tag:
                    pass
            return
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6") and self.heading is not None:
            self.title = " ".join("".join(self.heading).replace("¶", "").split())
            self.heading = None
        elif tag == "pre":
            self.preformatted = max(0, self.preformatted - 1)
            self._break(True)
        elif tag in _BLOCKS:
            self._break(tag in ("p", "blockquote", "table"))

    def handle_data(self, data: str) -> None:
        if self.skipping:
            return
        if self.heading is not None:
            self.heading.append(data)
        elif self.preformatted:
            lines = data.split("\n")
            self.body[-1] += lines[0]
            self.body.extend(lines[1:])
        else:
            text = re.sub(r"\s+", " ", data).replace("¶", "")
            self.body[-1] += text if self.body[-1] and not self.body[-1].endswith(" ") else text.lstrip()

    def finish(self) -> list[Section]:
        self._close(0)
        return self.sections

    def _break(self, paragraph: bool) -> None:
        if self.body[-1].strip() == "-":
            # A paragraph inside a list item stays on the item's line.
            return
        if self.body[-1].strip():
            self.body.append("")
        if paragraph and len(self.body) > 1 and self.body[-2].strip():
            self.body.append("")

    def _close(self, depth: int) -> None:
        body = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in self.body)).strip("\n")
        if body or self.title:
            self.sections.append(Section(self.depth, self.title, body))
        self.depth, self.title, self.body = depth, "", [""]


def html_sections(text: str) -> list[Section]:
    """Sections by heading level, with gaps closed. Of broken markup it gives what could be read."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return _from_one(reader.finish())
