"""The loop of a peer's process: one JSON request a line on standard input, one JSON answer a line on standard output.

    {"op": "generate", "prompts": [[id, ...], ...], "new": 129}   ->  {"ms": 512.3}     all prompts at once, greedy, to that many new tokens
    {"op": "memory"}                                              ->  {"bytes": 1234}   the largest resident size so far

Whatever an engine prints goes to standard error. It knows no engine.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable


def serve(open_engine: Callable[[], Callable[[list[list[int]], int], None]]) -> None:
    """@param open_engine loads the engine and returns what generates; it returns when all new tokens are there"""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    generate = open_engine()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "memory":
            answer = {"bytes": _peak_bytes()}
        else:
            started = time.perf_counter()
            generate(request["prompts"], request["new"])
            answer = {"ms": 1000 * (time.perf_counter() - started)}
        print(json.dumps(answer), file=answers, flush=True)


def _peak_bytes() -> int:
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
