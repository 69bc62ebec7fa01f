"""MinHash over word shingles with banded buckets. It says whether a text is nearly one that was seen. It is deterministic, and its memory
grows with the texts seen.
"""

from __future__ import annotations

import re
import zlib

import numpy as np

SHINGLE_WORDS = 5
PERMUTATIONS = 64
BANDS = 16
_PRIME = np.uint64((1 << 31) - 1)
_WORD = re.compile(r"\w+")


class NearDuplicates:
    """threshold: estimated Jaccard similarity from which two texts count as the same."""

    def __init__(self, threshold: float = 0.7) -> None:
        self.threshold = threshold
        generator = np.random.default_rng(20_260_513)
        self._a = generator.integers(1, int(_PRIME), PERMUTATIONS, dtype=np.uint64)
        self._b = generator.integers(0, int(_PRIME), PERMUTATIONS, dtype=np.uint64)
        self._signatures: list[np.ndarray] = []
        self._buckets: dict[bytes, list[int]] = {}

    def signature(self, text: str) -> np.ndarray:
        """@returns uint32 [64]"""
        words = _WORD.findall(text.lower())
        count = max(1, len(words) - SHINGLE_WORDS + 1)
        hashes = np.fromiter(
            {zlib.crc32(" ".join(words[at : at + SHINGLE_WORDS]).encode("utf-8", "replace")) & 0x7FFFFFFF for at in range(count)}, dtype=np.uint64
        )
        if len(hashes) > 4_096:
            # The smallest hashes are a consistent sample, so equal texts keep equal shingles.
            hashes = np.partition(hashes, 4_096)[:4_096]
        return ((hashes[:, None] * self._a + self._b) % _PRIME).min(axis=0).astype(np.uint32)

    def add(self, text: str) -> bool:
        """Remembers the text unless a near-duplicate was seen before. @returns whether it was new"""
        signature = self.signature(text)
        rows = PERMUTATIONS // BANDS
        keys = [bytes([band]) + signature[band * rows : (band + 1) * rows].tobytes() for band in range(BANDS)]
        candidates = {index for key in keys for index in self._buckets.get(key, ())}
        if any(float((self._signatures[index] == signature).mean()) >= self.threshold for index in candidates):
            return False
        for key in keys:
            self._buckets.setdefault(key, []).append(len(self._signatures))
        self._signatures.append(signature)
        return True
