"""Whether the server answers as PyTorch does: a student's answers (student_comparison.py) against those of `blockstitch serve`, float32.

Both are greedy, so the texts are equal but where two tokens are nearly as likely. For every answer that differs the margin says by how
much: the logprob of the server's token less that of its second choice, at the first token at which the texts part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .asked_prompts import read_rag
from .served import Served
from .student_comparison import STUDENT, Answer
from .student_table import longest


@dataclass(frozen=True)
class ServedAnswer:
    """The server's answer to one question beside PyTorch's. `margin`: nats, None where the texts are equal."""

    data: str
    row: int
    served: str
    computed: str
    margin: float | None


def served_answers(server: Served, data: Sequence[Path], found: Sequence[Answer], new_tokens: int, most: int) -> list[ServedAnswer]:
    """Asks the first `most` questions of each file that PyTorch's student was asked with all documents in their own order."""
    made = []
    for file in data:
        mine = [each for each in found if each.data == file.stem and each.system == STUDENT and each.order == 0]
        computed = {each.row: each.text for each in longest(mine)}
        for row, asked in enumerate(read_rag(file, most)):
            if row not in computed:
                continue
            choice = server.chat(asked, "block", new_tokens, logprobs=True)["choices"][0]
            text = choice["message"]["content"]
            margin = None if text == computed[row] else margin_where_they_part(choice["logprobs"]["content"], computed[row])
            made.append(ServedAnswer(file.stem, row, text, computed[row], margin))
    return made


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
