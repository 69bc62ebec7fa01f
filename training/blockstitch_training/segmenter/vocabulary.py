"""The segmenter's vocabulary (words.bin, which src/segment/word-vocabulary.ts reads): which words have rows of their own, and how
rare each of them is. Words come from the training documents and, where it is installed, from a frequency list of many languages.
"""

from __future__ import annotations

import json
import math
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .feature_stream import WRITER

MAGIC = b"BSW1"
SHARED_ROWS = 8192
#: idf is kept in steps of 1/16, in a byte.
IDF_STEPS = 16
UNKNOWN_IDF = 176


@dataclass
class Vocabulary:
    """Row v belongs to words[v]. hashes: as the server computes them. idf: in steps of 1/16."""

    words: list[str]
    hashes: np.ndarray
    idf: np.ndarray

    def write(self, path: Path) -> None:
        header = MAGIC + struct.pack("<III", len(self.words), SHARED_ROWS, UNKNOWN_IDF)
        path.write_bytes(header + self.hashes.astype("<u4").tobytes() + self.idf.astype(np.uint8).tobytes())


def build_vocabulary(texts: Iterable[str], size: int, frequency_words: list[str] = (), least_units: int = 3) -> Vocabulary:
    """Counts the texts' units per word in the server's own splitter and keeps the `size` most common words.

    frequency_words: further words, most common first. Those that the texts have already are left out.
    """
    counts, units = count_words(texts)
    ranked = sorted((item for item in counts.items() if item[1][1] >= least_units), key=lambda item: -item[1][1])
    chosen = {hash_: (word, count) for hash_, (word, count) in ranked[: int(size * 0.8)]}
    for word, hash_ in hash_words(frequency_words):
        if len(chosen) >= size:
            break
        chosen.setdefault(hash_, counts.get(hash_, (word, 1)))
    for hash_, item in ranked:
        if len(chosen) >= size:
            break
        chosen.setdefault(hash_, item)
    ordered = sorted(chosen.items(), key=lambda item: (-item[1][1], item[0]))
    idf = [min(UNKNOWN_IDF, round(IDF_STEPS * math.log((units + 1) / (count + 1)))) for _, (_, count) in ordered]
    return Vocabulary([word for _, (word, _) in ordered], np.array([hash_ for hash_, _ in ordered], np.uint32), np.array(idf))


def count_words(texts: Iterable[str]) -> tuple[dict[int, tuple[str, int]], int]:
    """({hash: (word, units that hold it)}, units)."""
    output = _write("words", (json.dumps({"text": text}) for text in texts))
    first, *lines = output.split("\n")
    counts = {}
    for line in lines:
        if line:
            word, hash_, units = line.rsplit("\t", 2)
            counts[int(hash_)] = (word, int(units))
    return counts, int(first.split("\t")[1])


def hash_words(words: list[str]) -> list[tuple[str, int]]:
    pairs = [line.rsplit("\t", 1) for line in _write("hash", words).split("\n") if line]
    return [(word, int(hash_)) for word, hash_ in pairs]


def _write(what: str, lines: Iterable[str]) -> str:
    payload = "\n".join(lines)
    return subprocess.run(["node", str(WRITER), what], input=payload, capture_output=True, text=True, check=True).stdout
