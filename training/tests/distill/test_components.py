"""The three components and the losses, against their formulas."""

import random

import pytest
import torch
from torch.nn import functional

from blockstitch_training.distill.block_dropout import Drawn, draw
from blockstitch_training.distill.checkpoint import load_model, load_tokenizer
from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.examples import Example, Final
from blockstitch_training.distill.objectives import WeightedKL, weighted_kl
from blockstitch_training.distill.packed_batch import assemble
from blockstitch_training.distill.sink_tokens import Edges, add_sink_tokens, attention_section
from blockstitch_training.distill.token_weights import token_gaps, token_weights

EXAMPLE = Example(
    tuple(tuple(range(10 * at, 10 * at + 5)) for at in range(1, 9)),
    (Final.of_answer([3, 4], [5, 6], frozenset({2})), Final.of_answer([3, 7], [8], frozenset({0, 5}))),
)


def test_block_dropout_hides_blocks_but_never_what_every_question_needs():
    kept = []
    for seed in range(400):
        drawn = draw(EXAMPLE, hide=0.3, act=0.5, rng=random.Random(seed))
        blocks = drawn.example.blocks
        assert [block for block in EXAMPLE.blocks if block in blocks] == list(blocks)
        assert drawn.example.finals
        for final in drawn.example.finals:
            original = next(each for each in EXAMPLE.finals if each.tokens == final.tokens)
            assert {blocks[at] for at in final.needs} == {EXAMPLE.blocks[at] for at in original.needs}
        assert all(0 < at < len(blocks) for at in drawn.acting)
        kept.append(len(blocks) / len(EXAMPLE.blocks))
    assert 0.7 < sum(kept) / len(kept) < 0.85  # 0.7, and the blocks that spared questions need


def test_block_dropout_never_hides_a_block_of_the_chat_template():
    framed = Example(EXAMPLE.blocks, EXAMPLE.finals, frozenset({0, 4}))
    for seed in range(100):
        kept = draw(framed, hide=0.5, act=0, rng=random.Random(seed)).example
        assert {kept.blocks[at] for at in kept.framing} == {EXAMPLE.blocks[0], EXAMPLE.blocks[4]}


def test_block_dropout_is_off_at_zero_and_repeats_with_its_seed():
    assert draw(EXAMPLE, 0, 0, random.Random(1)) == Drawn(EXAMPLE)
    assert draw(EXAMPLE, 0.3, 0.3, random.Random(5)) == draw(EXAMPLE, 0.3, 0.3, random.Random(5))


def test_a_block_that_acts_as_a_final_block_trains_its_tokens_behind_the_earlier_blocks():
    plain = assemble([Drawn(EXAMPLE)], [False], [0], [0], True, True)
    acting = assemble([Drawn(EXAMPLE, acting=(3,))], [False], [0], [0], True, True)
    assert acting.labels.tolist() == [*EXAMPLE.blocks[3][1:], *plain.labels.tolist()]
    assert any(segment.tokens == EXAMPLE.blocks[3] and segment.context == (0, 1, 2) for segment in acting.student.segments)
    # The teacher predicts the same tokens from the same predecessors, under full and under block attention.
    for layout, keep in ((acting.student, acting.student_keep), (acting.teacher, acting.teacher_keep), (acting.teacher, acting.teacher_block_keep)):
        ids = layout.input_ids[0]
        assert ids[keep + 1].tolist() == acting.labels.tolist()


def test_a_questions_own_tokens_train_at_the_share_that_is_asked_for():
    plain = assemble([Drawn(EXAMPLE, acting=(3,))], [False], [0], [0], True, True)
    assert plain.share.tolist() == [1.0] * len(plain.labels)
    asked = assemble([Drawn(EXAMPLE, acting=(3,))], [False], [0], [0], True, True, asked=0.25)
    assert asked.labels.tolist() == [*EXAMPLE.blocks[3][1:], 4, 5, 6, 7, 8]  # but a final block's first token: nothing of it predicts that one
    assert asked.share.tolist() == [1.0] * 4 + [0.25, 1.0, 1.0, 0.25, 1.0]
    for layout, keep in ((asked.student, asked.student_keep), (asked.teacher, asked.teacher_keep), (asked.teacher, asked.teacher_block_keep)):
        assert layout.input_ids[0][keep + 1].tolist() == asked.labels.tolist()
    thin = assemble([Drawn(EXAMPLE)], [False], [0], [0], True, True, asked=0.25).thinned(3, random.Random(1))
    shares = dict(zip([4, 5, 6, 7, 8], [0.25, 1.0, 1.0, 0.25, 1.0], strict=True))
    assert thin.share.tolist() == [shares[label] for label in thin.labels.tolist()]


