"""Batches of crops for the segmenter: categories are drawn by weight, documents by chance, and crops have varied lengths.

Everything is numpy until the last step, where arrays become padded tensors. It knows packed documents and no network but its word table.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .feature_stream import UnitDocument, unpack
from .network import Crops, WordTable

#: Lines of text alone say least about conversations and meetings, so these count more.
WEIGHTS = {
    "small-talk": 1.5, "conversations": 2.0, "meetings": 3.0, "long-meetings": 3.5, "social": 1.5, "lectures": 1.5,
    "sgd": 3.0, "tiage": 2.0, "qmsum": 3.0, "stuffed": 3.0,
}  # fmt: skip
#: Weight of documents from an earlier build of SemanticSeg, under names "v1-...".
EARLIER_WEIGHT = 0.35


@dataclass
class Collection:
    """Documents by category. They have their means of the word table where these were computed."""

    documents: dict[str, list[UnitDocument]]


def load(work: Path, split: str, table: WordTable | None = None, most: int = 1 << 30) -> Collection:
    """The first `most` documents of each category (small talk: four times as many).

    table: each unit gets its mean of it, as float16, so that training need not compute the means again and again.
    """
    documents = {path.stem.split("-", 1)[1]: unpack(path) for path in sorted(work.glob(f"{split}-*.npz"))}
    documents = {name: kept for name, some in documents.items() if (kept := [d for d in some if d.units > 3])}
    documents = {name: some[: most * (4 if name == "small-talk" else 1)] for name, some in documents.items()}
    if table is not None:
        for some in documents.values():
            for document in some:
                document.topics = unit_topics(table, document)
    return Collection(documents)


@torch.no_grad()
def unit_topics(table: WordTable, document: UnitDocument) -> np.ndarray:
    """[units, D + 1] float16"""
    rows = torch.from_numpy(document.rows.astype(np.int64))
    bounds = torch.from_numpy(document.offsets.astype(np.int64))
    owners = torch.from_numpy(np.repeat(np.arange(document.units), np.diff(document.offsets)))
    return table.means(rows, bounds[:-1], bounds[1:], owners).to(torch.float16).numpy()


def crop(document: UnitDocument, start: int, stop: int) -> UnitDocument:
    first, last = document.offsets[start], document.offsets[stop]
    offsets = document.offsets[start : stop + 1] - first
    part = slice(start, stop)
    topics = None if document.topics is None else document.topics[part]
    return UnitDocument(
        document.rows[first:last], offsets, document.labels[part], document.starts[part], document.values[part], topics=topics
    )


def collate(documents: list[UnitDocument]) -> Crops:
    units = max(d.units for d in documents)
    count, features = len(documents), documents[0].values.shape[1]
    rows = np.concatenate([d.rows for d in documents]).astype(np.int64)
    starts = np.zeros((count, units), np.int64)
    ends = np.zeros((count, units), np.int64)
    owners = []
    values = np.zeros((count, units, features), np.float32)
    labels = np.zeros((count, units), np.int64)
    known = all(d.topics is not None for d in documents)
    topics = np.zeros((count, units, documents[0].topics.shape[1]), np.float32) if known else None
    word = 0
    for index, document in enumerate(documents):
        starts[index] = ends[index] = word + len(document.rows)
        starts[index, : document.units] = word + document.offsets[:-1]
        ends[index, : document.units] = word + document.offsets[1:]
        owners.append(np.repeat(np.arange(document.units) + index * units, np.diff(document.offsets)))
        word += len(document.rows)
        values[index, : document.units] = document.values
        labels[index, : document.units] = document.labels
        if topics is not None:
            topics[index, : document.units] = document.topics
    sizes = torch.tensor([d.units for d in documents])
    make = torch.from_numpy
    return Crops(
        make(rows),
        make(starts.reshape(-1)),
        make(ends.reshape(-1)),
        make(np.concatenate(owners)),
        make(values),
        sizes,
        make(labels),
        None if topics is None else make(topics),
    )


class Sampler:
    """draw() gives the next batch: about `budget` units in crops of one length, so that little is padded."""

    def __init__(self, collection: Collection, budget: int, seed: int) -> None:
        self.collection = collection
        self.budget = budget
        self.rng = random.Random(seed)
        self.names = list(collection.documents)
        self.weights = [EARLIER_WEIGHT if name.startswith("v1-") else WEIGHTS.get(name, 1.0) for name in self.names]

    def draw(self) -> Crops:
        rng = self.rng
        length = rng.choice((96, 192, 384, 768))
        documents = []
        while sum(d.units for d in documents) < self.budget:
            name = rng.choices(self.names, self.weights)[0]
            document = rng.choice(self.collection.documents[name])
            start = 0
            if document.units > length:
                start = rng.randrange(document.units - length) if rng.random() < 0.8 else 0
            documents.append(crop(document, start, min(document.units, start + length)))
        return collate(documents)
