"""How well one segmentation agrees with another: boundary F1, Pk, WindowDiff, boundary similarity, bootstrap intervals.

A segmentation of n units (sentences or lines) is the sorted list of the units that begin a new segment, each in 1..n-1. It knows
neither texts nor segmenters. Pk is Beeferman et al. 1999, WindowDiff is Pevzner and Hearst 2002. Boundary similarity is Fournier 2013,
as the segeval package computes it (n_t = 2, transpositions weighted by their span / n_t).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Matched boundaries, and boundaries of the hypothesis and of the reference. Sums over documents give micro averages."""

    matched: int
    hypothesis: int
    reference: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.matched + other.matched, self.hypothesis + other.hypothesis, self.reference + other.reference)

    @property
    def precision(self) -> float:
        return self.matched / self.hypothesis if self.hypothesis else float(self.reference == 0)

    @property
    def recall(self) -> float:
        return self.matched / self.reference if self.reference else float(self.hypothesis == 0)

    @property
    def f1(self) -> float:
        total = self.hypothesis + self.reference
        return 2 * self.matched / total if total else 1.0


def check_boundaries(boundaries: Sequence[int], units: int) -> None:
    """@raises ValueError for boundaries out of order or outside 1..units-1"""
    last = 0
    for at in boundaries:
        if not last < at < units:
            raise ValueError(f"boundary {at} is out of order or outside 1..{units - 1}")
        last = at


def match_counts(reference: Sequence[int], hypothesis: Sequence[int], tolerance: int = 0) -> Counts:
    """One-to-one matches at most `tolerance` units apart. A walk from the left finds the largest number of them."""
    matched = 0
    left = 0
    for at in reference:
        while left < len(hypothesis) and hypothesis[left] < at - tolerance:
            left += 1
        if left < len(hypothesis) and hypothesis[left] <= at + tolerance:
            matched += 1
            left += 1
    return Counts(matched, len(hypothesis), len(reference))


def window_size(reference: Sequence[int], units: int) -> int:
    """Half the reference's mean segment length in units, at least 2."""
    return max(2, round(units / (len(reference) + 1) / 2))


def pk(reference: Sequence[int], hypothesis: Sequence[int], units: int, window: int | None = None) -> float:
    """Share of pairs of units `window` apart that one segmentation parts and the other does not. 0 is best."""
    window = window or window_size(reference, units)
    left, right = _segment_numbers(reference, units), _segment_numbers(hypothesis, units)
    pairs = units - window
    if pairs <= 0:
        return 0.0
    return sum((left[at] == left[at + window]) != (right[at] == right[at + window]) for at in range(pairs)) / pairs


def window_diff(reference: Sequence[int], hypothesis: Sequence[int], units: int, window: int | None = None) -> float:
    """Share of windows that hold different numbers of boundaries; 0 is best."""
    window = window or window_size(reference, units)
    left, right = _segment_numbers(reference, units), _segment_numbers(hypothesis, units)
    pairs = units - window
    if pairs <= 0:
        return 0.0
    return sum(left[at + window] - left[at] != right[at + window] - right[at] for at in range(pairs)) / pairs


def boundary_similarity(reference: Sequence[int], hypothesis: Sequence[int]) -> float:
    """1 less the edits per pair of boundaries. An added or missed boundary counts 1, one moved by a unit counts 1/2. 1 is best."""
    left, right = set(reference), set(hypothesis)
    matches = len(left & right)
    only = sorted(left ^ right)
    moved = 0
    index = 0
    while index + 1 < len(only):
        near = only[index + 1] - only[index] == 1 and (only[index] in left) != (only[index + 1] in left)
        moved += near
        index += 2 if near else 1
    edits = len(only) - moved
    return 1 - (edits - 0.5 * moved) / (edits + matches) if edits + matches else 1.0


def bootstrap_interval(
    values: Sequence[object], statistic: Callable[[Sequence[object]], float], seed: int = 0, rounds: int = 1_000, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of a statistic over documents drawn again with replacement.

    @raises ValueError where there is no value
    """
    if not values:
        raise ValueError("there is nothing to draw from")
    generator = random.Random(seed)
    drawn = sorted(statistic(generator.choices(values, k=len(values))) for _ in range(rounds))
    tail = (1 - confidence) / 2
    return drawn[int(tail * rounds)], drawn[min(rounds - 1, int((1 - tail) * rounds))]


def _segment_numbers(boundaries: Sequence[int], units: int) -> list[int]:
    """[units]: the number of the segment that each unit is in."""
    numbers = [0] * units
    for at in boundaries:
        numbers[at] = 1
    total = 0
    for at in range(units):
        total += numbers[at]
        numbers[at] = total
    return numbers
