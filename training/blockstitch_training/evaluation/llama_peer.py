"""The same GGUF file in llama.cpp (the package `xllamacpp`) and in this server: do they give the same greedy tokens?

Both get the same token ids: a question over its documents, rendered by the file's own chat template. The server attends fully. Where
the tokens part, the script prints both engines' own gap between the two tokens. Both round activations to 8 bits (the server with
`--weights native`), each in its own way, so a gap near 0 is a tie that rounding decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..demo.question_sets import Asked
from .served import Served

NEAR_TIE = 0.1
"""Natural logarithms of probabilities that differ by less are a near tie: their probabilities are within 10% of one another."""
ALTERNATIVES = 5


@dataclass
class Choice:
    """A token that an engine chose, and the logarithms of the probabilities of its best tokens."""

    token: str
    logprobs: dict[str, float]

    def gap(self, other: str) -> float | None:
        """How much more probable than `other` the chosen token is; None if `other` is not among the best."""
        return self.logprobs[self.token] - self.logprobs[other] if other in self.logprobs else None


def prompt_ids(gguf: Path, asked: Sequence[Asked]) -> list[list[int]]:
    """The token ids of each question behind its documents, as `transformers` renders and cuts them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    prompts = []
    for each in asked:
        documents = "\n\n".join(f"{title}\n{text}" if title else text for title, text in zip(each.titles, each.documents, strict=True))
        message = {"role": "user", "content": f"{documents}\n\n{each.question}"}
        text = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        prompts.append(tokenizer.encode(text, add_special_tokens=False))
    return prompts


class LlamaCpp:
    """llama.cpp in this process, over one GGUF file, on the processor."""

    def __init__(self, gguf: Path, context: int, threads: int):
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx = context
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = threads
        params.verbosity = -1
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        self.server = xllamacpp.Server(params)

    def greedy(self, ids: list[int], tokens: int) -> list[Choice]:
        answer = self.server.handle_completions({"prompt": ids, "max_tokens": tokens, "temperature": 0, "logprobs": ALTERNATIVES, "cache_prompt": False})
        answer = json.loads(answer) if isinstance(answer, str) else answer
        content = answer["choices"][0]["logprobs"]["content"]
        return [Choice(each["token"], {best["token"]: best["logprob"] for best in each["top_logprobs"]}) for each in content]


def write_float32(gguf_file: Path, out: Path) -> None:
    """The same model with every weight decoded to float32. llama.cpp then multiplies floats and rounds no activation to 8 bits."""
    import gguf

    reader = gguf.GGUFReader(gguf_file)
    writer = gguf.GGUFWriter(out, reader.get_field("general.architecture").contents())
    for name, each in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind, *inner = each.types
        writer.add_key_value(name, each.contents(), kind, inner[0] if inner else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist()))))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def served_greedy(served: Served, ids: list[int], tokens: int) -> list[Choice]:
    body = {"prompt": ids, "attention": "full", "max_tokens": tokens, "temperature": 0, "logprobs": ALTERNATIVES}
    logprobs = served.post("/v1/completions", body)["choices"][0]["logprobs"]
    return [Choice(token, best) for token, best in zip(logprobs["tokens"], logprobs["top_logprobs"], strict=True)]


def compare(gguf: Path, asked: Sequence[Asked], tokens: int, weights: str, kv_dtype: str, threads: int) -> list[dict[str, object]]:
    """One row per prompt: its length, how many tokens agree, and where they part both gaps."""
    prompts = prompt_ids(gguf, asked)
    peer = LlamaCpp(gguf, max(len(ids) for ids in prompts) + tokens + 8, threads)
    rows = []
    with Served(gguf, weights, kv_dtype) as served:
        for number, ids in enumerate(prompts):
            theirs, ours = peer.greedy(ids, tokens), served_greedy(served, ids, tokens)
            rows.append({"prompt": number, "prompt_tokens": len(ids), **parting(ours, theirs)})
            print(row_line(rows[-1]), flush=True)
    return rows


def compare_with_itself(gguf: Path, float32: Path, asked: Sequence[Asked], tokens: int, threads: int) -> list[dict[str, object]]:
    """llama.cpp over the file ("here") and over the same weights in float32 ("there"): what its 8-bit activations alone change."""
    prompts = prompt_ids(gguf, asked)
    context = max(len(ids) for ids in prompts) + tokens + 8
    rounded, exact = LlamaCpp(gguf, context, threads), LlamaCpp(float32, context, threads)
    rows = []
    for number, ids in enumerate(prompts):
        rows.append({"prompt": number, "prompt_tokens": len(ids), **parting(rounded.greedy(ids, tokens), exact.greedy(ids, tokens))})
        print(row_line(rows[-1]), flush=True)
    return rows


def parting(ours: Sequence[Choice], theirs: Sequence[Choice]) -> dict[str, object]:
    # An end-of-text token is reported by one engine and not by the other: only one list may be longer.
    for place, (own, their) in enumerate(zip(ours, theirs, strict=False)):
        if own.token != their.token:
            gaps = {"our_gap": own.gap(their.token), "their_gap": their.gap(own.token)}
            return {"agreed": place, "same": False, "ours": own.token, "theirs": their.token, **gaps}
    return {"agreed": min(len(ours), len(theirs)), "same": abs(len(ours) - len(theirs)) <= 1}


def is_near_tie(row: dict[str, object]) -> bool:
    gaps = [row.get("our_gap"), row.get("their_gap")]
    return all(gap is not None for gap in gaps) and min(gaps) < NEAR_TIE


def row_line(row: dict[str, object]) -> str:
    start = f"prompt {row['prompt']:>2}, {row['prompt_tokens']} tokens: "
    if row["same"]:
        return f"{start}all {row['agreed']} tokens agree"
    if "ours" not in row:
        return f"{start}one engine ends after {row['agreed']} tokens"
    gaps = ", ".join("not among the best" if gap is None else f"{gap:.4f}" for gap in (row["our_gap"], row["their_gap"]))
    return f"{start}part at token {row['agreed']}: {row['ours']!r} here, {row['theirs']!r} there; gaps {gaps}"


def summary(rows: Sequence[dict[str, object]]) -> str:
    same = sum(bool(row["same"]) for row in rows)
    ties = sum(is_near_tie(row) for row in rows if not row["same"])
    return f"{same} of {len(rows)} prompts agree in every token; of the other {len(rows) - same}, {ties} part at a near tie (gap below {NEAR_TIE})"
