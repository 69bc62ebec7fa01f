"""Does it matter to the answers where a text is cut? A running server answers freshly drawn questions over texts cut by each segmenter.

All segmenters cut at the same mean block length. For each of them the target that gives it is searched. A text runs on as texts do. It
says several sentences about one subject, and after the first it mostly calls the subject by its initial ("K. lives in Bergo."). A
paragraph holds several subjects, and sentences beside the point stand between. A cut inside a subject parts its name from what is said
of it, so blocks that keep subjects whole answer better. It knows the HTTP interface and nothing of models.
"""

from __future__ import annotations

import json
import math
import random
import re
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..demo.question_generator import Example, make_example

SEGMENTERS = ("semantic", "recursive", "fixed", "paragraphs", "texttiling", "embedding")
HELD_OUT_SEED = 1_000_000_307
SEARCH_STEPS = 9
NEW_TOKENS = 32
#: Share of a subject's later sentences that have its initial only, and share of subjects with a sentence beside the point.
SHORTENED, ASIDE = 0.7, 0.35
MOST_IN_PARAGRAPH = 4
SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")
NAME = re.compile(r"\b[A-Z][a-z]+\b")
ASIDES = (
    "It rained.", "That is well known.", "Nobody minds.", "So much for that, at least as far as anybody here can tell.", "There is more to say, but not today.",
    "People talk about it in the evening, when the shops are shut and the streets are quiet.", "This was in the papers.", "Few remember how it began.",
    "It took a long time, and it cost more than anyone had thought at first.", "All of it is on record.",
)  # fmt: skip


@dataclass
class Result:
    target_tokens: int
    mean_tokens: float
    right: list[bool]

    @property
    def share(self) -> float:
        return sum(self.right) / len(self.right)


def lead(first: Sequence[bool], other: Sequence[bool]) -> tuple[float, float]:
    """How many more of the same questions the first answers, as a share, and the standard error of that difference."""
    differences = [int(a) - int(b) for a, b in zip(first, other, strict=True)]
    mean = sum(differences) / len(differences)
    return mean, math.sqrt(sum((each - mean) ** 2 for each in differences)) / len(differences)


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def draw(count: int, subjects: int) -> list[tuple[str, Example]]:
    """One text about `subjects` subjects per example, and one question over it. Every segmenter gets the same."""
    rng = random.Random(HELD_OUT_SEED)
    examples = [make_example(rng, subjects, 1, 1) for _ in range(count)]
    return [(running_text(rng, example.documents), example) for example in examples]


def running_text(rng: random.Random, passages: list[str]) -> str:
    """Paragraphs of one to four passages, one per line. passages: one subject each, a sentence after the other."""
    paragraphs: list[str] = []
    room = 0
    for passage in passages:
        first, *others = SENTENCE.split(passage)
        name = subject(passage)
        said = [first, *(each.replace(name, f"{name[0]}.") if name and rng.random() < SHORTENED else each for each in others)]
        if rng.random() < ASIDE:
            said.insert(rng.randint(1, len(said)), rng.choice(ASIDES))
        if room == 0:
            room = rng.randint(1, MOST_IN_PARAGRAPH)
            paragraphs.append("")
        paragraphs[-1] = f"{paragraphs[-1]} {' '.join(said)}".lstrip()
        room -= 1
    return "\n".join(paragraphs)


def subject(passage: str) -> str:
    """The name that stands in every sentence. Empty where no name or several do."""
    names = set.intersection(*(set(NAME.findall(sentence)) for sentence in SENTENCE.split(passage))) - {"The"}
    return names.pop() if len(names) == 1 else ""


def segmentation(segmenter: str, target: int) -> dict:
    return {"segmenter": segmenter, "target_tokens": target, "max_tokens": max(64, 4 * target), "min_tokens": 1}


def mean_length(url: str, texts: list[str], segmenter: str, target: int) -> float:
    answers = [post(f"{url}/v1/segment", {"text": text, "segmentation": segmentation(segmenter, target)}) for text in texts]
    return sum(a["tokens"] for a in answers) / sum(len(a["data"]) for a in answers)


def target_for(url: str, texts: list[str], segmenter: str, wanted: float) -> tuple[int, float]:
    """The target length at which the segmenter's blocks come nearest to the wanted mean length, and that mean."""
    low, high = max(1.0, wanted / 6), wanted * 6
    best = (round(wanted), math.inf)
    for _ in range(SEARCH_STEPS):
        target = round(math.sqrt(low * high))
        mean = mean_length(url, texts, segmenter, target)
        if abs(math.log(mean / wanted)) < abs(math.log(best[1] / wanted)):
            best = (target, mean)
        low, high = (target, high) if mean < wanted else (low, target)
    return best


def ask(url: str, text: str, question: str, segmenter: str, target: int) -> str:
    body = {
        "messages": [{"role": "user", "content": question}],
        "documents": [{"text": text}],
        "segmentation": segmentation(segmenter, target),
        "temperature": 0,
        "max_tokens": NEW_TOKENS,
    }
    return post(f"{url}/v1/chat/completions", body)["choices"][0]["message"]["content"]


def is_right(answer: str, wanted: str) -> bool:
    """Whether the answer says it, as a whole or as its last part."""
    clean = lambda words: " ".join(words.lower().strip(" .\n").split())  # noqa: E731
    return clean(answer) == clean(wanted) or clean(answer).endswith(f" {clean(wanted)}")


def evaluate(url: str, examples: list[tuple[str, Example]], segmenter: str, wanted: float) -> Result:
    texts = [text for text, _ in examples[:40]]
    target, mean = target_for(url, texts, segmenter, wanted)
    right = []
    for text, example in examples:
        question = example.questions[0]
        right.append(is_right(ask(url, text, question.question, segmenter, target), question.answer))
    return Result(target, mean, right)


def table_lines(url: str, questions: int, subjects: int, wanted: float, segmenters: Sequence[str]) -> Iterator[str]:
    """
    A Markdown table of exact answers, line by line.

    @param subjects in one text
    @param wanted   mean block length in tokens, the same for every segmenter
    """
    examples = draw(questions, subjects)
    yield "| segmenter | target | mean tokens | exact answers | the first one's lead, points (standard error) |\n| --- | --- | --- | --- | --- |"
    first: list[bool] = []
    for segmenter in segmenters:
        result = evaluate(url, examples, segmenter, wanted)
        first = first or result.right
        by, error = lead(first, result.right)
        said = f"{100 * by:+.1f} ({100 * error:.1f})" if first is not result.right else ""
        yield f"| {segmenter} | {result.target_tokens} | {result.mean_tokens:.1f} | {100 * result.share:.1f}% of {len(result.right)} | {said} |"
