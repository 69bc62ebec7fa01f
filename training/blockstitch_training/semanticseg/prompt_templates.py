"""How RAG frameworks put retrieved passages into a prompt: what stands before all, before and behind each passage, and at the end.

A passage's frame is part of its segment: `head` before it, `tail` behind it. Fields: {n} number from 1, {zero} from 0, {title}, {source},
{score}. Fifteen templates are used in training, five are kept out, and others are drawn.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class PromptTemplate:
    """joiner: empty lines between passages. before, after: segments of their own, none where empty. {question} in after."""

    name: str
    head: str
    tail: str
    blank: bool
    before: str
    after: str


_USE = "Use the following pieces of context to answer the question at the end. If you don't know the answer, just say that you don't know, don't try to make up an answer."
_LLAMA = "Context information is below.\n---------------------"
_LLAMA_END = "---------------------\nGiven the context information and not prior knowledge, answer the query.\nQuery: {question}\nAnswer:"
_LOST = "Write a high-quality answer for the given question using only the provided search results (some of which might be irrelevant)."

SEEN = (
    PromptTemplate("blank-lines", "", "", True, _USE, "Question: {question}\nHelpful Answer:"),
    PromptTemplate("file-path", "file_path: {source}\n\n", "", True, _LLAMA, _LLAMA_END),
    PromptTemplate("context-below", "", "", True, _LLAMA, _LLAMA_END),
    PromptTemplate("document-title", "Document [{n}](Title: {title}) ", "", False, _LOST, "Question: {question}\nAnswer:"),
    PromptTemplate("bracket-number", "[{n}] ", "", True, "Answer the question from the numbered passages. Cite them.", "Question: {question}"),
    PromptTemplate("xml-document", '<document index="{n}">\n', "\n</document>", False, "<documents>", "</documents>\n\n{question}"),
    PromptTemplate(
        "xml-source", '<document index="{n}">\n<source>{source}</source>\n<document_content>\n', "\n</document_content>\n</document>", False,
        "Here are some documents for you to reference for your task:\n\n<documents>", "</documents>\n\nUsing only these documents, answer: {question}",
    ),
    PromptTemplate("source-line", "Source: {source}\n", "", True, "You are a helpful assistant. Answer from the sources.", "Question: {question}\nAnswer:"),
    PromptTemplate("content-source", "Content: ", "\nSource: {source}", False, "Given the following extracted parts of a long document and a question, create a final answer with references (\"SOURCES\").", "QUESTION: {question}\n========="),
    PromptTemplate("rules", "", "\n\n---", True, "Context:", "Question: {question}"),
    PromptTemplate("heading", "### Document {n}: {title}\n", "", True, "## Retrieved documents", "## Question\n{question}"),
    PromptTemplate("passage", "Passage {n}:\n", "", True, "Read the passages and answer.", "{question}"),
    PromptTemplate("quotes", 'Wikipedia article section:\n\n"""\n', '\n"""', True, "Use the below articles to answer the subsequent question. If the answer cannot be found, write \"I don't know.\"", "Question: {question}"),
    PromptTemplate("title-text", "Title: {title}\nText: ", "", True, "", "Question: {question}"),
    PromptTemplate("scored", "Result {n} (score {score}): {title}\n", "", False, "Search results:", "User question: {question}"),
)  # fmt: skip
UNSEEN = (
    PromptTemplate("haystack", "Document[{zero}]: ", "", True, "Given these documents, answer the question.\nDocuments:", "Question: {question}\nAnswer:"),
    PromptTemplate("equals", "===== {source} (chunk {n}) =====\n", "", False, "You will be given excerpts from our knowledge base.", "Reply to the customer: {question}"),
    PromptTemplate("context-tags", "<context id={n}>", "</context>", False, "SYSTEM: ground every claim in the contexts.", "USER: {question}"),
    PromptTemplate("begin-end", "BEGIN CHUNK {n}\n", "\nEND CHUNK", True, "The knowledge below was retrieved for you.", "Now answer this: {question}"),
    PromptTemplate("excerpt", "Excerpt from \"{title}\":\n", "", True, "Answer based on the excerpts.", "Query: {question}\nResponse:"),
)  # fmt: skip

_WORDS = ("Chunk", "Snippet", "Section", "Article", "Item", "Evidence", "Reference", "Extract", "Text", "Fragment", "Record", "Note", "Hit", "doc", "CONTEXT", "Page")
_NUMBERS = ("{w} {n}:", "{w} #{n}", "[{w} {n}]", "({n})", "{n}.", "{n})", "{w}-{n}", "**{w} {n}**", "## {w} {n}", "<{w} {n}>", "{w} {n} -", "--- {w} {n} ---", "*** {n} ***", "{{{n}}}", "{w} no. {n}:")
_EXTRAS = ("", "", "", "{title}", "Title: {title}", "({source})", "url: {source}", "[source: {source}, score: {score}]", "relevance={score}", "File: {source}", '"{title}"', "id: {source}-{n}")
_BEFORE = (
    "Answer using the context.", "Context:", "You are an expert. Read what follows and answer.", "Here is what the search found.", "Knowledge:", "Retrieved passages:",
    "Use only the information below. Do not invent anything.", "I will give you some texts and then a question.", "Relevant information:\n", "# Context", "Instructions: be brief.\n\nMaterial:",
)  # fmt: skip
_AFTER = (
    "Question: {question}", "Q: {question}\nA:", "{question}", "Now answer: {question}", "# Question\n{question}", "Based on the above, {question}", "User: {question}\nAssistant:",
    "Query: {question}", "Task: answer the question.\n{question}", "</context>\n{question}",
)  # fmt: skip


def draw_template(rng: random.Random) -> PromptTemplate:
    """A template that no framework has, of parts that many have."""
    word = rng.choice(_WORDS)
    if rng.random() < 0.25:
        word = word.lower() if rng.random() < 0.5 else word.upper()
    kind = rng.random()
    head, tail = "", ""
    extra = rng.choice(_EXTRAS)
    if kind < 0.55:
        head = rng.choice(_NUMBERS).replace("{w}", word)
        if rng.random() < 0.3:
            head = head.replace("{n}", "{zero}")
        head += f" {extra}" if extra and rng.random() < 0.6 else f"\n{extra}" if extra else ""
        head += rng.choice(("\n", "\n", " ", "\n\n"))
    elif kind < 0.7:
        tag = word.lower()
        attribute = rng.choice(("", ' id="{n}"', ' title="{title}"', ' source="{source}"', " n={n}"))
        head, tail = f"<{tag}{attribute}>{rng.choice(('', chr(10)))}", f"{rng.choice(('', chr(10)))}</{tag}>"
    elif kind < 0.85:
        head = (extra or "{title}") + rng.choice(("\n", ": ", "\n\n"))
    if kind >= 0.75 and rng.random() < 0.6:
        tail += "\n" + rng.choice(("---", "***", "=====", "-----------", "\n---", "###", "~~~~", "________", "* * *", "\n##########"))
    before = rng.choice(_BEFORE) if rng.random() < 0.85 else ""
    after = rng.choice(_AFTER) if rng.random() < 0.85 or not (before or head or tail) else ""
    # Nothing but empty lines between passages is only known as a prompt by its frame.
    blank = rng.random() < 0.6 or not (head.strip() or tail.strip())
    if not (head.strip() or tail.strip()) and not before:
        before = rng.choice(_BEFORE)
    return PromptTemplate("drawn", head, tail, blank, before, after)
