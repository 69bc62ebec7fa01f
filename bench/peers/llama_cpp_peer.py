"""llama.cpp as a peer, by the package xllamacpp: `llama_cpp_peer.py FILE.gguf THREADS CONTEXT on|off SLOTS`.

CONTEXT is that of each slot; `on` is flash attention. A slot keeps its last prompt, which the next one may share a prefix with.
Prompts before the last are not kept in host memory: several of these run side by side.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from peer_loop import serve

MODEL, FLASH = sys.argv[1], sys.argv[4] == "on"
THREADS, CONTEXT, SLOTS = (int(sys.argv[at]) for at in (2, 3, 5))


def open_engine():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = MODEL
    params.n_ctx = CONTEXT * SLOTS
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0
    flash = xllamacpp.llama_flash_attn_type
    params.flash_attn_type = flash.LLAMA_FLASH_ATTN_TYPE_ENABLED if FLASH else flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def answer(ids: list[int], new: int) -> None:
        asked = {"prompt": ids, "max_tokens": new, "temperature": 0, "cache_prompt": True, "ignore_eos": True}
        answered = server.handle_completions(asked)
        answered = json.loads(answered) if isinstance(answered, str) else answered
        assert answered["usage"]["completion_tokens"] == new, answered

    waiting = ThreadPoolExecutor(SLOTS)

    def generate(prompts: list[list[int]], new: int) -> None:
        for _ in waiting.map(answer, prompts, [new] * len(prompts)):
            pass

    return generate


if __name__ == "__main__":
    serve("xllamacpp", open_engine)
