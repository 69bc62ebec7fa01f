"""The data of the builder: sections as an adapter finds them, documents made of pieces, and finished instances.

Strength of a boundary: 1 finest (below the second heading level), 2 section, 3 chapter or thread, 4 another document.
"""

from __future__ import annotations

import hashlib
import random
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field

CATEGORIES = (
    "books",
    "code",
    "web",
    "conversations",
    "news",
    "encyclopedia",
    "papers",
    "legal",
    "manuals",
    "qa",
    "email",
    "meetings",
    "lectures",
    "finance",
    "specifications",
    "social",
)
FINEST, SECTION, CHAPTER, DOCUMENT = 1, 2, 3, 4
# Between the retrieved passages of a prompt. Only stuffed_prompts.py gives it.
SEAM = 5
BYTES_PER_TOKEN = 4.0
# A line of dashes and the like, as it parts sections in print.
_RULE = re.compile(r"\s*[-=~_*#.+]{4,}\s*")


@dataclass(frozen=True)
class Section:
    """A stretch under one heading. depth: 1 is the topmost heading of the file, 0 is text before any heading."""

    depth: int
    title: str
    body: str


@dataclass(frozen=True)
class Piece:
    """A segment at the finest level. strength: of the boundary before it, 1..4. title: its heading, which is not part of text."""

    text: str
    strength: int
    title: str = ""


@dataclass(frozen=True)
class SourceDocument:
    """One document with its pieces in order. group: what must stay in one split (a package, a thread, an author)."""

    id: str
    group: str
    category: str
    source: str
    license: str
    provenance: str
    kind: str
    pieces: tuple[Piece, ...]

    @property
    def characters(self) -> int:
        return sum(len(piece.text) + 1 for piece in self.pieces)


def generated(by: str, category: str) -> SourceDocument:
    """Stands for text that the builder itself wrote, so that a row says so. It has no group that could cross splits."""
    return SourceDocument(f"generated/{by}", "generated", category, f"generated:{by}", "Apache-2.0", "written by this builder", "prose", ())


@dataclass
class Instance:
    """A finished row. levels[i] is the strength of the boundary before segments[i + 1]."""

    id: str
    category: str
    source: str
    license: str
    provenance: str
    split: str
    segments: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)

    def row(self) -> dict:
        return {**self.__dict__, "length_tokens": token_estimate("\n".join(self.segments))}


def token_estimate(text: str) -> int:
    """Tokens by the rule of thumb of four UTF-8 bytes each, because the builder knows no tokenizer."""
    return round(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def seeded(*parts: object) -> random.Random:
    """A generator that depends on the parts alone, whatever the process or its hash seed."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "replace")).digest()
    return random.Random(int.from_bytes(digest[:8], "little"))


def pieces_from_sections(sections: Iterable[Section], shortest: int = 120, shift: int = 0) -> tuple[Piece, ...]:
    """Turns headed sections into pieces. A heading without text lends its strength to the piece after it.

    shortest: pieces with fewer characters join the piece before them.
    shift: levels by which the file's headings stand below those of the whole work.
    """
    pieces: list[Piece] = []
    pending = 0
    titles: list[str] = []
    for section in sections:
        strength = min(CHAPTER, max(FINEST, DOCUMENT - max(1, section.depth) - shift))
        pending = max(pending, strength)
        if section.title:
            titles.append(section.title)
        body = _without_rules_at_edges(textwrap.dedent(section.body))
        if not body.strip():
            continue
        if pieces and len(body) < shortest:
            last = pieces[-1]
            pieces[-1] = Piece(last.text + "\n\n" + body, last.strength, last.title)
        else:
            pieces.append(Piece(body, pending, titles[-1] if titles else ""))
        pending = 0
        titles = []
    return tuple(pieces)


def _without_rules_at_edges(text: str) -> str:
    lines = text.split("\n")
    start, end = 0, len(lines)
    while start < end and (not lines[start].strip() or _RULE.fullmatch(lines[start])):
        start += 1
    while end > start and (not lines[end - 1].strip() or _RULE.fullmatch(lines[end - 1])):
        end -= 1
    return "\n".join(lines[start:end])
