"""Compares segmenters on labelled documents.

Every segmenter cuts every document at every target length. A setting is chosen on other documents than those it is judged on: on the
tuning split where there is one, else by halves (even documents at the odd ones' best setting, and the other way round).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .labelled_cases import Case, make_cases, read_labelled
from .node_segmenters import NodeSegmenters
from .segmenter_plots import draw_plots
from .segmenter_report import comparisons, tables
from .setting_choice import DocumentScore, best_setting, cross_tuned, micro_f1, score_document, summarize

SEGMENTERS = ("semantic", "structural", "fixed", "paragraphs", "recursive", "texttiling", "embedding")
TARGETS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
#: It lies above every target: the comparison looks at where segmenters cut, and a cap would break real segments.
MOST_TOKENS = 32_768
REPOSITORY = Path(__file__).parents[3]

# Takes segmenter, cases and target lengths. Gives cuts by target and case.
Cut = Callable[[str, Sequence[Case], Sequence[int]], list[list[list[int]]]]


@dataclass(frozen=True)
class SegmenterComparison:
    """Which segmenters are compared on what."""

    sets: list[str]  # NAME=PATH[,TUNING] each: a JSONL file or folder of shards, and the tuning split where there is one
    segmenters: list[str]
    trained: str  # the segmenter that the others are compared with
    targets: list[int]  # target lengths in tokens from which every segmenter chooses
    levels: list[int]  # granularities: boundaries of at least this strength count
    objective: str  # of OBJECTIVES: what a setting is chosen by
    most: int  # documents per category and split, 0 for all
    beside: Path | None  # results.json of an earlier run; its rows of other segmenters are taken over
    repository: Path
    arguments: list[str]  # passed on to the segment command


@dataclass(frozen=True)
class Evaluation:
    results: list[dict]
    curves: list[dict]


def evaluate(
    name: str,
    cases: Sequence[Case],
    tuning: Sequence[Case],
    cut: Cut,
    segmenters: Sequence[str],
    targets: Sequence[int],
    levels: Sequence[int],
    objective: str = "both",
    rounds: int = 1_000,
    progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Rows per segmenter, category and level. A level that no document of a category has is left out.

    @raises SegmenterFailed where a segmenter cannot cut a document
    """
    results: list[dict] = []
    curves: list[dict] = []
    for segmenter in segmenters:
        progress(f"{name}: {segmenter}")
        offsets = dict(zip(targets, cut(segmenter, cases, targets), strict=True))
        tuning_offsets = dict(zip(targets, cut(segmenter, tuning, targets) if tuning else [[]] * len(targets), strict=True))
        for category in dict.fromkeys(case.labelled.category for case in cases):
            for level in levels:
                scores = {str(target): _scored(cases, offsets[target], category, level) for target in targets}
                if not next(iter(scores.values())):
                    continue
                other = {str(target): _scored(tuning, tuning_offsets[target], category, level) for target in targets}
                if next(iter(other.values())):
                    setting = best_setting(other, objective)
                    chosen, settings = scores[setting], [setting]
                else:
                    chosen, settings = cross_tuned(scores, objective)
                row = {"set": name, "category": category, "level": level, "segmenter": segmenter}
                results.append({**row, "settings": settings, **summarize(chosen, rounds=rounds).row()})
                for target, each in scores.items():
                    curves.append({**row, "target": int(target), "f1": micro_f1(each), "pk": sum(one.pk for one in each) / len(each)})
    return Evaluation(results, curves)


def _scored(cases: Sequence[Case], offsets: Sequence[Sequence[int]], category: str, level: int) -> list[DocumentScore]:
    scored = (score_document(case, cuts, level) for case, cuts in zip(cases, offsets, strict=True) if case.labelled.category == category)
    return [each for each in scored if each is not None]


def taken_over(path: Path, segmenters: Sequence[str], objective: str) -> Evaluation:
    """Rows of an earlier run for the segmenters that are not cut again.

    @raises ValueError where that run chose its settings by another objective
    """
    earlier = json.loads(path.read_text())
    if earlier["objective"] != objective:
        raise ValueError(f"{path} was tuned by {earlier['objective']}, this run by {objective}")
    return Evaluation(*([row for row in earlier[part] if row["segmenter"] not in segmenters] for part in ("results", "curves")))


def compare(asked: SegmenterComparison, progress: Callable[[str], None] = lambda _: None) -> Evaluation:
    """Runs the TypeScript segmenters over every set. @raises SegmenterFailed where a segmenter cannot cut a document"""
    node = NodeSegmenters(asked.repository, tuple(asked.arguments))

    def cut(segmenter: str, cases: Sequence[Case], targets: Sequence[int]) -> list[list[list[int]]]:
        settings = [{"target_tokens": target, "min_tokens": 1, "max_tokens": max(MOST_TOKENS, target)} for target in targets]
        return node.cut(segmenter, [(case.labelled.id, case.labelled.text) for case in cases], settings)

    whole = Evaluation([], [])
    for entry in asked.sets:
        name, _, paths = entry.partition("=")
        test, _, tuning = paths.partition(",")
        cases = make_cases(read_labelled(Path(test), name, asked.most), node)
        others = make_cases(read_labelled(Path(tuning), name, asked.most), node) if tuning else []
        found = evaluate(name, cases, others, cut, asked.segmenters, asked.targets, asked.levels, asked.objective, progress=progress)
        whole = Evaluation(whole.results + found.results, whole.curves + found.curves)
    if asked.beside:
        earlier = taken_over(asked.beside, asked.segmenters, asked.objective)
        whole = Evaluation(whole.results + earlier.results, whole.curves + earlier.curves)
    return whole


def write_comparison(found: Evaluation, asked: SegmenterComparison, out: Path) -> str:
    """Writes results.json, results.md and the plots into the folder `out`. @returns the tables in Markdown"""
    out.mkdir(parents=True, exist_ok=True)
    summary = {"objective": asked.objective, "results": found.results, "curves": found.curves, "comparisons": comparisons(found.results, asked.trained)}
    (out / "results.json").write_text(json.dumps(summary, indent=1) + "\n")
    report = tables(found.results, asked.trained)
    (out / "results.md").write_text(report)
    draw_plots(out, found.results, found.curves)
    return report
