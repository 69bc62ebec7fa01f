"""The card of a build: what is in it, where it comes from, and under which licence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .contexts import ABSENT, Context
from .question_files import KINDS

SOURCES = {
    "nq": "Natural Questions, oracle passages of nelson-liu/lost-in-the-middle, MIT",
    "xquad": "google-deepmind/xquad (English), CC BY-SA 4.0",
    "covidqa": "deepset-ai/COVID-QA, Apache-2.0",
    "pubmedqa": "pubmedqa/pubmedqa, MIT",
}


def write_own_card(file: Path, splits: dict[str, list[Context]], dropped: Counter[str], settings: dict, texts: int) -> None:
    """The card of written questions. @param settings of the command, with the models that wrote and answered"""
    lines = [
        "# Questions that a model wrote over texts", "",
        f"Made by `python -m blockstitch_training.answering write --contexts {settings['contexts']} --seed {settings['seed']}` over {texts} texts.",
        f"`{settings['writer']}` wrote the questions, `{settings['teacher']}` answered them over all documents of their context, under full attention:",
        "the answers are what it says, right or wrong. `gold` names the passage that a question was written about. The licence is that of the texts.", "",
        "| split | contexts | questions | documents a context | characters a context |", "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, contexts in splits.items():
        count = max(1, len(contexts))
        documents = sum(len(each.documents) for each in contexts) / count
        characters = sum(len(part.text) for each in contexts for part in each.documents) / count
        lines.append(f"| {name} | {len(contexts)} | {sum(len(each.asked) for each in contexts)} | {documents:.1f} | {characters:.0f} |")
    lines += ["", "| dropped | questions |", "| --- | --- |", *(f"| {reason} | {number} |" for reason, number in dropped.most_common()), ""]
    file.write_text("\n".join(lines))


def write_card(file: Path, splits: dict[str, list[Context]], seed: int, rounds: str) -> None:
    """`rounds` as the command line has them."""
    lines = [
        "# Questions over documents", "",
        f"Made by `python -m blockstitch_training.answering build --rounds {rounds} --seed {seed}`. Each line is a conversation with its",
        "documents. Lines of one context stand one behind another. `gold` names the documents that hold the answer. Questions that the",
        f'documents do not answer have the answer "{ABSENT}"', "",
        "| split | kind | contexts | questions | of them absent | documents a context | characters a context |", "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, contexts in splits.items():
        for kind in KINDS:
            mine = [each for each in contexts if each.kind == kind]
            if not mine:
                continue
            asked = [each for context in mine for each in context.asked]
            documents = sum(len(each.documents) for each in mine) / len(mine)
            characters = sum(len(part.text) for each in mine for part in each.documents) / len(mine)
            absent = sum(not each.gold for each in asked)
            lines.append(f"| {name} | {kind} | {len(mine)} | {len(asked)} | {absent} | {documents:.1f} | {characters:.0f} |")
    lines += ["", "| kind | source, licence |", "| --- | --- |", *(f"| {kind} | {SOURCES[kind]} |" for kind in KINDS), ""]
    file.write_text("\n".join(lines))
