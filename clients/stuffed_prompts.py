"""What `auto_blocks` does for applications that change nothing.

Prompts are made by the frameworks themselves (LangChain's stuff prompt, LlamaIndex' question prompt, Haystack's prompt builder) and by
a template with numbered sources. Each request has the passage that answers and others in a drawn order. Three figures a template:
the share of characters of passages seen before that were found in the cache, how often the greedy answer is that of the same passages
as `documents`, and how often each holds the truth.

    python -m pip install -r clients/requirements-frameworks.txt langchain-classic
    blockstitch serve --model smollm2 --auto-blocks on
    python clients/stuffed_prompts.py --rag nq10.dev.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
import re
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

Template = Callable[[Sequence[str], str], str]


def langchain(passages: Sequence[str], question: str) -> str:
    from langchain_classic.chains.combine_documents.base import DEFAULT_DOCUMENT_PROMPT, DEFAULT_DOCUMENT_SEPARATOR
    from langchain_classic.chains.question_answering.stuff_prompt import PROMPT
    from langchain_core.documents import Document
    from langchain_core.prompts import format_document

    context = DEFAULT_DOCUMENT_SEPARATOR.join(format_document(Document(page_content=text), DEFAULT_DOCUMENT_PROMPT) for text in passages)
    return PROMPT.format(context=context, question=question)


def llama_index(passages: Sequence[str], question: str) -> str:
    from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT

    return DEFAULT_TEXT_QA_PROMPT.format(context_str="\n\n".join(passages), query_str=question)


def haystack(passages: Sequence[str], question: str) -> str:
    from haystack.components.builders import PromptBuilder
    from haystack.dataclasses import Document

    template = (
        "Answer the question with what these documents say.\n\nDocuments:\n"
        "{% for document in documents %}\n{{ document.content }}\n{% endfor %}\nQuestion: {{ question }}\nAnswer:"
    )
    builder = PromptBuilder(template=template, required_variables=["documents", "question"])
    return builder.run(documents=[Document(content=text) for text in passages], question=question)["prompt"]


def numbered(passages: Sequence[str], question: str) -> str:
    sources = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(passages, 1))
    return f"Answer from these sources and name the one you use.\n\nSources:\n\n{sources}\n\nQuestion: {question}\nAnswer:"


TEMPLATES: dict[str, Template] = {"LangChain": langchain, "LlamaIndex": llama_index, "Haystack": haystack, "numbered sources": numbered}


def ask(url: str, body: dict) -> dict:
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)


def holds(answer: str, accepted: Sequence[str]) -> bool:
    plain = lambda text: f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "
    return any(plain(each) in plain(answer) for each in accepted)


def measured(url: str, template: Template, rows: Sequence[dict], passages: int, requests: int, tokens: int) -> dict[str, float]:
    """@param rows each with `question`, `answers` and `passage`, which answers it"""
    draw = random.Random(0)
    seen: set[str] = set()
    known = hit = same = right_cut = right_documents = 0
    for _ in range(requests):
        row = draw.choice(rows)
        others = draw.sample([each["passage"] for each in rows if each is not row], passages - 1)
        chosen = [row["passage"], *others]
        draw.shuffle(chosen)
        content = template(chosen, row["question"])
        greedy = {"max_tokens": tokens, "temperature": 0, "attention": "block"}
        cut = ask(url, {**greedy, "messages": [{"role": "user", "content": content}], "auto_blocks": True})
        bare = [{"role": "user", "content": without(content, chosen)}]
        documents = ask(url, {**greedy, "messages": bare, "documents": chosen})
        for text in chosen:
            at = content.index(text)
            if text in seen:
                known += len(text)
                for block in cut["blockstitch"]["blocks"]:
                    if "message" in block and block["origin"] != "computed":
                        covered = min(utf16(content, block["message"]["end"]), at + len(text)) - max(utf16(content, block["message"]["start"]), at)
                        hit += max(0, covered)
            seen.add(text)
        answers = [each["choices"][0]["message"]["content"] for each in (cut, documents)]
        same += answers[0] == answers[1]
        right_cut += holds(answers[0], row["answers"])
        right_documents += holds(answers[1], row["answers"])
    return {"found": hit / known, "same": same / requests, "right, cut": right_cut / requests, "right, documents": right_documents / requests}


def without(content: str, passages: Sequence[str]) -> str:
    """The application's own text, without the passages, what numbers them and the white space behind them."""
    numbers = r"(?:\[\d+\] )?"
    joined = r"\s*".join(numbers + re.escape(text) for text in passages)
    return re.sub(joined + r"\s*", "", content, count=1)


def utf16(text: str, offset: int) -> int:
    """The place in Python's characters of an offset in UTF-16 units."""
    return len(text.encode("utf-16-le")[: 2 * offset].decode("utf-16-le"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--rag", type=Path, required=True, help="rows as in `blockstitch eval`, with `gold`")
    parser.add_argument("--rows", type=int, default=60, help="passages to draw from, one a row")
    parser.add_argument("--passages", type=int, default=8, help="of one request")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=32, help="new tokens of an answer")
    parser.add_argument("--templates", nargs="*", default=list(TEMPLATES), choices=list(TEMPLATES))
    options = parser.parse_args()
    rows: dict[str, dict] = {}
    for line in options.rag.read_text().splitlines():
        row = json.loads(line)
        passage = row["documents"][row["gold"][0]]["text"].strip()
        rows.setdefault(passage, {"question": row["question"], "answers": row["answers"], "passage": passage})
    chosen = list(rows.values())[: options.rows]
    print("| template | seen before and found | same answer as `documents` | right, cut | right, `documents` |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.templates:
        figures = measured(options.url, TEMPLATES[name], chosen, options.passages, options.requests, options.tokens)
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in figures.values())} |", flush=True)


if __name__ == "__main__":
    main()
