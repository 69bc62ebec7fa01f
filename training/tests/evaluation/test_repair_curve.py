"""How the repair curve sums up its answers and times."""

import pytest

pytest.importorskip("torch")

from blockstitch_training.evaluation.repair_curve import FULL, PLAIN, Point, draw, summarize, table


def point(name: str, right: list[float], answers: list[str], ttft_ms: float, share: float, by: str | None = None) -> Point:
    return Point(name, name, share, by, answers, right, [ttft_ms] * len(right), [share] * len(right))


POINTS = [
    point(FULL, [1, 1, 1, 0], ["a", "b", "c", "x"], 40.0, 1.0),
    point(PLAIN, [1, 0, 0, 0], ["a", "q", "q", "q"], 4.0, 0.0),
    point("first 0.15", [1, 1, 0, 0], ["a", "b", "q", "q"], 8.0, 0.15, "first"),
    point("deviation 0.15", [1, 1, 1, 0], ["a", "b", "c", "q"], 10.0, 0.15, "deviation"),
]


def test_recovery_is_the_share_of_what_plain_stitching_lost():
    rows = {row["point"]: row for row in summarize(POINTS)}
    assert rows["first 0.15"]["recovery"] == pytest.approx(0.5)
    assert rows["deviation 0.15"]["recovery"] == pytest.approx(1.0)
    assert rows["deviation 0.15"]["agreement_recovery"] == pytest.approx(2 / 3)
    assert rows["first 0.15"]["full_over_ttft"] == pytest.approx(5.0)


def test_no_recovery_is_claimed_where_plain_stitching_lost_nothing():
    rows = summarize([POINTS[0], point(PLAIN, [1, 1, 1, 1], ["a", "b", "c", "x"], 4.0, 0.0)])
    assert rows[1]["recovery"] is None
    assert rows[1]["agreement_recovery"] is None
    assert "| plain | 0.0% | 100.0%" in table(rows)


def test_quality_and_time_are_drawn_in_one_plot(tmp_path):
    draw(summarize(POINTS), tmp_path / "curve.png", "a title")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