def test_without_weights_the_teacher_is_not_asked_for_block_attention():
    batch = assemble([Drawn(EXAMPLE)], [False], [0], [0], True, False)
    assert batch.teacher_block_keep is None
    assert assemble([Drawn(EXAMPLE)], [False], [0], [0], False, False).teacher is None


def test_an_example_under_full_attention_is_one_block():
    batch = assemble([Drawn(EXAMPLE, acting=(2,))], [True], [0], [0], True, True)
    assert len(batch.student.segments) == 1 + len(EXAMPLE.finals)
    assert not batch.in_block.any()


def test_a_privileged_teacher_sees_what_a_question_needs_and_the_template_alone():
    unknown = Final.of_answer([9], [11])
    framed = Example(EXAMPLE.blocks, (*EXAMPLE.finals, unknown), frozenset({0}))
    batch = assemble([Drawn(framed)], [False], [1], [1], True, True, with_states=True, asked=0.5, privileged=True)

    def seen(layout, final):
        segment = next(each for each in layout.segments if each.context and each.tokens == final.tokens and len(each.context) == 1)
        return [*layout.segments[segment.context[0]].tokens]

    blocks = EXAMPLE.blocks
    assert seen(batch.teacher, framed.finals[0]) == [*blocks[0], *blocks[2]]
    assert seen(batch.teacher, framed.finals[1]) == [*blocks[0], *blocks[5]]
    assert seen(batch.teacher, unknown) == [token for block in blocks for token in block]  # nobody says what it needs
    # Both still predict the same tokens, the student and the teacher's other view behind all blocks.
    for layout, keep in ((batch.student, batch.student_keep), (batch.teacher, batch.teacher_keep), (batch.teacher, batch.teacher_block_keep)):
        assert layout.input_ids[0][keep + 1].tolist() == batch.labels.tolist()
    assert batch.student.input_ids[0][batch.student_read].tolist() == batch.teacher.input_ids[0][batch.teacher_read].tolist()
    assert all(len(segment.context) in (0, len(blocks)) for segment in batch.student.segments)
    with pytest.raises(ValueError, match="privileged asks the teacher"):
        Settings("teacher", loss="ce", weighting=False, privileged=True).check()


EDGES = Edges((901, 902), (903,))


@pytest.mark.parametrize("full", [False, True])
def test_sinks_at_the_edges_stand_around_every_block_of_the_student_and_change_no_label(full):
    drawn = Drawn(EXAMPLE, acting=(3,))
    plain = assemble([drawn], [full], [0], [0], True, True, with_states=True)
    edged = assemble([drawn], [full], [0], [0], True, True, with_states=True, student_edges=EDGES)
    around = [EDGES.around(block) for block in EXAMPLE.blocks]
    blocks = [tuple(token for block in around for token in block)] if full else around
    assert [segment.tokens for segment in edged.student.segments if not segment.context][: len(blocks)] == blocks
    ids = edged.student.input_ids[0]
    assert ids[edged.student_keep + 1].tolist() == plain.labels.tolist() == edged.labels.tolist()
    # Teacher and student are compared at the same tokens, none of which is a sink.
    assert ids[edged.student_read].tolist() == edged.teacher.input_ids[0][edged.teacher_read].tolist()
    assert edged.teacher.input_ids.tolist() == plain.teacher.input_ids.tolist()


