"""The whole ablation table from one command: `python -m blockstitch_training.ablations --out DIR --size tiny [--teacher DIR]`.

Runs one after another: plain stitching, block fine-tuning, and distillation with every choice of {sinks, dropout, weights} on and
off; the main ones with three seeds. Each run trains, exports and is scored; a run whose results.json is there is not run again,
and one that was cut off goes on from its last state. At the end the table is written between the marks in --table.

Sizes (two CPU cores with bfloat16 matrix units; one GPU takes minutes): see SIZES.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ..demo.question_sets import generated
from ..distill.checkpoint import load_tokenizer
from ..distill.distill_settings import Settings
from ..distill.distiller import Distiller
from ..distill.example_sources import QuestionSource
from ..distill.stitched_generation import Prompt
from .answer_scores import mean, recovery
from .asked_prompts import demo_prompts
from .systems import System, score, text_figures

SHIPPED_TEACHER = Path(__file__).parents[3] / "models" / "demo-teacher"
BEGIN, END = "<!-- ablations: begin -->", "<!-- ablations: end -->"


@dataclass(frozen=True)
class Size:
    steps: int
    tokens: int  # per step
    documents: tuple[int, int]
    questions: int  # per evaluated set
    seeds: int  # of the main runs
    compiled: bool = True


RATES = {"learning_rate": 2e-3, "muon_rate": 1e-2}  # those that the demo model is trained with from nothing
SIZES = {
    "smoke": Size(4, 1200, (1, 4), 8, 1, compiled=False),  # seconds: shows that everything runs
    "tiny": Size(100, 4096, (2, 8), 200, 3),
    "small": Size(600, 8192, (1, 16), 400, 3),
}
SETS = {"8 documents": (8, "mixed"), "8 documents, continued": (8, "continued")}
OFF = {"sinks": {"sinks": 0}, "dropout": {"hide": 0.0, "act": 0.0}, "weights": {"weighting": False}}
MAIN = ("distillation", "block fine-tuning", "without sinks", "without dropout", "without weights")


def runs(size: Size) -> dict[str, tuple[dict, int]]:
    """Name to settings that differ from the defaults, and seeds. The eight choices of three components are all here."""
    made: dict[str, tuple[dict, int]] = {"plain stitching": ({}, 1)}
    made["block fine-tuning"] = ({"loss": "ce", **OFF["sinks"], **OFF["dropout"], **OFF["weights"]}, size.seeds)
    for kept in ("sinks dropout weights", "dropout weights", "sinks weights", "sinks dropout", "sinks", "dropout", "weights", ""):
        off = [name for name in OFF if name not in kept.split()]
        changed = {key: value for name in off for key, value in OFF[name].items()}
        if not off:
            name = "distillation"
        elif len(off) == 1:
            name = f"without {off[0]}"
        else:
            name = f"only {kept}" if kept else "bare distillation"
        made[name] = (changed, size.seeds if name in MAIN else 1)
    return made


def score_checkpoint(directory: Path, teacher: Path, size: Size) -> dict[str, object]:
    """Exact answers by question under block and full attention, and KL to the teacher on the answers' tokens."""
    student, reference = System.load(directory), System.load(teacher)
    figures: dict[str, object] = {}
    for name, (documents, sort) in SETS.items():
        asked = generated(documents, size.questions, sort)
        prompts = demo_prompts(asked, student.tokenizer)
        answers = [student.tokenizer.encode(each.accepted[0], add_special_tokens=False) for each in asked]
        told = [Prompt(prompt.blocks, [*prompt.final, *answer]) for prompt, answer in zip(prompts, answers, strict=True)]
        systems = {"teacher": (reference, "full"), "block": (student, "block"), "full": (student, "full")}
        kl = text_figures(systems, "teacher", told, [len(prompt.final) for prompt in prompts])
        figures[name] = {
            mode: {"exact": score(student.answers(prompts, mode), asked)["exact"], "kl": kl[mode]["kl_to_teacher"]} for mode in ("block", "full")
        }
    return figures


def run_one(name: str, changed: dict, seed: int, size: Size, teacher: Path, directory: Path) -> dict[str, object]:
    """Trains (or goes on), exports, scores. @returns what results.json holds"""
    directory.mkdir(parents=True, exist_ok=True)
    result = directory / "results.json"
    if result.exists():
        return json.loads(result.read_text())
    made: dict[str, object] = {"run": name, "seed": seed}
    checkpoint = teacher
    if name != "plain stitching":
        settings = Settings(teacher=str(teacher), steps=size.steps, tokens_per_step=size.tokens, seed=seed, save_every=50, compile=size.compiled, **RATES, **changed)
        distiller = Distiller(settings, QuestionSource(load_tokenizer(teacher), seed, size.documents), directory)
        distiller.resume()
        distiller.train()
        checkpoint = directory / "export"
        distiller.export(checkpoint)
        made |= {"seconds": distiller.seconds, "steps": settings.steps, "settings": changed}
        for state in directory.glob("state-*/*"):  # the run is over: its state is not needed again
            if state.is_file():
                state.unlink()
    made["scores"] = score_checkpoint(checkpoint, teacher, size)
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(made) + "\n")
    partial.rename(result)
    return made


