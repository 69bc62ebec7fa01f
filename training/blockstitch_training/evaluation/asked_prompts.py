"""Turns asked questions into prompts of token ids, and reads asked questions from rows of multi-document JSONL.

It knows the demo model's prompt and chat templates. systems.py answers prompts.
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from ..demo.demo_prompts import DOCUMENT, FINAL
from ..demo.question_sets import Asked
from ..distill.chat_prompt import ChatPrompt, Document
from ..distill.segmenting import cut_texts
from ..distill.stitched_generation import Prompt


def read_rag(file: Path, most: int) -> list[Asked]:
    """The first `most` JSONL rows: `{question, answers, documents: [{title, text}], gold: [index]}`, or rows of pubmedqa.

    @raise ValueError naming file and line of a row of neither form
    """
    made = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n")[:most], 1):
        if not line.strip():
            continue
        try:
            made.append(_asked(json.loads(line)))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{file}:{number}: this is no row of questions over documents: {error!r}") from error
    return made


def _asked(row: dict) -> Asked:
    if "contexts" in row:  # pubmedqa: one abstract in labelled sections, all of which hold the answer
        titles = tuple(label.capitalize() for label in row["labels"])
        return Asked(tuple(row["contexts"]), titles, row["question"], (row["decision"],), 0)
    texts = tuple(document["text"] for document in row["documents"])
    titles = tuple(document.get("title", "") for document in row["documents"])
    return Asked(texts, titles, row["question"], tuple(row["answers"]), row["gold"][0])


def conversation(asked: Asked) -> dict:
    """In the form of `distill train --chat`, with the shortest of its accepted answers."""
    documents = [{"text": text, **({"title": title} if title else {})} for text, title in zip(asked.documents, asked.titles, strict=True)]
    answer = min((" ".join(each.split()) for each in asked.accepted if each.strip()), key=len)
    return {"messages": [{"role": "user", "content": asked.question}, {"role": "assistant", "content": answer}], "documents": documents}


def demo_prompts(asked: list[Asked], tokenizer: PreTrainedTokenizerBase) -> list[Prompt]:
    """In the demo model's prompt: one block per document."""

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False)

    return [Prompt([ids(DOCUMENT.format(text=text)) for text in each.documents], ids(FINAL.format(question=each.question))) for each in asked]


def chat_prompts(asked: list[Asked], tokenizer: PreTrainedTokenizerBase, sinks: list[int], checkpoint: Path, segmenter: str) -> list[Prompt]:
    """In the checkpoint's own chat template, as the server does. The segmenter cuts the documents."""
    texts = list(dict.fromkeys(text for each in asked for text in each.documents))
    cuts = dict(zip(texts, cut_texts(texts, checkpoint, segmenter), strict=True))
    prompt = ChatPrompt(tokenizer, sinks)
    made = []
    for each in asked:
        documents = [Document(tuple(cuts[text]), title) for text, title in zip(each.documents, each.titles, strict=True)]
        planned = prompt.plan([{"role": "user", "content": each.question}], documents)
        made.append(Prompt(planned.blocks, planned.final))
    return made
