"""The segmenter's network: words -> unit vectors -> similarity of the windows around each boundary -> dilated
convolutions over units -> for each boundary the log-odds that its level is at least 1, 2, 3, 4, 5 (5: a seam between passages of a prompt).

It has two word tables. `table` says what a word is about. It begins as a teacher's vectors of words, table_distillation.py draws it to
the teacher's sentence vectors, and then it is kept, so that means of it can be computed once for all training. `cues` says how a word is
used, and is learnt with the rest. The network works for any language, because it takes rows of a hashed word table. It is local: a
boundary sees `context_units` units each way. It knows no texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 5
FIRST_WORDS, LAST_WORDS = 5, 3
EDGE_SIZE = 64


@dataclass(frozen=True)
class NetworkConfig:
    """rows: of the word tables. features: per unit, as the server computes them. scales: units on each side of the boundary in the
    windows that are compared. dilations: of the convolutions over units (kernel 3)."""

    rows: int
    features: int
    word_size: int = 96
    cue_size: int = 24
    topic_size: int = 64
    own_size: int = 16
    hidden: int = 112
    scales: tuple[int, ...] = (1, 2, 3, 5, 8, 16, 32, 64, 128)
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    dropout: float = 0.0

    @property
    def context_units(self) -> int:
        return sum(self.dilations) + max(self.scales) + 2


@dataclass
class Crops:
    """A batch of B crops, padded to U units.

    rows [W] int64: the words of all units one after another. starts, ends [B * U] int64: into rows, equal at the padding. owners [W]
    int64: index of each word's unit in B * U, or None when exported. values [B, U, F]. units [B]: without the padding. labels [B, U]: 0
    or level. topics [B, U, D + 1]: means of the word table and content of each unit, where they were computed before.
    """

    rows: Tensor
    starts: Tensor
    ends: Tensor
    owners: Tensor | None
    values: Tensor
    units: Tensor
    labels: Tensor | None = None
    topics: Tensor | None = None


def unit_sums(values: Tensor, starts: Tensor, ends: Tensor, owners: Tensor | None) -> Tensor:
    """Sums over each unit's words. [W, C] -> [units, C]"""
    if owners is not None:
        return values.new_zeros(len(starts), values.shape[1]).index_add(0, owners, values)
    sums = functional.pad(torch.cumsum(values, 0), (0, 0, 1, 0))
    return sums[ends] - sums[starts]


class WordTable(nn.Module):
    """What words are about, and how much each counts in the mean of a unit."""

    def __init__(self, rows: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, size)
        self.weight = nn.Embedding(rows, 1)
        nn.init.zeros_(self.embedding.weight)
        nn.init.zeros_(self.weight.weight)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.embedding(rows), self.weight(rows)

    def means(self, rows: Tensor, starts: Tensor, ends: Tensor, owners: Tensor | None) -> Tensor:
        """[W] -> [units, D + 1]: weighted means and the sum of the weights."""
        vectors, weights = self(rows)
        size = vectors.shape[1]
        weights = torch.exp(weights.clamp(-8, 4))
        sums = unit_sums(torch.cat([vectors * weights, weights], -1), starts, ends, owners)
        content = sums[:, size:].clamp(min=1e-4)
        return torch.cat([sums[:, :size] / content, content], -1)


