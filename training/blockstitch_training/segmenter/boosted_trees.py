"""Gradient boosted trees for a rare yes among many noes: logistic loss, Newton steps, few leaves.

A leaf's value is -G / (H + l2), and a split's gain is half the growth of G^2 / (H + l2), with G and H the sums of the loss's first and second
derivatives (Chen and Guestrin 2016, "XGBoost", equations 5 and 7). Leaves are split best first. It knows numbers and no texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

BINS = 64


@dataclass(frozen=True)
class BoostingSettings:
    """rate: factor on each leaf. least: rows of a leaf, by weight of the sample. columns: share of the columns that a tree may look at."""

    trees: int = 60
    leaves: int = 8
    rate: float = 0.06
    least: float = 60.0
    l2: float = 5.0
    columns: float = 0.3


@dataclass
class Tree:
    """Nodes in lists, the root first. column: -1 at a leaf. A row goes left where its value is at most the threshold. value: of a leaf."""

    column: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def add(self, value: float) -> int:
        for each, start in ((self.column, -1), (self.threshold, 0.0), (self.left, 0), (self.right, 0), (self.value, value)):
            each.append(start)
        return len(self.column) - 1

    def predict(self, values: np.ndarray) -> np.ndarray:
        """[rows, columns] -> [rows]"""
        node = np.zeros(len(values), np.int64)
        column, threshold = np.array(self.column), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        while True:
            inner = np.flatnonzero(column[node] >= 0)
            if len(inner) == 0:
                return np.array(self.value)[node]
            at = node[inner]
            goes = values[inner, column[at]] <= threshold[at]
            node[inner] = np.where(goes, left[at], right[at])


@dataclass
class BoostedTrees:
    """start: log-odds before any tree."""

    start: float
    trees: list[Tree]

    def log_odds(self, values: np.ndarray) -> np.ndarray:
        """[rows, columns] -> [rows]"""
        return self.start + sum(tree.predict(values) for tree in self.trees)


def boost(values: np.ndarray, labels: np.ndarray, weights: np.ndarray, settings: BoostingSettings, seed: int) -> BoostedTrees:
    """values [rows, columns], labels [rows] of 0 and 1, weights [rows].

    @raises ValueError where all labels are the same
    """
    positive = float((weights * labels).sum())
    if not 0 < positive < float(weights.sum()):
        raise ValueError("trees need rows of both labels")
    rng = np.random.default_rng(seed)
    edges = [np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1])) for column in values.T]
    binned = np.stack([np.searchsorted(edge, column, side="left") for edge, column in zip(edges, values.T, strict=True)], 1)
    start = float(np.log(positive / (weights.sum() - positive)))
    odds = np.full(len(values), start)
    trees = []
    many = max(1, round(settings.columns * values.shape[1]))
    for _ in range(settings.trees):
        chance = 1 / (1 + np.exp(-odds))
        slopes, curves = weights * (chance - labels), weights * chance * (1 - chance)
        columns = np.sort(rng.choice(values.shape[1], many, replace=False))
        tree = _grow(binned, edges, columns, slopes, curves, settings)
        trees.append(tree)
        odds = odds + tree.predict(values)
    return BoostedTrees(start, trees)


def _grow(binned: np.ndarray, edges: list[np.ndarray], columns: np.ndarray, slopes: np.ndarray, curves: np.ndarray, settings: BoostingSettings) -> Tree:
    tree = Tree()

    def leaf(rows: np.ndarray) -> int:
        return tree.add(float(-settings.rate * slopes[rows].sum() / (curves[rows].sum() + settings.l2)))

    everything = np.arange(len(binned))
    open_ = [(leaf(everything), everything, _best_split(binned, everything, columns, slopes, curves, settings))]
    for _ in range(settings.leaves - 1):
        place = max(range(len(open_)), key=lambda each: open_[each][2][0])
        gain, column, cut = open_[place][2]
        if gain <= 0:
            break
        node, rows, _ = open_.pop(place)
        goes = binned[rows, column] <= cut
        tree.column[node], tree.threshold[node] = int(column), float(edges[column][cut])
        for side, part in (("left", rows[goes]), ("right", rows[~goes])):
            child = leaf(part)
            getattr(tree, side)[node] = child
            open_.append((child, part, _best_split(binned, part, columns, slopes, curves, settings)))
    return tree


def _best_split(binned: np.ndarray, rows: np.ndarray, columns: np.ndarray, slopes: np.ndarray, curves: np.ndarray, settings: BoostingSettings) -> tuple[float, int, int]:
    """Gain, column, and the last bin that goes left; a gain of 0 where there is no split."""
    if len(rows) < 2 * settings.least:
        return 0.0, 0, 0
    places = (binned[np.ix_(rows, columns)] + BINS * np.arange(len(columns))).ravel()

    def sums(of: np.ndarray | None) -> np.ndarray:
        spread = None if of is None else np.repeat(of[rows], len(columns))
        return np.bincount(places, spread, BINS * len(columns)).reshape(len(columns), BINS).cumsum(1)

    slope, curve, count = sums(slopes), sums(curves), sums(None)

    def worth(some: np.ndarray, bent: np.ndarray) -> np.ndarray:
        return some**2 / (bent + settings.l2)

    whole = worth(slope[:, -1:], curve[:, -1:])
    gains = (worth(slope, curve) + worth(slope[:, -1:] - slope, curve[:, -1:] - curve) - whole) / 2
    gains[(count < settings.least) | (count[:, -1:] - count < settings.least)] = 0
    at = int(gains.argmax())
    return float(gains.flat[at]), int(columns[at // BINS]), at % BINS
