"""Many documents at once, as lines of JSON in both directions. The generator knows no NDJSON, so its shapes stand here."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from .errors import UnexpectedAnswer
from .generated.models import DocumentRequest

NDJSON = {"content-type": "application/x-ndjson"}


@dataclass(frozen=True)
class DocumentResult:
    """What became of one document."""

    line: int
    """Of the upload, from 1. 0 if the upload itself broke off."""
    status: Literal["done", "accepted", "failed"]
    """`accepted`: in the background; the job goes on after a restart of the server."""
    id: str | None = None
    tokens: int | None = None
    computed_tokens: int | None = None
    """Those that were prefilled now."""
    block_count: int | None = None
    job_id: str | None = None
    error: dict[str, Any] | None = None
    """`message`, `type`, `param`, `code` and `remedy`, as in every error."""


def lines_of(documents: Iterable[DocumentRequest]) -> Iterator[bytes]:
    """A line per document, made as they are sent."""
    for document in documents:
        yield json.dumps(document.to_dict()).encode() + b"\n"


async def async_lines_of(documents: Iterable[DocumentRequest]) -> AsyncIterator[bytes]:
    """As `lines_of`."""
    for line in lines_of(documents):
        yield line


def results(response: httpx.Response) -> Iterator[DocumentResult]:
    """The results as they come."""
    for line in response.iter_lines():
        if line:
            yield _result(line)


async def async_results(response: httpx.Response) -> AsyncIterator[DocumentResult]:
    """As `results`."""
    async for line in response.aiter_lines():
        if line:
            yield _result(line)


def _result(line: str) -> DocumentResult:
    try:
        data = json.loads(line)
        known = {name: data[name] for name in DocumentResult.__dataclass_fields__ if name in data}
        return DocumentResult(**known)
    except (ValueError, TypeError) as reason:
        raise UnexpectedAnswer(f"this is no result of a document: {line[:200]}") from reason
