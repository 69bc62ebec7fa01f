"""The commands about students of public models: `students`, `served`, `parts`, `curve`, `conversations`, `counts` and `counted`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..distill.distill_settings import Settings
from .given_options import given


def add_students(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_students)
    add = command.add_argument
    add("--teacher", type=Path, required=True)
    add("--student", type=Path, help="without it only the teacher is asked: full, plain and repaired")
    add("--base", type=Path, help="the model before any tuning, to compare with")
    add("--data", type=Path, nargs="+", required=True, help="JSONL rows with question, answers, documents and gold, or rows of pubmedqa")
    add("--rows", type=int, default=200, help="questions of each file")
    add("--new-tokens", type=int, default=24)
    add("--documents", type=int, nargs="*", default=[0], help="numbers of documents; 0 is all of a row")
    add("--orders", type=int, default=1, help="orders of the documents; the first is that of the row")
    add("--repair", type=float, default=0.15, help="share of repair of the teacher's plain blocks; 0 leaves it out")
    add("--segmenter", default="auto", help="a segmenter of the server, or blank-lines")
    add("--out", type=Path, required=True, help="folder for the answers, the table and the plot; a second call goes on")
    add("--threads", type=int, default=0, help="threads of the processor; 0 leaves the choice to PyTorch")


def _students(options: argparse.Namespace) -> None:
    import torch

    from .student_comparison import StudentPlan, answers
    from .student_table import draw_students, student_table

    if options.threads:
        torch.set_num_threads(options.threads)
    found = answers(given(options, StudentPlan), progress=lambda line: print(line, file=sys.stderr, flush=True))
    text = student_table(found)
    (options.out / "students.md").write_text(text + "\n")
    draw_students(found, options.out / "students.png")
    print(text)


def add_served(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_served)
    add = command.add_argument
    add("--model", type=Path, required=True, help="a checkpoint, such as a student's")
    add("--data", type=Path, nargs="+", required=True, help="JSONL rows with question, answers, documents and gold, or rows of pubmedqa")
    add("--rows", type=int, default=100, help="questions of each file (%(default)s)")
    add("--new-tokens", type=int, default=24)
    add("--segmenter", default="auto", help="a segmenter of the server, or blank-lines")
    add("--out", type=Path, required=True, help="folder for the answers and the table; a second call goes on")
    add("--threads", type=int, default=0, help="threads of PyTorch's processor; 0 leaves the choice to it")


def _served(options: argparse.Namespace) -> None:
    import torch

    from .served import Served
    from .served_agreement import AgreementPlan, agreement, served_table

    if options.threads:
        torch.set_num_threads(options.threads)
    with Served(options.model) as server:
        text = served_table(agreement(given(options, AgreementPlan), server, progress=lambda line: print(line, file=sys.stderr, flush=True)))
    (options.out / "served.md").write_text(text)
    print(text)


def add_parts(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_parts)
    add = command.add_argument
    add("--teacher", type=Path, required=True)
    add("--base", type=Path, help="what students begin with, the teacher unless given")
    add("--start", type=Path, help="the teacher's adapter on that base")
    add("--chat", type=Path, required=True, help="conversations to train on, as of `answering build`")
    add("--held-out", type=Path, required=True, help="conversations to score")
    add("--questions", type=int, default=163, help="questions scored")
    add("--steps", type=int, default=60)
    add("--tokens-per-step", type=int, default=4096)
    add("--learning-rate", type=float, default=5e-4)
    add("--lora-rank", type=int, default=0, help="0 trains all weights")
    add("--longest", type=int, default=6000, help="tokens of one example; longer ones are left out")
    add("--precision", choices=("bf16", "no"), default="bf16", help="of training")
    add("--segmenter", default="auto", help="a segmenter of the server, or blank-lines")
    for name in ("hide", "act", "asked", "states", "sink_rate"):
        add(f"--{name.replace('_', '-')}", type=float, default=getattr(Settings, name), help="of the whole method, as of `distill train` (%(default)s)")
    add("--weighting", action=argparse.BooleanOptionalAction, default=Settings.weighting, help="of the whole method, as of `distill train`")
    add("--seeds", type=int, default=1)
    add("--only", nargs="*", help="names of the runs to do; all unless given")
    add("--out", type=Path, required=True, help="folder for the runs and the table; a second call goes on")
    add("--threads", type=int, default=0, help="threads of the processor; 0 leaves the choice to PyTorch")


def _parts(options: argparse.Namespace) -> int | None:
    import torch

    from .public_ablations import PublicAblations, run_public, write_parts

    if options.threads:
        torch.set_num_threads(options.threads)
    plan = given(options, PublicAblations)
    try:
        results = run_public(plan, progress=lambda line: print(line, file=sys.stderr, flush=True))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(write_parts(results, plan))
    return None


def add_curve(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_curve)
    add = command.add_argument
    add("--teacher", type=Path, required=True)
    add("--trained", type=Path, required=True, help="the OUT of `distill train --keep-every N`")
    add("--held-out", type=Path, required=True, help="conversations to score")
    add("--questions", type=int, default=163, help="questions scored")
    add("--longest", type=int, default=6000, help="tokens of one example; longer ones are left out")
    add("--segmenter", default="auto", help="a segmenter of the server, or blank-lines")
    add("--orders", type=int, default=4, help="drawn orders of the documents in which the teacher is asked too (%(default)s)")
    add("--out", type=Path, required=True, help="folder for the scores, curve.md, curve.png and curve.svg; a second call goes on")


def _curve(options: argparse.Namespace) -> int | None:
    if options.orders < 1:
        print("--orders must be at least 1", file=sys.stderr)
        return 2
    from .training_curve import CurvePlan, curve, write_curve

    plan = given(options, CurvePlan)
    print(write_curve(curve(plan, progress=lambda line: print(line, file=sys.stderr, flush=True)), plan))
    return None


def add_conversations(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_conversations)
    command.add_argument("--data", type=Path, nargs="+", required=True, help="JSONL rows with question, answers, documents and gold, or rows of pubmedqa")
    command.add_argument("--rows", type=int, default=40, help="of each file (%(default)s)")
    command.add_argument("--out", type=Path, required=True, help="JSONL, for --held-out of `parts` and `curve`")


def _conversations(options: argparse.Namespace) -> int | None:
    from .asked_prompts import conversation, read_rag

    try:
        asked = [each for file in options.data for each in read_rag(file, options.rows)]
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    options.out.write_text("".join(json.dumps(conversation(each), ensure_ascii=False) + "\n" for each in asked), encoding="utf-8")
    print(f"{len(asked)} questions in {options.out}")
    return None


def add_counts(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_counts)
    add = command.add_argument
    add("--data", type=Path, nargs="+", required=True, help="JSONL rows with question, answers, documents and gold")
    add("--rows", type=int, default=100, help="of each file (%(default)s)")
    add("--counts", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="documents of a question (1 2 4 8 16 32)")
    add("--places", nargs="+", choices=("drawn", "first", "middle", "last"), default=["drawn"], help="of the document that answers (drawn)")
    add("--seed", type=int, default=1)
    add("--out", type=Path, required=True, help="folder for NAME-COUNT-PLACE.jsonl, for `blockstitch eval --data`")


def _counts(options: argparse.Namespace) -> int | None:
    from .document_counts import CountsPlan, write_counts

    if min(options.counts) < 1:
        print("--counts must be at least 1", file=sys.stderr)
        return 2
    try:
        files = write_counts(given(options, CountsPlan))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, files)))
    return None


def add_counted(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_counted)
    add = command.add_argument
    add("--data", type=Path, required=True, help="the folder that `counts` wrote")
    add("--answers", nargs="+", required=True, metavar="NAME=FILE", help="a model's name, and what `blockstitch eval --answers FILE` kept of those rows")
    add("--out", type=Path, required=True, help="folder for counted.md, counted.png and counted.svg")


def _counted(options: argparse.Namespace) -> int | None:
    from .counted_answers import counted_table, draw_counted, read_series

    named = [each.partition("=") for each in options.answers]
    if not all(name and file for name, _, file in named):
        print("--answers must be NAME=FILE", file=sys.stderr)
        return 2
    try:
        series = read_series(options.data, [(name, Path(file)) for name, _, file in named])
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    table = counted_table(series)
    (options.out / "counted.md").write_text(table, encoding="utf-8")
    for form in ("png", "svg"):
        draw_counted(series, options.out / f"counted.{form}")
    print(table)
    return None
