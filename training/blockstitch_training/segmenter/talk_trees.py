"""Learns from labelled meetings where another topic begins, as boosted trees over the server's numbers of a meeting's course.

The numbers are those of src/segment/talk-features.ts, which hold no words of a meeting: so few meetings would be learnt by heart
otherwise. Trees of several seeds are summed, each over another draw of the boundaries that no topic ends at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..semanticseg.labelled_talk import even_rows
from .boosted_trees import BoostedTrees, BoostingSettings, boost
from .feature_stream import UnitDocument, document_row, read_documents

#: Share of the boundaries within topics that one seed's trees see; each then counts as many.
DRAWN = 0.2
SETTINGS = BoostingSettings()


def fit(documents: Sequence[UnitDocument], seeds: Sequence[int]) -> BoostedTrees:
    """The mean of the log-odds of each seed's trees."""
    values = np.concatenate([each.values for each in documents]).astype(np.float64)
    labels = np.concatenate([each.labels > 0 for each in documents])
    fitted = []
    for seed in seeds:
        drawn = labels | (np.random.default_rng(seed).random(len(labels)) < DRAWN)
        weights = np.where(labels, 1, 1 / DRAWN)
        fitted.append(boost(values[drawn], labels[drawn].astype(float), weights[drawn], SETTINGS, seed))
    for each in fitted:
        for tree in each.trees:
            tree.value = [value / len(fitted) for value in tree.value]
    return BoostedTrees(sum(each.start for each in fitted) / len(fitted), [tree for each in fitted for tree in each.trees])


def held_out_rank(documents: Sequence[UnitDocument], seeds: Sequence[int], folds: int) -> float:
    """Share of its meeting's boundaries above which a topic's end ranks, by trees that did not see the meeting: the mean over all ends, 0.5 by chance."""
    fold = np.random.default_rng(0).permutation(len(documents)) % folds
    ranks = []
    for part in range(folds):
        trees = fit([each for each, own in zip(documents, fold, strict=True) if own != part], seeds)
        for document in (each for each, own in zip(documents, fold, strict=True) if own == part):
            odds = trees.log_odds(document.values.astype(np.float64))[:-1]
            ranks += [float((odds < odds[end]).mean()) for end in np.flatnonzero(document.labels[:-1])]
    return float(np.mean(ranks))


def read_meetings(meetings: Path, model: Path) -> list[UnitDocument]:
    """The even rows, with the numbers of their course. Words are those of `model`/words.bin."""
    return list(read_documents((document_row(segments) for segments in even_rows(meetings)), model / "words.bin", "talk"))


def write_trees(meetings: Path, model: Path, seeds: int) -> Path:
    """Fits the even rows of `meetings`. @returns the file that was written into `model`"""
    documents = read_meetings(meetings, model)
    trees = fit(documents, range(seeds))
    made = {
        "features": documents[0].values.shape[1],
        "start": round(trees.start, 5),
        "trees": [
            {
                "column": tree.column,
                # Values are float32 in the server: thresholds keep all their digits.
                "threshold": tree.threshold,
                "left": tree.left,
                "right": tree.right,
                "value": [round(value, 6) for value in tree.value],
            }
            for tree in trees.trees
        ],
    }
    path = model / "talk.json"
    path.write_text(json.dumps(made, separators=(",", ":")) + "\n")
    return path
