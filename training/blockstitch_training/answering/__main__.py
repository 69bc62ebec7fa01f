"""Builds training data for answering from documents.

    python -m blockstitch_training.answering build --data ../../shared/data/rag --out DIR

DIR gets train.jsonl and held-out.jsonl, in the form of `distill train --chat`, and CARD.md. Works are held out whole.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from .answering_card import write_card
from .contexts import TURNS, Context, draw_contexts
from .question_files import KINDS, read_works


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.answering", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="draw contexts with questions from the public question files")
    build.set_defaults(run=_build)
    build.add_argument("--data", type=Path, required=True, help="folder with nq.train.jsonl and the like; kinds that are not there are left out")
    build.add_argument("--out", type=Path, required=True)
    build.add_argument(
        "--rounds", type=_rounds, nargs="+", default=[("", 1)], metavar="N",
        help="how often every work is taken, each time in other company; xquad four times as often. `2 xquad=4 covidqa=1` names kinds that differ (1)",
    )
    build.add_argument("--held-out", type=float, default=0.05, help="share of the works of each kind that is kept out (%(default)s)")
    build.add_argument("--seed", type=int, default=1)
    return made


def _rounds(text: str) -> tuple[str, int]:
    """`3`, for all kinds, or `nq=3`. @returns the kind, blank for all, and the rounds"""
    kind, _, count = text.rpartition("=")
    if kind not in ("", *KINDS) or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, nor a number for one of {', '.join(KINDS)} as in {KINDS[0]}=2")
    return kind, int(count)


def _build(options: argparse.Namespace) -> int:
    rounds = dict(options.rounds)
    train: list[Context] = []
    held_out: list[Context] = []
    for kind in KINDS:
        file = options.data / f"{kind}.train.jsonl"
        if not file.exists():
            print(f"{file} is not there: no {kind}", flush=True)
            continue
        works = read_works(kind, file)
        random.Random(f"{options.seed}/{kind}").shuffle(works)
        kept = round(options.held_out * len(works))
        train += draw_contexts(kind, works[kept:], rounds.get(kind, rounds.get("", 1)) * TURNS.get(kind, 1), f"{options.seed}/train")
        held_out += draw_contexts(kind, works[:kept], 1, f"{options.seed}/held-out") if kept > 1 else []
    if not train:
        print(f"there is no question file in {options.data}", file=sys.stderr)
        return 1
    random.Random(options.seed).shuffle(train)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, contexts in (("train", train), ("held-out", held_out)):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for context in contexts for row in context.rows())
        (options.out / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    write_card(options.out / "CARD.md", {"train": train, "held out": held_out}, options.seed, " ".join(f"{kind}={count}" if kind else str(count) for kind, count in options.rounds))
    print(f"{sum(len(each.asked) for each in train)} questions over {len(train)} contexts in {options.out}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
