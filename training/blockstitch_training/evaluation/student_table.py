"""Tables and plots of a student's comparison (student_comparison.py): means with paired bootstrap intervals.

    recovered = 1 - sum KL(student block) / sum KL(plain block)              over the same questions
    change    = mean over questions of (system - teacher full)               of contains, in points

The spread over orders is the largest mean of an order minus the smallest one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .answer_scores import interval, mean, recovered_share, with_interval
from .student_comparison import PLAIN, REFERENCE, STUDENT, Answer

PLACES = ("first third", "middle third", "last third")


def student_table(answers: Sequence[Answer]) -> str:
    """Markdown: by data, then by number of documents, by the place of the one with the answer, and by order, where there are several."""
    parts = []
    for data in dict.fromkeys(each.data for each in answers):
        mine = [each for each in answers if each.data == data]
        most = max(each.documents for each in mine)
        plain = [each for each in mine if each.order == 0]
        parts += [f"**{data}**, {len({each.row for each in mine})} questions", "", *_rows(_longest(plain)), ""]
        counts = sorted({each.documents for each in plain})
        if len(counts) > 1 and data != "pubmedqa.dev":
            parts += ["By number of documents: contains, and KL to the teacher in nats", "", *_grid(plain, lambda each: each.documents, counts), ""]
        places = [_third(each) for each in plain]
        if len(set(places)) > 1:
            parts += ["By the place of the document with the answer", "", *_grid(plain, _third, list(PLACES)), ""]
        orders = sorted({each.order for each in mine})
        if len(orders) > 1:
            parts += [*_orders([each for each in mine if each.documents == most], orders), ""]
    return "\n".join(parts)


def _longest(answers: Sequence[Answer]) -> list[Answer]:
    """Each question with as many documents as it was asked with."""
    most: dict[int, int] = {}
    for each in answers:
        most[each.row] = max(most.get(each.row, 0), each.documents)
    return [each for each in answers if each.documents == most[each.row]]


def _rows(answers: Sequence[Answer]) -> list[str]:
    lines = ["| system | contains | change | F1 | KL to the teacher | NLL of its answer | recovered |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name in dict.fromkeys(each.system for each in answers):
        mine, reference = _paired(answers, name, REFERENCE)
        plain = _paired(answers, name, PLAIN)[1]
        change = [100 * (left.contains - right.contains) for left, right in zip(mine, reference, strict=True)]
        lost = None if name in (REFERENCE, PLAIN) or not plain else recovered_share([each.kl for each in mine], [each.kl for each in plain])
        lines.append(
            f"| {name} | {100 * mean([each.contains for each in mine]):.1f}% | {'-' if name == REFERENCE else with_interval(change, '+.1f')} "
            f"| {100 * mean([each.f1 for each in mine]):.1f}% | {with_interval([each.kl for each in mine], '.3f')} "
            f"| {mean([each.nll for each in mine]):.3f} | {lost or '-'} |"
        )
    return lines


def _paired(answers: Sequence[Answer], name: str, other: str) -> tuple[list[Answer], list[Answer]]:
    """The answers of two systems to the questions that both were asked."""
    left = {each.question: each for each in answers if each.system == name}
    right = {each.question: each for each in answers if each.system == other}
    both = [question for question in left if question in right]
    return [left[question] for question in both], [right[question] for question in both]


def _grid(answers: Sequence[Answer], group: Callable[[Answer], object], groups: Sequence[object]) -> list[str]:
    lines = ["| system | " + " | ".join(map(str, groups)) + " |", "| --- |" + " --- |" * len(groups)]
    for name in dict.fromkeys(each.system for each in answers):
        cells = []
        for wanted in groups:
            mine = [each for each in answers if each.system == name and group(each) == wanted]
            cells.append(f"{100 * mean([each.contains for each in mine]):.1f}%, {mean([each.kl for each in mine]):.3f} ({len(mine)})" if mine else "-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _third(answer: Answer) -> str:
    return PLACES[min(2, int(3 * answer.place))]


def _orders(answers: Sequence[Answer], orders: Sequence[int]) -> list[str]:
    lines = [f"Over {len(orders)} orders of all documents", "", "| system | contains by order | spread |", "| --- | --- | --- |"]
    for name in dict.fromkeys(each.system for each in answers):
        by_order = [100 * mean([each.contains for each in answers if each.system == name and each.order == order]) for order in orders]
        lines.append(f"| {name} | {', '.join(f'{each:.1f}%' for each in by_order)} | {max(by_order) - min(by_order):.1f} points |")
    return lines


def draw_students(answers: Sequence[Answer], file: Path) -> None:
    """KL to the teacher (left) and contains (right) of every system, by data, with bootstrap intervals. @param file .png or .svg"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = _longest([each for each in answers if each.order == 0])
    sets = list(dict.fromkeys(each.data for each in shown))
    names = list(dict.fromkeys(each.system for each in shown))
    figure, both = pyplot.subplots(1, 2, figsize=(11, 4))
    for axes, field, label in zip(both, ("kl", "contains"), ("KL to the teacher, nats a token (lower is better)", "answers that contain the truth"), strict=True):
        drawn = [name for name in names if field != "kl" or name != REFERENCE]
        width = 0.8 / len(drawn)
        for place, name in enumerate(drawn):
            values = [[getattr(each, field) for each in shown if each.system == name and each.data == data] for data in sets]
            middles = [mean(each) if each else 0.0 for each in values]
            spans = [interval(lambda chosen, each=each: mean([each[at] for at in chosen]), len(each)) if each else (0.0, 0.0) for each in values]
            errors = [[max(0.0, value - low) for value, (low, _) in zip(middles, spans, strict=True)], [max(0.0, high - value) for value, (_, high) in zip(middles, spans, strict=True)]]  # fmt: skip
            axes.bar([at + place * width for at in range(len(sets))], middles, width, yerr=errors, label=name, error_kw={"linewidth": 0.8},
                     color=f"C{names.index(name)}", hatch="//" if name == STUDENT else None)  # fmt: skip
        axes.set_xticks([at + 0.4 - width / 2 for at in range(len(sets))], [data.removesuffix(".dev") for data in sets])
        axes.set_title(label, fontsize=10)
        axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
