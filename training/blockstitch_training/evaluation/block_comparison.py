"""Scores a distilled student against its teacher, in PyTorch and through the server.

Four systems are asked: the teacher under full attention, the same teacher with its blocks merely stitched ("plain"), the student under
block attention and under full attention. They answer generated multi-document questions (by number of documents and sort; documents in
several orders), read real text cut by the segmenter (perplexity, KL to the teacher) and answer public rows. The result has bootstrap
intervals and recovery.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..demo.question_sets import Asked, generated, orders
from ..distill.example_sources import read_texts
from ..distill.repaired_prefill import CHOICES, Repair
from ..distill.segmenting import cut_texts
from ..distill.stitched_generation import Prompt
from .answer_scores import contains, exact, mean, mean_interval, recovery
from .asked_prompts import chat_prompts, demo_prompts, read_rag
from .served import Served, agreement
from .systems import LONGEST_ANSWER, System, score, text_figures

SYSTEMS = {  # name: (checkpoint, attention)
    "teacher full": ("teacher", "full"),
    "plain block": ("teacher", "block"),
    "student block": ("student", "block"),
    "student full": ("student", "full"),
}


@dataclass(frozen=True)
class BlockComparison:
    """Which questions are asked of which systems."""

    teacher: Path
    student: Path | None  # None compares the teacher's full attention with its plain blocks only
    questions: int  # generated questions per set
    documents: list[int]  # document counts of the mixed sets
    sorts: list[int]  # document counts of the sets of direct and of continued questions
    two_hop: list[int]  # document counts of the two-hop sets
    entities: int  # per document
    continued: float  # share of the documents that go on where the one before was cut
    held_out: bool  # openers that training never showed
    full_student: bool  # ask the student under full attention too
    orders: int  # orders of the documents; 0 leaves this out
    orders_documents: int
    repair: list[float]  # shares of repair of the teacher's plain blocks
    text: list[Path]
    texts: int
    text_characters: int
    rag: list[Path]
    rag_rows: int
    rag_tokens: int
    segmenter: str
    served: bool
    served_teacher: Path | None  # what is served as the teacher, where that is another file of the same weights
    served_questions: int
    device: str


@dataclass(frozen=True)
class Answered:
    """Questions, and each system's answers of at most `limit` tokens."""

    asked: list[Asked]
    answers: dict[str, list[str]]
    limit: int


def summary(scores: dict[str, dict[str, list[float]]]) -> dict[str, object]:
    """Means, intervals and recovery (of student block) over per-question scores by system."""
    made: dict[str, object] = {}
    for name, measures in scores.items():
        made[name] = {measure: {"mean": mean(values), "interval": mean_interval(values)} for measure, values in measures.items()}
    if {"teacher full", "plain block", "student block"} <= scores.keys():
        parts = [scores[name] for name in ("student block", "plain block", "teacher full")]
        made["recovery"] = {measure: recovery(*(part[measure] for part in parts)) for measure in ("exact", "f1")}
    return made


