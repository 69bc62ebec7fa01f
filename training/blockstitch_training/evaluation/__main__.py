"""The commands of evaluation.

    python -m blockstitch_training.evaluation blocks       --teacher DIR --student DIR --out FILE
    python -m blockstitch_training.evaluation students     --teacher DIR --student DIR --data ROWS.jsonl ... --out FOLDER
    python -m blockstitch_training.evaluation served       --model DIR --data ROWS.jsonl ... --out FOLDER
    python -m blockstitch_training.evaluation ablations    --out DIR --size tiny
    python -m blockstitch_training.evaluation parts        --teacher DIR --chat TRAIN.jsonl --held-out HELD.jsonl --out DIR
    python -m blockstitch_training.evaluation curve        --teacher DIR --trained DIR --held-out HELD.jsonl --out DIR
    python -m blockstitch_training.evaluation conversations --data ROWS.jsonl ... --out HELD.jsonl
    python -m blockstitch_training.evaluation counts       --data ROWS.jsonl ... --out FOLDER
    python -m blockstitch_training.evaluation counted      --data FOLDER --answers NAME=FILE ... --out FOLDER
    python -m blockstitch_training.evaluation repair-curve --model CHECKPOINT --out ../docs/results/repair
    python -m blockstitch_training.evaluation segmenters   --set NAME=FILE --out FOLDER
    python -m blockstitch_training.evaluation passages     --set FILE --out FOLDER
    python -m blockstitch_training.evaluation answers      --url http://127.0.0.1:8080 --tokens 60
    python -m blockstitch_training.evaluation granularity  --url http://127.0.0.1:8080 --data FILE ... --out FOLDER
    python -m blockstitch_training.evaluation encoder      --encoder DIR --out DIR
    python -m blockstitch_training.evaluation llama-cpp    --gguf FILE --rag ROWS.jsonl
    python -m blockstitch_training.evaluation stores       --model FILE --rag ROWS.jsonl --redis-url redis://127.0.0.1:6379
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..demo.question_sets import CONTINUED, SORTS, generated
from .ablation_plan import SHIPPED_TEACHER, SIZES, planned
from .given_options import given
from .granularity import REPAIRS, GranularityPlan
from .granularity import SEGMENTERS as GRANULARITY_SEGMENTERS
from .granularity import TARGETS as GRANULARITY_TARGETS
from .segmented_answers import SEGMENTERS as ASKED_SEGMENTERS
from .segmented_answers import table_lines
from .segmenter_comparison import REPOSITORY, SEGMENTERS, TARGETS, SegmenterComparison, compare, write_comparison
from .setting_choice import OBJECTIVES
from .student_commands import add_conversations, add_counted, add_counts, add_curve, add_parts, add_served, add_students

SHARES = (0.05, 0.15, 0.3, 0.5, 0.8)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_blocks(commands.add_parser("blocks", help="score a distilled student against its teacher"))
    add_students(commands.add_parser("students", help="compare a student and its teacher over public documents: answers, KL and NLL"))
    add_served(commands.add_parser("served", help="compare the server's answers with PyTorch's, float32 (needs `make build`)"))
    _add_ablations(commands.add_parser("ablations", help="train and score every choice of the components, and write the table"))
    add_parts(commands.add_parser("parts", help="what each part of distillation is worth on conversations over public documents"))
    add_curve(commands.add_parser("curve", help="how near the students that a run kept on its way come to their teacher"))
    add_conversations(commands.add_parser("conversations", help="write rows of questions over documents as conversations, to be scored"))
    add_counts(commands.add_parser("counts", help="write rows of questions over 1 to 32 documents, the one that answers at a place of choice"))
    add_counted(commands.add_parser("counted", help="tell and plot what `blockstitch eval` answered over the rows of `counts`"))
    _add_repair_curve(commands.add_parser("repair-curve", help="plot quality and time against the share that is repaired"))
    _add_segmenters(commands.add_parser("segmenters", help="compare segmenters on labelled documents"))
    _add_passages(commands.add_parser("passages", help="tell whether passages of prompts are cut alike wherever they stand"))
    _add_answers(commands.add_parser("answers", help="ask a running server questions over texts cut by each segmenter"))
    _add_granularity(commands.add_parser("granularity", help="tell what the length of blocks does to a running server's answers"))
    _add_encoder(commands.add_parser("encoder", help="write a sentence encoder for the `embedding` segmenter"))
    _add_llama_cpp(commands.add_parser("llama-cpp", help="compare greedy tokens of a GGUF file with those of llama.cpp"))
    _add_stores(commands.add_parser("stores", help="compare greedy answers through LMDB and Redis"))
    return made


def _add_blocks(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_blocks)
    add = command.add_argument
    add("--teacher", type=Path, required=True)
    add("--student", type=Path, help="without it only the teacher is asked: full against plain blocks")
    add("--out", type=Path, help="results as JSON")
    add("--questions", type=int, default=300, help="generated questions per set")
    add("--documents", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32])
    add("--sorts", type=int, nargs="*", default=[8], help="document counts of the sets of direct questions only and of continued questions only")
    add("--two-hop", type=int, nargs="*", default=[8], help="document counts of two-hop sets")
    add("--entities", type=int, default=1, help="entities per document")
    add("--continued", type=float, default=CONTINUED, help="share of the documents that go on where the one before was cut; 0 means none, and mixed kinds")
    add("--seen-phrasings", dest="held_out", action="store_false", help="ask behind the openers of training instead of held-out ones")
    add("--no-full-student", dest="full_student", action="store_false")
    add("--orders", type=int, default=5, help="orders of the documents; 0 leaves this out")
    add("--orders-documents", type=int, default=8)
    add("--repair", type=float, nargs="*", default=[], help="shares of repair of the plain teacher, such as 0.05 0.15 1")
    add("--text", type=Path, nargs="*", default=[], help="real text: plain files, or JSONL with `text`")
    add("--texts", type=int, default=40)
    add("--text-characters", type=int, default=6000)
    add("--rag", type=Path, nargs="*", default=[], help="JSONL rows with question, answers, documents")
    add("--rag-rows", type=int, default=50)
    add("--rag-tokens", type=int, default=48)
    add("--segmenter", default="auto", help="a segmenter of the server, or blank-lines")
    add("--served", action="store_true", help="ask the server too (needs `make build`)")
    add("--served-questions", type=int, default=50)
    add("--served-teacher", type=Path, help="a file of the same weights that is served as the teacher, such as its GGUF file")
    add("--device", default="cpu")
    add("--threads", type=int, default=0, help="threads of the processor; 0 leaves the choice to PyTorch")


def _add_ablations(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_ablations)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--size", choices=SIZES, default="tiny")
    command.add_argument("--teacher", type=Path, default=SHIPPED_TEACHER, help="full-attention demo teacher; the shipped one unless given")
    command.add_argument("--only", nargs="*", help="names of the runs to do; all unless given")
    command.add_argument("--seeds", type=int, help="seeds of the main runs in place of the size's own")
    command.add_argument("--table", type=Path, help="Markdown file with the marks, such as ../docs/results/distillation.md")
    command.add_argument("--threads", type=int, default=0, help="threads of the processor; 0 leaves the choice to PyTorch")


def _add_repair_curve(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_repair_curve)
    command.add_argument("--model", type=Path, required=True, help="a checkpoint that was not trained for block attention")
    command.add_argument("--documents", type=int, default=8)
    command.add_argument("--entities", type=int, default=1, help="entities per document")
    command.add_argument("--questions", type=int, default=100)
    command.add_argument("--sort", choices=SORTS, default="continued", help="sort of question")
    command.add_argument("--phrasing", choices=("held-out", "seen"), default="held-out")
    command.add_argument("--shares", type=float, nargs="+", default=SHARES, help="between 0 and 1; both ends are always asked")
    command.add_argument("--weights", default="fp32")
    command.add_argument("--out", type=Path, required=True, help="OUT.json and OUT.png are written")


def _add_segmenters(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_segmenters)
    sets = "JSONL file or folder of shards, and the tuning split where there is one"
    command.add_argument("--set", dest="sets", action="append", required=True, metavar="NAME=PATH[,TUNING]", help=sets)
    command.add_argument("--out", type=Path, required=True, help="folder for results.json, results.md and the plots")
    command.add_argument("--segmenters", type=_words, default=list(SEGMENTERS))
    command.add_argument("--trained", default="semantic", help="the segmenter that the others are compared with")
    command.add_argument("--targets", type=_numbers, default=list(TARGETS), help="target lengths in tokens from which every segmenter chooses")
    command.add_argument("--levels", type=_numbers, default=[1], help="granularities: boundaries of at least this strength count")
    command.add_argument("--objective", choices=OBJECTIVES, default="both", help="what a setting is chosen by")
    command.add_argument("--most", type=int, default=0, help="documents per category and split, 0 for all")
    beside = "results.json of a run over the same sets with the same options; its rows of other segmenters are taken over"
    command.add_argument("--beside", type=Path, help=beside)
    command.add_argument("--repository", type=Path, default=REPOSITORY)
    command.add_argument("--argument", dest="arguments", action="append", default=[], help="passed on to the segment command, such as --argument=--model=DIR")


def _add_passages(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_passages)
    command.add_argument("--set", dest="prompts", type=Path, required=True, help="kept-out prompts of `semanticseg talk`")
    command.add_argument("--out", type=Path, required=True, help="folder for passages.json and passages.md")
    command.add_argument("--segmenter", default="semantic")
    command.add_argument("--target", type=int, help="target length in tokens; the server's default unless given")
    command.add_argument("--repository", type=Path, default=REPOSITORY)
    command.add_argument("--argument", dest="arguments", action="append", default=[], help="passed on to the segment command")


def _add_answers(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_answers)
    command.add_argument("--url", default="http://127.0.0.1:8080", help="of a running `blockstitch serve`")
    command.add_argument("--questions", type=int, default=400)
    command.add_argument("--tokens", type=float, default=60, help="mean block length, the same for every segmenter")
    command.add_argument("--subjects", type=int, default=9, help="subjects of one text")
    command.add_argument("--segmenters", type=_words, default=list(ASKED_SEGMENTERS))


def _add_granularity(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_granularity)
    command.add_argument("--url", default="http://127.0.0.1:8080", help="of a running `blockstitch serve`")
    command.add_argument("--data", type=Path, nargs="+", required=True, help="JSONL rows with question, answers, documents")
    command.add_argument("--rows", type=int, default=100, help="questions of each file")
    command.add_argument("--segmenters", type=_words, default=list(GRANULARITY_SEGMENTERS))
    command.add_argument("--targets", type=_numbers, default=list(GRANULARITY_TARGETS))
    command.add_argument("--repairs", type=lambda text: [float(each) for each in text.split(",")], default=list(REPAIRS), help="shares of repair")
    command.add_argument("--new-tokens", type=int, default=32)
    command.add_argument("--out", type=Path, required=True, help="folder for the answers, the table and the plots; a second call goes on")


def _add_encoder(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_encoder)
    command.add_argument("--encoder", type=Path, required=True, help="a sentence encoder in Hugging Face form")
    command.add_argument("--out", type=Path, required=True)


def _add_llama_cpp(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_llama_cpp)
    command.add_argument("--gguf", type=Path, required=True)
    command.add_argument("--rag", type=Path, required=True, help="JSONL rows with question, answers, documents")
    command.add_argument("--rows", type=int, default=20)
    command.add_argument("--documents", type=int, default=10, help="documents of each row that are used")
    command.add_argument("--tokens", type=int, default=64)
    command.add_argument("--weights", default="native")
    command.add_argument("--kv-dtype", default="float32")
    command.add_argument("--threads", type=int, default=2, help="threads of llama.cpp")
    command.add_argument("--float32", type=Path, help="write the model here with weights in float32, and give both engines that file")
    command.add_argument("--itself", action="store_true", help="compare llama.cpp over --gguf with llama.cpp over --float32, without the server")
    command.add_argument("--out", type=Path, help="rows as JSON")


def _add_stores(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_stores)
    command.add_argument("--model", type=Path, required=True, help="directory or GGUF file")
    command.add_argument("--rag", type=Path, required=True, help="JSONL rows with question, answers, documents")
    command.add_argument("--rows", type=int, default=20)
    command.add_argument("--tokens", type=int, default=32)
    command.add_argument("--weights", default="fp32")
    command.add_argument("--redis-url", required=True, help="of a Redis that may keep the blocks")


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _blocks(options: argparse.Namespace) -> None:
    import torch

    from .block_comparison import BlockComparison, evaluate

    if options.threads:
        torch.set_num_threads(options.threads)
    results = evaluate(given(options, BlockComparison))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n")


def _ablations(options: argparse.Namespace) -> None:
    import torch

    from .ablation_runs import run_all
    from .ablation_table import table, write_between_marks

    if options.threads:
        torch.set_num_threads(options.threads)
    size = SIZES[options.size]
    results = run_all(planned(size, options.seeds, options.only), size, options.teacher, options.out / options.size)
    text = table(results, options.size, size)
    (options.out / f"table-{options.size}.md").write_text(text)
    print(text)
    if options.table:
        write_between_marks(options.table, text)


def _repair_curve(options: argparse.Namespace) -> None:
    from .repair_curve import curve, table, write_curve

    asked = generated(options.documents, options.questions, options.sort, options.phrasing == "held-out", options.entities)
    rows = curve(asked, options.shares, options.model, options.weights)
    settings = {name: str(value) for name, value in vars(options).items() if name not in ("run", "command")}
    write_curve(rows, settings, options.out, f"{options.questions} {options.sort} questions over {options.documents} documents")
    print(table(rows))


def _segmenters(options: argparse.Namespace) -> None:
    asked = given(options, SegmenterComparison)
    found = compare(asked, progress=lambda text: print(text, file=sys.stderr, flush=True))
    print(write_comparison(found, asked, options.out))


def _passages(options: argparse.Namespace) -> None:
    from .passage_stability import measure, table

    asked = {} if options.target is None else {"target_tokens": options.target}
    found = measure(options.prompts, options.repository, options.segmenter, asked, options.arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "passages.json").write_text(json.dumps(found.rows(), indent=1) + "\n")
    (options.out / "passages.md").write_text(table(found))
    print(table(found))


def _answers(options: argparse.Namespace) -> None:
    for line in table_lines(options.url, options.questions, options.subjects, options.tokens, options.segmenters):
        print(line, flush=True)


def _granularity(options: argparse.Namespace) -> None:
    from .granularity import answers, write_granularity

    plan = given(options, GranularityPlan)
    print(write_granularity(answers(plan, progress=lambda line: print(line, file=sys.stderr)), plan.out))


def _encoder(options: argparse.Namespace) -> None:
    from .encoder_onnx import export_encoder

    export_encoder(options.encoder, options.out)


def _llama_cpp(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from .asked_prompts import read_rag
    from .llama_peer import compare, compare_with_itself, summary, write_float32

    asked = [
        replace(each, documents=each.documents[: options.documents], titles=each.titles[: options.documents])
        for each in read_rag(options.rag, options.rows)
    ]
    gguf = options.gguf
    if options.float32:
        write_float32(options.gguf, options.float32)
        gguf = options.float32
    if options.itself:
        rows = compare_with_itself(options.gguf, gguf, asked, options.tokens, options.threads)
    else:
        rows = compare(gguf, asked, options.tokens, options.weights, options.kv_dtype, options.threads)
    print(summary(rows))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


def _stores(options: argparse.Namespace) -> int:
    from .asked_prompts import read_rag
    from .store_agreement import answers_by_store, differences

    asked = read_rag(options.rag, options.rows)
    results = answers_by_store(options.model, asked, options.weights, options.tokens, options.redis_url)
    lines = differences(results)
    for line in lines:
        print(line)
    print(f"{len(asked)} questions, {len(results)} servers, {len(lines)} answers differ")
    return 1 if lines else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
