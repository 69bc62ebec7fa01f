"""The plan of the ablations and their table."""

from blockstitch_training.evaluation.ablation_plan import OFF, SETS, SIZES, planned, runs
from blockstitch_training.evaluation.ablation_table import table, write_between_marks


def test_the_ablations_hold_every_choice_of_the_three_components():
    of_size = runs(SIZES["tiny"])
    distilled = {name: changed for name, (changed, _) in of_size.items() if name != "plain stitching" and changed.get("loss") != "ce"}
    choices = {tuple(all(changed.get(key) == value for key, value in off.items()) for off in OFF.values()) for changed in distilled.values()}
    assert len(distilled) == len(choices) == 8
    assert of_size["distillation"] == ({}, 3)


def test_runs_come_seed_by_seed_and_plain_stitching_is_always_among_them():
    order = planned(SIZES["tiny"], seeds=2, only=["distillation", "only sinks"])
    assert [(name, seed) for name, _, seed in order] == [("plain stitching", 1), ("distillation", 1), ("only sinks", 1), ("distillation", 2)]


def test_the_table_puts_seeds_together_and_replaces_the_old_one(tmp_path):
    def result(name, seed, right):
        scores = {where: {mode: {"exact": right, "kl": 0.01} for mode in ("block", "full")} for where in SETS}
        return {"run": name, "seed": seed, "seconds": 60.0, "scores": scores}

    plain = result("plain stitching", 1, [0.0, 0.0, 1.0, 1.0])
    for modes in plain["scores"].values():
        modes["full"] = {"exact": [1.0] * 4, "kl": 0.0}
    text = table([plain, result("distillation", 1, [1.0, 1.0, 1.0, 1.0]), result("distillation", 2, [0.0, 1.0, 1.0, 1.0])], "tiny", SIZES["tiny"])
    line = next(line for line in text.splitlines() if line.startswith("| distillation"))
    assert "| 2 | 87.5 (±12.5) |" in line and "| 0.75 [" in line
    file = tmp_path / "page.md"
    file.write_text("before\n<!-- ablations: begin -->\nold\n<!-- ablations: end -->\nafter\n")
    write_between_marks(file, text)
    assert file.read_text() == f"before\n<!-- ablations: begin -->\n{text}<!-- ablations: end -->\nafter\n"
