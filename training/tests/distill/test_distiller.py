"""Runs of a few steps on a tiny random teacher: the loss falls, a resumed run is the same run, flags do what they say."""

import json

import pytest
import torch

from blockstitch_training.distill.block_attention import packed_logits
from blockstitch_training.distill.checkpoint import load_tokenizer
from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.distiller import Distiller
from blockstitch_training.distill.example_sources import QuestionSource, ShuffledSource


def run(teacher, out=None, source=None, **changed):
    given = dict(teacher=str(teacher), steps=8, tokens_per_step=300, precision="no", learning_rate=2e-3, warmup=0.2, log_every=1, save_every=3, sinks=2)
    settings = Settings(**{**given, **changed})
    return Distiller(settings, source or questions(teacher), out)


def questions(teacher):
    return QuestionSource(load_tokenizer(teacher), 1, (2, 4), (1, 1), 4)


def losses_in(out):
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("loss", ["kl", "ce"])
def test_the_loss_goes_down(teacher, tmp_path, loss):
    # A random teacher's answers follow no rule that more data would teach: a few examples, seen again and again.
    few = ShuffledSource([questions(teacher).example(at) for at in range(3)], seed=1)
    distiller = run(teacher, tmp_path, few, loss=loss, weighting=loss == "kl", steps=40, tokens_per_step=700, learning_rate=5e-4, hide=0, act=0)
    batch, _ = next(distiller._assemble_all())

    def loss_of_batch():
        with torch.no_grad():
            return float(distiller.losses(batch).total)

    before = loss_of_batch()
    distiller.train(progress=False)
    assert len(losses_in(tmp_path)) == 40
    distiller.step = 0  # the weights of the first measurement
    assert loss_of_batch() < 0.8 * before


@pytest.mark.parametrize("muon_rate", [0.0, 0.01])
def test_a_resumed_run_ends_with_exactly_the_same_weights_and_log(teacher, tmp_path, muon_rate):
    whole = run(teacher, tmp_path / "whole", muon_rate=muon_rate)
    whole.train(progress=False)
    cut = run(teacher, tmp_path / "cut", muon_rate=muon_rate)
    cut.train(until=5, progress=False)
    again = run(teacher, tmp_path / "cut", muon_rate=muon_rate)
    assert again.resume()
    assert again.step == 5
    again.train(progress=False)
    for left, right in zip(whole.student.parameters(), again.student.parameters(), strict=True):
        assert torch.equal(left, right)
    assert losses_in(tmp_path / "whole") == losses_in(tmp_path / "cut")