def evaluate(asking: BlockComparison) -> dict[str, object]:
    checkpoints = {"teacher": System.load(asking.teacher, asking.device)}
    if asking.student:
        checkpoints["student"] = System.load(asking.student, asking.device)
    systems = {name: (checkpoints[which], mode) for name, (which, mode) in SYSTEMS.items() if which in checkpoints}
    if not asking.full_student:
        systems.pop("student full", None)
    results: dict[str, object] = {"teacher": str(asking.teacher), "student": str(asking.student), "questions": asking.questions}
    answered: dict[str, Answered] = {}

    sets = {f"{count} documents": (count, "mixed") for count in asking.documents}
    sets |= {f"{count} documents, {sort}": (count, sort) for sort in ("direct", "continued") for count in asking.sorts}
    sets |= {f"{count} documents, two-hop": (count, "two-hop") for count in asking.two_hop}
    results["generated"] = {}
    for name, (count, sort) in sets.items():
        asked = generated(count, asking.questions, sort, asking.held_out, asking.entities, asking.continued)
        answers, scores = {}, {}
        for label, (system, mode) in systems.items():
            answers[label] = system.answers(demo_prompts(asked, system.tokenizer), mode)
            scores[label] = score(answers[label], asked)
        for share in asking.repair if count > 1 else []:
            for by in CHOICES:
                label = f"repair {share:g} {by}"
                answers[label] = checkpoints["teacher"].repaired_answers(demo_prompts(asked, checkpoints["teacher"].tokenizer), Repair(share, by))
                scores[label] = score(answers[label], asked)
        answered[name] = Answered(asked, answers, LONGEST_ANSWER)
        thirds = [min(2, 3 * each.gold // count) for each in asked]
        results["generated"][name] = summary(scores) | {
            "by_gold_place": {
                label: [mean([value for value, third in zip(measures["exact"], thirds, strict=True) if third == place]) for place in range(3)]
                for label, measures in scores.items()
            }
        }
        _show(name, results["generated"][name])

    if asking.orders:
        results["orders"] = order_figures(systems, asking)
    if asking.text:
        results["text"] = real_text(systems, checkpoints["teacher"], asking)
        print(json.dumps(results["text"], indent=2))
    for file in asking.rag:
        answered[file.stem] = rag_answers(systems, file, asking)
        results.setdefault("rag", {})[file.stem] = rag_figures(answered[file.stem])
        _show(file.stem, results["rag"][file.stem])
    if asking.served:
        results["served"] = served_figures(systems, answered, asking)
        print(json.dumps(results["served"], indent=2))
    return results


def order_figures(systems, asking: BlockComparison) -> dict[str, object]:
    """Accuracy over the same questions with their documents in several orders. The spread is the largest minus the smallest."""
    asked = generated(asking.orders_documents, asking.questions, "mixed", asking.held_out, asking.entities, asking.continued)
    turns = orders(asked, asking.orders)
    figures = {}
    for label, (system, mode) in systems.items():
        accuracy = []
        right = []
        for turn in turns:
            scored = score(system.answers(demo_prompts(turn, system.tokenizer), mode), turn)["exact"]
            accuracy.append(mean(scored))
            right.append(scored)
        steady = mean([float(len(set(column)) == 1) for column in zip(*right, strict=True)])
        figures[label] = {"exact_by_order": accuracy, "spread": max(accuracy) - min(accuracy), "questions_same_in_all_orders": steady}
        print(f"orders, {label}: {accuracy}", flush=True)
    return {"documents": asking.orders_documents, "orders": asking.orders, **figures}


def real_text(systems, teacher: System, asking: BlockComparison) -> dict[str, object]:
    """Figures over the last block of each run of blocks, given the earlier blocks."""
    texts = [text[: asking.text_characters] for text in read_texts(asking.text)][: asking.texts]
    prompts = []
    for parts in cut_texts(texts, teacher.directory, asking.segmenter):
        blocks = [ids for part in parts if (ids := teacher.tokenizer.encode(part, add_special_tokens=False))]
        if len(blocks) >= 2 and len(blocks[-1]) >= 2:
            prompts.append(Prompt(blocks[:-1], blocks[-1]))
    return {"texts": len(prompts), **text_figures(systems, "teacher full", prompts)} if prompts else {"texts": 0}


def rag_answers(systems, file: Path, asking: BlockComparison) -> Answered:
    asked = read_rag(file, asking.rag_rows)
    answers = {}
    for label, (system, mode) in systems.items():
        prompts = chat_prompts(asked, system.tokenizer, system.sinks, system.directory, asking.segmenter)
        answers[label] = system.answers(prompts, mode, asking.rag_tokens)
    return Answered(asked, answers, asking.rag_tokens)


def rag_figures(answered: Answered) -> dict[str, object]:
    scores = {}
    for label, answers in answered.answers.items():
        held = [contains(answer, each.accepted) for answer, each in zip(answers, answered.asked, strict=True)]
        scores[label] = score(answers, answered.asked, exact) | {"contains": held}
    return summary(scores)


def served_figures(systems, answered: dict[str, Answered], asking: BlockComparison) -> dict[str, object]:
    """Asks the server the same questions, float32 weights and KV. Both paths must give the same texts."""
    figures: dict[str, object] = {}
    for which in ("teacher", "student"):
        labels = [label for label in systems if SYSTEMS[label][0] == which]
        if not labels:
            continue
        served = asking.served_teacher if which == "teacher" and asking.served_teacher else getattr(asking, which)
        with Served(served) as server:
            for name, each in answered.items():
                for label in labels:
                    taken = each.asked[: asking.served_questions]
                    computed = each.answers[label][: len(taken)]
                    texts = server.answers(taken, SYSTEMS[label][1], each.limit)
                    figures[f"{label}, {name}"] = {
                        "exact": mean(score(texts, taken)["exact"]), "exact_pytorch": mean(score(computed, taken)["exact"]),
                        **agreement(texts, computed),
                    }  # fmt: skip
    return figures


def _show(name: str, figures: dict[str, object]) -> None:
    parts = []
    for label, measures in figures.items():
        if isinstance(measures, dict) and "exact" in measures and "mean" in measures["exact"]:
            parts.append(f"{label} {measures['exact']['mean']:.1%}")
    if "recovery" in figures and figures["recovery"]["exact"]["value"] is not None:
        parts.append(f"recovery {figures['recovery']['exact']['value']:.1%}")
    print(f"{name}: " + ", ".join(parts), flush=True)