def table(results: list[dict], size_name: str, size: Size) -> str:
    """Markdown: one line per run, seeds put together; recovery from the questions of all seeds."""
    plain = next(each["scores"] for each in results if each["run"] == "plain stitching")
    sets = list(plain)
    lines = [
        f"Size `{size_name}`: {size.steps} steps of about {size.tokens} tokens, {size.documents[0]} to {size.documents[1]} documents per context, "
        f"{size.questions} held-out questions per set. Exact answers in %, mean over seeds (± half of largest less smallest); KL to the "
        "teacher on the answers' tokens, in thousandths of a nat; recovery with its 95% bootstrap interval.",
        "",
        "| run | seeds | " + " | ".join(f"{name}: block" for name in sets) + " | 8 documents: full | KL, 8 documents | recovery, 8 documents | recovery, continued | minutes |",
        "| --- " * (len(sets) + 7) + "|",
        "| teacher, full attention | 1 | " + " | ".join(f"{100 * mean(plain[name]['full']['exact']):.1f}" for name in sets)
        + f" | {100 * mean(plain['8 documents']['full']['exact']):.1f} | 0.0 | - | - | - |",
    ]  # fmt: skip
    for name in dict.fromkeys(each["run"] for each in results):
        same = [each for each in results if each["run"] == name]

        def cell(where: str, mode: str, same=same) -> str:
            values = [100 * mean(each["scores"][where][mode]["exact"]) for each in same]
            spread = f" (±{(max(values) - min(values)) / 2:.1f})" if len(values) > 1 else ""
            return f"{statistics.mean(values):.1f}{spread}"

        def recovered(where: str, same=same) -> str:
            copies = len(same)
            value = recovery(
                [score for each in same for score in each["scores"][where]["block"]["exact"]],
                plain[where]["block"]["exact"] * copies,
                plain[where]["full"]["exact"] * copies,
            )
            if value["value"] is None:
                return "no gap"
            low, high = value["interval"]
            return f"{value['value']:.2f} [{low:.2f}, {high:.2f}]"

        kl = 1000 * statistics.mean(each["scores"]["8 documents"]["block"]["kl"] for each in same)
        minutes = statistics.mean(each.get("seconds", 0.0) for each in same) / 60
        cells = [cell(where, "block") for where in sets] + [cell("8 documents", "full"), f"{kl:.1f}", recovered("8 documents"), recovered("8 documents, continued"), f"{minutes:.1f}"]
        lines.append(f"| {name} | {len(same)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_between_marks(file: Path, text: str) -> None:
    """@raise ValueError where the file has no marks"""
    whole = file.read_text()
    if BEGIN not in whole or END not in whole:
        raise ValueError(f"{file} lacks {BEGIN} ... {END}")
    before, rest = whole.split(BEGIN, 1)
    file.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END, 1)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m blockstitch_training.ablations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--teacher", type=Path, default=SHIPPED_TEACHER, help="full-attention demo teacher; the shipped one where absent")
    parser.add_argument("--only", nargs="*", help="run names; all where absent")
    parser.add_argument("--seeds", type=int, help="seeds of the main runs instead of the size's own")
    parser.add_argument("--table", type=Path, help="Markdown file with the marks, e.g. ../docs/results/distillation.md")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    size = SIZES[arguments.size]
    results = []
    # Seed by seed, so that a table with one seed of everything is there first.
    planned = [(name, changed, seed) for seed in range(1, 1 + (arguments.seeds or size.seeds)) for name, (changed, seeds) in runs(size).items() if seed <= max(seeds, 1)]
    for name, changed, seed in planned:
        if arguments.only and name not in arguments.only and name != "plain stitching":
            continue
        started = time.monotonic()
        directory = arguments.out / arguments.size / f"{name.replace(' ', '-')}-{seed}"
        made = run_one(name, changed, seed, size, arguments.teacher, directory)
        results.append(made)
        exact = {where: round(100 * mean(modes["block"]["exact"]), 1) for where, modes in made["scores"].items()}
        print(f"{name}, seed {seed}: block {exact} ({time.monotonic() - started:.0f} s)", flush=True)
    text = table(results, arguments.size, size)
    (arguments.out / f"table-{arguments.size}.md").write_text(text)
    print(text)
    if arguments.table:
        write_between_marks(arguments.table, text)


if __name__ == "__main__":
    main()
