"""The server imports a distilled checkpoint of every family and gives the same logits. Needs `make build`."""

import math
import subprocess

import pytest
import torch
from tiny_checkpoints import FAMILIES, write_checkpoint

from blockstitch_training.demo.question_sets import Asked
from blockstitch_training.distill.chat_prompt import ChatPrompt, Document
from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.distiller import Distiller
from blockstitch_training.distill.example_sources import QuestionSource
from blockstitch_training.distill.repaired_prefill import Repair, repaired
from blockstitch_training.distill.segmenting import COMMAND
from blockstitch_training.distill.stitched_generation import Prompt, prefill
from blockstitch_training.evaluation.served import Served
from blockstitch_training.evaluation.systems import System

ASKED = Asked(("Ada lives in Rome. " * 6, "Bo was born in 1900. Bo trusts Ada. " * 5, "The fair is in May."), ("", "", ""), "Where does Ada live?", ("",), 0)


@pytest.mark.skipif(not COMMAND.exists(), reason="the server is not built")
@pytest.mark.parametrize(("family", "edges"), [*((family, (0, 0)) for family in FAMILIES), ("llama", (2, 1)), ("qwen2", (0, 3))])
def test_a_distilled_checkpoint_gives_the_same_logits_in_the_server(family, edges, tmp_path):
    teacher = write_checkpoint(tmp_path / "teacher", family, tied=family != "qwen3")
    settings = Settings(teacher=str(teacher), steps=2, tokens_per_step=300, precision="no", sinks=3, learning_rate=1e-2, warmup=0,
                        start_sinks=edges[0], end_sinks=edges[1])  # fmt: skip
    system = System.load(teacher)
    distiller = Distiller(settings, QuestionSource(system.tokenizer, 1, (2, 3)), None)
    distiller.train(progress=False)
    distiller.export(tmp_path / "student")
    student = System.load(tmp_path / "student")
    assert student.sinks == distiller.student_sinks and len(student.sinks) == 4
    assert (len(student.edges.start), len(student.edges.end)) == edges
    planned = ChatPrompt(student.tokenizer, student.sinks).plan(
        [{"role": "user", "content": ASKED.question}], [Document((text,)) for text in ASKED.documents]
    )
    prompt = Prompt([student.edges.around(block) for block in planned.blocks], planned.final)
    with Served(tmp_path / "student") as server:
        for attention, logits in (
            ("block", prefill(student.model, student.sinks, [prompt], False)[0][0]),
            ("full", prefill(student.model, student.sinks, [prompt], True)[0][0]),
            ({"mode": "block", "repair": {"share": 0.5, "by": "first"}}, repaired(student.model, student.sinks, prompt, Repair(0.5))[0]),
        ):
            wanted = torch.log_softmax(logits, -1)
            answer = server.chat(ASKED, attention, 1, logprobs=True)
            assert answer["usage"]["prompt_tokens"] == len(student.sinks) + prompt.tokens
            given = [entry["logprob"] for entry in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]]
            assert len(given) == 5
            scale = float(wanted.max() - wanted.min())
            for got, expected in zip(given, wanted.topk(5).values.tolist(), strict=True):
                assert math.isclose(got, expected, abs_tol=1e-3 * scale), (attention, given)


@pytest.mark.skipif(not COMMAND.exists(), reason="the server is not built")
def test_a_family_that_the_server_does_not_know_is_refused_before_training(tmp_path, teacher):
    from transformers import GPT2Config

    GPT2Config(n_layer=1, n_head=2, n_embd=8).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="gpt2"):
        System.load(tmp_path)
    assert subprocess.run(["node", str(COMMAND), "import", str(tmp_path)], capture_output=True).returncode != 0
