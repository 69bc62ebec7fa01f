"""What you may rely on when you train the demo model."""

import json
import random
from dataclasses import replace

import pytest
import torch

from blockstitch_training.demo.curriculum import STAGES
from blockstitch_training.demo.demo_checkpoint import export, make_model, warm_start
from blockstitch_training.demo.demo_prompts import Prompts
from blockstitch_training.demo.demo_rows import Rows
from blockstitch_training.demo.demo_score import answer, block_mask
from blockstitch_training.demo.demo_settings import Settings
from blockstitch_training.demo.demo_tokenizer import train_tokenizer
from blockstitch_training.demo.demo_training import train
from blockstitch_training.demo.question_generator import make_example

TINY = Settings(hidden=64, intermediate=64, layers=2, heads=2, kv_heads=1, batch_tokens=1024)


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(train_tokenizer(seed=1))


def test_a_question_among_others_is_predicted_as_if_it_were_alone(prompts: Prompts) -> None:
    torch.manual_seed(0)
    model = make_model(TINY, prompts.tokenizer.get_vocab_size()).eval()
    batch = Rows(prompts, TINY, seed=3, step=0, stage=1).batch(random.Random(3), 1)
    with torch.no_grad():
        together = model(input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False).logits
    row = prompts.training_row(make_example_of_first_row(3))
    assert batch.ids[0, : len(row.ids)].tolist() == row.ids
    context = row.groups.index(1)
    for group in range(1, max(row.groups) + 1):
        places = [index for index, each in enumerate(row.groups) if each == group]
        with torch.no_grad():
            alone = model(torch.tensor([row.ids[:context] + [row.ids[place] for place in places]]), use_cache=False).logits
        torch.testing.assert_close(together[0, places], alone[0, context:], atol=1e-4, rtol=1e-4)


def make_example_of_first_row(seed: int):
    """The example of the first row of stage 1's batch, drawn as Rows.batch draws it."""
    rng = random.Random(seed)
    documents, entities = rng.randint(1, 4), rng.randint(1, 1)
    return STAGES[1].example(rng, documents, entities)


def test_training_goes_on_where_it_stopped(tmp_path) -> None:
    lines: list[str] = []
    train(tmp_path, 0.05, TINY, seed=1, compiled=False, log=lambda line, flush: lines.append(line))
    first = torch.load(tmp_path / "state.pt")
    train(tmp_path, 0.1, TINY, seed=1, compiled=False, log=lambda line, flush: lines.append(line))
    second = torch.load(tmp_path / "state.pt")
    assert 0 < first["step"] < second["step"]
    assert 3 <= first["spent"] < second["spent"]


def test_an_exported_checkpoint_is_gone_on_from_and_says_which_tokens_are_sinks(tmp_path, prompts: Prompts) -> None:
    torch.manual_seed(0)
    model = make_model(TINY, prompts.tokenizer.get_vocab_size())
    export(model, prompts, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["block_attention"] == {"mode": "block", "sink_token_ids": [prompts.bos]}
    other = make_model(TINY, prompts.tokenizer.get_vocab_size())
    warm_start(other, prompts.tokenizer, tmp_path)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, atol=1e-3, rtol=1e-3, msg=name)


def test_layers_that_a_checkpoint_lacks_change_nothing_at_first(tmp_path, prompts: Prompts) -> None:
    torch.manual_seed(0)
    model = make_model(TINY, prompts.tokenizer.get_vocab_size()).eval()
    export(model, prompts, tmp_path)
    deeper = make_model(replace(TINY, layers=TINY.layers + 2), prompts.tokenizer.get_vocab_size()).eval()
    warm_start(deeper, prompts.tokenizer, tmp_path)
    ids = torch.arange(4, 40)[None]
    with torch.no_grad():
        torch.testing.assert_close(deeper(ids).logits, model(ids).logits, atol=1e-2, rtol=1e-2)


def test_block_attention_hides_other_documents_from_a_document(prompts: Prompts) -> None:
    mask = block_mask([2, 3], 2)
    expected = ["1.......", "11......", "111.....", "1..1....", "1..11...", "1..111..", "1111111.", "11111111"]
    assert ["".join("1" if seen else "." for seen in row) for row in mask.tolist()] == expected


def test_with_one_document_both_kinds_of_attention_answer_alike(prompts: Prompts) -> None:
    torch.manual_seed(0)
    model = make_model(TINY, prompts.tokenizer.get_vocab_size()).eval()
    example = make_example(random.Random(4), 1, 1)
    asked = example.questions[0].question
    assert answer(model, prompts, example.documents, asked, "full") == answer(model, prompts, example.documents, asked, "block")
