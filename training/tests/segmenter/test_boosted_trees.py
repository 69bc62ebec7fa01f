"""Boosted trees learn what a sum of steps says, keep their bounds, and are those that the server reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from blockstitch_training.segmenter.boosted_trees import BoostingSettings, boost
from blockstitch_training.segmenter.feature_stream import WRITER

ROOT = Path(__file__).resolve().parents[3]
needs_writer = pytest.mark.skipif(not WRITER.exists() or not shutil.which("node"), reason="needs make build and node")


def _drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four columns of noise; log-odds of -3, 3 more where the first is high, and 2 more where the second is low."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 4))
    odds = -3 + 3 * (values[:, 0] > 0.7) + 2 * (values[:, 1] < -0.2)
    return values, odds, (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)


def test_trees_learn_the_odds_behind_labels() -> None:
    values, _, labels = _drawn(20_000, 0)
    trees = boost(values, labels, np.ones(len(values)), BoostingSettings(trees=80, leaves=4, rate=0.2, columns=0.5), seed=1)
    unseen, odds, _ = _drawn(4_000, 2)
    assert np.abs(trees.log_odds(unseen) - odds).mean() < 0.25


def test_a_row_that_stands_for_five_counts_as_five() -> None:
    values, _, labels = _drawn(20_000, 3)
    kept = (labels > 0) | (np.random.default_rng(4).random(len(labels)) < 0.2)
    weights = np.where(labels > 0, 1.0, 5.0)[kept]
    settings = BoostingSettings(trees=80, leaves=4, rate=0.2, columns=0.5)
    whole = boost(values, labels, np.ones(len(values)), settings, seed=1)
    drawn = boost(values[kept], labels[kept], weights, settings, seed=1)
    assert abs(float((whole.log_odds(values) - drawn.log_odds(values)).mean())) < 0.15


def test_the_same_seed_gives_the_same_trees_and_leaves_keep_their_bounds() -> None:
    values, _, labels = _drawn(2_000, 5)
    settings = BoostingSettings(trees=5, leaves=6, least=100)
    first, second, other = (boost(values, labels, np.ones(len(values)), settings, seed) for seed in (1, 1, 2))
    assert first == second != other
    for tree in first.trees:
        assert tree.column.count(-1) <= 6
        leaves = tree.predict(values)
        assert min(np.unique(leaves, return_counts=True)[1]) >= 100


def test_labels_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="both labels"):
        boost(np.zeros((3, 1)), np.zeros(3), np.ones(3), BoostingSettings(), 0)


def test_a_meeting_is_ranked_by_trees_that_did_not_see_it() -> None:
    from blockstitch_training.segmenter.feature_stream import UnitDocument
    from blockstitch_training.segmenter.talk_trees import held_out_rank

    def meeting(seed: int, told: bool) -> UnitDocument:
        draw = np.random.default_rng(seed)
        labels = np.zeros(400, np.int32)
        labels[draw.choice(399, 12, replace=False)] = 1
        values = draw.normal(size=(400, 4)).astype(np.float32)
        values[:, 0] += 4 * labels if told else 0
        return UnitDocument(np.zeros(0, np.int32), np.zeros(401, np.int32), labels, np.arange(400), values)

    told, untold = (held_out_rank([meeting(seed, each) for seed in range(12)], range(1), 4) for each in (True, False))
    assert told > 0.95
    assert abs(untold - 0.5) < 0.12


@needs_writer
def test_trees_of_meetings_read_the_even_rows_and_fit_the_features_of_the_server(tmp_path: Path) -> None:
    from blockstitch_training.segmenter.talk_trees import write_trees

    shutil.copy(ROOT / "models" / "segmenter" / "words.bin", tmp_path)
    topics = [[f"{name}: {word} is what we look at, the {word}." for name in ("Anna", "Ben", "Carla") * 30] for word in ("roof", "choir", "budget")]
    row = json.dumps({"segments": ["\n".join(topic) for topic in topics]})
    meetings = tmp_path / "meetings.jsonl"
    # The odd row is no row at all: it is not looked at.
    meetings.write_text(f"{row}\n{{}}\n{row}\n")
    made = json.loads(write_trees(meetings, tmp_path, seeds=1).read_text())
    shipped = json.loads((ROOT / "models" / "segmenter" / "talk.json").read_text())
    assert made["features"] == shipped["features"]
    assert all(-1 <= column < made["features"] for tree in made["trees"] for column in tree["column"])
    with pytest.raises(KeyError):
        meetings.write_text(f"{{}}\n{row}\n")
        write_trees(meetings, tmp_path, seeds=1)
