"""The server's answers beside PyTorch's: equal texts count as equal, and one that differs is shown with the margin where they part."""

import json

import pytest
from tiny_checkpoints import write_checkpoint

from blockstitch_training.distill.segmenting import COMMAND
from blockstitch_training.evaluation.__main__ import main
from blockstitch_training.evaluation.served_agreement import ServedAnswer, margin_where_they_part, served_table

ROWS = [
    {"question": f"Where does person {row} live?", "answers": ["Rome"], "gold": [0],
     "documents": [{"title": f"T{at}", "text": f"Person {at} of {row} lives in Rome. " * 3} for at in range(3)]}
    for row in range(3)
]  # fmt: skip


def test_the_margin_is_that_of_the_token_at_which_the_texts_part():
    def token(text, *logprobs):
        return {"token": text, "top_logprobs": [{"logprob": each} for each in logprobs]}

    tokens = [token("In", -0.1, -3.0), token(" Rome", -0.7, -0.8), token(".", -0.2, -2.0)]
    assert margin_where_they_part(tokens, "In Paris.") == pytest.approx(0.1)
    assert margin_where_they_part(tokens, "At") == pytest.approx(2.9)
    assert margin_where_they_part(tokens, "In Rome") == pytest.approx(1.8)
    assert margin_where_they_part(tokens, "In Rome. It is") == pytest.approx(1.8)  # the server stopped there


def test_the_table_shows_every_answer_that_differs():
    text = served_table([ServedAnswer("a", 0, "x", "x", None), ServedAnswer("a", 1, "y|z", "w", 0.0123), ServedAnswer("b", 0, "v", "v", None)])
    assert "| a | 2 | 50.0% |" in text and "| b | 1 | 100.0% |" in text and "| all | 3 | 66.7% |" in text
    assert "| a | 1 | 0.0123 | w | y\\|z |" in text
    assert "differ" not in served_table([ServedAnswer("a", 0, "x", "x", None)])


@pytest.mark.skipif(not COMMAND.exists(), reason="the server is not built")
def test_the_server_answers_as_pytorch_does_and_a_second_call_goes_on(tmp_path, capsys):
    data = tmp_path / "rows.dev.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    student = write_checkpoint(tmp_path / "student", "llama")
    out = tmp_path / "out"

    def served(rows: int) -> str:
        main(["served", "--model", str(student), "--data", str(data), "--rows", str(rows), "--new-tokens", "5", "--out", str(out)])
        return capsys.readouterr().err

    assert served(2).count("  equal") == 2
    kept = (out / "served.jsonl").read_text()
    (out / "served.jsonl").write_text(kept + '{"data": "rows.dev", "ro')
    assert served(3).count("rows.dev: 3 of 3  equal") == 1
    assert (out / "served.jsonl").read_text().startswith(kept)
    assert "| rows.dev | 3 | 100.0% |" in (out / "served.md").read_text()
