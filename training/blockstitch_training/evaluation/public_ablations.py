"""What each part of distillation is worth on public documents: runs that differ in one part, scored on conversations kept out of training.

For every kept-out question, with its answer's tokens a_1..a_m (the end token included):

    kl  = (1/m) sum_i KL(teacher under full attention || student under block attention)      nats a token
    nll = -(1/m) sum_i log p_student(a_i)                                                     nats a token

The effect of a part is the mean over questions, and over the seeds that both runs have, of a run's figure less that of "distillation" at
the same seed. Its interval resamples questions. A run whose results.json is there does not run again; one that was cut off goes on.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoConfig

from ..distill.block_attention import NAME, inverse_frequencies, packed_logits
from ..distill.block_dropout import Drawn
from ..distill.distill_settings import Settings
from ..distill.distiller import Distiller
from ..distill.example_sources import Cutting, ShuffledSource, chat_examples
from ..distill.examples import Example
from ..distill.low_rank import adapter_sinks
from ..distill.packed_batch import Packer
from ..distill.sink_tokens import NO_EDGES, base_sinks
from ..distill.stitched_generation import implementation
from .ablation_plan import OFF, PLAIN
from .answer_scores import interval, mean
from .parts_plot import draw_parts
from .systems import System

WHOLE = "distillation"
FULL = "the teacher under full attention"
NOT_TRAINED = (FULL, PLAIN)
SINKS = ("sinks", "start_sinks", "end_sinks")
EXTRAS_OFF = {"states": 0.0, "asked": 0.0}
RUNS: dict[str, dict] = {
    WHOLE: {},
    "block fine-tuning": {"loss": "ce", **OFF["sinks"], **OFF["dropout"], **OFF["weights"], **EXTRAS_OFF},
    "without sinks": OFF["sinks"],
    "without dropout": OFF["dropout"],
    "without weights": OFF["weights"],
    "with weights": {"weighting": True},
    "weights by the student's gap": {"weighting": True, "gap": "student"},
    "bare distillation": {**OFF["sinks"], **OFF["dropout"], **OFF["weights"], **EXTRAS_OFF},
    "sinks at the common rate": {"sink_rate": 0.0},
    "sinks at 0.01": {"sink_rate": 0.01},
    "sinks at 0.05": {"sink_rate": 0.05},
    "1 sink": {"sinks": 1},
    "16 sinks": {"sinks": 16},
    "sinks at starts": {"sinks": 0, "start_sinks": 4},
    "sinks at ends": {"sinks": 0, "end_sinks": 4},
    "sinks at front and ends": {"end_sinks": 4},
    "without hidden blocks": {"hide": 0.0},
    "without acting blocks": {"act": 0.0},
    "with hidden states": {"states": 10.0},
    "without hidden states": {"states": 0.0},
    "privileged teacher": {"privileged": True},
    "all weights": {"lora_rank": 0, "base": "", "start": "", "learning_rate": 1e-4},  # begins with the teacher itself
    "with questions": {"asked": 0.3},
    "without questions": {"asked": 0.0},
}


@dataclass(frozen=True)
class PublicAblations:
    """What is trained, on what, and how long."""

    teacher: Path
    base: Path | None  # what students begin with, if not the teacher
    start: Path | None  # the teacher's adapter on that base
    chat: Path  # conversations to train on
    held_out: Path  # conversations to score
    questions: int  # scored at most
    steps: int
    tokens_per_step: int
    learning_rate: float
    lora_rank: int  # 0: all weights
    longest: int
    precision: str  # of training, "bf16" or "no"
    segmenter: str
    seeds: int
    only: list[str] | None  # names of runs
    out: Path
    # Settings of the whole method; the runs change them.
    hide: float = Settings.hide
    act: float = Settings.act
    weighting: bool = Settings.weighting
    asked: float = Settings.asked
    states: float = Settings.states
    sink_rate: float = Settings.sink_rate

    def settings(self, changed: dict, seed: int) -> Settings:
        own = ("lora_rank", "steps", "tokens_per_step", "learning_rate", "precision", "hide", "act", "weighting", "asked", "states", "sink_rate")
        whole = {name: getattr(self, name) for name in own} | {"base": str(self.base or ""), "start": str(self.start or "")}
        return Settings(teacher=str(self.teacher), seed=seed, save_every=20, log_every=5, **(whole | changed))

    def runs(self) -> dict[str, dict]:
        """The runs that are another method than the whole one, and that one. A start that brings learned sinks keeps them in all runs. All
        weights are a run of their own only beside a low-rank method whose start has no sinks.

        @raise ValueError for a name in `only` that is none of them"""
        kept = SINKS if self._start_has_sinks() else ()
        made = {name: {field: value for field, value in changed.items() if field not in kept} for name, changed in RUNS.items()}
        if kept or not self.lora_rank:
            del made["all weights"]
        if not self.lora_rank:
            made = {name: changed for name, changed in made.items() if "sink_rate" not in changed}
        whole = self.settings({}, 1)
        there = {name: changed for name, changed in made.items() if name == WHOLE or self.settings(changed, 1) != whole}
        unknown = set(self.only or []) - there.keys()
        if unknown:
            why = f" ({self.start} brings sinks of its own, and every run keeps them)" if kept else ""
            raise ValueError(f"no such run: {', '.join(sorted(unknown))}; there are {', '.join(there)}{why}")
        return {name: changed for name, changed in there.items() if not self.only or name in self.only}

    def _start_has_sinks(self) -> bool:
        if self.start is None:
            return False
        front, edges = adapter_sinks(self.start)
        return len(front) > len(base_sinks(AutoConfig.from_pretrained(self.base or self.teacher))) or edges != NO_EDGES

    def claim(self) -> None:
        """@raise ValueError where `out` holds runs of other settings: a run that is there does not run again"""
        mine = {name: str(value) for name, value in asdict(self).items() if name not in ("seeds", "only", "out")}
        file = self.out / "settings.json"
        if file.exists():
            theirs = json.loads(file.read_text())
            apart = sorted(name for name in mine if theirs.get(name) != mine[name])
            if apart:
                raise ValueError(f"{self.out} holds runs of other settings ({', '.join(apart)}); give another --out or remove it")
        self.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(mine, indent=2) + "\n")


def run_public(plan: PublicAblations, progress: Callable[[str], None] = print) -> list[dict]:
    """@returns per run and seed: `run`, `seed`, `seconds`, and `kl` and `nll` by question. The teacher, full and plainly stitched, comes first"""
    runs = plan.runs()
    plan.claim()
    teacher = System.load(plan.teacher)
    cutting = Cutting(plan.teacher, plan.segmenter)
    kept, _ = chat_examples(plan.held_out, teacher.tokenizer, teacher.sinks, cutting, plan.longest)
    kept = first_questions(kept, plan.questions)
    trained, _ = chat_examples(plan.chat, teacher.tokenizer, teacher.sinks, cutting, plan.longest)
    reference = [answer_logits(teacher, each, full=True) for each in kept]

    def untrained(name: str, full: bool) -> dict:
        return {"run": name, "seed": 1, "seconds": 0.0, **scores(teacher, kept, {"kl": reference}, full)}

    results = [
        kept_result(plan.out / "full", lambda: untrained(FULL, True)),
        kept_result(plan.out / "plain", lambda: untrained(PLAIN, False)),
    ]
    for seed in range(1, plan.seeds + 1):
        for name, changed in runs.items():
            directory = plan.out / f"{name.replace(' ', '-')}-{seed}"
            made = kept_result(directory, lambda n=name, c=changed, s=seed, d=directory: _train(n, c, s, d, plan, trained, kept, reference))
            results.append(made)
            progress(f"{name}, seed {seed}: KL {mean(made['kl']):.4f}, NLL {mean(made['nll']):.4f}, {made['seconds'] / 60:.1f} minutes")
    return results


@torch.no_grad()
def answer_logits(system: System, example: Example, full: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [n, vocab] that predict every trained token of the example's final blocks, and the tokens [n]."""
    packer = Packer(system.sinks, system.edges)
    laid = packer.example(Drawn(example), full)
    layout = packer.layout().to(system.model.device)
    keep = torch.tensor([layout.place(segment, offset) for segment, offset in laid.places], device=system.model.device)
    with implementation(system.model, NAME):
        return packed_logits(system.model, layout, keep, inverse_frequencies(system.model)).float(), torch.tensor(laid.labels)