class ConvolutionBlock(nn.Module):
    """x + gated convolution, normalized before. [B, U, C]"""

    def __init__(self, size: int, dilation: int, dropout: float = 0.0) -> None:
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
        self.config = c = config
        self.table = WordTable(c.rows, c.word_size)
        self.cues = nn.Embedding(c.rows, c.cue_size)
        nn.init.normal_(self.cues.weight, std=0.05)
        self.topic = nn.Linear(c.word_size, c.topic_size, bias=False)
        self.own_topic = nn.Linear(c.word_size + c.cue_size, c.own_size, bias=False)
        self.edges = nn.Linear((FIRST_WORDS + LAST_WORDS) * c.cue_size, EDGE_SIZE)
        similarities = 2 * len(c.scales)
        self.inlet = nn.Linear(c.word_size + c.cue_size + c.topic_size + EDGE_SIZE + c.features + similarities, c.hidden)
        self.blocks = nn.ModuleList(ConvolutionBlock(c.hidden, d, c.dropout) for d in c.dilations)
        self.norm = nn.LayerNorm(c.hidden)
        self.head = nn.Linear(2 * c.hidden + similarities, c.hidden)
        self.levels = nn.Linear(c.hidden, LEVELS)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, crops: Crops) -> Tensor:
        """Log-odds [B, U, 5] of a boundary of at least each level behind each unit. Of more features than it was trained with, the network
        reads the first ones."""
        c = self.config
        batch, units = crops.values.shape[0], crops.values.shape[1]
        index = torch.arange(units, device=crops.values.device)
        mask = (index[None, :] < crops.units[:, None]).unsqueeze(-1).to(crops.values.dtype)
        words = (crops.starts, crops.ends, crops.owners)
        topics = crops.topics if crops.topics is not None else self.table.means(crops.rows, *words).view(batch, units, c.word_size + 1)
        static, content = topics[..., : c.word_size], topics[..., c.word_size :]
        cues = self.cues(crops.rows)
        counts = (crops.ends - crops.starts).clamp(min=1).unsqueeze(-1)
        cue = (unit_sums(cues, *words) / counts).view(batch, units, c.cue_size)
        topic = functional.normalize(self.topic(static), dim=-1, eps=1e-4)
        own = functional.normalize(self.own_topic(torch.cat([static, cue], -1)), dim=-1, eps=1e-4)
        # A unit's weight in a window grows with its content, but slower than its length.
        similar = self._similarities(torch.cat([topic, own], -1).float(), torch.sqrt(content), mask)
        edges = functional.gelu(self.edges(self._edge_words(cues, crops))).view(batch, units, EDGE_SIZE)
        x = torch.cat([static, cue, topic, edges, crops.values[..., : c.features], similar], -1)
        x = self.dropout(functional.gelu(self.inlet(x))) * mask
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        following = functional.pad(x[:, 1:], (0, 0, 0, 1))
        h = functional.gelu(self.head(torch.cat([x, following, similar], -1)))
        return self.levels(h)

    @staticmethod
    def _edge_words(cues: Tensor, crops: Crops) -> Tensor:
        """Cues of each unit's first and last words; zero where the unit has fewer. [B * U, words * C]"""
        start, end, most = crops.starts, crops.ends, cues.shape[0] - 1
        places = [start + step for step in range(FIRST_WORDS)] + [end - 1 - step for step in range(LAST_WORDS)]
        index = torch.stack(places, 1)
        there = (index >= start.unsqueeze(1)) & (index < end.unsqueeze(1))
        chosen = cues[index.clamp(0, most).reshape(-1)].view(-1, FIRST_WORDS + LAST_WORDS, cues.shape[1])
        return (chosen * there.unsqueeze(-1)).reshape(-1, (FIRST_WORDS + LAST_WORDS) * cues.shape[1])

    def _similarities(self, vectors: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
        """Cosine of the windows left and right of the boundary behind each unit, in both spaces. [B, U, 2 * scales]"""
        topic = self.config.topic_size
        count = vectors.shape[1]
        sums = functional.pad(torch.cumsum(vectors * weights * mask, 1), (0, 0, 1, 0))
        position = torch.arange(count, device=vectors.device)
        columns = []
        middle = sums[:, 1:]
        for scale in self.config.scales:
            from_ = (position + 1 - scale).clamp(min=0)
            to = (position + 1 + scale).clamp(max=count)
            left = middle - sums[:, from_]
            right = sums[:, to] - middle
            both, lefts, rights = left * right, left * left, right * right
            for part in (slice(0, topic), slice(topic, None)):
                norms = torch.sqrt(lefts[..., part].sum(-1) * rights[..., part].sum(-1) + 1e-6)
                columns.append(both[..., part].sum(-1) / norms)
        return torch.stack(columns, -1)


def level_loss(logits: Tensor, labels: Tensor, units: Tensor) -> Tensor:
    """Binary cross-entropy of "at least level k" for k = 1..5, over all boundaries but the last of each crop."""
    count = labels.shape[1]
    inner = torch.arange(count)[None, :] < units[:, None] - 1
    wanted = torch.stack([(labels >= level) for level in range(1, LEVELS + 1)], -1).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(-1)
    return (losses * inner).sum() / inner.sum().clamp(min=1)
