"""Builds training data for answering from documents.

    python -m blockstitch_training.answering build --data ../../shared/data/rag --out DIR
    python -m blockstitch_training.answering write --text FILE... --url http://127.0.0.1:8080 --out DIR

`build` takes questions that people asked; `write` lets a running server write questions over your own texts, and answer them.
DIR gets train.jsonl and held-out.jsonl, in the form of `distill train --chat`, and CARD.md. Works are held out whole.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .answering_card import write_card, write_own_card
from .contexts import TURNS, Context, draw_contexts
from .question_files import KINDS, Passage, Work, read_texts, read_works
from .running_server import RunningServer, ServerError
from .written_questions import Drawing, write_questions


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
    write = commands.add_parser("write", help="let a running server write questions over your own texts, and answer them")
    write.set_defaults(run=_write)
    write.add_argument("--text", type=Path, nargs="+", required=True, help="plain text files, or JSONL with `text` and perhaps `title`")
    write.add_argument("--url", required=True, help="a `blockstitch serve` whose model writes the questions; its key: the first of BLOCKSTITCH_API_KEYS")
    write.add_argument("--answers-url", help="one whose model answers, the teacher (the same server)")
    write.add_argument("--out", type=Path, required=True, help="a second call goes on")
    write.add_argument("--contexts", type=int, default=500, help="of training; held-out ones come on top (%(default)s)")
    write.add_argument("--documents", type=int, nargs=2, default=(4, 8), metavar=("FEWEST", "MOST"), help="passages of a context (4 8)")
    write.add_argument("--questions", type=int, default=3, help="over one context, each about another passage (%(default)s)")
    write.add_argument("--target-tokens", type=int, default=200, help="wanted length of a passage (%(default)s)")
    write.add_argument("--held-out", type=float, default=0.05, help="share of the texts that is kept out (%(default)s)")
    write.add_argument("--at-once", type=int, default=8, help="contexts that are asked about at the same time (%(default)s)")
    write.add_argument("--seed", type=int, default=1)
    return made


def _write(options: argparse.Namespace) -> int:
    fewest, most = options.documents
    if not 1 <= fewest <= most or min(options.contexts, options.questions, options.at_once) < 1 or not 0 <= options.held_out < 1:
        print("--documents must be two numbers from 1 on, the larger one last; --contexts, --questions and --at-once at least 1; --held-out below 1", file=sys.stderr)
        return 2
    writer, teacher = RunningServer(options.url), RunningServer(options.answers_url or options.url)
    try:
        return _written(options, writer, teacher)
    except (ServerError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _written(options: argparse.Namespace, writer: RunningServer, teacher: RunningServer) -> int:
    texts = read_texts(options.text)
    if not texts:
        print("there is no text in these files", file=sys.stderr)
        return 1
    named = ("contexts", "documents", "questions", "target_tokens", "held_out", "seed")
    settings = {name: getattr(options, name) for name in named} | {"writer": writer.model(), "teacher": teacher.model(), "texts": [name for name, _ in texts]}
    options.out.mkdir(parents=True, exist_ok=True)
    kept_settings = options.out / "settings.json"
    if kept_settings.exists() and json.loads(kept_settings.read_text()) != json.loads(json.dumps(settings)):
        print(f"{options.out} holds questions of other settings or texts; give another --out or remove it", file=sys.stderr)
        return 1
    kept_settings.write_text(json.dumps(settings, indent=2) + "\n")
    works = [Work(name, tuple(Passage(text.title, part) for part in writer.cut(text.text, options.target_tokens)), ()) for name, text in texts]
    random.Random(options.seed).shuffle(works)
    kept = round(options.held_out * len(works))
    splits: dict[str, list[Context]] = {}
    dropped: Counter[str] = Counter()
    for split, mine, contexts in (("train", works[kept:], options.contexts), ("held-out", works[:kept], max(1, round(options.held_out * options.contexts)))):
        drawing = Drawing(contexts, tuple(options.documents), options.questions, f"{options.seed}/{split}")
        told = lambda done, split=split, contexts=contexts: print(f"{split}: {done} of {contexts} contexts", file=sys.stderr, flush=True)  # noqa: E731
        asked = write_questions(options.out / f"asked-{split}.jsonl", mine, drawing, writer, teacher, options.at_once, told) if mine else ([], Counter())
        splits[split], dropped = asked[0], dropped + asked[1]
        _write_rows(options.out / f"{split}.jsonl", asked[0])
    write_own_card(options.out / "CARD.md", splits, dropped, settings, len(texts))
    print(f"{sum(len(each.asked) for each in splits['train'])} questions over {len(splits['train'])} contexts in {options.out}")
    return 0


def _write_rows(file: Path, contexts: Sequence[Context]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for context in contexts for row in context.rows())
    file.write_text("".join(lines), encoding="utf-8")


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
        _write_rows(options.out / f"{name}.jsonl", contexts)
    write_card(options.out / "CARD.md", {"train": train, "held out": held_out}, options.seed, " ".join(f"{kind}={count}" if kind else str(count) for kind, count in options.rounds))
    print(f"{sum(len(each.asked) for each in train)} questions over {len(train)} contexts in {options.out}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
