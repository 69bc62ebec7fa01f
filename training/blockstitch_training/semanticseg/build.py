"""Builds the data set: pool, then shards per split and category, then the card. Each shard depends on the seed and its number alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .build_settings import BuildSettings
from .chats import compose_chat, compose_mail, compose_social
from .compose import compose
from .document import CATEGORIES, Instance, Piece, SourceDocument, seeded
from .finance import compose_finance
from .meetings import compose_lecture, compose_meeting
from .pool import SPLITS, Pool, fill_pool, read_pool
from .render import draw_layout, render_code, render_prose
from .shards import shard_path, write_shard

# Tries before an instance is given up: a drawn document may have nothing that can be said aloud.
TRIES = 8
_MAKERS: dict[str, Callable[[random.Random, Pool, int], tuple[list[Piece], list[SourceDocument]]]] = {
    "conversations": compose_chat,
    "email": compose_mail,
    "meetings": compose_meeting,
    "lectures": compose_lecture,
    "social": compose_social,
    "finance": compose_finance,
}
# Meetings are long: they take the longer of two drawn lengths.
_LONG = frozenset({"meetings"})
# Categories whose makers lay their lines out themselves.
_LAID_OUT = frozenset({"conversations", "email", "meetings", "lectures", "social"})


@dataclass(frozen=True)
class ShardPlan:
    split: str
    category: str
    number: int
    rows: int


def plan_shards(settings: BuildSettings) -> list[ShardPlan]:
    """Rows by split and category, in the order in which shards are written. It goes round the categories, so that a stopped build is balanced."""
    shares = {"train": 1 - settings.dev_share - settings.test_share, "dev": settings.dev_share, "test": settings.test_share}
    weights = {each: settings.weights.get(each, 1.0) for each in CATEGORIES}
    total = sum(weights.values())
    plans: list[ShardPlan] = []
    for split in SPLITS:
        for category in CATEGORIES:
            left = round(settings.instances * shares[split] * weights[category] / total)
            number = 0
            while left > 0:
                rows = min(settings.shard_rows, left)
                plans.append(ShardPlan(split, category, number, rows))
                left -= rows
                number += 1
    order = {"test": 0, "dev": 0, "train": 1}
    return sorted(plans, key=lambda plan: (order[plan.split], plan.number, CATEGORIES.index(plan.category)))


def build(settings: BuildSettings, out: Path, progress: Callable[[str, int, int], None] = lambda *_: None) -> dict[str, int]:
    """Fills the pool and writes every shard that is not there. progress(what, done, total).

    @returns rows written by this call and shards found done: {"rows", "skipped"}
    """
    names = [each.name for each in settings.sources]
    fill_pool(out / "pool", settings, lambda name, kept, _: progress(f"pool: {name} {kept}", names.index(name) + 1, len(names)))
    plans = plan_shards(settings)
    counts = {"rows": 0, "skipped": 0}
    pools: dict[str, Pool] = {}
    for index, plan in enumerate(plans):
        path = shard_path(out, plan.split, plan.category, plan.number)
        if path.exists():
            counts["skipped"] += 1
        else:
            if plan.split not in pools:
                pools[plan.split] = Pool(read_pool(out / "pool", settings, plan.split), plan.split)
            counts["rows"] += write_shard(path, make_instances(settings, pools[plan.split], plan))
        progress(f"{plan.split}/{plan.category}", index + 1, len(plans))
    return counts


def make_instances(settings: BuildSettings, pool: Pool, plan: ShardPlan) -> Iterator[Instance]:
    for row in range(plan.rows):
        number = plan.number * settings.shard_rows + row
        for attempt in range(TRIES):
            instance = make_instance(settings, pool, plan.split, plan.category, number, attempt)
            if instance is not None:
                yield instance
                break


def make_instance(settings: BuildSettings, pool: Pool, split: str, category: str, number: int, attempt: int = 0) -> Instance | None:
    """None where the pool has no material, or where the draw gives fewer than two segments."""
    rng = seeded(settings.seed, split, category, number, attempt)
    drawn = rng.choices(settings.lengths, [share for *_, share in settings.lengths], k=2 if category in _LONG else 1)
    characters = max(int(rng.uniform(low, high) * 4) for low, high, _ in drawn)
    try:
        maker = _MAKERS.get(category)
        pieces, used = maker(rng, pool, characters) if maker else compose(rng, pool, category, characters)
    except KeyError:
        return None
    if len(pieces) < 2:
        return None
    if category in _LAID_OUT:
        segments = [each.text for each in pieces]
    else:
        layout = draw_layout(rng, settings.keep_headings if split == "train" else 0.0)
        segments = (render_code if category == "code" else render_prose)(rng, pieces, layout)
    names = sorted({each.source for each in used})
    return Instance(
        id=f"{split}-{category}-{number:05d}",
        category=category,
        source=", ".join(names),
        license="; ".join(sorted({each.license for each in used})),
        provenance=" | ".join(dict.fromkeys(each.id for each in used)),
        split=split,
        segments=segments,
        levels=[each.strength for each in pieces[1:]],
    )
