"""The commands of the demo model.

    python -m blockstitch_training.demo train   --out DIR --minutes M
    python -m blockstitch_training.demo samples --out ../models/demo/samples
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .curriculum import STAGES


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m blockstitch_training.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train the model from nothing or from a checkpoint, and score it")
    train.set_defaults(run=_train)
    train.add_argument("--out", type=Path, required=True, help="training state; the run goes on from the state that is there")
    train.add_argument("--minutes", type=float, default=60, help="minutes of training in all, those of earlier runs in --out included")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--export", type=Path, help="write the checkpoint here at the end")
    train.add_argument("--examples", type=int, default=200, help="held-out questions to score at the end, per row of the table")
    train.add_argument("--start", type=Path, help="begin with this exported checkpoint")
    train.add_argument("--stage", type=int, default=0, choices=range(len(STAGES)), help="stage of the curriculum to begin at, with --start")
    train.add_argument("--threads", type=int, default=0, help="threads of the processor; 0 leaves the choice to PyTorch")
    train.add_argument("--device", help="cpu or cuda; a GPU where there is one, unless given")
    samples = commands.add_parser("samples", help="write the documents and questions of `make demo`")
    samples.set_defaults(run=_samples)
    samples.add_argument("--out", type=Path, required=True)
    samples.add_argument("--documents", type=int, default=8)
    samples.add_argument("--entities", type=int, default=3, help="entities per document")
    samples.add_argument("--questions", type=int, default=5)
    return made


def _train(options: argparse.Namespace) -> None:
    import torch
    from tokenizers import Tokenizer

    from .demo_checkpoint import export
    from .demo_prompts import Prompts
    from .demo_score import score_lines
    from .demo_settings import Settings
    from .demo_training import train

    if options.threads:
        torch.set_num_threads(options.threads)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    start = (options.start, options.stage) if options.start else None
    model = train(options.out, options.minutes, Settings(), options.seed, device, start)
    prompts = Prompts(Tokenizer.from_file(str(options.out / "tokenizer.json")))
    if options.export:
        export(model, prompts, options.export)
    for line in score_lines(model.cpu(), prompts, options.examples):
        print(line, flush=True)


def _samples(options: argparse.Namespace) -> None:
    from .demo_samples import write_samples

    write_samples(options.out, options.documents, options.entities, options.questions)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
