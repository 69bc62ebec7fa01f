"""Finds the lines that a source prints on many of its documents (mottos, footers, tables of contents) and removes them.

They stand where documents begin and end. A model would learn them instead of what the text says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .document import Piece, SourceDocument

SHORTEST_LINE = 8
LONGEST_LINE = 240
LEAST_DOCUMENTS = 10
SHARE = 0.03


def repeated_lines(documents: Iterable[SourceDocument]) -> frozenset[str]:
    """Lines that are in at least 10 documents and in 3% of them."""
    counts: Counter[str] = Counter()
    total = 0
    for document in documents:
        total += 1
        counts.update(
            {line for piece in document.pieces for line in map(str.strip, piece.text.split("\n")) if SHORTEST_LINE <= len(line) <= LONGEST_LINE}
        )
    least = max(LEAST_DOCUMENTS, SHARE * total)
    return frozenset(line for line, count in counts.items() if count >= least)


def without_lines(document: SourceDocument, lines: frozenset[str]) -> SourceDocument:
    """The document less those lines. A piece that has nothing else is removed and lends its boundary's strength to the next."""
    if not lines:
        return document
    pieces: list[Piece] = []
    pending = 0
    for piece in document.pieces:
        kept = "\n".join(line for line in piece.text.split("\n") if line.strip() not in lines).strip("\n")
        strength = max(piece.strength, pending)
        if kept.strip():
            pieces.append(Piece(kept, strength, piece.title))
            pending = 0
        else:
            pending = strength
    return SourceDocument(**{**document.__dict__, "pieces": tuple(pieces)})
