"""The first step of training: the word table alone.

The table is drawn so that the mean of a unit's words points where the teacher's vector of the whole unit points, one by one and in
the similarities of units near one another. It can begin with the teacher's vectors of words, or with the table of a trained network.
In that case the topic vectors stay near enough to what the network has learnt for its training to go on over the new table.
"""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .feature_stream import unpack
from .network import NetworkConfig, WordTable
from .segmenter_checkpoint import load_network
from .sentence_teacher import principal_axes

BATCH_DOCUMENTS = 16
NEAR = (1, 2, 3, 5, 8, 16)


def start_table(work: Path, size: int) -> WordTable:
    """Rows start from the teacher's vectors of the words, weights from their rarity. Shared rows start at zero."""
    data = (work / "words.bin").read_bytes()
    words, shared = struct.unpack_from("<II", data, 4)
    table = WordTable(words + shared, size)
    idf = np.frombuffer(data, np.uint8, words, 16 + 4 * words).astype(np.float32) / 16
    vectors = np.load(work / "word-vectors.npy").astype(np.float32)
    mean, axes = principal_axes(vectors, size)
    reduced = (vectors - mean) @ axes
    with torch.no_grad():
        table.weight.weight[:words, 0] = torch.from_numpy(np.log(np.clip(idf, 0.3, None) / 6))
        table.embedding.weight[:words] = torch.from_numpy(reduced / reduced.std())
    return table


def likeness_loss(student: Tensor, predicted: Tensor, teacher: Tensor) -> Tensor:
    """student, predicted, teacher [units, T], all of unit length. The units of documents come one after another."""
    loss = (1 - (predicted * teacher).sum(-1)).mean()
    for step in NEAR:
        wanted = (teacher[step:] * teacher[:-step]).sum(-1)
        loss = loss + 3 * (((student[step:] * student[:-step]).sum(-1) - wanted) ** 2).mean()
    return loss


def table_of(checkpoint: Path) -> tuple[WordTable, nn.Linear]:
    """Word table and topic projection of a trained network."""
    network = load_network(checkpoint)
    return network.table.requires_grad_(True), network.topic


def distill(work: Path, minutes: float, threads: int = 1, start: Path | None = None) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    config = NetworkConfig(rows=0, features=0)
    if start:
        table, topic = table_of(start)
    else:
        table, topic = start_table(work, config.word_size), nn.Linear(config.word_size, config.topic_size, bias=False)
    outlet = nn.Linear(config.topic_size, 64)
    documents, vectors = unpack(work / "teacher.npz"), torch.from_numpy(np.load(work / "teacher-vectors.npy")).float()
    bounds = np.cumsum([0] + [d.units for d in documents])
    held_out = range(len(documents) - 1, 0, -20)
    training = [index for index in range(len(documents)) if index not in set(held_out)]
    parameters = [*table.parameters(), *topic.parameters(), *outlet.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=4e-3, weight_decay=0)
    rng = random.Random(1)

    def run(chosen: list[int]) -> Tensor:
        lengths = [np.diff(documents[index].offsets) for index in chosen]
        owners = torch.from_numpy(np.repeat(np.arange(sum(map(len, lengths))), np.concatenate(lengths)))
        ends = torch.from_numpy(np.cumsum(np.concatenate(lengths)))
        starts = functional.pad(ends[:-1], (1, 0))
        rows = torch.from_numpy(np.concatenate([documents[index].rows for index in chosen]).astype(np.int64))
        teacher = torch.cat([vectors[bounds[index] : bounds[index + 1]] for index in chosen])
        student = functional.normalize(topic(table.means(rows, starts, ends, owners)[:, :-1]), dim=-1)
        return likeness_loss(student, functional.normalize(outlet(student), dim=-1), teacher)

    spent, step, shown = 0.0, 0, 0.0
    while spent < minutes * 60:
        started = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * max(0.02, 1 - spent / (minutes * 60))
        loss = run(rng.sample(training, BATCH_DOCUMENTS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        spent += min(8.0, time.monotonic() - started)
        if spent - shown > 20 or step == 1:
            shown = spent
            with torch.no_grad():
                print(f"step {step} {spent:.0f} s  loss {float(loss.detach()):.4f}  held out {float(run(list(held_out))):.4f}", flush=True)
    torch.save({"table": table.state_dict(), "topic": topic.state_dict()}, work / "table.pt")
