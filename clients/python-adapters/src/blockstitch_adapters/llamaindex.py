"""LlamaIndex: a response synthesizer that sends nodes as documents.

It knows LlamaIndex's nodes and synthesizers and the field `documents` of the server. The model is any LLM of LlamaIndex
that passes `extra_body` on, as OpenAILike does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.types import RESPONSE_TEXT_TYPE


class DocumentsSynthesizer(BaseSynthesizer):
    """`RetrieverQueryEngine(retriever, response_synthesizer=DocumentsSynthesizer(llm=llm))`.

    Each node is a document, in the order of the retriever. Its text is what LlamaIndex would put into a prompt
    (MetadataMode.LLM). The question is the last message, behind `system` if that is given.
    """

    def __init__(self, *args: Any, system: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._system = system

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        """There is none to change."""

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> RESPONSE_TEXT_TYPE:
        messages, body = self._request(query_str, text_chunks)
        if self._streaming:
            stream = self._llm.stream_chat(messages, extra_body=body, **response_kwargs)
            return _deltas(stream)
        return self._llm.chat(messages, extra_body=body, **response_kwargs).message.content or ""

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        messages, body = self._request(query_str, text_chunks)
        if self._streaming:
            stream = await self._llm.astream_chat(messages, extra_body=body, **response_kwargs)
            return _async_deltas(stream)
        answer = await self._llm.achat(messages, extra_body=body, **response_kwargs)
        return answer.message.content or ""

    def _request(self, query: str, texts: Sequence[str]) -> tuple[list[ChatMessage], dict[str, Any]]:
        system = [] if self._system is None else [ChatMessage(role="system", content=self._system)]
        return [*system, ChatMessage(role="user", content=query)], {"documents": [{"text": text} for text in texts]}


def _deltas(stream: Any) -> Generator[str, None, None]:
    for piece in stream:
        yield piece.delta or ""


async def _async_deltas(stream: Any) -> AsyncGenerator[str, None]:
    async for piece in stream:
        yield piece.delta or ""
