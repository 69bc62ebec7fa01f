"""Quality by number of documents and by place of the one that answers: what `blockstitch eval --answers` kept of the rows of `counts`.

It reads rows and answers, and asks nobody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .answer_scores import contains, mean, mean_interval

LINES = {"full": "full attention", "block": "stitched", "repair": "repaired"}


@dataclass(frozen=True)
class Series:
    """One model in one attention mode over one file's questions at one place: by number of documents, 1 or 0 for each question."""

    model: str
    mode: str  # "full", "block" or "repair"
    data: str
    place: str
    right: dict[int, list[float]]

    @property
    def name(self) -> str:
        return f"{self.model}, {LINES[self.mode]}"


def read_series(folder: Path, answers: Sequence[tuple[str, Path]]) -> list[Series]:
    """@param folder what `counts` wrote @param answers names of models, and what `eval --answers FILE` kept of each
    @returns in the order of `answers`; of a count only where every question was answered
    @raise ValueError for a folder without such rows, and for answers without any over them"""
    accepted = {file.stem: _accepted(file) for file in sorted(folder.glob("*-*-*.jsonl"))}
    if not accepted:
        raise ValueError(f"{folder} has no NAME-COUNT-PLACE.jsonl: write them with `counts`")
    series: dict[tuple[str, str, str, str], Series] = {}
    for model, file in answers:
        told = _told(file)
        before = len(series)
        for stem, rows in accepted.items():
            data, count, place = stem.rsplit("-", 2)
            for mode in LINES:
                given = [told.get((stem, row, mode)) for row in rows]
                if not all(text is not None for text in given):
                    continue
                key = (model, mode, data, place)
                of_all = series.setdefault(key, Series(*key, {}))
                of_all.right[int(count)] = [contains(text or "", wanted) for text, wanted in zip(given, rows.values(), strict=True)]
        if len(series) == before:
            raise ValueError(f"{file} has no answers over all rows of a file in {folder}")
    return list(series.values())


def _accepted(file: Path) -> dict[str, list[str]]:
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line)
    return {row["id"]: row["answers"] for row in rows}


def _told(file: Path) -> dict[tuple[str, str, str], str]:
    """Answers by file, row and mode; a row that was asked in several orders has its own order first."""
    told: dict[tuple[str, str, str], str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        each = json.loads(line)
        if "text" in each:
            told.setdefault((each["data"], each["row"], each["mode"]), each["text"])
    return told


def counted_table(series: Sequence[Series]) -> str:
    """Markdown: a table for each file and place, with 95% intervals over questions. The change is against the first row, paired."""
    lines: list[str] = []
    for data, place in dict.fromkeys((each.data, each.place) for each in series):
        chosen = [each for each in series if (each.data, each.place) == (data, place)]
        counts = sorted({count for each in chosen for count in each.right})
        questions = len(next(iter(chosen[0].right.values())))
        lines += [f"{data}, {questions} questions, the document that answers {_standing(place)}: contains, in percent.", ""]
        lines += ["| | " + " | ".join(f"{count} document{'s' if count > 1 else ''}" for count in counts) + " |", "| --- " * (len(counts) + 1) + "|"]
        for each in chosen:
            cells = [_cell(each.right.get(count), chosen[0].right.get(count) if each is not chosen[0] else None) for count in counts]
            lines.append(f"| {each.name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _standing(place: str) -> str:
    return "at a drawn place" if place == "drawn" else "in the middle" if place == "middle" else place


def _cell(right: list[float] | None, first: list[float] | None) -> str:
    if right is None:
        return "-"
    value = f"{100 * mean(right):.1f}"
    if first is None or len(first) != len(right):
        low, high = mean_interval(right)
        return f"{value} [{100 * low:.0f}, {100 * high:.0f}]"
    changes = [mine - other for mine, other in zip(right, first, strict=True)]
    low, high = mean_interval(changes)
    return f"{value}, {100 * mean(changes):+.1f} [{100 * low:+.0f}, {100 * high:+.0f}]"


def draw_counted(series: Sequence[Series], file: Path) -> None:
    """Contains against the number of documents, one panel a file and place that have several numbers. @param file .png or .svg"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys((each.data, each.place) for each in series if len(each.right) > 1))
    panels = panels or list(dict.fromkeys((each.data, each.place) for each in series))
    figure, all_axes = pyplot.subplots(1, len(panels), figsize=(6 * len(panels), 4), squeeze=False)
    for axes, (data, place) in zip(all_axes[0], panels, strict=True):
        for at, each in enumerate(one for one in series if (one.data, one.place) == (data, place)):
            counts = sorted(each.right)
            middles = [100 * mean(each.right[count]) for count in counts]
            spans = [mean_interval(each.right[count]) for count in counts]
            errors = [[middle - 100 * low for middle, (low, _) in zip(middles, spans)], [100 * high - middle for middle, (_, high) in zip(middles, spans)]]
            # A little apart, so that intervals can be told from one another.
            shifted = [count * 1.03 ** (at - 1) for count in counts]
            axes.errorbar(shifted, middles, yerr=errors, marker="o", capsize=2, linestyle="--" if each.mode == "full" else "-", label=each.name)
        axes.set_xscale("log", base=2)
        ticks = sorted({count for each in series for count in each.right})
        axes.set_xticks(ticks, [str(each) for each in ticks])
        axes.set(xlabel="documents", ylabel="right answers (contains), %", title=f"{data}, the one that answers {_standing(place)}")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
