"""How near a student comes to its teacher as it sees more tokens: the students that a run kept on its way (`distill train --keep-every`).

Scored as in public_ablations.py, on conversations kept out of training: KL to the teacher under full attention, and NLL of the answers,
both under block attention; and KL under full attention, for what the student keeps of it. Plain stitching of the teacher stands at 0
tokens. Beside them stands the teacher under full attention over the same documents in another order: how far it is from itself, where
nothing is missing. What was scored once is not scored again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..distill.example_sources import Cutting, chat_examples
from .answer_scores import interval, mean, recovered_share, with_interval
from .public_ablations import answer_logits, first_questions, kept_result, scores
from .systems import System


@dataclass(frozen=True)
class CurvePlan:
    """What is scored, and on what."""

    teacher: Path
    trained: Path  # the OUT of `distill train`
    held_out: Path  # conversations to score
    questions: int  # scored at most
    longest: int  # tokens of one example; longer ones are left out
    segmenter: str
    out: Path


@dataclass(frozen=True)
class Curve:
    """In order of tokens: `step`, `tokens` seen, and `kl`, `nll` and `full_kl` (KL under full attention) by question."""

    points: list[dict]
    reordered_kl: list[float]  # of the teacher to itself, under full attention, with its documents in another order


def curve(plan: CurvePlan, progress: Callable[[str], None] = print) -> Curve:
    """@raise ValueError for a run that kept no student"""
    students = {int(directory.name.split("-")[1]): directory for directory in plan.trained.glob("kept-*") if (directory / "config.json").is_file()}
    seen = _tokens_by_step(plan.trained / "metrics.jsonl")
    settings = json.loads((plan.trained / "settings.json").read_text())
    if (plan.trained / "export" / "config.json").is_file():
        students.setdefault(settings["steps"], plan.trained / "export")
    if not students:
        raise ValueError(f"{plan.trained} kept no student: train with --keep-every")
    teacher = System.load(plan.teacher)
    cutting = Cutting(plan.teacher, plan.segmenter)
    kept = first_questions(chat_examples(plan.held_out, teacher.tokenizer, teacher.sinks, cutting, plan.longest)[0], plan.questions)
    reference = [answer_logits(teacher, each, full=True) for each in kept]
    points = [kept_result(plan.out / "step-0", lambda: {"step": 0, "tokens": 0.0, **scores(teacher, kept, reference), "full_kl": None})]

    def score_reordered() -> dict:
        rows = write_reordered(plan.held_out, plan.out / "reordered" / "rows.jsonl")
        others = first_questions(chat_examples(rows, teacher.tokenizer, teacher.sinks, cutting, plan.longest)[0], plan.questions)
        return scores(teacher, others, reference, full=True)

    reordered = kept_result(plan.out / "reordered", score_reordered)["kl"]
    progress(f"the teacher over reordered documents: KL {mean(reordered):.4f}")
    for step, directory in sorted(students.items()):

        def score(step: int = step, directory: Path = directory) -> dict:
            student = System.load(directory)
            full = scores(student, kept, reference, full=True)["kl"]
            return {"step": step, "tokens": seen.get(step), **scores(student, kept, reference), "full_kl": full}

        points.append(kept_result(plan.out / f"step-{step}", score))
        progress(f"step {step}: KL {mean(points[-1]['kl']):.4f}, of plain blocks {mean(points[0]['kl']):.4f}")
    return Curve(points, reordered)


def write_reordered(conversations: Path, target: Path, seed: int = 1) -> Path:
    """Writes conversations over their own documents in another order, a drawn one; the same for all that share documents. @returns `target`"""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as out:
        for line in conversations.read_text(encoding="utf-8").split("\n"):
            if not line.strip():
                continue
            row = json.loads(line)
            documents = row.get("documents", [])
            order = list(range(len(documents)))
            rng = random.Random(f"{seed}/{json.dumps(documents)}")
            while len(order) > 1 and order == sorted(order):
                rng.shuffle(order)
            row["documents"] = [documents[at] for at in order]
            row["gold"] = sorted(order.index(at) for at in row.get("gold", []))
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return target


def write_curve(found: Curve, plan: CurvePlan) -> str:
    """Writes curve.md, curve.png and curve.svg to the plan's folder. @returns the table"""
    table = curve_table(found)
    (plan.out / "curve.md").write_text(table, encoding="utf-8")
    for form in ("png", "svg"):
        draw_curve({plan.trained.name: found}, plan.out / f"curve.{form}")
    return table


def _tokens_by_step(metrics: Path) -> dict[int, float]:
    """Tokens of the student that all steps up to a logged one have seen."""
    seen: dict[int, float] = {}
    total, before = 0.0, 0
    for line in metrics.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        total += row["tokens"] * (row["step"] - before)
        before = row["step"]
        seen[before] = total
    return seen


def curve_table(found: Curve) -> str:
    """Markdown, with 95% intervals over questions."""
    points = found.points
    lines = [
        f"{len(points[0]['kl'])} kept-out questions. KL to the teacher under full attention, nats a token, with a 95% interval; recovered: "
        "1 - KL over that of plain blocks, paired.",
        "",
        "| tokens seen | step | KL, blocks | recovered | KL, full attention | NLL of the answers, blocks |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    plain = points[0]["kl"]
    for point in points:
        tokens = "-" if point["tokens"] is None else f"{point['tokens'] / 1e6:.2f} million"
        recovered = "-" if point is points[0] else recovered_share(point["kl"], plain)
        full = "-" if point["full_kl"] is None else with_interval(point["full_kl"], ".3f")
        lines.append(f"| {tokens} | {point['step']} | {with_interval(point['kl'], '.3f')} | {recovered} | {full} | {mean(point['nll']):.3f} |")
    lines.append(f"| the teacher, its documents in another order | - | - | - | {with_interval(found.reordered_kl, '.3f')} | - |")
    return "\n".join(lines) + "\n"


def draw_curve(runs: dict[str, Curve], file: Path) -> None:
    """KL against tokens seen, one line a run, with intervals; dashed under full attention; dotted: the teacher over its documents in another
    order. @param file .png or .svg"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for at, (name, found) in enumerate(runs.items()):
        known = [point for point in found.points if point["tokens"] is not None]
        tokens = [point["tokens"] / 1e6 for point in known]
        middles = [mean(point["kl"]) for point in known]
        spans = [interval(lambda chosen, values=point["kl"]: mean([values[each] for each in chosen]), len(point["kl"])) for point in known]
        errors = [[value - low for value, (low, _) in zip(middles, spans, strict=True)], [high - value for value, (_, high) in zip(middles, spans, strict=True)]]
        axes.errorbar(tokens, middles, yerr=errors, marker="o", color=f"C{at}", label=f"{name}: stitched blocks", capsize=2)
        full = [(point["tokens"] / 1e6, mean(point["full_kl"])) for point in known if point["full_kl"]]
        axes.plot([x for x, _ in full], [y for _, y in full], "--", color=f"C{at}", label=f"{name}: full attention")
        axes.axhline(mean(found.reordered_kl), color=f"C{at}", linestyle=":", label="its teacher, full attention, documents in another order")
    axes.set(xlabel="tokens seen, million", ylabel="KL to the teacher, nats a token")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
