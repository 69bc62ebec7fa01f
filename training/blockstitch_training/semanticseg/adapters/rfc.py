"""Specifications in RFC style: numbered sections in plain text. Page breaks, running heads and the table of contents are removed."""

from __future__ import annotations

import re

from ..document import Section

_PAGE = re.compile(r"\n[^\n]{0,90}\[Page \d+\][ \t]*\n(?:\f?\n*|\n{1,4}\f\n?)(?:RFC \d+[^\n]*\n|[^\n]*\b(?:19|20)\d\d[ \t]*\n)?", re.M)
_NUMBERED = re.compile(r"^ ?(\d{1,2}(?:\.\d{1,2})*)\.?\s{1,3}([A-Z\"<(`a-z][^\n]{1,90})$")
_APPENDIX = re.compile(r"^(Appendix\s+[A-Z]\b.*|[A-Z]\.\d+(?:\.\d+)*\.?\s+[A-Z].*)$")
_UNNUMBERED = re.compile(
    r"^(Abstract|Status of (?:this|This) Memo|Copyright Notice|Acknowledge?ments?|Security Considerations|References|Introduction|IANA Considerations"
    r"|Authors?'? ?(?:s'|s)? Address(?:es)?|Full Copyright Statement|Intellectual Property(?: Statement)?|Terminology|Overview)\s*$"
)
_BOILERPLATE = re.compile(r"^(status of|copyright|full copyright|intellectual property|table of contents|author|references|acknowledge?ment)", re.I)


def rfc_sections(text: str) -> list[Section]:
    """@returns sections 1, 1.1, 1.1.1 at their depths. Legal boilerplate, references and addresses are left out."""
    text = _PAGE.sub("\n", text.replace("\r\n", "\n")).replace("\f", "\n")
    lines = text.split("\n")
    sections: list[Section] = []
    depth, title, body = 0, "", []
    blank = True
    for line in lines:
        numbered = _NUMBERED.match(line) if blank else None
        if numbered and re.search(r"\.{4}|(\. ){3}|\s{3,}\d+$", line):
            numbered = None
        other = None if numbered or not blank else _APPENDIX.match(line) or _UNNUMBERED.match(line)
        if other and re.search(r"\.{4}|(\. ){3}", line):
            other = None
        if numbered or other:
            sections.append(Section(depth, title, _dedent(body)))
            depth = numbered.group(1).count(".") + 1 if numbered else 1
            title, body = (numbered.group(2) if numbered else line.strip()), []
        else:
            body.append(line.rstrip())
        blank = not line.strip()
    sections.append(Section(depth, title, _dedent(body)))
    return [each for each in sections[1:] if not _BOILERPLATE.match(each.title) and "....." not in each.body]


def _dedent(lines: list[str]) -> str:
    margins = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line[margin:] for line in lines)).strip("\n")
