"""`python -m blockstitch_training.semanticseg build --config FILE --out FOLDER`: builds, or goes on with, the data set."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from .build import build
from .settings import load_settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="blockstitch_training.semanticseg", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="read the sources and write shards; a second call goes on where the first stopped")
    builder.add_argument("--config", type=Path, required=True, help="TOML file, see docs/semanticseg.md")
    builder.add_argument("--out", type=Path, required=True)
    builder.add_argument("--instances", type=int, help="in place of the file's")
    builder.add_argument("--seed", type=int, help="in place of the file's")
    builder.add_argument("--folder", action="append", default=[], metavar="NAME=PATH", help="what {NAME} stands for in the file's patterns")
    options = parser.parse_args(arguments)
    settings = load_settings(options.config, dict(each.split("=", 1) for each in options.folder))
    changes = {name: getattr(options, name) for name in ("instances", "seed") if getattr(options, name) is not None}
    counts = build(dataclasses.replace(settings, **changes), options.out, _progress)
    print(f"\n{counts['rows']} rows written, {counts['skipped']} shards were there already")
    return 0


def _progress(what: str, done: int, total: int) -> None:
    width = 30
    filled = width * done // max(1, total)
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    print(f"[{'#' * filled}{'.' * (width - filled)}] {done}/{total} {what:40.40}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
