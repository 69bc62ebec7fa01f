"""The segmenter's network: words -> unit vectors -> similarity of the windows around each boundary -> dilated
convolutions over units -> for each boundary the log-odds that its level is at least 1, 2, 3, 4.

Language-agnostic (rows of a hashed word table), local by construction: a boundary sees CONTEXT_UNITS units each way.
The same forward serves training (batches of crops, padded) and export (one window).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 4


@dataclass(frozen=True)
class NetworkConfig:
    """rows: of the word table; features: per unit, as the server computes them; scales: units on each side of the
    windows that are compared; dilations: of the convolutions over units (kernel 3)."""

    rows: int
    features: int
    word_size: int = 96
    unit_size: int = 128
    topic_size: int = 64
    hidden: int = 160
    scales: tuple[int, ...] = (1, 2, 3, 5, 8, 16, 32, 64, 128)
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    dropout: float = 0.1

    @property
    def context_units(self) -> int:
        return sum(self.dilations) + max(self.scales) + 2


@dataclass
class Crops:
    """A batch: rows [B, W] int64, offsets [B, U + 1] int64 into rows (equal at the padding), values [B, U, F],
    units [B] (units that are there), labels [B, U] (0 or level), teacher [B, U, T] or None."""

    rows: Tensor
    offsets: Tensor
    values: Tensor
    units: Tensor
    labels: Tensor | None = None
    teacher: Tensor | None = field(default=None)


class WordTable(nn.Module):
    """Word rows and how much each counts in the mean of a unit."""

    def __init__(self, rows: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, size)
        self.weight = nn.Embedding(rows, 1)
        nn.init.normal_(self.embedding.weight, std=0.05)
        nn.init.zeros_(self.weight.weight)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.embedding(rows), self.weight(rows)


class ConvolutionBlock(nn.Module):
    """x + gated convolution, normalized before. [B, U, C]"""

    def __init__(self, size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.convolution = nn.Conv1d(size, 2 * size, 3, padding=dilation, dilation=dilation)
        self.out = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = (self.norm(x) * mask).transpose(1, 2)
        value, gate = self.convolution(h).chunk(2, dim=1)
        h = (value * torch.sigmoid(gate)).transpose(1, 2)
        return x + self.dropout(self.out(h))


class SegmenterNetwork(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.table = WordTable(c.rows, c.word_size)
        self.word_norm = nn.LayerNorm(c.word_size)
        self.word_convolution = nn.Conv1d(c.word_size, c.word_size, 5, padding=2, groups=c.word_size)
        self.word_mix = nn.Linear(c.word_size, c.unit_size)
        self.word_score = nn.Linear(c.unit_size, 1)
        self.topic_static = nn.Linear(c.word_size, c.topic_size, bias=False)
        self.topic_mixed = nn.Linear(c.unit_size, c.topic_size, bias=False)
        self.own_topic = nn.Linear(c.unit_size + c.word_size, 32, bias=False)
        similarities = 2 * len(c.scales)
        self.edge = nn.Linear(c.word_size, 64)
        self.inlet = nn.Linear(c.unit_size + c.word_size + c.topic_size + 2 * 64 + c.features + similarities, c.hidden)
        self.blocks = nn.ModuleList(ConvolutionBlock(c.hidden, d, c.dropout) for d in c.dilations)
        self.norm = nn.LayerNorm(c.hidden)
        self.head = nn.Linear(2 * c.hidden + similarities, c.hidden)
        self.levels = nn.Linear(c.hidden, LEVELS)
        self.to_teacher = nn.Linear(c.topic_size, c.topic_size)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, crops: Crops) -> tuple[Tensor, Tensor]:
        """Log-odds [B, U, 4] of a boundary of at least each level behind each unit, and topic vectors [B, U, T]."""
        batch, units = crops.values.shape[0], crops.values.shape[1]
        vectors, weights = self.table(crops.rows)
        mixed = self.word_norm(vectors)
        mixed = mixed + functional.gelu(self.word_convolution(mixed.transpose(1, 2)).transpose(1, 2))
        mixed = functional.gelu(self.word_mix(mixed))
        static_weight = torch.exp(weights.clamp(-8, 4))
        mixed_weight = torch.exp((weights + self.word_score(mixed)).clamp(-8, 6))
        static = self._means(vectors, static_weight, crops.offsets)
        pooled = self._means(mixed, mixed_weight, crops.offsets)
        topic = functional.normalize(self.topic_static(static) + self.topic_mixed(pooled), dim=-1, eps=1e-4)
        own = functional.normalize(self.own_topic(torch.cat([pooled, static], -1)), dim=-1, eps=1e-4)
        index = torch.arange(units, device=topic.device)
        mask = (index[None, :] < crops.units[:, None]).unsqueeze(-1).to(topic.dtype)
        length = self._sizes(static_weight, crops.offsets)
        similar = self._similarities(torch.cat([topic, own], -1), length, mask, crops.units)
        first, last = self._edges(vectors, crops.offsets)
        x = torch.cat([pooled, static, topic, self.edge(first), self.edge(last), crops.values, similar], -1)
        x = self.dropout(functional.gelu(self.inlet(x))) * mask
        for block in self.blocks:
            x = block(x, mask) * mask
        x = self.norm(x)
        following = functional.pad(x[:, 1:], (0, 0, 0, 1))
        h = functional.gelu(self.head(torch.cat([x, following, similar], -1)))
        return self.levels(h), topic

    @staticmethod
    def _sums(values: Tensor, offsets: Tensor) -> Tensor:
        """Sums over each unit's words. [B, W, C], [B, U + 1] -> [B, U, C]"""
        sums = functional.pad(torch.cumsum(values, 1), (0, 0, 1, 0))
        size = values.shape[-1]
        ends = torch.gather(sums, 1, offsets.unsqueeze(-1).expand(-1, -1, size))
        return ends[:, 1:] - ends[:, :-1]

    def _means(self, values: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        return self._sums(values.float() * weights.float(), offsets) / (self._sums(weights.float(), offsets) + 1e-4)

    def _sizes(self, weights: Tensor, offsets: Tensor) -> Tensor:
        """How much a unit counts in a window: grows with its content, slower than its length. [B, U, 1]"""
        return torch.sqrt(self._sums(weights.float(), offsets).clamp(min=1e-4))

    @staticmethod
    def _edges(vectors: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Means of each unit's first and last three words. [B, U, C] each"""
        size = vectors.shape[-1]
        start, end = offsets[:, :-1], offsets[:, 1:]
        most = vectors.shape[1] - 1

        def at(index: Tensor) -> Tensor:
            return torch.gather(vectors, 1, index.clamp(0, most).unsqueeze(-1).expand(-1, -1, size))

        first = at(start) + at(torch.minimum(start + 1, end - 1)) + at(torch.minimum(start + 2, end - 1))
        last = at(end - 1) + at(torch.maximum(end - 2, start)) + at(torch.maximum(end - 3, start))
        return first / 3, last / 3

    def _similarities(self, vectors: Tensor, weights: Tensor, mask: Tensor, units: Tensor) -> Tensor:
        """Cosine of the windows left and right of the boundary behind each unit, in both spaces. [B, U, 2 * scales]"""
        topic = self.config.topic_size
        count = vectors.shape[1]
        sums = functional.pad(torch.cumsum(vectors.float() * weights * mask, 1), (0, 0, 1, 0))
        position = torch.arange(count, device=vectors.device)
        columns = []
        middle = sums[:, 1:]
        for scale in self.config.scales:
            from_ = (position + 1 - scale).clamp(min=0)
            to = (position + 1 + scale).clamp(max=count)
            left = middle - sums[:, from_]
            right = sums[:, to] - middle
            for part in (slice(0, topic), slice(topic, None)):
                a, b = left[..., part], right[..., part]
                norms = torch.sqrt((a * a).sum(-1) * (b * b).sum(-1) + 1e-6)
                columns.append((a * b).sum(-1) / norms)
        return torch.stack(columns, -1)


def level_loss(logits: Tensor, labels: Tensor, units: Tensor) -> Tensor:
    """Binary cross-entropy of "at least level k" for k = 1..4, over all boundaries but the last of each crop."""
    count = labels.shape[1]
    inner = torch.arange(count)[None, :] < units[:, None] - 1
    wanted = torch.stack([(labels >= level) for level in range(1, LEVELS + 1)], -1).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(-1)
    return (losses * inner).sum() / inner.sum().clamp(min=1)


def topic_loss(topic: Tensor, predicted: Tensor, teacher: Tensor, units: Tensor, reach: int = 16) -> Tensor:
    """How far the topic vectors are from the teacher's: one by one, and in their similarities to the units near by.

    topic, predicted, teacher [B, U, T], teacher of unit length where it is known, else zero.
    """
    known = (teacher.abs().sum(-1) > 0).float()
    own = 1 - (functional.normalize(predicted, dim=-1) * teacher).sum(-1)
    loss = (own * known).sum() / known.sum().clamp(min=1)
    for step in (1, 2, 3, 5, 8, reach):
        if topic.shape[1] <= step:
            break
        both = known[:, step:] * known[:, :-step]
        student_similarity = (topic[:, step:] * topic[:, :-step]).sum(-1)
        teacher_similarity = (teacher[:, step:] * teacher[:, :-step]).sum(-1)
        loss = loss + ((student_similarity - teacher_similarity) ** 2 * both).sum() / both.sum().clamp(min=1)
    return loss
