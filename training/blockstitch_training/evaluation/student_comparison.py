"""Asks a student and its teacher questions over public documents, one row after another, and keeps every answer in a file.

The reference is the teacher under full attention. For every question, and for each number and order of its documents that the plan names,
each system answers greedily, and is then told the reference's own answer r_1..r_m (its end token included):

    nll = -(1/m) sum_i log p(r_i | prompt, r_<i)                 nats a token
    kl  =  (1/m) sum_i KL(reference || system), same places      nats a token

So a system is measured also where its answer and the reference's part early. A second call goes on where the first stopped.
student_table.py makes tables and plots of the file. It knows PyTorch models and no server.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import DynamicCache

from ..demo.question_sets import Asked
from ..distill.stitched_generation import KeysValues, Prompt, decode, implementation
from ..journal.journal import Journal, read_rows
from .answer_scores import contains, f1
from .asked_prompts import chat_prompts, read_rag
from .systems import System

REFERENCE, PLAIN, STUDENT, STUDENT_FULL = "teacher full", "plain block", "student block", "student full"
BASE, BASE_BLOCK = "base full", "base block"


@dataclass(frozen=True)
class StudentPlan:
    """What is asked of whom."""

    teacher: Path
    student: Path | None  # None: the teacher alone, full against plain and repaired
    base: Path | None  # the model before any tuning; None leaves it out
    data: list[Path]  # JSONL: {question, answers, documents: [{title, text}], gold}, or rows of pubmedqa
    rows: int  # of each file
    new_tokens: int
    documents: list[int]  # numbers of documents; 0: all of the row. The ones with the answer stay, in their order
    orders: int  # 1: as they stand; more are drawn
    repair: float  # share of repair of the teacher's plain blocks; 0 leaves it out
    segmenter: str
    out: Path  # answers.jsonl here


@dataclass(frozen=True)
class Answer:
    """One system's answer to one question. `place`: of the document with the answer, 0 (first) to 1 (last). kl, nll: nats a token."""

    data: str
    row: int
    documents: int
    order: int
    place: float
    system: str
    text: str
    contains: float
    f1: float
    kl: float
    nll: float
    told: int  # tokens of the reference's answer

    @property
    def question(self) -> tuple:
        return (self.data, self.row, self.documents, self.order)


def fewer(asked: Asked, count: int) -> Asked | None:
    """The question over `count` documents, its own among them; None where it has not that many."""
    total = len(asked.documents)
    if count == 0 or count == total:
        return asked
    if count > total:
        return None
    others = [at for at in range(total) if at != asked.gold][: count - 1]
    return asked.reordered(sorted([*others, asked.gold]))


def variants(asked: Asked, plan: StudentPlan, seed: str) -> Iterator[tuple[int, Asked]]:
    """Every number of documents in every order, each with the order's number."""
    for count in plan.documents or [0]:
        chosen = fewer(asked, count)
        if chosen is None:
            continue
        for order in range(max(1, plan.orders)):
            places = list(range(len(chosen.documents)))
            if order:
                random.Random(f"{seed}/{count}/{order}").shuffle(places)
            yield order, chosen.reordered(places)


def systems_of(plan: StudentPlan) -> dict[str, tuple[System, str]]:
    """Name to checkpoint and attention ("full", "block" or "repair"). The reference comes first."""
    teacher = System.load(plan.teacher)
    made = {REFERENCE: (teacher, "full"), PLAIN: (teacher, "block")}
    if plan.repair:
        made[f"repair {plan.repair:g}"] = (teacher, "repair")
    if plan.student:
        student = System.load(plan.student)
        made |= {STUDENT: (student, "block"), STUDENT_FULL: (student, "full")}
    if plan.base:
        base = System.load(plan.base)
        made |= {BASE: (base, "full"), BASE_BLOCK: (base, "block")}
    return made


