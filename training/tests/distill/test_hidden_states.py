"""The loss over hidden states: what it compares, and that it draws the student's layers to the teacher's."""

import pytest
import torch
from step_gradient import MICRO_BATCHES, PROGRESS, batch_of, gradient, make_distiller

from blockstitch_training.distill.block_dropout import Drawn
from blockstitch_training.distill.distiller import Distiller
from blockstitch_training.distill.examples import Example, Final
from blockstitch_training.distill.hidden_states import distance, read_states
from blockstitch_training.distill.packed_batch import assemble

EXAMPLE = Example(((10, 11, 12), (20, 21), (30, 31, 32, 33)), (Final.of_answer([3, 4], [5, 6]), Final.of_answer([7], [8])))


@pytest.mark.parametrize("full", [False, True])
def test_student_and_teacher_are_compared_at_the_same_tokens(full):
    batch = assemble([Drawn(EXAMPLE, acting=(1, 2))], [full], [0, 1], [0], True, True, with_states=True)
    compared = [*EXAMPLE.blocks[1], *EXAMPLE.blocks[2], *EXAMPLE.finals[0].tokens, *EXAMPLE.finals[1].tokens]
    assert batch.student.input_ids[0][batch.student_read].tolist() == compared
    assert batch.teacher.input_ids[0][batch.teacher_read].tolist() == compared
    # One learned sink more stands before the student's tokens.
    places = batch.student.position_ids[0][batch.student_read], batch.teacher.position_ids[0][batch.teacher_read]
    assert (places[0] - places[1]).tolist() == [1] * len(compared)


def test_the_distance_is_that_of_the_formula():
    generator = torch.Generator().manual_seed(1)
    hidden, others = ([torch.randn(1, 9, 4, generator=generator) for _ in range(4)] for _ in range(2))
    norms = [torch.nn.RMSNorm(4) for _ in range(3)]
    for norm in norms:
        norm.weight.data = torch.rand(4, generator=generator) + 0.5
    places = torch.tensor([1, 3, 8])
    wanted = 0.0
    for layer in (1, 2, 3):
        read = norms[layer] if layer < 3 else torch.nn.Identity()
        mine, theirs = (read(states[layer][0, places]) for states in (hidden, others))
        wanted += ((mine - theirs).square().sum(-1) / theirs.square().sum(-1)).sum() / 3
    torch.testing.assert_close(distance(read_states(norms, hidden, places), read_states(norms, others, places)), wanted)
    assert distance(read_states(norms, hidden, places), read_states(norms, hidden, places)) == 0


def attentive(teacher) -> Distiller:
    """A random teacher's attention moves its states by next to nothing: here its weights are larger."""
    made = make_distiller(str(teacher), "kl", states=4.0)
    with torch.no_grad():
        for model in (made.teacher, made.student):
            for name, weight in model.named_parameters():
                if "self_attn" in name:
                    weight.mul_(3)
    return made


def test_the_teacher_is_at_no_distance_from_itself(teacher):
    made = attentive(teacher)
    batch = assemble([Drawn(made.source.example(0))], [True], made.teacher_sinks, made.teacher_sinks, True, True, with_states=True)
    assert made.step_loss.alone(batch, PROGRESS).sums["distance"] == pytest.approx(0, abs=1e-6)
    stitched = assemble([Drawn(made.source.example(0))], [False], made.teacher_sinks, made.teacher_sinks, True, True, with_states=True)
    assert made.step_loss.alone(stitched, PROGRESS).sums["distance"] > 1e-3


def test_training_brings_the_states_nearer(teacher):
    made = attentive(teacher)
    batches = [batch_of(made, MICRO_BATCHES[1])]
    found = []
    for _ in range(30):
        found.append(made.step_loss.backward(batches, PROGRESS)["state_distance"])
        made.optimizer.step()
        made.optimizer.zero_grad(set_to_none=True)
    assert found[-1] < 0.9 * found[0]


def test_without_them_no_states_are_compared(teacher):
    made = make_distiller(str(teacher), "kl")
    batch = batch_of(made, MICRO_BATCHES[0])
    assert batch.student_read is None and batch.teacher_read is None
    assert "state_distance" not in gradient(made, [batch])[1]