Predicted = list[tuple[torch.Tensor, torch.Tensor]]  # by example, as `answer_logits` gives them


def scores(student: System, kept: Sequence[Example], references: dict[str, Predicted], full: bool = False) -> dict[str, list[float]]:
    """By question, under block attention or under full attention: the student's `nll`, and its KL to each reference under that one's name."""
    found: dict[str, list[float]] = {"nll": [], **{name: [] for name in references}}
    for at, example in enumerate(kept):
        logits, labels = answer_logits(student, example, full)
        wanted = {name: reference[at][0] for name, reference in references.items()}
        width = min(each.shape[1] for each in (logits, *wanted.values()))
        counts = [sum(final.trained) for final in example.finals]
        log_q = functional.log_softmax(logits[:, :width], -1)
        for name, each in wanted.items():
            log_p = functional.log_softmax(each[:, :width], -1)
            found[name] += _means((log_p.exp() * (log_p - log_q)).sum(-1), counts)
        found["nll"] += _means(functional.nll_loss(log_q, labels, reduction="none"), counts)
    return found


def _means(values: torch.Tensor, counts: Sequence[int]) -> list[float]:
    return [float(each.mean()) for each in values.split(list(counts))]


def _train(name: str, changed: dict, seed: int, directory: Path, plan: PublicAblations, trained, kept, reference) -> dict:
    distiller = Distiller(plan.settings(changed, seed), ShuffledSource(trained, seed), directory)
    distiller.resume()
    distiller.train()
    distiller.export(directory / "export")
    made = {"run": name, "seed": seed, "seconds": distiller.seconds, **scores(System.load(directory / "export"), kept, {"kl": reference})}
    for state in (*directory.glob("state-*/*"), *directory.glob("export/*.safetensors")):  # the run is over; its scores stay
        state.unlink()
    return made


