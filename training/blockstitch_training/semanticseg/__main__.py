"""The commands of SemanticSeg.

    python -m blockstitch_training.semanticseg build  --config semanticseg/debian.toml --out OUT --folder NAME=PATH
    python -m blockstitch_training.semanticseg card   --config semanticseg/debian.toml --out OUT
    python -m blockstitch_training.semanticseg talk   --config semanticseg/debian.toml --shards OUT --data ../../shared/data --out OUT-TALK
    python -m blockstitch_training.semanticseg sample --shards OUT/test --out semanticseg/sample
    python -m blockstitch_training.semanticseg label  --input FILE --out FILE --endpoint URL --model NAME --category NAME
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .build import build
from .build_settings import BuildSettings, load_settings
from .card import write_card
from .document import CATEGORIES
from .label_endpoint import Endpoint, label_file
from .sample import write_sample
from .talk_sets import TalkPlan, write_talk_sets


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.semanticseg", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, run, text in (
        ("build", _build, "read the sources, write the shards and the card; a second call goes on where the first stopped"),
        ("card", _card, "write the card of a build again"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("--config", type=Path, required=True, help="TOML file, see docs/semanticseg.md")
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--instances", type=int, help="in place of the file's number")
        command.add_argument("--seed", type=int, help="in place of the file's seed")
        command.add_argument("--folder", action="append", default=[], metavar="NAME=PATH", help="what {NAME} stands for in the file's patterns")
    talk = commands.add_parser("talk", help="write task dialogues, labelled talk and stuffed prompts, which stand beside a build")
    talk.set_defaults(run=_talk)
    talk.add_argument("--config", type=Path, required=True, help="of the build")
    talk.add_argument("--shards", type=Path, required=True, help="a build, for its pool")
    talk.add_argument("--data", type=Path, required=True, help="folder with segmentation/*.jsonl and rag/*.jsonl")
    talk.add_argument("--out", type=Path, required=True)
    sample = commands.add_parser("sample", help="copy a few short rows of each category")
    sample.set_defaults(run=_sample)
    sample.add_argument("--shards", type=Path, required=True)
    sample.add_argument("--out", type=Path, required=True)
    sample.add_argument("--rows", type=int, default=2, help="rows per category")
    sample.add_argument("--without", default="", help="sources whose rows are left out, with commas between")
    label = commands.add_parser("label", help="label plain documents by a model behind an OpenAI-compatible endpoint")
    label.set_defaults(run=_label)
    label.add_argument("--input", type=Path, required=True, help="JSONL of {id, text}")
    label.add_argument("--out", type=Path, required=True, help="JSONL; rows are added at its end")
    label.add_argument("--endpoint", required=True, help="base address, such as http://127.0.0.1:8080/v1")
    label.add_argument("--model", required=True)
    label.add_argument("--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the key")
    label.add_argument("--category", choices=CATEGORIES, required=True)
    label.add_argument("--license", default="unknown")
    return made


def _settings(options: argparse.Namespace) -> BuildSettings:
    settings = load_settings(options.config, dict(each.split("=", 1) for each in options.folder))
    return dataclasses.replace(settings, **{name: getattr(options, name) for name in ("instances", "seed") if getattr(options, name) is not None})


def _build(options: argparse.Namespace) -> int:
    settings = _settings(options)
    counts = build(settings, options.out, _progress)
    print(f"\n{counts['rows']} rows written, {counts['skipped']} shards were there already; {write_card(options.out, settings)}")
    return 0


def _card(options: argparse.Namespace) -> int:
    print(write_card(options.out, _settings(options)))
    return 0


def _talk(options: argparse.Namespace) -> int:
    plan = TalkPlan(options.data, options.shards, options.out)
    print(write_talk_sets(plan, load_settings(options.config), lambda line: print(line, file=sys.stderr)))
    return 0


def _sample(options: argparse.Namespace) -> int:
    print(f"{write_sample(options.shards, options.out, options.rows, tuple(filter(None, options.without.split(','))))} rows")
    return 0


def _label(options: argparse.Namespace) -> int:
    endpoint = Endpoint(options.endpoint, options.model, os.environ.get(options.key_variable, ""))
    counts = label_file(
        options.input, options.out, endpoint, options.category, options.license, lambda number, text: print(f"{number} {text}", file=sys.stderr)
    )
    print(f"{counts['labelled']} labelled, {counts['there']} were there, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


def _progress(what: str, done: int, total: int) -> None:
    width = 30
    filled = width * done // max(1, total)
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    print(f"[{'#' * filled}{'.' * (width - filled)}] {done}/{total} {what:40.40}", end=end, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
