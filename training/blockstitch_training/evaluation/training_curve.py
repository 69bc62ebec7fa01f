"""How near a student comes to its teacher as it sees more tokens: the students that a run kept on its way (`distill train --keep-every`).

Scored as in public_ablations.py, on conversations kept out of training: KL to the teacher under full attention, and NLL of the answers,
both under block attention; and KL under full attention, for what the student keeps of it. Plain stitching of the teacher stands at 0
tokens. A student that was scored once is not scored again; the teacher is asked each time.

Blocks do not know which others stand beside them, so a student can hardly know what the teacher makes of one order of the documents alone. How
much that may be, is measured with the teacher under full attention over the same documents in other orders, drawn ones: its KL to itself,
and to the mean of its predictions over the others. The students' KL to its mean over all these orders leaves that part out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..distill.example_sources import Cutting, chat_examples
from ..distill.examples import Example
from .answer_scores import interval, mean, recovered_share, with_interval
from .public_ablations import Predicted, answer_logits, first_questions, kept_result, scores
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
    orders: int  # drawn ones, beside the documents' own, >= 1
    out: Path


@dataclass(frozen=True)
class Curve:
    """`points`, in order of tokens: `step`, `tokens` seen, and by question `kl`, `nll`, `full_kl` (KL under full attention) and `mean_kl` (KL of
    the teacher's mean over all orders). `orders`, of the teacher under full attention, by question: `kl` to itself over other orders, their
    mean, and `mean_kl` to the mean of its predictions over them."""

    points: list[dict]
    orders: dict[str, list[float]]


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
    kept = _questions(plan.held_out, teacher, cutting, plan)
    reference = [answer_logits(teacher, each, full=True) for each in kept]
    orders, over_orders = _order_scores(plan, teacher, cutting, kept, reference)
    progress(f"the teacher, its documents in other orders: KL {mean(orders['kl']):.4f}, of their mean {mean(orders['mean_kl']):.4f}")

    def of_blocks(system: System) -> dict:
        """`kl`, `nll` and `mean_kl`."""
        return scores(system, kept, {"kl": reference, "mean_kl": over_orders})

    points = [kept_result(plan.out / "step-0", lambda: {"step": 0, "tokens": 0.0, **of_blocks(teacher), "full_kl": None})]
    for step, directory in sorted(students.items()):

        def score(step: int = step, directory: Path = directory) -> dict:
            student = System.load(directory)
            full = scores(student, kept, {"kl": reference}, full=True)["kl"]
            return {"step": step, "tokens": seen.get(step), **of_blocks(student), "full_kl": full}

        points.append(kept_result(plan.out / f"step-{step}", score))
        progress(f"step {step}: KL {mean(points[-1]['kl']):.4f}, of plain blocks {mean(points[0]['kl']):.4f}")
    return Curve(points, orders)


def _questions(file: Path, teacher: System, cutting: Cutting, plan: CurvePlan) -> list[Example]:
    return first_questions(chat_examples(file, teacher.tokenizer, teacher.sinks, cutting, plan.longest)[0], plan.questions)


def _order_scores(plan: CurvePlan, teacher: System, cutting: Cutting, kept: list[Example], reference: Predicted) -> tuple[dict[str, list[float]], Predicted]:
    """@returns `Curve.orders`, and the teacher's mean over all orders"""
    singles: list[list[float]] = []
    totals: list[torch.Tensor] = []
    for seed in range(1, plan.orders + 1):
        rows = write_reordered(plan.held_out, plan.out / "orders" / f"{seed}.jsonl", seed)
        over = [answer_logits(teacher, each, full=True)[0].softmax(-1) for each in _questions(rows, teacher, cutting, plan)]
        singles.append(_kl_by_question(kept, reference, over))
        totals = [total + each for total, each in zip(totals, over, strict=True)] if totals else over
    orders = {
        "kl": [mean(each) for each in zip(*singles, strict=True)],
        "mean_kl": _kl_by_question(kept, reference, [total / plan.orders for total in totals]),
    }
    all_orders = [(own.softmax(-1) + total) / (plan.orders + 1) for (own, _), total in zip(reference, totals, strict=True)]
    return orders, [(each.clamp_min(TINY).log(), labels) for each, (_, labels) in zip(all_orders, reference, strict=True)]


TINY = 1e-30  # below what a softmax in float32 gives to any token that matters


def _kl_by_question(kept: list[Example], reference: Predicted, over: list[torch.Tensor]) -> list[float]:
    """KL(reference || probabilities), nats a token."""
    found = []
    for example, (wanted, _), other in zip(kept, reference, over, strict=True):
        log_p = wanted.log_softmax(-1)
        kl = (log_p.exp() * (log_p - other.clamp_min(TINY).log())).sum(-1)
        found += [float(each.mean()) for each in kl.split([sum(final.trained) for final in example.finals])]
    return found


def write_reordered(conversations: Path, target: Path, seed: int) -> Path:
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
        "1 - KL over that of plain blocks, paired. Over orders: KL to the teacher's mean over its documents' own order and drawn ones.",
        "",
        "| tokens seen | step | KL, blocks | recovered | KL over orders, blocks | recovered | KL, full attention | NLL of the answers, blocks |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    plain, plain_over_orders = points[0]["kl"], points[0]["mean_kl"]
    for point in points:
        tokens = "-" if point["tokens"] is None else f"{point['tokens'] / 1e6:.2f} million"
        recovered = "-" if point is points[0] else recovered_share(point["kl"], plain)
        over_orders = with_interval(point["mean_kl"], ".3f")
        of_orders = "-" if point is points[0] else recovered_share(point["mean_kl"], plain_over_orders)
        full = "-" if point["full_kl"] is None else with_interval(point["full_kl"], ".3f")
        blocks = f"{with_interval(point['kl'], '.3f')} | {recovered} | {over_orders} | {of_orders}"
        lines.append(f"| {tokens} | {point['step']} | {blocks} | {full} | {mean(point['nll']):.3f} |")
    for name, kl in (("the teacher under full attention, another order", "kl"), ("the mean of its predictions over the other orders", "mean_kl")):
        lines.append(f"| {name} | - | {with_interval(found.orders[kl], '.3f')} | {recovered_share(found.orders[kl], plain)} | - | - | - | - |")
    return "\n".join(lines) + "\n"


def draw_curve(runs: dict[str, Curve], file: Path) -> None:
    """KL against tokens seen, one line a run, with intervals; dashed under full attention; dotted: the teacher over its documents in other
    orders. @param file .png or .svg"""
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
        axes.axhline(mean(found.orders["kl"]), color="0.3", linestyle=":", label="the teacher, full attention, documents in another order")
        axes.axhline(mean(found.orders["mean_kl"]), color="0.6", linestyle=":", label="the mean of its predictions over the other orders")
    axes.set(xlabel="tokens seen, million", ylabel="KL to the teacher, nats a token")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