def kept_result(directory: Path, make: Callable[[], dict]) -> dict:
    file = directory / "results.json"
    if file.exists():
        return json.loads(file.read_text())
    directory.mkdir(parents=True, exist_ok=True)
    made = make()
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(made) + "\n")
    partial.rename(file)
    return made


def first_questions(examples: Sequence[Example], questions: int) -> list[Example]:
    """Whole examples from the front, up to so many questions."""
    taken: list[Example] = []
    for each in examples:
        if taken and sum(len(other.finals) for other in taken) + len(each.finals) > questions:
            break
        taken.append(each)
    return taken


def public_table(results: Sequence[dict], plan: PublicAblations) -> str:
    """Markdown: per run KL, NLL and their effects against the whole method; seeds put together."""
    tokens = plan.steps * plan.tokens_per_step
    plain = next(each for each in results if each["run"] == PLAIN)
    whole = {each["seed"]: each for each in results if each["run"] == WHOLE}
    lines = [
        f"{plan.steps} steps of at most about {plan.tokens_per_step} tokens (up to {tokens / 1e6:.2f} million), rank {plan.lora_rank or 'full'}, "
        f"{len(plain['kl'])} kept-out questions. `{WHOLE}`: --hide {plan.hide} --act {plan.act} --{'' if plan.weighting else 'no-'}weighting "
        f"--asked {plan.asked} --states {plan.states} --sink-rate {plan.sink_rate}. KL to the teacher under full attention, and NLL of the answers, in nats a token under block "
        f"attention. Effect: the run less `{WHOLE}` at the same seed, with a 95% interval over questions; above 0 the run is farther "
        "from the teacher.",
        "",
        "| run | seeds | KL | recovered | NLL | effect on KL | by seed | effect on NLL | minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(each["run"] for each in results):
        same = [each for each in results if each["run"] == name]
        kl = statistics.mean(mean(each["kl"]) for each in same)
        nll = statistics.mean(mean(each["nll"]) for each in same)
        recovered = "-" if name in NOT_TRAINED or mean(plain["kl"]) == 0 else f"{100 * (1 - kl / mean(plain['kl'])):.0f}%"
        on_kl, on_nll = (effect(same, whole, field) if name not in (*NOT_TRAINED, WHOLE) else None for field in ("kl", "nll"))
        by_seed = "-" if on_kl is None else ", ".join(f"{each:+.3f}" for each in on_kl[0])
        minutes = statistics.mean(each["seconds"] for each in same) / 60
        lines.append(f"| {name} | {len(same)} | {kl:.4f} | {recovered} | {nll:.4f} | {_shown(on_kl)} | {by_seed} | {_shown(on_nll)} | {minutes:.1f} |")
    return "\n".join(lines) + "\n"


def write_parts(results: Sequence[dict], plan: PublicAblations) -> str:
    """Writes parts.md, parts.png and parts.svg to the plan's folder. @returns the table"""
    table = public_table(results, plan)
    (plan.out / "parts.md").write_text(table, encoding="utf-8")
    whole = {each["seed"]: each for each in results if each["run"] == WHOLE}
    made = []
    for name in dict.fromkeys(each["run"] for each in results if each["run"] not in (*NOT_TRAINED, WHOLE)):
        found = effect([each for each in results if each["run"] == name], whole, "kl")
        if found:
            made.append((name, *found))
    for form in ("png", "svg"):
        draw_parts(made, "KL to the teacher: the run less the whole method, nats a token", plan.out / f"parts.{form}")
    return table


def effect(runs: Sequence[dict], whole: dict[int, dict], field: str) -> tuple[list[float], float, float] | None:
    """@returns the change of each seed that both have, and the interval of their mean over questions; None where there is no such seed"""
    both = [(each[field], whole[each["seed"]][field]) for each in runs if each["seed"] in whole]
    if not both:
        return None
    seeds = [mean(left) - mean(right) for left, right in both]
    changes = [mean([left[at] - right[at] for left, right in both]) for at in range(len(both[0][0]))]
    return seeds, *interval(lambda chosen: mean([changes[at] for at in chosen]), len(changes))


def _shown(found: tuple[list[float], float, float] | None) -> str:
    return "-" if found is None else f"{mean(found[0]):+.4f} [{found[1]:+.4f}, {found[2]:+.4f}]"
