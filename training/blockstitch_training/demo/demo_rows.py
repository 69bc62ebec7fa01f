"""Batches for the demo model: contexts with several questions each, none of which sees another.

A batch depends on its seed, step and stage alone. What a context holds is curriculum.py, what a row holds is demo_prompts.py.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import IterableDataset

from .curriculum import STAGES
from .demo_prompts import Prompts, TrainingRow
from .demo_settings import Settings


@dataclass
class Batch:
    ids: torch.Tensor  # int64 [rows, T]
    positions: torch.Tensor  # int64 [rows, T]
    mask: torch.Tensor  # bool [rows, 1, T, T]: what each token sees
    picked: torch.Tensor  # int64 [n]: places in the flattened ids whose successor is predicted
    targets: torch.Tensor  # int64 [n]
    is_answer: torch.Tensor  # bool [n]


class Rows(IterableDataset):
    """Batches of one seed from `step` on. A batch depends on seed, step and stage alone."""

    def __init__(self, prompts: Prompts, settings: Settings, seed: int, step: int, stage: int):
        self.prompts, self.settings, self.seed, self.step, self.stage = prompts, settings, seed, step, stage

    def __iter__(self) -> Iterator[Batch]:
        step = self.step
        while True:
            rng = random.Random(f"{self.seed}/{self.stage}/{step}")
            yield self.batch(rng, self.stage if rng.random() < 0.8 else rng.randint(0, self.stage))
            step += 1

    def batch(self, rng: random.Random, stage: int) -> Batch:
        """Rows of about one length, together about `batch_tokens`."""
        wanted = STAGES[stage]
        documents = rng.randint(*wanted.documents)
        entities = rng.randint(1, wanted.entities)
        rows: list[TrainingRow] = []
        while not rows or (len(rows) + 1) * max(len(row.ids) for row in rows) < self.settings.batch_tokens:
            rows.append(self.prompts.training_row(wanted.example(rng, documents, entities)))
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), self.prompts.eos)
        positions = torch.zeros(len(rows), width, dtype=torch.long)
        groups = torch.full((len(rows), width), -1)
        picked, targets, is_answer = [], [], []
        for index, row in enumerate(rows):
            length = len(row.ids)
            ids[index, :length] = torch.tensor(row.ids)
            positions[index, :length] = torch.tensor(row.positions)
            groups[index, :length] = torch.tensor(row.groups)
            for place in range(1, length):
                if row.groups[place] != row.groups[place - 1]:
                    continue  # the first token of a question follows from nothing
                if row.is_answer[place] or rng.random() < self.settings.text_share:
                    picked.append(index * width + place - 1)
                    targets.append(row.ids[place])
                    is_answer.append(row.is_answer[place])
        same = (groups[:, None, :, None] == groups[:, None, None, :]) | (groups[:, None, None, :] == 0)
        mask = same & torch.ones(width, width, dtype=torch.bool).tril()
        return Batch(ids, positions, mask, torch.tensor(picked), torch.tensor(targets), torch.tensor(is_answer))
