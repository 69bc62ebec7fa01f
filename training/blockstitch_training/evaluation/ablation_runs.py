"""The runs behind the ablation table, one after another: plain stitching, block fine-tuning, and distillation with every choice of
{sinks, dropout, weights} on and off.

Each run trains, exports and is scored. A run whose results.json is there does not run again. A run that was cut off goes on from its
last state.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from ..demo.question_sets import generated
from ..distill.checkpoint import load_tokenizer
from ..distill.distill_settings import Settings
from ..distill.distiller import Distiller
from ..distill.example_sources import QuestionSource
from ..distill.stitched_generation import Prompt
from .ablation_plan import PLAIN, RATES, SETS, Size
from .answer_scores import mean
from .asked_prompts import demo_prompts
from .systems import System, score, text_figures


def run_all(planned: list[tuple[str, dict, int]], size: Size, teacher: Path, out: Path) -> list[dict[str, object]]:
    """@param planned name, changed settings and seed of each run @returns what their results.json hold"""
    results = []
    for name, changed, seed in planned:
        started = time.monotonic()
        made = run_one(name, changed, seed, size, teacher, out / f"{name.replace(' ', '-')}-{seed}")
        results.append(made)
        exact = {where: round(100 * mean(modes["block"]["exact"]), 1) for where, modes in made["scores"].items()}
        print(f"{name}, seed {seed}: block {exact} ({time.monotonic() - started:.0f} s)", flush=True)
    return results


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
    """Trains (or goes on), exports and scores. @returns what results.json holds"""
    directory.mkdir(parents=True, exist_ok=True)
    result = directory / "results.json"
    if result.exists():
        return json.loads(result.read_text())
    made: dict[str, object] = {"run": name, "seed": seed}
    checkpoint = teacher
    if name != PLAIN:
        settings = Settings(teacher=str(teacher), steps=size.steps, tokens_per_step=size.tokens, seed=seed, save_every=50, compile=size.compiled, **RATES, **changed)
        distiller = Distiller(settings, QuestionSource(load_tokenizer(teacher), seed, size.documents), directory)
        distiller.resume()
        distiller.train()
        checkpoint = directory / "export"
        distiller.export(checkpoint)
        made |= {"seconds": distiller.seconds, "steps": settings.steps, "settings": changed}
        for state in directory.glob("state-*/*"):  # the run is over and needs its state no more
            if state.is_file():
                state.unlink()
    made["scores"] = score_checkpoint(checkpoint, teacher, size)
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(made) + "\n")
    partial.rename(result)
    return made
