"""llama.cpp as a peer, by the package xllamacpp: `llama_cpp_peer.py FILE.gguf THREADS CONTEXT on|off`, the last for flash attention.

One slot, which keeps its last prompt. Prompts before the last are not kept in host memory: several of these run side by side.
"""

import json
import sys

from peer_loop import serve

MODEL, THREADS, CONTEXT, FLASH = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "on"


def open_engine():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = MODEL
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0
    flash = xllamacpp.llama_flash_attn_type
    params.flash_attn_type = flash.LLAMA_FLASH_ATTN_TYPE_ENABLED if FLASH else flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def generate(prompts: list[list[int]], new: int) -> None:
        for ids in prompts:
            asked = {"prompt": ids, "max_tokens": new, "temperature": 0, "cache_prompt": True, "ignore_eos": True}
            answer = server.handle_completions(asked)
            answer = json.loads(answer) if isinstance(answer, str) else answer
            assert answer["usage"]["completion_tokens"] == new, answer

    return generate


if __name__ == "__main__":
    serve("xllamacpp", open_engine)