@torch.no_grad()
def told_logits(system: System, first: torch.Tensor, cache: KeysValues, told: Sequence[int]) -> torch.Tensor:
    """Logits [m, vocab] that predict each of the m told tokens. @param first logits [vocab] of the prompt's last token"""
    if len(told) == 1:
        return first[None].float()
    length = cache[0][0].shape[1]
    past = DynamicCache()
    for layer, (key, value) in enumerate(cache):
        past.update(key[None], value[None], layer)
    ids = torch.tensor([list(told[:-1])], device=first.device)
    at = torch.arange(length, length + ids.shape[1], device=first.device)[None]
    with implementation(system.model, "sdpa"):
        after = system.model(input_ids=ids, position_ids=at, past_key_values=past, use_cache=True).logits[0]
    return torch.cat((first[None], after)).float()


def divergences(reference: torch.Tensor, other: torch.Tensor, told: Sequence[int]) -> tuple[float, float]:
    """KL(reference || other) and the other's loss, each a mean over the told tokens, nats. A vocabulary may have more rows at its end."""
    width = min(reference.shape[1], other.shape[1])
    log_p, log_q = (functional.log_softmax(each[:, :width], -1) for each in (reference, other))
    kl = (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return float(kl), float(functional.nll_loss(log_q, torch.tensor(list(told), device=log_q.device)))


def answers(plan: StudentPlan, progress: Callable[[str], None] = lambda _: None) -> list[Answer]:
    """@returns all answers of the plan's file, those of earlier calls among them"""
    plan.out.mkdir(parents=True, exist_ok=True)
    file = plan.out / "answers.jsonl"
    done = {(*each.question, each.system) for each in read_answers(file)}
    systems = systems_of(plan)
    with Journal(file) as journal:
        for data in plan.data:
            asked = read_rag(data, plan.rows)
            for row, (each, by_system) in enumerate(zip(asked, _prompts(asked, systems, plan), strict=True)):
                for order, turned, prompts in by_system:
                    key = (data.stem, row, len(turned.documents), order)
                    if all((*key, name) in done for name in systems):
                        continue
                    for answer in _answer(key, turned, prompts, systems, plan):
                        journal.add(asdict(answer))
                progress(f"{data.stem}: {row + 1} of {len(asked)}  {each.question[:60]}")
    return [each for each in read_answers(file) if each.system in systems]


def read_answers(file: Path) -> list[Answer]:
    """The last answer of each system to each question."""
    found = [Answer(**row) for row in read_rows(file)]
    return list({(*each.question, each.system): each for each in found}.values())


def _prompts(asked: list[Asked], systems: dict[str, tuple[System, str]], plan: StudentPlan):
    """Per question its variants: order, question, and the prompt of each checkpoint. The segmenter cuts all documents at once."""
    turned = [list(variants(each, plan, f"{row}")) for row, each in enumerate(asked)]
    flat = [each for some in turned for _, each in some]
    made = {}
    for system, _ in systems.values():
        if system.directory not in made:
            made[system.directory] = iter(chat_prompts(flat, system.tokenizer, system.sinks, system.directory, plan.segmenter))
    for some in turned:
        yield [(order, each, {where: next(prompts) for where, prompts in made.items()}) for order, each in some]


def _answer(key: tuple, asked: Asked, prompts: dict[Path, Prompt], systems: dict[str, tuple[System, str]], plan: StudentPlan) -> Iterator[Answer]:
    reference: torch.Tensor | None = None
    told: list[int] = []
    for name, (system, mode) in systems.items():
        first, cache = system.begin(prompts[system.directory], mode, plan.repair)
        own = decode(system.model, first[None], [cache], plan.new_tokens, system.stops)[0]
        if reference is None:
            told = [*own, system.tokenizer.eos_token_id] if len(own) < plan.new_tokens else own
        logits = told_logits(system, first, cache, told)
        reference = logits if reference is None else reference
        kl, nll = divergences(reference, logits, told)
        text = system.text(own)
        place = asked.gold / max(1, len(asked.documents) - 1)
        yield Answer(*key, place, name, text, contains(text, asked.accepted), f1(text, asked.accepted), kl, nll, len(told))
