"""Scores of every segmenter at every setting, and the choice of a setting on other documents than those it is judged on.

All segmenters, the trained one among them, choose from the same settings by the same objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .labelled_cases import Case
from .segmentation_metrics import Counts, bootstrap_interval, boundary_similarity, match_counts, pk, window_diff

OBJECTIVES = ("f1", "pk", "both")


@dataclass(frozen=True)
class DocumentScore:
    """One document under one setting. exact, near: counts at a tolerance of 0 and 1 unit."""

    exact: Counts
    near: Counts
    pk: float
    window_diff: float
    similarity: float


@dataclass(frozen=True)
class Summary:
    """F1 is micro, the other metrics are means over documents. intervals: 95% by bootstrap over documents."""

    documents: int
    f1: float
    f1_near: float
    precision: float
    recall: float
    pk: float
    window_diff: float
    similarity: float
    intervals: dict[str, tuple[float, float]]

    def row(self) -> dict:
        return asdict(self)


def score_document(case: Case, offsets: Sequence[int], level: int) -> DocumentScore | None:
    """None where the reference has no boundary of this strength, because such a document says nothing about this granularity."""
    reference, hypothesis = case.reference(level), case.hypothesis(offsets)
    if not reference:
        return None
    return DocumentScore(
        match_counts(reference, hypothesis),
        match_counts(reference, hypothesis, tolerance=1),
        pk(reference, hypothesis, case.units),
        window_diff(reference, hypothesis, case.units),
        boundary_similarity(reference, hypothesis),
    )


def micro_f1(scores: Sequence[DocumentScore]) -> float:
    return sum((each.exact for each in scores), Counts(0, 0, 0)).f1


def objective_value(scores: Sequence[DocumentScore], objective: str) -> float:
    """Higher is better; `both` is the mean of F1 and 1 - Pk."""
    error = sum(each.pk for each in scores) / len(scores)
    if objective == "pk":
        return -error
    f1 = micro_f1(scores)
    return f1 if objective == "f1" else (f1 + 1 - error) / 2


def best_setting(scores: dict[str, list[DocumentScore]], objective: str) -> str:
    """scores: per setting, of the tuning documents. The first of equals wins."""
    return max(scores, key=lambda setting: objective_value(scores[setting], objective))


def cross_tuned(scores: dict[str, list[DocumentScore]], objective: str) -> tuple[list[DocumentScore], list[str]]:
    """For sets without a tuning split: even documents at the setting that is best on the odd ones, and the other way round.

    @returns one score per document, and the settings chosen for the even and the odd
    """
    count = len(next(iter(scores.values())))
    chosen = [best_setting({name: each[1 - half :: 2] or each for name, each in scores.items()}, objective) for half in (0, 1)]
    return [scores[chosen[index % 2]][index] for index in range(count)], chosen


def summarize(scores: Sequence[DocumentScore], seed: int = 0, rounds: int = 1_000) -> Summary:
    """@raises ValueError where there is no document"""

    def mean(name: str):
        return lambda drawn: sum(getattr(each, name) for each in drawn) / len(drawn)

    def near(drawn: Sequence[DocumentScore]) -> float:
        return sum((each.near for each in drawn), Counts(0, 0, 0)).f1

    statistics = {"f1": micro_f1, "f1_near": near, "pk": mean("pk"), "window_diff": mean("window_diff"), "similarity": mean("similarity")}
    exact = sum((each.exact for each in scores), Counts(0, 0, 0))
    return Summary(
        documents=len(scores),
        f1=exact.f1,
        f1_near=near(scores),
        precision=exact.precision,
        recall=exact.recall,
        pk=statistics["pk"](scores),
        window_diff=statistics["window_diff"](scores),
        similarity=statistics["similarity"](scores),
        intervals={name: bootstrap_interval(scores, statistic, seed, rounds) for name, statistic in statistics.items()},
    )
