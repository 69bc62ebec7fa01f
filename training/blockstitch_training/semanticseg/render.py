"""Turns pieces into the segments of an instance. It removes what would show the boundaries, and varies the layout.

The text has no headings any more, because the adapters keep them apart. Here paragraph gaps, line wrapping and, now and then, kept
headings are drawn once per instance, so that neither an empty line nor a short line says where a boundary is.
"""

from __future__ import annotations

import random
import re
import textwrap
from dataclasses import dataclass

from .document import Piece

_LIST_LINE = re.compile(r"^\s*(?:[-*+•o]\s|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s|[|>#$%])")
_LEADING_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)+\.?|[IVXLC]+\.|§\s?\d+\.?)\s+(?=\S)")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]?\s+(?=[A-Z\"'(])")


@dataclass(frozen=True)
class Layout:
    """gaps: blank, single or noised. wrap: None as it is, 0 for one line per paragraph, -1 for one line per sentence, else columns."""

    gaps: str
    gap_share: float
    wrap: int | None
    headings: bool


def draw_layout(rng: random.Random, keep_headings: float) -> Layout:
    gaps = rng.choices(("blank", "single", "noised"), (0.4, 0.3, 0.3))[0]
    wrap = rng.choices((None, 0, rng.randint(56, 100), -1), (0.15, 0.45, 0.3, 0.1))[0]
    return Layout(gaps, rng.uniform(0.25, 0.75), wrap, rng.random() < keep_headings)


def render_prose(rng: random.Random, pieces: list[Piece], layout: Layout) -> list[str]:
    """@returns one segment per piece. A segment that ends in a line break leaves an empty line at the boundary"""
    out: list[str] = []
    for piece in pieces:
        paragraphs = _paragraphs(_LEADING_NUMBER.sub("", piece.text.strip("\n")))
        if layout.headings and piece.title:
            paragraphs.insert(0, piece.title)
        blocks = [_wrapped(each, layout.wrap) for each in paragraphs]
        text = blocks[0]
        for block in blocks[1:]:
            text += ("\n\n" if _blank(rng, layout) else "\n") + block
        out.append(text + ("\n" if _blank(rng, layout) else ""))
    out[-1] = out[-1].rstrip("\n")
    return out


def render_code(rng: random.Random, pieces: list[Piece], layout: Layout) -> list[str]:
    """Runs of empty lines become one. With single gaps all are removed, with noised gaps each stays by chance."""
    out: list[str] = []
    for piece in pieces:
        lines: list[str] = []
        for line in piece.text.strip("\n").split("\n"):
            if line.strip():
                lines.append(line.rstrip().expandtabs(4) if layout.wrap == 0 else line.rstrip())
            elif lines and lines[-1] and (layout.gaps == "blank" or (layout.gaps == "noised" and rng.random() < layout.gap_share)):
                lines.append("")
        if lines and not lines[-1]:
            lines.pop()
        out.append("\n".join(lines) + ("\n" if _blank(rng, layout) else ""))
    out[-1] = out[-1].rstrip("\n")
    return out


def _blank(rng: random.Random, layout: Layout) -> bool:
    return layout.gaps == "blank" or (layout.gaps == "noised" and rng.random() < layout.gap_share)


def _paragraphs(text: str) -> list[str]:
    return [each.strip("\n") for each in re.split(r"\n[ \t]*\n", text) if each.strip()] or [text]


def is_prose(paragraph: str) -> bool:
    """Whether its line breaks are only wrapping: it has no list, no table and no indentation inside, and lines of ordinary length."""
    lines = paragraph.split("\n")
    if any(_LIST_LINE.match(line) for line in lines):
        return False
    margin = len(lines[0]) - len(lines[0].lstrip())
    if any(abs(len(line) - len(line.lstrip()) - margin) > 4 or "   " in line.strip() for line in lines[1:]):
        return False
    return len(lines) == 1 or sum(map(len, lines[:-1])) / (len(lines) - 1) > 45


def _wrapped(paragraph: str, wrap: int | None) -> str:
    if wrap is None or not is_prose(paragraph):
        return paragraph
    joined = " ".join(paragraph.split())
    if wrap == 0:
        return joined
    if wrap < 0:
        return "\n".join(each for each in _SENTENCE_END.split(joined) if each)
    return "\n".join(textwrap.wrap(joined, wrap, break_long_words=False, break_on_hyphens=False)) or joined
