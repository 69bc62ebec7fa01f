"""Greedy answers over cached documents through each store: LMDB and Redis must give the same texts.

Each store is asked twice, by two servers one after the other. The first computes every block and stores it. The second starts with an
empty pool and an empty host tier, so its blocks come out of the store.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..demo.question_sets import Asked
from .served import Served


@dataclass
class StoreAnswers:
    """Answers by one server, and where its document blocks came from: blocks by origin."""

    name: str
    answers: list[str]
    origins: dict[str, int]


def answers_by_store(model: Path, asked: Sequence[Asked], weights: str, tokens: int, redis_url: str) -> list[StoreAnswers]:
    results = []
    with tempfile.TemporaryDirectory(prefix="blockstitch-stores-") as directory:
        stores = {"LMDB": ["--store-dir", f"{directory}/store"], "Redis": ["--redis-url", redis_url]}
        shared = ["--import-cache", f"{directory}/imports"]
        for store, arguments in stores.items():
            for turn in ("computed", "loaded"):
                with Served(model, weights, "float32", [*shared, *arguments]) as served:
                    results.append(ask_all(served, f"{store}, {turn}", asked, tokens))
                print(f"{results[-1].name}: blocks from {results[-1].origins}", flush=True)
    return results


def ask_all(served: Served, name: str, asked: Sequence[Asked], tokens: int) -> StoreAnswers:
    result = StoreAnswers(name, [], {})
    for each in asked:
        answer = served.chat(each, "block", tokens)
        result.answers.append(answer["choices"][0]["message"]["content"])
        for block in answer["blockstitch"]["blocks"]:
            result.origins[block["origin"]] = result.origins.get(block["origin"], 0) + 1
    return result


def differences(results: Sequence[StoreAnswers]) -> list[str]:
    """One line for each answer that is not that of the first server."""
    first = results[0]
    return [
        f"question {number}: {first.name} says {own!r}, {other.name} says {theirs!r}"
        for other in results[1:]
        for number, (own, theirs) in enumerate(zip(first.answers, other.answers, strict=True))
        if own != theirs
    ]
