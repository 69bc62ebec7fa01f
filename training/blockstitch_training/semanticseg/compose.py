"""Composes an instance from documents of one split: whole documents or contiguous runs of their pieces, one after another.

A boundary between two documents has strength 4 (3 within one work or folder). Boundaries inside a document keep their own strength.
"""

from __future__ import annotations

import random

from .document import CHAPTER, DOCUMENT, Piece, SourceDocument
from .pool import Pool

# A piece longer than the instance's limit is cut to a run of its paragraphs, so that no instance is two endless segments.
LONGEST_PIECES = (3_000, 6_000, 12_000)


def contiguous(rng: random.Random, document: SourceDocument, characters: int) -> list[Piece]:
    """A run of pieces of about so many characters, from a random place. A document that is shorter comes whole."""
    pieces = [each for each in document.pieces]
    if document.characters <= characters * 1.3:
        return pieces
    start = rng.randrange(len(pieces))
    out: list[Piece] = []
    size = 0
    while start > 0 and sum(len(each.text) for each in pieces[start:]) < characters // 2:
        start -= 1
    for piece in pieces[start:]:
        if out and size + len(piece.text) > characters * 1.2:
            break
        out.append(piece)
        size += len(piece.text) + 1
    return out


def clipped(rng: random.Random, piece: Piece, longest: int) -> Piece:
    """Cuts a piece that is too long for one segment to a run of whole paragraphs."""
    if len(piece.text) <= longest:
        return piece
    paragraphs = piece.text.split("\n\n")
    start = rng.randrange(max(1, len(paragraphs) // 2))
    text = paragraphs[start]
    for paragraph in paragraphs[start + 1 :]:
        if len(text) + len(paragraph) > longest:
            break
        text += "\n\n" + paragraph
    return Piece(text[: longest * 2], piece.strength, piece.title)


def compose(rng: random.Random, pool: Pool, category: str, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """Draws documents until the length is reached. Half of the time the next one comes from the same group, where there is one.

    @returns pieces, and the documents they came from
    """
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    single = rng.random() < 0.35
    longest = rng.choice(LONGEST_PIECES)
    while size < characters * 0.85:
        document = _next(rng, pool, category, used, characters)
        if any(each.id == document.id for each in used) and rng.random() < 0.9:
            if len(pool.by_category[category]) > 4 * len(used):
                continue
        part = rng.uniform(0.15, 0.6) if not single else 1.0
        run = [clipped(rng, each, longest) for each in contiguous(rng, document, max(1_500, int(min(characters - size, characters * part))))]
        strength = CHAPTER if used and document.group == used[-1].group else DOCUMENT
        pieces += [Piece(run[0].text, strength, run[0].title), *run[1:]]
        size += sum(len(each.text) + 1 for each in run)
        used.append(document)
    return pieces, used


def _next(rng: random.Random, pool: Pool, category: str, used: list[SourceDocument], characters: int) -> SourceDocument:
    if used and rng.random() < 0.5:
        siblings = [each for each in pool.by_group[used[-1].group] if each.category == category and each not in used]
        if siblings:
            return rng.choice(siblings)
    if not used and characters > 12_000:
        # Long instances begin with the longest of a few draws, so that real structure fills them.
        return max((pool.draw(rng, category) for _ in range(4)), key=lambda each: each.characters)
    return pool.draw(rng, category)
