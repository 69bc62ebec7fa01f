"""The gradient of one step, whole or spread over unequal micro-batches and processes. Run as a script it is one of the processes:

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=PORT ACCELERATE_USE_CPU=true python step_gradient.py TEACHER LOSS OUT.pt STATES ASKED
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from blockstitch_training.distill.block_dropout import draw
from blockstitch_training.distill.checkpoint import load_tokenizer
from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.distiller import Distiller
from blockstitch_training.distill.example_sources import QuestionSource
from blockstitch_training.distill.packed_batch import Batch, assemble

MICRO_BATCHES = ((0,), (1, 2, 3), (4, 5), (6, 7, 8, 9))  # examples of each: their numbers of trained tokens differ by far
PROGRESS = 0.8  # token weights are nearly at full strength


def make_distiller(teacher: str, loss: str, states: float = 0.0, asked: float = 0.0) -> Distiller:
    # A small floor lets the token weights of a random teacher differ by far too.
    settings = Settings(
        teacher=teacher, loss=loss, weighting=loss == "kl", precision="no", sinks=2, floor=0.05, clip=5.0, states=states, asked=asked
    )  # fmt: skip
    return Distiller(settings, QuestionSource(load_tokenizer(teacher), 1, (2, 6), (1, 2), 8), None)


def batch_of(distiller: Distiller, numbers: tuple[int, ...]) -> Batch:
    rng = random.Random(5)
    drawn = [draw(distiller.source.example(number), 0, 0, rng) for number in numbers]
    full = [number % 3 == 0 for number in numbers]  # some are seen under full attention
    settings = distiller.settings
    distills = settings.loss == "kl"
    return assemble(drawn, full, distiller.student_sinks, distiller.teacher_sinks, distills, distills, settings.states > 0, settings.asked)


def gradient(distiller: Distiller, batches: list[Batch]) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    figures = distiller.step_loss.backward(batches, PROGRESS)
    student = distiller.accelerator.unwrap_model(distiller.student)
    return {name: weight.grad.clone() for name, weight in student.named_parameters()}, figures


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = make_distiller(sys.argv[1], sys.argv[2], float(sys.argv[4]), float(sys.argv[5]))
    processes, rank = made.accelerator.num_processes, made.accelerator.process_index
    assert processes == 2, processes
    mine = MICRO_BATCHES[:2] if rank == 0 else MICRO_BATCHES[2:]
    gradients, figures = gradient(made, [batch_of(made, numbers) for numbers in mine])
    if rank == 0:
        torch.save((gradients, figures), sys.argv[3])
    made.accelerator.end_training()
