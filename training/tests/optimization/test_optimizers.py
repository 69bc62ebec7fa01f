"""Which weights Muon takes, and that one schedule drives all optimizers."""

import pytest

torch = pytest.importorskip("torch")

from blockstitch_training.optimization.optimizers import Schedule, make_optimizers


def model() -> "torch.nn.Module":
    made = torch.nn.Module()
    made.embed_tokens = torch.nn.Embedding(7, 4)
    made.layer = torch.nn.Linear(4, 4)
    made.lm_head = torch.nn.Linear(4, 7, bias=False)
    return made


def test_muon_takes_the_layers_matrices_and_adamw_everything_else() -> None:
    made = model()
    muon, adam = make_optimizers(made, rate=1e-3, muon_rate=1e-2)
    assert isinstance(muon, torch.optim.Muon) and isinstance(adam, torch.optim.AdamW)
    assert [weight.shape for weight in muon.param_groups[0]["params"]] == [made.layer.weight.shape]
    assert {id(weight) for weight in adam.param_groups[0]["params"]} == {id(made.embed_tokens.weight), id(made.layer.bias), id(made.lm_head.weight)}


def test_without_a_rate_for_muon_adamw_takes_everything() -> None:
    made = model()
    (adam,) = make_optimizers(made, rate=1e-3)
    assert len(adam.param_groups[0]["params"]) == len(list(made.parameters()))


def test_one_factor_scales_every_rate_from_its_own() -> None:
    optimizers = make_optimizers(model(), rate=1e-3, muon_rate=1e-2)
    schedule = Schedule(optimizers)
    for factor in (0.5, 0.1):
        schedule.scale(factor)
        assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers] == pytest.approx([1e-2 * factor, 1e-3 * factor])
