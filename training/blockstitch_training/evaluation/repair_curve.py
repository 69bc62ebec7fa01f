"""Quality and time to first token against the share of cached tokens that is repaired, through the server, in one plot.

Each question is asked over cached blocks once per point, and the points take turns, so that all see the same machine. Quality has two
measures: exact answers, and answers equal to those of full attention. The second one alone says what the repair itself does. Time is
the server's own, from the parsed request to the first token.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..demo.question_sets import Asked
from .answer_scores import exact, mean, mean_interval
from .served import Served

CHOICES = ("first", "deviation")
FULL, PLAIN = "full", "plain"
LONGEST_ANSWER = 24  # tokens


@dataclass
class Point:
    """One way to ask, and its results: one number per question."""

    name: str
    attention: object
    share: float
    by: str | None = None
    answers: list[str] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    ttft_ms: list[float] = field(default_factory=list)
    recomputed: list[float] = field(default_factory=list)  # repaired tokens over tokens of all blocks


def make_points(shares: Sequence[float]) -> list[Point]:
    points = [Point(FULL, "full", 1.0), Point(PLAIN, "block", 0.0)]
    for by in CHOICES:
        points += [Point(f"{by} {share}", {"mode": "block", "repair": {"share": share, "by": by}}, share, by) for share in shares]
    return points


def ask(served: Served, asked: Asked, point: Point) -> None:
    given = served.chat(asked, point.attention, LONGEST_ANSWER)
    answer = given["choices"][0]["message"]["content"]
    blocks = given["blockstitch"]["blocks"]
    point.answers.append(answer)
    point.right.append(exact(answer, asked.accepted))
    point.ttft_ms.append(given["blockstitch"]["timings"]["ttft_ms"])
    tokens = sum(block["tokens"] for block in blocks)
    point.recomputed.append(1.0 if point.name == FULL else sum(block["repaired_tokens"] for block in blocks) / max(1, tokens))


def measure(served: Served, questions: list[Asked], points: list[Point]) -> None:
    for point in points:
        served.chat(questions[0], point.attention, 1)  # loads graphs
    for number, asked in enumerate(questions):
        served.chat(asked, "block", 1)  # every block is cached from here on
        turn = number % len(points)
        for point in points[turn:] + points[:turn]:
            ask(served, asked, point)


def summarize(points: list[Point]) -> list[dict[str, object]]:
    full = next(point for point in points if point.name == FULL)
    plain = next(point for point in points if point.name == PLAIN)
    gap = mean(full.right) - mean(plain.right)
    rows = []
    for point in points:
        agrees = [float(own == theirs) for own, theirs in zip(point.answers, full.answers, strict=True)]
        plain_agrees = mean([float(own == theirs) for own, theirs in zip(plain.answers, full.answers, strict=True)])
        ttft = statistics.median(point.ttft_ms)
        rows.append({
            "point": point.name, "by": point.by, "share": point.share, "recomputed": mean(point.recomputed),
            "exact": mean(point.right), "exact_interval": mean_interval(point.right),
            "agreement": mean(agrees), "agreement_interval": mean_interval(agrees),
            "recovery": (mean(point.right) - mean(plain.right)) / gap if gap > 0 else None,
            "agreement_recovery": (mean(agrees) - plain_agrees) / (1 - plain_agrees) if plain_agrees < 1 else None,
            "ttft_ms": ttft, "full_over_ttft": statistics.median(full.ttft_ms) / ttft,
        })  # fmt: skip
    return rows


def table(rows: list[dict[str, object]]) -> str:
    lines = ["| point | recomputed | exact | as full attention | recovered of exact | recovered of agreement | TTFT ms | full / TTFT |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]

    def percent(value: object) -> str:
        return "-" if value is None else f"{value:.0%}"

    for row in rows:
        exact_low, exact_high = row["exact_interval"]
        same_low, same_high = row["agreement_interval"]
        lines.append(
            f"| {row['point']} | {row['recomputed']:.1%} | {row['exact']:.1%} ({exact_low:.1%} to {exact_high:.1%}) "
            f"| {row['agreement']:.1%} ({same_low:.1%} to {same_high:.1%}) | {percent(row['recovery'])} "
            f"| {percent(row['agreement_recovery'])} | {row['ttft_ms']:.1f} | {row['full_over_ttft']:.1f} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, object]], file: Path, title: str) -> None:
    """Draws exact answers and agreement on the left axis and time to first token on the right, over the share r. Needs no display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, quality = pyplot.subplots(figsize=(8, 5))
    time = quality.twinx()
    ends = {row["point"]: row for row in rows if row["by"] is None}
    for by, colour in zip(CHOICES, ("tab:blue", "tab:orange"), strict=True):
        curve = [ends[PLAIN], *(row for row in rows if row["by"] == by), ends[FULL]]
        shares = [row["share"] for row in curve]
        quality.plot(shares, [100 * row["exact"] for row in curve], marker="o", color=colour, label=f"{by}: exact answers")
        quality.plot(shares, [100 * row["agreement"] for row in curve], marker="s", ls="--", color=colour, alpha=0.7, label=f"{by}: as full attention")
        time.plot(shares, [row["ttft_ms"] for row in curve], marker="^", ls=":", color=colour, label=f"{by}: TTFT")
    quality.set_xlabel("share r of cached tokens that is computed again (0: plain stitching, 1: full attention)")
    quality.set_ylabel("answers, %")
    time.set_ylabel("median time to first token, ms (dotted)")
    time.set_ylim(bottom=0)
    quality.set_ylim(0, 103)
    handles = [axis.get_legend_handles_labels() for axis in (quality, time)]
    quality.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], fontsize=7, loc="lower right")
    quality.set_title(title)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def curve(asked: list[Asked], shares: Sequence[float], model: Path, weights: str) -> list[dict[str, object]]:
    """Starts the server with `model` and asks. @returns a row per point"""
    points = make_points(shares)
    with Served(model, weights=weights, kv_dtype="float16") as served:
        measure(served, asked, points)
    return summarize(points)


def write_curve(rows: list[dict[str, object]], settings: dict[str, str], out: Path, title: str) -> None:
    """Writes OUT.json and OUT.png. @param out without ending"""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps({"settings": settings, "points": rows}, indent=1) + "\n")
    draw(rows, out.with_suffix(".png"), title)
