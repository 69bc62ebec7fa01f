"""Stuffed prompts: retrieved passages of several documents in one text, joined as RAG frameworks join them.

The boundary between two passages, or between a passage and the rest of the prompt, is a seam and has the greatest strength. Boundaries
inside a passage keep their own. So the segmenter learns to cut a passage alike wherever it stands.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .document import SEAM, Instance, SourceDocument, seeded
from .pool import Pool
from .prompt_templates import SEEN, UNSEEN, PromptTemplate, draw_template
from .speech import sentences

SOURCE = "stuffed"
CATEGORIES = ("web", "manuals", "encyclopedia", "books", "papers", "legal", "news", "qa", "email", "specifications", "finance", "code")
WEIGHTS = (2, 2, 3, 1, 1.5, 1, 1, 1.5, 0.7, 1, 0.5, 0.7)
PASSAGES = 8
LONGEST, SHORTEST = 2_400, 180


@dataclass(frozen=True)
class Passage:
    """pieces: its own segments, mostly one. levels: of the boundaries between them."""

    id: str
    title: str
    source: str
    license: str
    pieces: tuple[str, ...]
    levels: tuple[int, ...] = ()


@dataclass
class PassageFolder:
    """Passages of the RAG training files by split, and the documents of SemanticSeg's pool."""

    pool: Pool
    split: str
    ready: list[list[Passage]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


def read_passages(folder: Path, pool: Pool, split: str) -> PassageFolder:
    """@param folder of nq.train.jsonl, xquad.train.jsonl and covidqa.train.jsonl"""
    out = PassageFolder(pool, split)
    groups: dict[str, list[Passage]] = {}

    def add(name: str, group: str, title: str, text: str, license: str) -> None:
        if _split_of(group) == split and len(text) >= SHORTEST:
            groups.setdefault(group if name != "nq" else "nq", []).append(Passage(f"{name}/{group}", title, f"{name}.example.org/{_slug(title)}", license, (text,)))

    for row in _rows(folder / "nq.train.jsonl"):
        add("nq", row["title"], row["title"], row["text"], "CC-BY-SA (Wikipedia passages), file MIT")
        if _split_of(row["title"]) == split:
            out.questions.append(row["question"].rstrip("?") + "?")
    for row in _rows(folder / "xquad.train.jsonl"):
        for text in row["paragraphs"]:
            add("xquad", row["title"], row["title"].replace("_", " "), text, "CC-BY-SA-4.0")
    for row in _rows(folder / "covidqa.train.jsonl"):
        for text in row["chunks"]:
            add("covidqa", str(row["id"]), row["chunks"][0].split("\n")[0][:80], text.strip(), "Apache-2.0 (file); articles CC")
    out.ready = list(groups.values())
    return out


def stuffed_instances(passages: PassageFolder, count: int, seed: int) -> Iterator[Instance]:
    """Prompts for training: templates of frameworks and drawn ones, 3 to 14 passages."""
    for number in range(count):
        rng = seeded(seed, SOURCE, passages.split, number)
        template = rng.choice(SEEN) if rng.random() < 0.4 else draw_template(rng)
        chosen = draw_passages(rng, passages, rng.randint(3, 14))
        yield instance(f"{passages.split}-{SOURCE}-{number:05d}", passages.split, template, chosen, rng.choice(passages.questions))


def kept_out_prompts(passages: PassageFolder, count: int, orders: int, seed: int) -> Iterator[dict]:
    """Rows as an evaluation reads them: the same passages in several orders under one template. `group` names what belongs together."""
    templates = (*SEEN, *UNSEEN)
    for number in range(count):
        rng = seeded(seed, SOURCE, "kept-out", number)
        template = templates[number % len(templates)]
        chosen = draw_passages(rng, passages, PASSAGES)
        question = rng.choice(passages.questions)
        for turn in range(orders):
            order = rng.sample(range(PASSAGES), PASSAGES)
            made = instance(f"stuffed-{number:04d}-{turn}", "test", template, [chosen[at] for at in order], question)
            seams = [index for index, level in enumerate(made.levels) if level == SEAM]
            yield {**made.row(), "group": number, "template": template.name, "unseen": template in UNSEEN, "preamble": bool(template.before), "order": order, "seams": seams}


def instance(name: str, split: str, template: PromptTemplate, passages: Sequence[Passage], question: str) -> Instance:
    segments: list[str] = []
    levels: list[int] = []
    gap = "\n" if template.blank else ""

    def add(text: str, level: int) -> None:
        if segments:
            levels.append(level)
        segments.append(text)

    if template.before:
        add(template.before + gap, SEAM)
    for number, passage in enumerate(passages):
        fields = {"n": number + 1, "zero": number, "title": passage.title, "source": passage.source, "score": f"0.{99 - 3 * number:02d}"}
        for index, piece in enumerate(passage.pieces):
            text = piece
            if index == 0:
                text = template.head.format(**fields) + text
            if index == len(passage.pieces) - 1:
                text += template.tail.format(**fields) + gap
            add(text, SEAM if index == 0 else passage.levels[index - 1])
    if template.after:
        add(template.after.replace("{question}", question), SEAM)
    else:
        segments[-1] = segments[-1].rstrip("\n")
    return Instance(
        name, "web", SOURCE, "; ".join(sorted({each.license for each in passages})), " | ".join(dict.fromkeys(each.id for each in passages)), split, segments, levels
    )


def draw_passages(rng: random.Random, passages: PassageFolder, count: int) -> list[Passage]:
    """Of one field or of many; two fifths of the prompts have passages of the RAG files only, as long as those are.

    @raises ValueError where there are not enough different ones
    """
    weights = {name: weight for name, weight in zip(CATEGORIES, WEIGHTS, strict=True) if name in passages.pool.by_category}
    mixed = rng.random()
    longest = rng.choice((500, 900, 1_500, LONGEST))
    out: list[Passage] = []
    category = rng.choices(list(weights), list(weights.values()))[0]
    for _ in range(200 * count):
        if len(out) == count:
            break
        if mixed < 0.4 and passages.ready:
            found = rng.choice(rng.choice(passages.ready))
        else:
            kind = category if mixed < 0.7 else rng.choices(list(weights), list(weights.values()))[0]
            found = passage_of(rng, passages.pool.draw(rng, kind), longest)
        if found and all(found.pieces != each.pieces for each in out):
            out.append(found)
    if len(out) < count:
        raise ValueError(f"there are not {count} different passages of {category}")
    return out


def passage_of(rng: random.Random, document: SourceDocument, longest: int) -> Passage | None:
    """A stretch of a document as a splitter would cut it: whole pieces, paragraphs of one, or a run of sentences."""
    start = rng.randrange(len(document.pieces))
    piece = document.pieces[start]
    title = piece.title or document.id.rsplit("/", 1)[-1]
    make = lambda parts, levels=(): Passage(document.id, _clean(title), f"docs/{_slug(document.id)[-40:]}", document.license, tuple(parts), tuple(levels))  # noqa: E731
    run, levels, size = [piece.text.strip("\n")], [], len(piece.text)
    for following in document.pieces[start + 1 :]:
        size += len(following.text)
        if size > longest:
            break
        run.append(following.text.strip("\n"))
        levels.append(following.strength)
    if len(run) > 1:
        return make(run, levels)
    text = run[0]
    if len(text) > longest:
        if rng.random() < 0.4 and document.category != "code":
            said = sentences(text)
            first = rng.randrange(max(1, len(said) - 2)) if said else 0
            text = ""
            for sentence in said[first:]:
                if text and len(text) + len(sentence) > longest:
                    break
                text += f" {sentence}" if text else sentence
        else:
            kept: list[str] = []
            paragraphs = re.split(r"\n\s*\n", text)
            first = rng.randrange(len(paragraphs))
            for paragraph in paragraphs[first:]:
                if kept and sum(map(len, kept)) + len(paragraph) > longest:
                    break
                kept.append(paragraph)
            text = "\n\n".join(kept)
    text = text.strip("\n")
    return make([text]) if SHORTEST <= len(text) <= 2 * LONGEST else None


def _split_of(group: str) -> str:
    at = seeded("passages", group).random()
    return "test" if at < 0.15 else "dev" if at < 0.2 else "train"


def _rows(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _clean(title: str) -> str:
    return " ".join(title.split())[:80]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "text"
