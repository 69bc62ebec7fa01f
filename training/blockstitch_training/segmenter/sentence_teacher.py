"""A sentence encoder as teacher. Its vectors of words start the word table, and topic vectors are drawn to its vectors of units.

Any Hugging Face encoder directory (mean pooling) will do. Only training needs it; cutting text never does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional


class SentenceTeacher:
    """vectors(texts) -> float32 [texts, dimensions], of unit length."""

    def __init__(self, directory: Path, longest: int = 64) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModel.from_pretrained(directory).eval()
        self.longest = longest

    @torch.no_grad()
    def vectors(self, texts: list[str], batch: int = 192) -> np.ndarray:
        result = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for at in range(0, len(order), batch):
            chosen = order[at : at + batch]
            tokens = self.tokenizer([texts[i] for i in chosen], padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = self.model(**tokens).last_hidden_state.float()
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            means = (hidden * mask).sum(1) / mask.sum(1)
            result[chosen] = functional.normalize(means, dim=-1).numpy()
        return result


def principal_axes(vectors: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean [D], axes [D, size]) of the largest variances."""
    mean = vectors.mean(0)
    _, _, axes = np.linalg.svd(vectors[:60_000] - mean, full_matrices=False)
    return mean, axes[:size].T
