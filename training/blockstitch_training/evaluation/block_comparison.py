"""Scores a distilled student against its teacher: `python -m blockstitch_training.evaluate_blocks --teacher DIR --student DIR`.

Teacher under full attention, the same teacher with its blocks merely stitched ("plain"), student under block and under full
attention, each on generated multi-document questions (by number of documents and sort; documents in several orders), on real text
cut by the segmenter (perplexity, KL to the teacher) and on public rows. In PyTorch, and with --served also through the server.
Writes everything, with bootstrap intervals and recovery, to --out as JSON and prints a table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from ..demo.question_sets import CONTINUED, generated, orders
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


def summary(scores: dict[str, dict[str, list[float]]]) -> dict[str, object]:
    """Means, intervals and recovery (of student block) over per-question scores by system."""
    made: dict[str, object] = {}
    for name, measures in scores.items():
        made[name] = {measure: {"mean": mean(values), "interval": mean_interval(values)} for measure, values in measures.items()}
    if {"teacher full", "plain block", "student block"} <= scores.keys():
        parts = [scores[name] for name in ("student block", "plain block", "teacher full")]
        made["recovery"] = {measure: recovery(*(part[measure] for part in parts)) for measure in ("exact", "f1")}
    return made


def evaluate(arguments: argparse.Namespace) -> dict[str, object]:
    checkpoints = {"teacher": System.load(arguments.teacher, arguments.device)}
    if arguments.student:
        checkpoints["student"] = System.load(arguments.student, arguments.device)
    systems = {name: (checkpoints[which], mode) for name, (which, mode) in SYSTEMS.items() if which in checkpoints}
    if not arguments.full_student:
        systems.pop("student full", None)
    results: dict[str, object] = {"teacher": str(arguments.teacher), "student": str(arguments.student), "questions": arguments.questions}
    answered: dict[str, tuple[list, dict[str, list[str]]]] = {}

    sets = {f"{count} documents": (count, "mixed") for count in arguments.documents}
    sets |= {f"{count} documents, {sort}": (count, sort) for sort in ("direct", "continued") for count in arguments.sorts}
    sets |= {f"{count} documents, two-hop": (count, "two-hop") for count in arguments.two_hop}
    results["generated"] = {}
    for name, (count, sort) in sets.items():
        asked = generated(count, arguments.questions, sort, arguments.held_out, arguments.entities, arguments.continued)
        answers, scores = {}, {}
        for label, (system, mode) in systems.items():
            answers[label] = system.answers(demo_prompts(asked, system.tokenizer), mode)
            scores[label] = score(answers[label], asked)
        for share in arguments.repair if count > 1 else []:
            for by in CHOICES:
                label = f"repair {share:g} {by}"
                answers[label] = checkpoints["teacher"].repaired_answers(demo_prompts(asked, checkpoints["teacher"].tokenizer), Repair(share, by))
                scores[label] = score(answers[label], asked)
        answered[name] = (asked, answers)
        thirds = [min(2, 3 * each.gold // count) for each in asked]
        results["generated"][name] = summary(scores) | {
            "by_gold_place": {
                label: [mean([value for value, third in zip(measures["exact"], thirds, strict=True) if third == place]) for place in range(3)]
                for label, measures in scores.items()
            }
        }
        _show(name, results["generated"][name])

    if arguments.orders:
        results["orders"] = order_figures(systems, arguments)
    if arguments.text:
        results["text"] = real_text(systems, checkpoints["teacher"], arguments)
        print(json.dumps(results["text"], indent=2))
    for file in arguments.rag:
        results.setdefault("rag", {})[file.stem] = rag_figures(systems, file, arguments)
        _show(file.stem, results["rag"][file.stem])
    if arguments.served:
        results["served"] = served_figures(systems, answered, arguments)
        print(json.dumps(results["served"], indent=2))
    return results


def order_figures(systems, arguments: argparse.Namespace) -> dict[str, object]:
    """Accuracy over the same questions with their documents in several orders: the spread is largest minus smallest."""
    asked = generated(arguments.orders_documents, arguments.questions, "mixed", arguments.held_out, arguments.entities, arguments.continued)
    turns = orders(asked, arguments.orders)
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
    return {"documents": arguments.orders_documents, "orders": arguments.orders, **figures}


def real_text(systems, teacher: System, arguments: argparse.Namespace) -> dict[str, object]:
    """The last block of each run of blocks, given the earlier ones."""
    texts = [text[: arguments.text_characters] for text in read_texts(arguments.text)][: arguments.texts]
    prompts = []
    for parts in cut_texts(texts, teacher.directory, arguments.segmenter):
        blocks = [ids for part in parts if (ids := teacher.tokenizer.encode(part, add_special_tokens=False))]
        if len(blocks) >= 2 and len(blocks[-1]) >= 2:
            prompts.append(Prompt(blocks[:-1], blocks[-1]))
    return {"texts": len(prompts), **text_figures(systems, "teacher full", prompts)} if prompts else {"texts": 0}


def rag_figures(systems, file: Path, arguments: argparse.Namespace) -> dict[str, object]:
    asked = read_rag(file, arguments.rag_rows)
    scores = {}
    for label, (system, mode) in systems.items():
        prompts = chat_prompts(asked, system.tokenizer, system.sinks, system.directory, arguments.segmenter)
        answers = system.answers(prompts, mode, arguments.rag_tokens)
        scores[label] = score(answers, asked, exact) | {"contains": [contains(answer, each.accepted) for answer, each in zip(answers, asked, strict=True)]}
    return summary(scores)


def served_figures(systems, answered, arguments: argparse.Namespace) -> dict[str, object]:
    """The same questions asked of the server; both paths must give the same texts."""
    figures: dict[str, object] = {}
    for which in ("teacher", "student"):
        labels = [label for label in systems if SYSTEMS[label][0] == which]
        if not labels:
            continue
        with Served(getattr(arguments, which)) as server:
            for name, (asked, answers) in answered.items():
                for label in labels:
                    taken = asked[: arguments.served_questions]
                    texts = server.answers(taken, SYSTEMS[label][1], LONGEST_ANSWER)
                    figures[f"{label}, {name}"] = {
                        "exact": mean(score(texts, taken)["exact"]), "exact_pytorch": mean(score(answers[label][: len(taken)], taken)["exact"]),
                        **agreement(texts, answers[label][: len(taken)]),
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


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.evaluate_blocks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add("--teacher", type=Path, required=True)
    add("--student", type=Path, help="without it: teacher full against plain block only")
    add("--out", type=Path, help="results as JSON")
    add("--questions", type=int, default=300, help="generated questions per set")
    add("--documents", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32])
    add("--sorts", type=int, nargs="*", default=[8], help="document counts of sets of direct and of continued questions only")
    add("--two-hop", type=int, nargs="*", default=[8], help="document counts of two-hop sets")
    add("--entities", type=int, default=1, help="entities per document")
    add("--continued", type=float, default=CONTINUED, help="share of the documents that go on where the one before was cut; 0: none, and mixed kinds")
    add("--seen-phrasings", dest="held_out", action="store_false", help="ask behind the openers of training instead of held-out ones")
    add("--no-full-student", dest="full_student", action="store_false")
    add("--orders", type=int, default=5, help="orders of the documents; 0 leaves this out")
    add("--orders-documents", type=int, default=8)
    add("--repair", type=float, nargs="*", default=[], help="shares of repair of the plain teacher, e.g. 0.05 0.15 1")
    add("--text", type=Path, nargs="*", default=[], help="real text: plain files, or JSONL with `text`")
    add("--texts", type=int, default=40)
    add("--text-characters", type=int, default=6000)
    add("--rag", type=Path, nargs="*", default=[], help="JSONL rows with question, answers, documents")
    add("--rag-rows", type=int, default=50)
    add("--rag-tokens", type=int, default=48)
    add("--segmenter", default="auto", help="a segmenter of the server, or blank-lines")
    add("--served", action="store_true", help="ask the server too (needs `make build`)")
    add("--served-questions", type=int, default=50)
    add("--device", default="cpu")
    add("--threads", type=int, default=0)
    return made


def main() -> None:
    arguments = parser().parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    results = evaluate(arguments)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
