"""The commands of block distillation.

    python -m blockstitch_training.distill train --teacher DIR --out DIR [--questions | --chat FILE | --text FILE...]
    python -m blockstitch_training.distill speed --teacher DIR
    python -m blockstitch_training.distill decode --gguf FILE --out DIR

`train` goes from data to an exported checkpoint. The same command goes on where a run was cut off. For several GPUs put
`accelerate launch --config_file accelerate-configs/fsdp.yaml -m` in place of `python -m`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from .distill_settings import Settings

HELP = {
    "start": "an earlier student to begin with, checkpoint or adapter; it brings its own sinks",
    "base": "what the student begins with, the teacher unless given; an adapter goes onto it",
    "lora_rank": "rank of LoRA on all linear layers; 0 trains all weights",
    "loss": "kl = distillation, ce = block fine-tuning on the answers",
    "sinks": "learned sink tokens at the front, 0 = off",
    "start_sinks": "learned sink tokens at the start of every block, 0 = off",
    "end_sinks": "learned sink tokens at the end of every block, 0 = off",
    "hide": "block dropout: probability that a block is hidden, 0 = off",
    "act": "block dropout: probability that a block also acts as a final block, 0 = off",
    "weighting": "weight each token by the full-against-block loss gap",
    "gap": "whose loss under block attention the gap is made of: teacher or student",
    "clip": "nats, largest gap that counts",
    "floor": "nats, added to every gap",
    "ramp": "share of the steps over which the weights come in; they go over the others",
    "privileged": "the teacher sees only the documents that hold the answer (`gold` of --chat rows)",
    "asked": "how much a token of a question counts in the loss, against 1 for a token of an answer, 0 = off",
    "states": "weight of the loss over hidden states, 0 = off",
    "full_share": "share of the examples seen under full attention",
    "steps": "optimizer steps",
    "tokens_per_step": "about, per process and micro-batch",
    "accumulate": "micro-batches per step; all tokens of a step count alike",
    "most_targets": "trained tokens of one micro-batch; more are thinned out at random",
    "sink_rate": "learning rate of the learned sinks of a low-rank student, 0: that of the rest",
    "muon_rate": "learning rate of Muon for the layers' matrices; 0 leaves them to AdamW",
    "warmup": "share of the steps",
    "final_rate": "share of the learning rate that is left at the end",
    "attention": "auto, grouped, flex or dense",
    "compile": "compile the layers, all but the attention",
    "log_every": "steps between two lines of the log",
    "save_every": "steps between two saved states",
    "keep_every": "steps between two students kept under OUT/kept-N, for `evaluation curve`; 0 keeps the last one only",
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.distill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a student and export its checkpoint")
    train.set_defaults(run=_train, fail=train.error)
    train.add_argument("--out", type=Path, required=True, help="the run's directory; a run that is there goes on")
    train.add_argument("--export", type=Path, help="where the checkpoint goes; OUT/export unless given")
    train.add_argument("--dry-run", action="store_true", help="print estimates of memory and time after a few timed steps, write nothing")
    train.add_argument("--threads", type=int, default=0, help="threads of the processor; 0 leaves the choice to PyTorch")
    data = train.add_argument_group("data (one of them)")
    data.add_argument("--questions", action="store_true", help="generated documents and questions, in the demo model's prompt (the default)")
    data.add_argument("--chat", type=Path, help="JSONL with messages (the assistant's comes last) and documents")
    data.add_argument("--text", type=Path, nargs="+", help="plain text files, or JSONL with `text`")
    data.add_argument("--documents", type=int, nargs=2, default=(1, 16), metavar=("FEWEST", "MOST"), help="generated documents per context")
    data.add_argument("--two-hop", type=float, default=0.1, help="share of generated questions that lead over two documents")
    data.add_argument("--segmenter", default="auto", help="a segmenter of the server, or blank-lines (needs no Node)")
    data.add_argument("--target-tokens", type=int, default=200, help="wanted length of a block of text")
    data.add_argument("--max-block-tokens", type=int, default=512)
    data.add_argument("--longest", type=int, default=8192, help="tokens of one example; longer chats are left out, longer texts are cut")
    group = train.add_argument_group("settings (distill_settings.py says more)")
    for each in fields(Settings):
        flag = "--" + each.name.replace("_", "-")
        if each.name == "teacher":
            group.add_argument(flag, required=True, help="Hugging Face directory of the frozen full-attention teacher")
        elif each.name == "precision":
            group.add_argument(flag, choices=("auto", "bf16", "no"), default="auto", help="auto: the faster one of this machine, bf16 on a GPU; no: float32")
        elif isinstance(each.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=each.default, help=HELP.get(each.name, " "))
        else:
            group.add_argument(flag, type=type(each.default), default=each.default, help=HELP.get(each.name, " ") + " (%(default)s)")
    speed = commands.add_parser("speed", help="compare the speed of three ways to train, in one run")
    speed.set_defaults(run=_speed)
    speed.add_argument("--teacher", required=True)
    speed.add_argument("--turns", type=int, default=5)
    speed.add_argument("--tokens", type=int, default=2048, help="per step, before dropout; the masked rows take 11 GB at 8192")
    speed.add_argument("--documents", type=int, nargs=2, default=(8, 8), metavar=("FEWEST", "MOST"))
    decode = commands.add_parser("decode", help="decode a GGUF file to a Hugging Face directory")
    decode.set_defaults(run=_decode)
    decode.add_argument("--gguf", type=Path, required=True)
    decode.add_argument("--out", type=Path, required=True)
    return made


def settings_of(options: argparse.Namespace) -> Settings:
    given = {each.name: getattr(options, each.name) for each in fields(Settings)}
    if options.precision == "auto":
        from .precision import chosen_precision

        given["precision"] = chosen_precision(options.out)
        print(f"precision: {'bfloat16' if given['precision'] == 'bf16' else 'float32'}", flush=True)
    settings = Settings(**given)
    if settings.loss == "ce":
        settings.weighting = False  # there is no teacher to ask
    return settings


def _train(options: argparse.Namespace) -> None:
    settings = settings_of(options)
    try:
        settings.check()
    except ValueError as error:
        options.fail(str(error))
    import torch

    from .distiller import Distiller
    from .estimate import estimate
    from .training_data import TrainingData, source_of

    if options.threads:
        torch.set_num_threads(options.threads)
    source = source_of(TrainingData(**{each.name: getattr(options, each.name) for each in fields(TrainingData)}), settings)
    if options.dry_run:
        print(estimate(settings, source))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    distiller = Distiller(settings, source, options.out)
    is_main = distiller.accelerator.is_main_process
    if distiller.resume() and is_main:
        print(f"the run goes on at step {distiller.step}", flush=True)
    if is_main:
        settings.save(options.out / "settings.json")
    distiller.train()
    target = options.export or options.out / "export"
    distiller.export(target)
    if is_main:
        print(f"wrote {target}; serve it: blockstitch serve --model {target}")
        if settings.lora_rank:
            print(f"wrote {target / 'adapter'}; or serve it on its base: blockstitch serve --model {settings.student_base} --adapter {target / 'adapter'}")


def _speed(options: argparse.Namespace) -> None:
    from .speed_comparison import measure

    print(json.dumps(measure(options.teacher, options.turns, options.tokens, tuple(options.documents)), indent=2))


def _decode(options: argparse.Namespace) -> int:
    if not options.gguf.is_file():
        print(f"there is no file {options.gguf}", file=sys.stderr)
        return 1
    from .gguf_checkpoint import decode_gguf

    decode_gguf(options.gguf, options.out)
    print(f"wrote {options.out}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
