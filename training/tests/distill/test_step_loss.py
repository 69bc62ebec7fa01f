"""Every trained token of one optimizer step counts by its weight alone, whatever micro-batch or process it is in."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from step_gradient import MICRO_BATCHES, PROGRESS, batch_of, gradient, make_distiller

ALL = tuple(number for numbers in MICRO_BATCHES for number in numbers)


def same(left, right):
    (gradients, figures), (others, other_figures) = left, right
    assert gradients.keys() == others.keys()
    for name, value in gradients.items():
        torch.testing.assert_close(others[name], value, rtol=2e-3, atol=2e-6, msg=name)
    assert other_figures == pytest.approx({**figures, "tokens": other_figures["tokens"]}, rel=1e-4)  # sinks stand in each row


LOSSES = pytest.mark.parametrize(("loss", "states", "asked"), [("kl", 0.0, 0.0), ("ce", 0.0, 0.0), ("kl", 2.0, 0.0), ("kl", 0.0, 0.3)])


@LOSSES
def test_micro_batches_of_unequal_length_have_the_gradient_of_one_big_batch(teacher, loss, states, asked):
    whole = make_distiller(str(teacher), loss, states, asked)
    one = gradient(whole, [batch_of(whole, ALL)])
    parts = make_distiller(str(teacher), loss, states, asked)
    batches = [batch_of(parts, numbers) for numbers in MICRO_BATCHES]
    counts = [len(batch.labels) for batch in batches]
    assert max(counts) > 2 * min(counts) and sum(counts) == one[1]["targets"]
    same(one, gradient(parts, batches))


def test_the_mean_of_each_micro_batchs_own_mean_is_another_gradient(teacher):
    # The test above must be able to find this fault: micro-batches count alike instead of tokens.
    whole, parts = make_distiller(str(teacher), "kl"), make_distiller(str(teacher), "kl")
    one, _ = gradient(whole, [batch_of(whole, ALL)])
    for numbers in MICRO_BATCHES:
        (parts.step_loss.alone(batch_of(parts, numbers), PROGRESS).total / len(MICRO_BATCHES)).backward()
    apart = [float((weight.grad - one[name]).norm() / one[name].norm()) for name, weight in parts.student.named_parameters()]
    assert max(apart) > 0.1


@LOSSES
def test_two_processes_have_the_gradient_of_one(teacher, tmp_path, loss, states, asked):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script, out = Path(__file__).with_name("step_gradient.py"), tmp_path / "gradients.pt"
    started = []
    for rank in range(2):
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
        environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, str(script), str(teacher), loss, str(out), str(states), str(asked)]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    said = [process.communicate(timeout=240)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    whole = make_distiller(str(teacher), loss, states, asked)
    same(gradient(whole, [batch_of(whole, ALL)]), torch.load(out))
