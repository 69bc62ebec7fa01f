"""Batches of crops for the segmenter: categories drawn by weight, documents by chance, crops of varied length. Pure numpy
until the last step, where arrays become padded tensors.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .feature_stream import UnitDocument, unpack
from .network import Crops

#: Conversations and meetings are what lines of text alone say least about: they count more.
WEIGHTS = {"small-talk": 1.5, "conversations": 2.0, "meetings": 2.5, "social": 1.5, "lectures": 1.3}


@dataclass
class Collection:
    """Documents by category; teacher vectors [units, 64] of the documents under "teacher", in order."""

    documents: dict[str, list[UnitDocument]]
    teacher: list[np.ndarray]


def load(work: Path, split: str) -> Collection:
    documents = {path.stem.split("-", 1)[1]: unpack(path) for path in sorted(work.glob(f"{split}-*.npz"))}
    documents = {name: kept for name, some in documents.items() if (kept := [d for d in some if d.units > 3])}
    teacher: list[np.ndarray] = []
    if split == "train" and (work / "teacher-vectors.npy").exists():
        documents["teacher"] = unpack(work / "teacher.npz")
        vectors = np.load(work / "teacher-vectors.npy")
        at = 0
        for document in documents["teacher"]:
            teacher.append(vectors[at : at + document.units])
            at += document.units
    return Collection(documents, teacher)


def crop(document: UnitDocument, start: int, stop: int) -> UnitDocument:
    first, last = document.offsets[start], document.offsets[stop]
    offsets = document.offsets[start : stop + 1] - first
    return UnitDocument(document.rows[first:last], offsets, document.labels[start:stop], document.starts[start:stop], document.values[start:stop])


def collate(documents: list[UnitDocument], teacher: list[np.ndarray] | None = None) -> Crops:
    units = max(d.units for d in documents)
    words = max(len(d.rows) for d in documents)
    count, features = len(documents), documents[0].values.shape[1]
    rows = np.zeros((count, words), np.int64)
    offsets = np.zeros((count, units + 1), np.int64)
    values = np.zeros((count, units, features), np.float32)
    labels = np.zeros((count, units), np.int64)
    vectors = np.zeros((count, units, 64), np.float32) if teacher else None
    for index, document in enumerate(documents):
        rows[index, : len(document.rows)] = document.rows
        offsets[index] = len(document.rows)
        offsets[index, : document.units + 1] = document.offsets
        values[index, : document.units] = document.values
        labels[index, : document.units] = document.labels
        if teacher and vectors is not None:
            vectors[index, : document.units] = teacher[index][: document.units]
    sizes = torch.tensor([d.units for d in documents])
    make = torch.from_numpy
    return Crops(make(rows), make(offsets), make(values), sizes, make(labels), None if vectors is None else make(vectors))


class Sampler:
    """draw() -> the next batch: about `budget` units, crops of one length so that little is padded."""

    def __init__(self, collection: Collection, budget: int, seed: int, teacher_share: float) -> None:
        self.collection = collection
        self.budget = budget
        self.rng = random.Random(seed)
        self.teacher_share = teacher_share if collection.teacher else 0.0
        self.names = [name for name in collection.documents if name != "teacher"]
        self.weights = [WEIGHTS.get(name, 1.0) for name in self.names]

    def draw(self) -> Crops:
        rng = self.rng
        if rng.random() < self.teacher_share:
            chosen = rng.sample(range(len(self.collection.teacher)), max(1, self.budget // 160))
            documents = [self.collection.documents["teacher"][index] for index in chosen]
            return collate(documents, [self.collection.teacher[index] for index in chosen])
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
