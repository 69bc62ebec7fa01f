"""The type of a run: the faster one of the machine, what the command says, or the one that the run began in."""

import json

import pytest
import torch

from blockstitch_training.distill import precision
from blockstitch_training.distill.__main__ import parser, settings_of


@pytest.mark.parametrize(("faster", "chosen"), [(torch.bfloat16, "bf16"), (torch.float32, "no")])
def test_a_run_takes_the_faster_type_and_goes_on_in_its_own(faster, chosen, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(precision, "seconds", lambda dtype: 1.0 if dtype == faster else 2.0)
    options = parser().parse_args(["train", "--teacher", "t", "--out", str(tmp_path)])
    settings = settings_of(options)
    assert settings.precision == chosen
    assert f"precision: {'bfloat16' if chosen == 'bf16' else 'float32'}" in capsys.readouterr().out
    for begun in ("bf16", "no"):
        (tmp_path / "settings.json").write_text(json.dumps({"precision": begun}))
        assert settings_of(options).precision == begun
    for said in ("bf16", "no"):
        assert settings_of(parser().parse_args(["train", "--teacher", "t", "--out", str(tmp_path), "--precision", said])).precision == said


def test_a_gpu_and_runs_of_several_processes_take_bfloat16(monkeypatch):
    monkeypatch.setattr(precision, "seconds", lambda dtype: 1.0 if dtype == torch.float32 else 2.0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert precision.chosen_precision(None) == "bf16"
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision.chosen_precision(None) == "bf16"


def test_both_types_can_be_measured():
    assert all(precision.seconds(dtype) > 0 for dtype in (torch.bfloat16, torch.float32))
