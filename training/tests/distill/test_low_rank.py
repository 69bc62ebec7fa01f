"""Low-rank students: they begin as their base, only the adapter learns, and base and adapter together are the exported checkpoint."""

import json

import pytest
import torch
from peft import PeftModel
from test_distiller import questions, run
from transformers import AutoModelForCausalLM

from blockstitch_training.distill.checkpoint import load_model, load_tokenizer
from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.low_rank import adapter_sinks, is_adapter
from blockstitch_training.distill.sink_tokens import Edges, add_sink_tokens
from blockstitch_training.distill.stitched_generation import Prompt
from blockstitch_training.evaluation.systems import System

IDS = torch.tensor([[5, 9, 17, 30, 42, 7]])


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_only_the_adapter_is_trained_and_a_resumed_run_is_the_same_run(teacher, tmp_path):
    whole = run(teacher, tmp_path / "whole", lora_rank=4, steps=6)
    frozen = {name: weight.clone() for name, weight in whole.student.named_parameters() if not weight.requires_grad}
    trained = [name for name, weight in whole.student.named_parameters() if weight.requires_grad]
    assert trained and all("lora_" in name or "trainable_tokens" in name for name in trained)
    whole.train(progress=False)
    for name, weight in whole.student.named_parameters():
        if name in frozen:
            assert torch.equal(weight, frozen[name]), name
    cut = run(teacher, tmp_path / "cut", lora_rank=4, steps=6)
    cut.train(until=4, progress=False)
    again = run(teacher, tmp_path / "cut", lora_rank=4, steps=6)
    assert again.resume() and again.step == 4
    again.train(progress=False)
    for (name, left), right in zip(whole.student.named_parameters(), again.student.parameters(), strict=True):
        assert torch.equal(left, right), name


def test_base_and_adapter_are_the_exported_checkpoint(teacher, tmp_path):
    distiller = run(teacher, tmp_path, lora_rank=4, steps=4, learning_rate=2e-2)
    distiller.train(progress=False)
    out = tmp_path / "export"
    distiller.export(out)
    assert json.loads((out / "config.json").read_text())["block_attention"] == {"mode": "block", "sink_token_ids": distiller.student_sinks}
    assert json.loads((out / "adapter" / "block_attention.json").read_text())["sink_token_ids"] == distiller.student_sinks
    base = load_model(teacher)
    before = logits(base)
    add_sink_tokens(base, load_tokenizer(teacher), 2, seed=1)
    merged = logits(PeftModel.from_pretrained(base, out / "adapter").merge_and_unload())
    exported = logits(AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32))
    torch.testing.assert_close(exported, merged, rtol=0, atol=2e-2 * float(merged.abs().max()))  # stored in the teacher's type
    width = before.shape[-1]
    assert float((merged[..., :width] - before).abs().max()) > 0.05 * float(before.abs().max())


def test_a_later_student_begins_with_an_earlier_ones_adapter_and_sinks(teacher, tmp_path):
    earlier = run(teacher, tmp_path / "earlier", lora_rank=4, steps=3)
    earlier.train(progress=False)
    earlier.export(tmp_path / "student")
    start = str(tmp_path / "student" / "adapter")
    assert is_adapter(start) and adapter_sinks(start) == (earlier.student_sinks, earlier.student_edges)
    later = run(teacher, steps=2, lora_rank=4, start=start, sinks=5)
    assert later.student_sinks == earlier.student_sinks
    for (name, left), right in zip(earlier.student.named_parameters(), later.student.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-3, msg=name)  # stored in float16
    for wrong, message in (({"lora_rank": 8}, "rank 4, not 8"), ({}, "give --lora-rank")):
        with pytest.raises(ValueError, match=message):
            run(teacher, start=start, **wrong)
    with pytest.raises(ValueError, match="as --base"):
        run(teacher, start=str(teacher), lora_rank=4)


def test_sinks_at_the_edges_of_blocks_are_learned_exported_and_taken_over(teacher, tmp_path):
    earlier = run(teacher, tmp_path / "earlier", lora_rank=4, steps=3, sinks=1, start_sinks=2, end_sinks=1)
    learned = earlier.learned_sinks
    assert len(learned) == 4
    front, edges = [*earlier.teacher_sinks, learned[0]], Edges(tuple(learned[1:3]), (learned[3],))
    assert (earlier.student_sinks, earlier.student_edges) == (front, edges)
    before = earlier.accelerator.unwrap_model(earlier.student).get_input_embeddings()(torch.tensor(learned)).detach().clone()
    earlier.train(progress=False)
    after = earlier.accelerator.unwrap_model(earlier.student).get_input_embeddings()(torch.tensor(learned)).detach()
    assert ((after - before).abs().amax(1) > 0).all()
    earlier.export(tmp_path / "student")
    assert adapter_sinks(tmp_path / "student" / "adapter") == (front, edges)
    student = System.load(tmp_path / "student")
    assert (student.sinks, student.edges) == (front, edges)
    later = run(teacher, steps=2, lora_rank=4, start=str(tmp_path / "student" / "adapter"), sinks=5)
    assert (later.student_sinks, later.student_edges) == (front, edges)
    # The tokens of its prompts are those that the server lays: each block between its edges.
    blocks, final = [[7, 9, 11], [12, 13]], [3, 4, 5]
    bare = System(student.directory, student.model, student.tokenizer, student.sinks)
    by_hand = bare.begin(Prompt([edges.around(block) for block in blocks], final), "block", 0)[0]
    assert torch.equal(student.begin(Prompt(blocks, final), "block", 0)[0], by_hand)


def test_sinks_learn_at_a_rate_of_their_own(teacher, tmp_path):
    def moved(**changed) -> tuple[float, float]:
        """How far one step moves a number of the sinks and of LoRA's B, which begins at 0: about the learning rate, as Adam does."""
        distiller = run(teacher, tmp_path / str(changed), lora_rank=4, steps=1, warmup=0, learning_rate=1e-4, start_sinks=1, **changed)
        weights = dict(distiller.student.named_parameters())
        sinks = next(weight for name, weight in weights.items() if "trainable_tokens" in name)
        assert sinks.shape[0] == len(distiller.learned_sinks)
        low = next(weight for name, weight in weights.items() if "lora_B" in name)
        before = sinks.clone()
        distiller.train(progress=False)
        return float((sinks - before).detach().abs().median()), float(low.detach().abs().median())

    assert moved(sink_rate=0.0) == pytest.approx((1e-4, 1e-4), rel=0.1)
    assert moved(sink_rate=3e-2) == pytest.approx((3e-2, 1e-4), rel=0.1)


def test_a_teacher_tuned_under_full_attention_gives_fresh_sinks_to_its_student(teacher, tmp_path):
    tuned = run(teacher, tmp_path / "tuned", lora_rank=4, steps=2, loss="ce", weighting=False, sinks=0, hide=0, act=0, full_share=1.0)
    tuned.train(progress=False)
    tuned.export(tmp_path / "teacher")
    assert json.loads((tmp_path / "teacher" / "config.json").read_text())["block_attention"]["mode"] == "full"
    start = str(tmp_path / "teacher" / "adapter")
    student = run(tmp_path / "teacher", source=questions(teacher), base=str(teacher), start=start, lora_rank=4)
    assert len(student.student_sinks) == len(student.teacher_sinks) + 2
    assert student.train(progress=False)["loss"] > 0


def test_muon_is_refused_beside_a_rank():
    with pytest.raises(ValueError, match="muon_rate"):
        Settings("t", lora_rank=4, muon_rate=0.1).check()
