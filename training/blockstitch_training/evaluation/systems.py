"""The systems that are compared, in PyTorch: a checkpoint under full attention, under block attention, or repaired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..demo.question_sets import Asked
from ..distill.block_attention import NAME, inverse_frequencies, packed_logits
from ..distill.checkpoint import load_model, load_tokenizer
from ..distill.layout import Segment, build_layout
from ..distill.repaired_prefill import Repair, repaired
from ..distill.sink_tokens import NO_EDGES, Edges, base_sinks, block_edges
from ..distill.stitched_generation import KeysValues, Prompt, decode, generate, implementation, prefill
from .answer_scores import exact, f1

LONGEST_ANSWER = 24  # tokens


@dataclass
class System:
    """A loaded checkpoint. `sinks` at the front and at blocks' `edges` are its own, as the server reads them. Prompts come without them."""

    directory: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sinks: list[int]
    stops: frozenset[int] = field(default_factory=frozenset)
    edges: Edges = NO_EDGES

    @staticmethod
    def load(directory: str | Path, device: str = "cpu") -> System:
        model = load_model(directory, torch.float32 if device == "cpu" else torch.bfloat16).eval().to(device)
        ends = [model.config.eos_token_id, model.generation_config.eos_token_id]
        stops = frozenset(token for end in ends if end is not None for token in (end if isinstance(end, list) else [end]))
        return System(Path(directory), model, load_tokenizer(directory), base_sinks(model.config), stops, block_edges(model.config))

    def answers(self, prompts: Sequence[Prompt], mode: str, limit: int = LONGEST_ANSWER) -> list[str]:
        """Greedy. @param mode "full" or "block" """
        ids = generate(self.model, self.sinks, [self._with_edges(prompt) for prompt in prompts], mode == "full", limit, self.stops)
        return [self.text(each) for each in ids]

    def repaired_answers(self, prompts: Sequence[Prompt], repair: Repair, limit: int = LONGEST_ANSWER) -> list[str]:
        written = []
        for prompt in prompts:
            logits, cache = repaired(self.model, self.sinks, self._with_edges(prompt), repair)
            written.append(self.text(decode(self.model, logits[None], [cache], limit, self.stops)[0]))
        return written

    def begin(self, prompt: Prompt, mode: str, repair: float) -> tuple[torch.Tensor, KeysValues]:
        """Prefill. @param mode "full", "block" or "repair" @returns logits [vocab] of the prompt's last token, and its keys and values"""
        prompt = self._with_edges(prompt)
        if mode == "repair":
            return repaired(self.model, self.sinks, prompt, Repair(repair))
        with torch.no_grad():
            logits, caches = prefill(self.model, self.sinks, [prompt], mode == "full")
        return logits[0], caches[0]

    def _with_edges(self, prompt: Prompt) -> Prompt:
        return Prompt([self.edges.around(block) for block in prompt.blocks], prompt.final)

    def text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    @torch.no_grad()
    def text_logits(self, prompt: Prompt, mode: str) -> torch.Tensor:
        """Logits [len(final) - 1, vocab] that predict the final block's tokens 1.. from the tokens before."""
        blocks = [tuple(block) for block in self._with_edges(prompt).blocks]
        if mode == "full":
            blocks = [tuple(token for block in blocks for token in block)]
        segments = [*map(Segment, blocks), Segment(tuple(prompt.final), tuple(range(len(blocks))))]
        layout = build_layout(self.sinks, segments).to(self.model.device)
        keep = torch.tensor([layout.place(len(blocks), at) for at in range(len(prompt.final) - 1)], device=self.model.device)
        with implementation(self.model, NAME):
            return packed_logits(self.model, layout, keep, inverse_frequencies(self.model)).float()


def score(answers: Sequence[str], asked: Sequence[Asked], right: Callable[[str, Sequence[str]], float] = exact) -> dict[str, list[float]]:
    """Per question: `exact` (or the given measure) and `f1`."""
    pairs = list(zip(answers, asked, strict=True))
    return {"exact": [right(answer, each.accepted) for answer, each in pairs], "f1": [f1(answer, each.accepted) for answer, each in pairs]}


def text_figures(
    systems: dict[str, tuple[System, str]], reference: str, prompts: Sequence[Prompt], asked: Sequence[int] | None = None
) -> dict[str, dict[str, float]]:
    """
    Perplexity of each system over the final blocks' tokens, and KL(reference || system) per token, nats.

    @param systems   name to system and attention mode; tokens must be the same for all
    @param reference name of the system that KL is measured against
    @param asked     tokens at the front of each final block that are given, not scored (default: one)
    """
    sums = {name: {"nats": 0.0, "kl": 0.0} for name in systems}
    tokens = 0
    for prompt, given in zip(prompts, asked or [1] * len(prompts), strict=True):
        wanted = torch.tensor(prompt.final[given:])
        logits = {name: system.text_logits(prompt, mode)[given - 1 :].cpu() for name, (system, mode) in systems.items()}
        width = min(each.shape[1] for each in logits.values())
        log_p = functional.log_softmax(logits[reference], -1)[:, :width]
        for name, each in logits.items():
            log_q = functional.log_softmax(each, -1)
            sums[name]["nats"] += float(functional.nll_loss(log_q, wanted, reduction="sum"))
            sums[name]["kl"] += float((log_p.exp() * (log_p - log_q[:, :width])).sum())
        tokens += len(wanted)
    return {
        name: {"perplexity": float(torch.tensor(each["nats"] / tokens).exp()), "kl_to_teacher": each["kl"] / tokens, "tokens": tokens}
        for name, each in sums.items()
    }
