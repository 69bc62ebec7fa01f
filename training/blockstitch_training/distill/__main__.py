"""`python -m blockstitch_training.distill --teacher DIR --out DIR [--questions | --chat FILE | --text FILE...]`: one run, from data to
an exported checkpoint. The same command goes on where a run was cut off. For several GPUs put `accelerate launch --config_file
training/accelerate-configs/fsdp.yaml -m` in place of `python -m`.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import torch
from transformers import AutoConfig

from .checkpoint import load_tokenizer
from .distill_settings import Settings
from .distiller import Distiller
from .estimate import estimate
from .example_sources import Cutting, QuestionSource, ShuffledSource, chat_examples, text_examples
from .examples import Source
from .sink_tokens import base_sinks

HELP = {
    "start": "checkpoint of an earlier student to begin from, with the sinks that it has",
    "loss": "kl = distillation, ce = block fine-tuning on the answers",
    "sinks": "learned sink tokens, 0 = off",
    "hide": "block dropout: probability that a block is hidden, 0 = off",
    "act": "block dropout: probability that a block also acts as a final block, 0 = off",
    "weighting": "token weights by the teacher's full-against-block loss gap",
    "full_share": "share of the examples seen under full attention",
    "tokens_per_step": "about, per process and micro-batch",
    "attention": "auto, grouped, flex or dense",
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.distill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, required=True, help="the run's directory; a run in it is gone on with")
    made.add_argument("--export", type=Path, help="where the checkpoint goes; OUT/export where absent")
    made.add_argument("--dry-run", action="store_true", help="print memory and time estimates and a few timed steps, write nothing")
    made.add_argument("--threads", type=int, default=0)
    data = made.add_argument_group("data (one of them)")
    data.add_argument("--questions", action="store_true", help="generated documents and questions, in the demo model's prompt (the default)")
    data.add_argument("--chat", type=Path, help="JSONL: messages (the last one the assistant's) and documents")
    data.add_argument("--text", type=Path, nargs="+", help="plain text files, or JSONL with `text`")
    data.add_argument("--documents", type=int, nargs=2, default=(1, 16), metavar=("FEWEST", "MOST"), help="generated documents per context")
    data.add_argument("--two-hop", type=float, default=0.1, help="share of generated questions that lead over two documents")
    data.add_argument("--segmenter", default="auto", help="a segmenter of the server, or blank-lines (needs no Node)")
    data.add_argument("--target-tokens", type=int, default=200, help="wanted length of a block of text")
    data.add_argument("--max-block-tokens", type=int, default=512)
    data.add_argument("--longest", type=int, default=8192, help="tokens of one example; longer chats are left out, longer texts cut")
    group = made.add_argument_group("settings (settings.py says more)")
    for each in fields(Settings):
        flag = "--" + each.name.replace("_", "-")
        if each.name == "teacher":
            group.add_argument(flag, required=True, help="Hugging Face directory of the frozen full-attention teacher")
        elif isinstance(each.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=each.default, help=HELP.get(each.name, " "))
        else:
            group.add_argument(flag, type=type(each.default), default=each.default, help=HELP.get(each.name, " ") + " (%(default)s)")
    return made


def settings_of(arguments: argparse.Namespace) -> Settings:
    settings = Settings(**{each.name: getattr(arguments, each.name) for each in fields(Settings)})
    if settings.loss == "ce":
        settings.weighting = False  # nobody to ask
    return settings


def source_of(arguments: argparse.Namespace, settings: Settings) -> Source:
    tokenizer = load_tokenizer(settings.teacher)
    cutting = Cutting(Path(settings.teacher), arguments.segmenter, arguments.target_tokens, arguments.max_block_tokens)
    if arguments.chat:
        sinks = base_sinks(AutoConfig.from_pretrained(settings.teacher))
        examples, left_out = chat_examples(arguments.chat, tokenizer, sinks, cutting, arguments.longest)
        print(f"{len(examples)} conversations, {left_out} longer than {arguments.longest} tokens left out", flush=True)
        return ShuffledSource(examples, settings.seed)
    if arguments.text:
        examples = text_examples(arguments.text, tokenizer, cutting, arguments.longest)
        print(f"{len(examples)} runs of blocks", flush=True)
        return ShuffledSource(examples, settings.seed)
    return QuestionSource(tokenizer, settings.seed, tuple(arguments.documents), two_hop=arguments.two_hop)


def main() -> None:
    made = parser()
    arguments = made.parse_args()
    settings = settings_of(arguments)
    try:
        settings.check()
    except ValueError as error:
        made.error(str(error))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    source = source_of(arguments, settings)
    if arguments.dry_run:
        print(estimate(settings, source))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    distiller = Distiller(settings, source, arguments.out)
    if distiller.resume() and distiller.accelerator.is_main_process:
        print(f"going on at step {distiller.step}", flush=True)
    if distiller.accelerator.is_main_process:
        settings.save(arguments.out / "settings.json")
    distiller.train()
    target = arguments.export or arguments.out / "export"
    distiller.export(target)
    if distiller.accelerator.is_main_process:
        print(f"wrote {target}; serve it: blockstitch serve --model {target}")


if __name__ == "__main__":
    main()
