"""Whether the server answers as PyTorch does: one checkpoint, asked the same questions over stitched blocks in both, float32.

Both are greedy, so the texts are equal but where two tokens are nearly as likely. For every answer that differs the margin says by how
much: the logprob of the server's token less that of its second choice, at the first token at which the texts part.
A second call goes on where the first stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..journal.journal import Journal, read_rows
from .asked_prompts import chat_prompts, read_rag
from .served import Served
from .systems import System


@dataclass(frozen=True)
class AgreementPlan:
    """What is asked."""

    model: Path  # a checkpoint, e.g. a student's
    data: list[Path]  # JSONL: {question, answers, documents: [{title, text}], gold}, or rows of pubmedqa
    rows: int  # of each file
    new_tokens: int
    segmenter: str
    out: Path  # served.jsonl here


@dataclass(frozen=True)
class ServedAnswer:
    """The server's answer to one question beside PyTorch's. `margin`: nats, None where the texts are equal."""

    data: str
    row: int
    served: str
    computed: str
    margin: float | None


def agreement(plan: AgreementPlan, server: Served, progress: Callable[[str], None] = lambda _: None) -> list[ServedAnswer]:
    """@param server serves the plan's model. @returns all answers of the plan's file that are of its data, those of earlier calls among them"""
    plan.out.mkdir(parents=True, exist_ok=True)
    file = plan.out / "served.jsonl"
    done = {(each.data, each.row): each for each in _read(file)}
    model = System.load(plan.model)
    with Journal(file) as journal:
        for data in plan.data:
            asked = read_rag(data, plan.rows)
            prompts = chat_prompts(asked, model.tokenizer, model.sinks, model.directory, plan.segmenter)
            for row, (each, prompt) in enumerate(zip(asked, prompts, strict=True)):
                if (data.stem, row) in done:
                    continue
                computed = model.answers([prompt], "block", plan.new_tokens)[0]
                choice = server.chat(each, "block", plan.new_tokens, logprobs=True)["choices"][0]
                text = choice["message"]["content"]
                margin = None if text == computed else margin_where_they_part(choice["logprobs"]["content"], computed)
                answer = ServedAnswer(data.stem, row, text, computed, margin)
                done[data.stem, row] = answer
                journal.add(asdict(answer))
                progress(f"{data.stem}: {row + 1} of {len(asked)}  {'equal' if margin is None else 'not equal'}")
    return [each for each in done.values() if each.data in {data.stem for data in plan.data} and each.row < plan.rows]


def _read(file: Path) -> list[ServedAnswer]:
    return [ServedAnswer(**row) for row in read_rows(file)]


def margin_where_they_part(tokens: Sequence[dict], other: str) -> float:
    """@param tokens OpenAI's `logprobs.content` of one answer; @param other a text that is not that answer"""
    text = ""
    for each in tokens:
        text += each["token"]
        if not other.startswith(text):
            break
    top = [choice["logprob"] for choice in each["top_logprobs"]]
    return top[0] - top[1]


def served_table(answers: Sequence[ServedAnswer]) -> str:
    """Markdown: the share of equal texts by file, and every answer that differs."""
    lines = ["**Served, float32**: the server's answers against PyTorch's", "", "| | questions | equal |", "| --- | --- | --- |"]
    for data in [*dict.fromkeys(each.data for each in answers), "all"]:
        mine = [each for each in answers if data in ("all", each.data)]
        lines.append(f"| {data} | {len(mine)} | {sum(each.margin is None for each in mine) / len(mine):.1%} |")
    apart = [each for each in answers if each.margin is not None]
    if apart:
        lines += ["", "Those that differ; margin: the server's token over its second choice where the texts part, nats", ""]
        lines += ["| | row | margin | PyTorch | server |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {each.data} | {each.row} | {each.margin:.4f} | {_cell(each.computed)} | {_cell(each.served)} |" for each in apart]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