def test_a_student_that_was_to_be_kept_when_the_run_was_cut_off_is_kept_by_the_next(teacher, tmp_path, monkeypatch):
    cut = run(teacher, tmp_path, save_every=2, keep_every=4)
    monkeypatch.setattr(cut, "export", lambda directory: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cut.train(progress=False)
    again = run(teacher, tmp_path, save_every=2, keep_every=4)
    assert again.resume() and again.step == 2
    again.train(until=4, progress=False)
    assert (tmp_path / "kept-4" / "config.json").is_file()


def test_a_student_can_begin_where_an_earlier_one_ended(teacher, tmp_path):
    earlier = run(teacher, tmp_path / "earlier", steps=2)
    earlier.train(progress=False)
    earlier.export(tmp_path / "student")
    later = run(teacher, steps=2, start=str(tmp_path / "student"), sinks=4)
    assert later.student_sinks == earlier.student_sinks and later.teacher_sinks == earlier.teacher_sinks
    for left, right in zip(earlier.student.parameters(), later.student.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-2)  # stored in the teacher's type
    assert later.train(progress=False)["loss"] > 0


def test_a_run_of_other_settings_is_not_gone_on_with(teacher, tmp_path):
    run(teacher, tmp_path, steps=3).train(progress=False)
    with pytest.raises(ValueError, match="other settings"):
        run(teacher, tmp_path, steps=3, seed=9).resume()


def test_flags_turn_each_component_off(teacher):
    every = run(teacher, hide=0.3, act=0.5)
    assert len(every.student_sinks) == len(every.teacher_sinks) + 2
    assert run(teacher, sinks=0).student_sinks == every.teacher_sinks
    with_all, _ = next(every._assemble_all())
    assert with_all.teacher_block_keep is not None
    no_weights, _ = next(run(teacher, weighting=False)._assemble_all())
    assert no_weights.teacher_block_keep is None
    no_dropout, _ = next(run(teacher, hide=0, act=0)._assemble_all())
    # Only answers are trained: every trained token belongs to a final block, which has a context.
    starts = {no_dropout.student.starts[at]: segment for at, segment in enumerate(no_dropout.student.segments)}
    for place in no_dropout.student_keep.tolist():
        assert starts[max(start for start in starts if start <= place)].context
    tuned = run(teacher, loss="ce", weighting=False)
    assert tuned.teacher is None


def test_the_first_and_the_last_step_see_every_weight_as_one_and_those_between_do_not(teacher):
    distiller = run(teacher, full_share=0.0, floor=0.1, ramp=0.5)
    batch, _ = next(distiller._assemble_all())
    heaviest = {}
    for distiller.step in (0, distiller.settings.steps // 2, distiller.settings.steps):
        heaviest[distiller.step] = distiller.losses(batch).weight_max
    first, between, last = heaviest.values()
    assert first == pytest.approx(1.0) and last == pytest.approx(1.0)
    assert between > 1.2


def test_a_step_of_several_micro_batches_logs_means_over_its_tokens(teacher):
    distiller = run(teacher, steps=1, accumulate=3, weighting=False)
    stream = distiller._assemble_all()
    alone = [distiller.losses(next(stream)[0]) for _ in range(3)]
    sums = {name: sum(each.sums[name] for each in alone) for name in ("loss", "right", "targets")}
    logged = distiller.train(progress=False)
    assert logged["targets"] == sums["targets"]
    assert logged["loss"] == pytest.approx(sums["loss"] / sums["targets"], rel=1e-5)
    assert logged["token_accuracy"] == pytest.approx(sums["right"] / sums["targets"])


def test_gradient_checkpointing_changes_nothing(teacher):
    gradients = []
    for checkpointing in (False, True):
        distiller = run(teacher, gradient_checkpointing=checkpointing)
        batch, _ = next(distiller._assemble_all())
        distiller.losses(batch).total.backward()
        gradients.append([parameter.grad for parameter in distiller.student.parameters()])
    for left, right in zip(*gradients, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize(("changed", "message"), [
    ({"hide": 1.0}, "hide"), ({"steps": 0}, "steps"), ({"loss": "mse"}, "loss"), ({"loss": "ce", "weighting": True}, "weighting"), ({"full_share": 2.0}, "full_share"),
])  # fmt: skip
def test_settings_that_cannot_be_used_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        Settings(**{"teacher": "t", **changed}).check()


def test_weights_by_the_students_own_gap_follow_its_losses_and_ask_for_no_second_pass_of_the_teacher(teacher):
    distiller = run(teacher, gap="student", ramp=0.0, floor=0.1, clip=0.3, asked=0.5, full_share=0.3, tokens_per_step=2000, hide=0, act=0)
    batch, _ = next(distiller._assemble_all())
    assert batch.teacher_block_keep is None
    with torch.no_grad():
        weights = distiller.step_loss.alone(batch, progress=1.0).weights
        keep = (batch.student_keep, batch.teacher_keep)
        full, block = (
            torch.nn.functional.cross_entropy(packed_logits(model, layout, at, distiller.inv_freq), batch.labels, reduction="none")
            for model, layout, at in zip((distiller.teacher, distiller.student), (batch.teacher, batch.student), reversed(keep), strict=True)
        )
    gap = 0.1 + (block - full).abs().clamp(max=0.3)
    inside = batch.in_block
    assert inside.any() and not inside.all() and len(set(batch.share.tolist())) == 2
    mean = (gap * batch.share)[inside].sum() / batch.share[inside].sum()
    torch.testing.assert_close(weights, batch.share * torch.where(inside, gap / mean, torch.ones_like(gap)))
    torch.testing.assert_close(weights.sum(), batch.share.sum())  # so the step's divisor needs no weights
    assert weights[inside].max() > 1.5 * weights[inside].min()
