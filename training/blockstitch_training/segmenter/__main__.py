"""The commands of the trained segmenter, in the order in which they run.

    python -m blockstitch_training.segmenter prepare    --shards SEMANTICSEG --work DIR [--settings TOML] [--teacher ENCODER]
    python -m blockstitch_training.segmenter draw-table --work DIR
    python -m blockstitch_training.segmenter train      --work DIR --out FILE --minutes 30
    python -m blockstitch_training.segmenter recover    --model models/segmenter --out FILE
    python -m blockstitch_training.segmenter average    A.pt B.pt --out FILE
    python -m blockstitch_training.segmenter export     --checkpoint FILE... --work DIR --out models/segmenter
    python -m blockstitch_training.segmenter talk-trees --meetings qmsum.dev.jsonl --model models/segmenter
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.segmenter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    prepare = commands.add_parser("prepare", help="make the word table, the features and the teacher's vectors")
    prepare.set_defaults(run=_prepare)
    prepare.add_argument("--shards", type=Path, required=True, help="a build of SemanticSeg")
    prepare.add_argument("--work", type=Path, required=True, help="directory that everything is written to")
    prepare.add_argument("--teacher", type=Path, help="a sentence encoder in Hugging Face form")
    prepare.add_argument("--per-category", type=int, default=400, help="training documents")
    prepare.add_argument("--talk", type=Path, help="folder that `semanticseg talk` wrote")
    prepare.add_argument("--small-talk", type=int, default=3000, help="invented chats")
    prepare.add_argument("--settings", type=Path, help="settings of SemanticSeg's build, such as semanticseg/debian.toml; with them long meetings are composed too")
    prepare.add_argument("--long-meetings", type=int, default=1800)
    prepare.add_argument("--teacher-documents", type=int, default=40, help="per category; small talk and chats count four times")
    prepare.add_argument("--only", choices=("vocabulary", "features", "teacher"), action="append", help="one stage; can be given again")
    table = commands.add_parser("draw-table", help="draw the word table to the teacher's vectors; writes DIR/table.pt")
    table.set_defaults(run=_draw_table)
    table.add_argument("--work", type=Path, required=True, help="directory that `prepare` made with a teacher")
    table.add_argument("--minutes", type=float, default=4)
    table.add_argument("--threads", type=int, default=1)
    table.add_argument("--start", type=Path, help="checkpoint of a network; its table is drawn instead of the teacher's vectors of words")
    train = commands.add_parser("train", help="train the network over the word table")
    train.set_defaults(run=_train)
    train.add_argument("--work", type=Path, required=True, help="directory that `prepare` and `draw-table` made")
    train.add_argument("--out", type=Path, required=True, help="checkpoint, written again and again")
    train.add_argument("--minutes", type=float, default=30)
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--most", type=int, default=1 << 30, help="documents of each category")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--start", type=Path, help="checkpoint to begin with")
    train.add_argument("--new-table", action="store_true", help="keep the word table of DIR instead of the checkpoint's")
    train.add_argument("--dropout", type=float, default=0.0)
    train.add_argument("--rate", type=float, default=1.0, help="factor on the usual learning rate")
    train.add_argument("--show", type=float, default=90, help="seconds between reports")
    train.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    recover = commands.add_parser("recover", help="make a checkpoint of exported files, to go on from")
    recover.set_defaults(run=_recover)
    recover.add_argument("--model", type=Path, required=True, help="directory that `export` wrote")
    recover.add_argument("--out", type=Path, required=True, help="FILE.pt; the second network of several is FILE-2.pt")
    average = commands.add_parser("average", help="take the mean of the weights of checkpoints")
    average.set_defaults(run=_average)
    average.add_argument("checkpoints", nargs="+", type=Path)
    average.add_argument("--out", type=Path, required=True)
    export = commands.add_parser("export", help="calibrate checkpoints and write the files that the server reads")
    export.set_defaults(run=_export)
    export.add_argument("--checkpoint", type=Path, required=True, nargs="+", help="of several, the mean of their log-odds counts; where people talk, that of the first alone")
    export.add_argument("--work", type=Path, required=True, help="directory with words.bin and the held-out documents, which calibrate the log-odds")
    export.add_argument("--out", type=Path, required=True)
    export.add_argument("--calibrated", action="store_true", help="keep the log-odds as they are, as of recovered checkpoints")
    trees = commands.add_parser("talk-trees", help="learn from labelled meetings where another topic begins; writes talk.json into the model")
    trees.set_defaults(run=_talk_trees)
    trees.add_argument("--meetings", type=Path, required=True, help="JSONL of {segments}; the rows with an even number are read")
    trees.add_argument("--model", type=Path, required=True, help="directory that `export` wrote")
    trees.add_argument("--seeds", type=int, default=3)
    trees.add_argument("--folds", type=int, help="cross-validate over so many parts of the meetings in place of writing")
    return made


def _prepare(options: argparse.Namespace) -> None:
    from .preparation import Preparation, prepare

    prepare(Preparation(**{each.name: getattr(options, each.name) for each in fields(Preparation)}))


def _draw_table(options: argparse.Namespace) -> None:
    from .table_distillation import distill

    distill(options.work, options.minutes, options.threads, options.start)


def _train(options: argparse.Namespace) -> None:
    from .segmenter_training import TrainingOptions, train

    given = TrainingOptions(**{each.name: getattr(options, each.name) for each in fields(TrainingOptions)})
    print(json.dumps({each.name: str(getattr(given, each.name)) for each in fields(given)}))
    train(given)


def _recover(options: argparse.Namespace) -> None:
    from .exported_weights import recover

    recover(options.model, options.out)


def _average(options: argparse.Namespace) -> None:
    from .weight_average import average

    average(options.checkpoints, options.out)


def _export(options: argparse.Namespace) -> None:
    from .onnx_export import export

    export(options.checkpoint, options.work, options.out, options.calibrated)
    size = sum((options.out / name).stat().st_size for name in ("segmenter.onnx", "words.bin"))
    print(f"{options.out}: {size / 1e6:.1f} MB")


def _talk_trees(options: argparse.Namespace) -> None:
    from .talk_trees import held_out_rank, read_meetings, write_trees

    if options.folds:
        rank = held_out_rank(read_meetings(options.meetings, options.model), range(options.seeds), options.folds)
        print(f"a topic's end ranks above {rank:.1%} of its meeting's boundaries, by trees that did not see the meeting")
        return
    path = write_trees(options.meetings, options.model, options.seeds)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
