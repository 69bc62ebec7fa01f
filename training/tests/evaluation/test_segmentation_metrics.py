"""Metrics: the numbers that the segeval package gives, and what they mean in the simple cases."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from blockstitch_training.evaluation.segmentation_metrics import (
    Counts,
    bootstrap_interval,
    boundary_similarity,
    check_boundaries,
    match_counts,
    pk,
    window_diff,
    window_size,
)

# Written by fixtures/make_metric_goldens.py with segeval 2.0.11.
GOLDEN = json.loads((Path(__file__).parent / "segmentation_goldens.json").read_text())


@pytest.mark.parametrize("units,reference,hypothesis,expected", GOLDEN)
def test_the_numbers_are_those_of_segeval(units, reference, hypothesis, expected):
    found = (pk(reference, hypothesis, units), window_diff(reference, hypothesis, units), boundary_similarity(reference, hypothesis))
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_perfect_segmentation_is_perfect_by_every_metric():
    boundaries = [3, 9, 20]
    assert match_counts(boundaries, boundaries).f1 == 1
    assert pk(boundaries, boundaries, 30) == window_diff(boundaries, boundaries, 30) == 0
    assert boundary_similarity(boundaries, boundaries) == 1


def test_a_boundary_one_unit_off_counts_only_within_one_and_half_by_similarity():
    assert match_counts([10], [11]).matched == 0
    assert match_counts([10], [11], tolerance=1).matched == 1
    assert boundary_similarity([10], [11]) == 0.5
    assert boundary_similarity([10], [12]) == 0


def test_one_boundary_matches_at_most_one_other():
    assert match_counts([10, 11], [10], tolerance=1) == Counts(1, 1, 2)
    assert match_counts([10], [9, 10, 11], tolerance=1) == Counts(1, 3, 1)


def test_matching_from_the_left_finds_as_many_as_any_matching():
    def most(reference, hypothesis, tolerance):
        if not reference or not hypothesis:
            return 0
        best = most(reference[1:], hypothesis, tolerance)
        for place, at in enumerate(hypothesis):
            if abs(at - reference[0]) <= tolerance:
                best = max(best, 1 + most(reference[1:], hypothesis[:place] + hypothesis[place + 1 :], tolerance))
        return best

    rng = random.Random(1)
    for _ in range(200):
        reference, hypothesis = (sorted(rng.sample(range(1, 16), rng.randint(0, 5))) for _ in range(2))
        assert match_counts(reference, hypothesis, 1).matched == most(reference, hypothesis, 1)


def test_nothing_found_where_nothing_is_is_right_and_something_is_wrong():
    assert match_counts([], []).f1 == 1
    assert match_counts([], [4]).f1 == 0 == match_counts([4], []).f1
    assert match_counts([4], []).precision == 0
    assert boundary_similarity([], []) == 1


def test_short_documents_have_no_pairs_and_no_error():
    assert pk([], [1], 2) == 0 and window_diff([1], [], 2) == 0
    assert window_size([], 1) == 2


def test_boundaries_out_of_range_or_order_are_refused():
    check_boundaries([1, 4], 5)
    for bad in ([0], [5], [3, 3], [4, 2]):
        with pytest.raises(ValueError, match="boundary"):
            check_boundaries(bad, 5)


def test_the_interval_holds_the_mean_and_narrows_with_more_documents():
    rng = random.Random(2)
    few, many = [rng.random() for _ in range(10)], [rng.random() for _ in range(400)]

    def mean(values):
        return sum(values) / len(values)

    low, high = bootstrap_interval(few, mean, seed=1)
    assert low < mean(few) < high
    narrow = bootstrap_interval(many, mean, seed=1)
    assert narrow[1] - narrow[0] < high - low
    assert bootstrap_interval(few, mean, seed=1) == (low, high)
    with pytest.raises(ValueError):
        bootstrap_interval([], mean)
