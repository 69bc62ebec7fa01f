"""Parts of distillation on conversations: every run is scored on the same questions, a second call trains nothing, the table is right."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from blockstitch_training.distill.checkpoint import load_tokenizer
from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.distiller import Distiller
from blockstitch_training.distill.example_sources import Cutting, QuestionSource, chat_examples
from blockstitch_training.evaluation.ablation_plan import PLAIN
from blockstitch_training.evaluation.public_ablations import FULL, RUNS, PublicAblations, answer_logits, public_table, run_public, scores, write_parts
from blockstitch_training.evaluation.systems import System


LOW_RANK = {"all weights", "sinks at the common rate", "sinks at 0.01", "sinks at 0.05"}  # runs beside a low-rank method only


def conversations(file: Path, contexts: range) -> Path:
    rows = [
        {
            "messages": [{"role": "user", "content": f"Where does person {asked} live?"}, {"role": "assistant", "content": "In Rome."}],
            "documents": [f"Person {at} of house {context} lives in Rome, and trusts person {at + 1}. " * 2 for at in range(3)],
        }
        for context in contexts
        for asked in range(2)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def plan(teacher, tmp_path) -> PublicAblations:
    chat, held_out = conversations(tmp_path / "train.jsonl", range(6)), conversations(tmp_path / "held.jsonl", range(10, 13))
    return PublicAblations(teacher, None, None, chat, held_out, 4, 2, 600, 1e-3, 0, 4000, "no", "blank-lines", 1, ["distillation", "without sinks"], tmp_path / "out")


def test_every_run_is_scored_on_the_same_questions_and_runs_once(plan):
    said: list[str] = []
    results = run_public(plan, said.append)
    assert [each["run"] for each in results] == [FULL, PLAIN, "distillation", "without sinks"]
    assert all(len(each["kl"]) == len(each["nll"]) == 4 for each in results) and len(said) == 2
    assert max(results[0]["kl"]) < 1e-6 and all(value > 0 for each in results[1:] for value in each["kl"])
    assert not list(plan.out.rglob("*.safetensors"))
    before = {file: file.stat().st_mtime_ns for file in plan.out.rglob("results.json")}
    assert run_public(plan, said.append) == results
    assert {file: file.stat().st_mtime_ns for file in plan.out.rglob("results.json")} == before


def test_the_teacher_under_full_attention_is_no_way_from_itself(plan):
    teacher = System.load(plan.teacher)
    kept, _ = chat_examples(plan.held_out, teacher.tokenizer, teacher.sinks, Cutting(plan.teacher, "blank-lines"), 4000)
    references = {name: [answer_logits(teacher, each, full) for each in kept] for name, full in (("kl", True), ("blocks_kl", False))}
    found = scores(teacher, kept, references, full=True)
    assert max(found["kl"]) < 1e-5
    assert min(found["blocks_kl"]) > 1e-5


def test_the_table_gives_effects_with_intervals(plan):
    results = [
        {"run": FULL, "seed": 1, "seconds": 0.0, "kl": [0.0, 0.0], "nll": [0.5, 0.7]},
        {"run": PLAIN, "seed": 1, "seconds": 0.0, "kl": [1.0, 1.0], "nll": [2.0, 2.0]},
        {"run": "distillation", "seed": 1, "seconds": 60.0, "kl": [0.2, 0.4], "nll": [1.0, 1.0]},
        {"run": "without sinks", "seed": 1, "seconds": 60.0, "kl": [0.3, 0.5], "nll": [1.0, 1.0]},
    ]
    text = public_table(results, plan)
    assert "| the teacher under full attention | 1 | 0.0000 | - | 0.6000 | - | - | - | 0.0 |" in text
    assert "| distillation | 1 | 0.3000 | 70% | 1.0000 | - | - | - | 1.0 |" in text
    assert "| without sinks | 1 | 0.4000 | 60% | 1.0000 | +0.1000 [+0.1000, +0.1000] | +0.100 | +0.0000 [+0.0000, +0.0000] | 1.0 |" in text
    plan.out.mkdir()
    assert write_parts([*results, {**results[3], "seed": 2}], plan).count("| without sinks | 2 | ") == 1
    assert "without sinks" in (plan.out / "parts.svg").read_text() and (plan.out / "parts.png").stat().st_size > 1000


def test_a_run_that_does_not_exist_is_named(plan):
    with pytest.raises(ValueError, match="no such run: nothing; there are distillation, "):
        run_public(replace(plan, only=["nothing"]))


def test_results_of_other_settings_are_not_taken_for_ones_own(plan):
    run_public(plan, lambda _: None)
    with pytest.raises(ValueError, match=r"holds runs of other settings \(learning_rate, steps\)"):
        run_public(replace(plan, steps=3, learning_rate=1e-2))
    more = run_public(replace(plan, only=["without dropout"]), lambda _: None)
    assert [each["run"] for each in more] == [FULL, PLAIN, "without dropout"]


def test_a_start_with_sinks_of_its_own_has_no_runs_about_sinks(teacher, plan, tmp_path):
    def exported(name: str, **changed):
        settings = Settings(str(teacher), steps=1, tokens_per_step=300, precision="no", lora_rank=4, **changed)
        Distiller(settings, QuestionSource(load_tokenizer(teacher), 1, (2, 4), (1, 1), 4), None).export(tmp_path / name)

    exported("student")
    later = replace(plan, base=teacher, start=tmp_path / "student" / "adapter", lora_rank=4, only=None)
    names = later.runs().keys()
    assert {name for name in names if "sinks" in name} == LOW_RANK - {"all weights", "sinks at 0.01"} and {"without dropout", "block fine-tuning"} <= names
    with pytest.raises(ValueError, match="no such run: without sinks; .* brings sinks of its own"):
        replace(later, only=["without sinks"]).runs()
    exported("teacher", sinks=0, full_share=1.0)
    assert "without sinks" in replace(later, start=tmp_path / "teacher" / "adapter").runs()


def test_only_runs_that_differ_from_the_whole_method_are_there(plan):
    every = replace(plan, only=None)
    assert set(RUNS) - every.runs().keys() == {"with weights", "without hidden states", "without questions", *LOW_RANK}
    own = replace(every, weighting=False, states=10.0, asked=0.3, act=0.02)
    assert set(RUNS) - own.runs().keys() == {"without weights", "with hidden states", "with questions", *LOW_RANK}
    low = replace(own, lora_rank=8, base=plan.teacher)
    all_weights = low.settings(low.runs()["all weights"], 1)
    assert all(low.settings(changed, 1).check() is None for changed in low.runs().values()) and low.runs().keys() >= LOW_RANK - {"sinks at 0.01"}
    assert (all_weights.lora_rank, all_weights.student_base, low.settings({}, 1).lora_rank) == (0, str(plan.teacher), 8)
    assert all(own.settings(changed, 1).check() is None for changed in own.runs().values())
    assert (own.settings(own.runs()["with weights"], 2).weighting, own.settings({}, 2).act, own.settings({}, 2).seed) == (True, 0.02, 2)
