"""Does it matter to the answers where a text is cut? Asks a running server freshly drawn questions, each text cut by every
segmenter at the same mean block length (the target is searched for each), and prints a table of exact answers.

    blockstitch serve &
    python -m blockstitch_training.segmenter.answers --url http://127.0.0.1:8080 --questions 200 --tokens 60
"""

from __future__ import annotations

import argparse
import json
import math
import random
import urllib.request
from dataclasses import dataclass

from ..questions import Example, make_example

SEGMENTERS = ("semantic", "recursive", "fixed", "paragraphs", "texttiling", "embedding")
HELD_OUT_SEED = 1_000_000_307
SEARCH_STEPS = 9
NEW_TOKENS = 32


@dataclass
class Result:
    target_tokens: int
    mean_tokens: float
    right: int
    asked: int


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def draw(count: int, documents: int, entities: int) -> list[tuple[str, Example]]:
    """One text per example: `documents` of the demo model's documents one after another, one question over it."""
    rng = random.Random(HELD_OUT_SEED)
    examples = [make_example(rng, documents, 1, entities) for _ in range(count)]
    return [("\n".join(example.documents), example) for example in examples]


def segmentation(segmenter: str, target: int) -> dict:
    return {"segmenter": segmenter, "target_tokens": target, "max_tokens": max(64, 4 * target), "min_tokens": 1}


def mean_length(url: str, texts: list[str], segmenter: str, target: int) -> float:
    answers = [post(f"{url}/v1/segment", {"text": text, "segmentation": segmentation(segmenter, target)}) for text in texts]
    return sum(a["tokens"] for a in answers) / sum(len(a["data"]) for a in answers)


def target_for(url: str, texts: list[str], segmenter: str, wanted: float) -> tuple[int, float]:
    """The target length at which the segmenter's blocks have nearly the wanted mean length, and that mean."""
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
    right = 0
    for text, example in examples:
        question = example.questions[0]
        right += is_right(ask(url, text, question.question, segmenter, target), question.answer)
    return Result(target, mean, right, len(examples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--tokens", type=float, default=60, help="mean block length, the same for every segmenter")
    parser.add_argument("--documents", type=int, default=3, help="of the demo's documents in one text")
    parser.add_argument("--entities", type=int, default=3)
    options = parser.parse_args()
    examples = draw(options.questions, options.documents, options.entities)
    print("| segmenter | target | mean tokens | exact answers | standard error |\n| --- | --- | --- | --- | --- |")
    for segmenter in SEGMENTERS:
        result = evaluate(options.url, examples, segmenter, options.tokens)
        share = result.right / result.asked
        error = math.sqrt(share * (1 - share) / result.asked)
        print(f"| {segmenter} | {result.target_tokens} | {result.mean_tokens:.1f} | {100 * share:.1f}% of {result.asked} | {100 * error:.1f} |", flush=True)


if __name__ == "__main__":
    main()
