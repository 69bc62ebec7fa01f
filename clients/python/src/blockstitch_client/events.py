"""Server-sent events, read into the generated models. Knows names of events and their data, no routes."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent

from .errors import BlockstitchError, UnexpectedAnswer
from .generated.models import ErrorResponse, Job, JobEventName, ResponseChange
from .generated.models.job_event_name import check_job_event_name

T = TypeVar("T")

RESPONSE_ENDS = ("response.completed", "response.incomplete")


@dataclass(frozen=True)
class JobChange:
    """An event of a job: `progress`, and at last `done`, `failed` or `cancelled`."""

    name: JobEventName
    job: Job


def raise_refusal(response: httpx.Response) -> None:
    """Raises what a request was refused with. Its content must have been read. Returns if it was not refused."""
    if response.is_success:
        return
    try:
        error = ErrorResponse.from_dict(response.json())
    except (ValueError, KeyError, TypeError) as reason:
        raise UnexpectedAnswer(f"HTTP {response.status_code}: {response.text[:200]}") from reason
    raise BlockstitchError(response.status_code, error.error)


def chunks(response: httpx.Response, from_dict: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    """The chunks of an answer, up to `[DONE]`."""
    for event in EventSource(response).iter_sse():
        if event.data == "[DONE]":
            return
        yield from_dict(_data(response, event))
    raise UnexpectedAnswer("the stream was cut: [DONE] is missing")


async def async_chunks(response: httpx.Response, from_dict: Callable[[Mapping[str, Any]], T]) -> AsyncIterator[T]:
    """As `chunks`."""
    async for event in EventSource(response).aiter_sse():
        if event.data == "[DONE]":
            return
        yield from_dict(_data(response, event))
    raise UnexpectedAnswer("the stream was cut: [DONE] is missing")


def job_changes(response: httpx.Response) -> Iterator[JobChange]:
    """The changes of a job, up to its end."""
    ended = False
    for event in EventSource(response).iter_sse():
        change = _change(response, event)
        ended = change.job.status != "running"
        yield change
    if not ended:
        raise UnexpectedAnswer("the stream was cut: the job still runs")


async def async_job_changes(response: httpx.Response) -> AsyncIterator[JobChange]:
    """As `job_changes`."""
    ended = False
    async for event in EventSource(response).aiter_sse():
        change = _change(response, event)
        ended = change.job.status != "running"
        yield change
    if not ended:
        raise UnexpectedAnswer("the stream was cut: the job still runs")


def response_changes(response: httpx.Response) -> Iterator[ResponseChange]:
    """The events of a response, up to its end."""
    ended = False
    for event in EventSource(response).iter_sse():
        change = ResponseChange.from_dict(_data(response, event))
        ended = change.type_ in RESPONSE_ENDS
        yield change
    if not ended:
        raise UnexpectedAnswer("the stream was cut: the response has no end")


async def async_response_changes(response: httpx.Response) -> AsyncIterator[ResponseChange]:
    """As `response_changes`."""
    ended = False
    async for event in EventSource(response).aiter_sse():
        change = ResponseChange.from_dict(_data(response, event))
        ended = change.type_ in RESPONSE_ENDS
        yield change
    if not ended:
        raise UnexpectedAnswer("the stream was cut: the response has no end")


def _change(response: httpx.Response, event: ServerSentEvent) -> JobChange:
    data = _data(response, event)
    return JobChange(check_job_event_name(event.event), Job.from_dict(data))


def _data(response: httpx.Response, event: ServerSentEvent) -> Mapping[str, Any]:
    data: Mapping[str, Any] = event.json()
    if "error" in data and event.event == "message":
        raise BlockstitchError(response.status_code, ErrorResponse.from_dict(data).error)
    return data
