"""The loop of a peer's process: one JSON request a line on standard input, one JSON answer a line on standard output.

    first, when the engine is loaded                              ->  {"version": "0.32.0"}
    {"op": "generate", "prompts": [PROMPT, ...], "new": 129}      ->  {"ms": 512.3}     all prompts at once, greedy, to that many new tokens
    {"op": "memory"}                                              ->  {"bytes": 1234}   the largest resident size so far

A PROMPT is {"documents": [[id, ...], ...], "question": [id, ...]}; the engine gets it as one sequence, and the time does not count its
making. Whatever an engine prints goes to standard error. It knows no engine.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import chain


def serve(package: str, open_engine: Callable[[], Callable[[list[list[int]], int], None]]) -> None:
    """
    @param package whose version is told
    @param open_engine loads the engine and returns what generates; it returns when all new tokens are there
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    generate = open_engine()
    print(json.dumps({"version": version(package)}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "memory":
            answer = {"bytes": _peak_bytes()}
        else:
            prompts = [[*chain(*each["documents"], each["question"])] for each in request["prompts"]]
            started = time.perf_counter()
            generate(prompts, request["new"])
            answer = {"ms": 1000 * (time.perf_counter() - started)}
        print(json.dumps(answer), file=answers, flush=True)


def _peak_bytes() -> int:
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