def test_a_checkpoint_says_which_sinks_stand_at_the_edges():
    section = attention_section("block", [0, 5], EDGES)
    assert section == {"mode": "block", "sink_token_ids": [0, 5], "block_start_token_ids": [901, 902], "block_end_token_ids": [903]}
    assert Edges.of(section) == EDGES
    assert attention_section("full", [0]) == {"mode": "full", "sink_token_ids": [0]}
    assert Edges.of(None) == Edges.of({"mode": "block", "sink_token_ids": [0]}) == Edges()


def test_token_weights_follow_the_clipped_gap_and_have_mean_one():
    full = torch.tensor([0.0, 1.0, 2.0, 0.5])
    block = torch.tensor([0.0, 1.5, 12.0, 0.5])
    in_block = torch.tensor([True, True, True, False])
    gaps = token_gaps(full, block, clip=4.0, floor=0.1)
    mean = gaps[in_block].mean()
    weights = token_weights(gaps, in_block, mean, progress=1.0)
    raw = torch.tensor([0.1, 0.6, 4.1])
    torch.testing.assert_close(weights[:3], raw / raw.mean())
    assert weights[3] == 1
    assert token_weights(gaps, in_block, mean, 0.0).tolist() == [1.0] * 4
    half = token_weights(gaps, in_block, mean, 0.5)
    torch.testing.assert_close(half, (weights + 1) / 2)


def test_weights_come_in_over_the_ramp_and_go_after_it():
    settings = Settings(teacher="t", steps=100, ramp=0.2)
    assert [settings.progress(step) for step in (0, 10, 20, 60, 100)] == [0.0, 0.5, 1.0, 0.5, 0.0]
    assert Settings(teacher="t", steps=100, ramp=0).progress(0) == 1.0
    assert Settings(teacher="t", steps=100, ramp=1).progress(50) == 0.5


def test_the_loss_and_its_gradient_are_those_of_the_formula():
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(7, 12, generator=generator, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(7, 10, generator=generator, dtype=torch.float64)
    weights = torch.rand(7, generator=generator)
    log_q, p = functional.log_softmax(student, -1)[:, :10], functional.softmax(teacher, -1)
    expected = ((p * (p.log() - log_q)).sum(-1) * weights).sum()
    (slope,) = torch.autograd.grad(expected, student)
    loss = weighted_kl(student, teacher, weights)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(loss, student)[0], slope, rtol=1e-4, atol=1e-5)
    assert WeightedKL.apply(teacher, teacher, weights).abs() < 1e-5


@pytest.mark.parametrize("count", [0, 3])
def test_sink_tokens_stand_behind_bos_and_only_add_rows(teacher, count):
    model, tokenizer = load_model(teacher), load_tokenizer(teacher)
    before = model.get_input_embeddings().weight.detach().clone()
    ids = add_sink_tokens(model, tokenizer, count, seed=1)
    assert ids[0] == model.config.bos_token_id
    assert len(ids) == 1 + count
    after = model.get_input_embeddings().weight
    assert torch.equal(after[: len(before)], before)
    assert len(after) == len(before) + count
    assert [tokenizer.convert_ids_to_tokens(token) for token in ids[1:]] == [f"<|sink_{at}|>" for at in range(count)]
    # Each begins as another word of the vocabulary, and as the same one again with the same seed.
    words = [token for token in range(len(before)) if token not in tokenizer.all_special_ids]
    begun = [next(token for token in words if torch.equal(before[token], row)) for row in after[ids[1:]]]
    assert len(set(begun)) == count
    again = load_model(teacher)
    add_sink_tokens(again, load_tokenizer(teacher), count, seed=1)
    assert torch.equal(again.get_input_embeddings().weight, after)


def test_a_student_as_teacher_keeps_its_sinks_and_gets_more(teacher):
    model, tokenizer = load_model(teacher), load_tokenizer(teacher)
    first = add_sink_tokens(model, tokenizer, 2, seed=1)
    learned = model.get_input_embeddings().weight[first].detach().clone()
    model.config.block_attention = {"mode": "block", "sink_token_ids": first}
    both = add_sink_tokens(model, tokenizer, 2, seed=2)
    assert both[: len(first)] == first and len(set(both)) == len(first) + 2
    assert torch.equal(model.get_input_embeddings().weight[first], learned)
