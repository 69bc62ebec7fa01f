from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_response import ErrorResponse
from ...models.response_object import ResponseObject
from ...models.response_request import ResponseRequest
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: ResponseRequest,
    x_cache_salt: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_cache_salt, Unset):
        headers["x-cache-salt"] = x_cache_salt

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/responses",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorResponse | ResponseObject | None:
    if response.status_code == 200:
        response_200 = ResponseObject.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorResponse.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorResponse.from_dict(response.json())

        return response_401

    if response.status_code == 404:
        response_404 = ErrorResponse.from_dict(response.json())

        return response_404

    if response.status_code == 413:
        response_413 = ErrorResponse.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = ErrorResponse.from_dict(response.json())

        return response_415

    if response.status_code == 422:
        response_422 = ErrorResponse.from_dict(response.json())

        return response_422

    if response.status_code == 429:
        response_429 = ErrorResponse.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = ErrorResponse.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = ErrorResponse.from_dict(response.json())

        return response_503

    if response.status_code == 504:
        response_504 = ErrorResponse.from_dict(response.json())

        return response_504

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorResponse | ResponseObject]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ResponseRequest,
    x_cache_salt: str | Unset = UNSET,
) -> Response[ErrorResponse | ResponseObject]:
    """Answer over documents, in the form of the Responses API

    Args:
        x_cache_salt (str | Unset):
        body (ResponseRequest): No state, no reasoning, one answer: `previous_response_id`,
            `conversation`, `background`, `prompt`, `include`, `reasoning`, `truncation`,
            `top_logprobs`, `max_tool_calls` and `n` are refused by name, and so are the fields that
            only a chat has. Others that are not here are ignored.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | ResponseObject]
    """

    kwargs = _get_kwargs(
        body=body,
        x_cache_salt=x_cache_salt,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: ResponseRequest,
    x_cache_salt: str | Unset = UNSET,
) -> ErrorResponse | ResponseObject | None:
    """Answer over documents, in the form of the Responses API

    Args:
        x_cache_salt (str | Unset):
        body (ResponseRequest): No state, no reasoning, one answer: `previous_response_id`,
            `conversation`, `background`, `prompt`, `include`, `reasoning`, `truncation`,
            `top_logprobs`, `max_tool_calls` and `n` are refused by name, and so are the fields that
            only a chat has. Others that are not here are ignored.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | ResponseObject
    """

    return sync_detailed(
        client=client,
        body=body,
        x_cache_salt=x_cache_salt,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ResponseRequest,
    x_cache_salt: str | Unset = UNSET,
) -> Response[ErrorResponse | ResponseObject]:
    """Answer over documents, in the form of the Responses API

    Args:
        x_cache_salt (str | Unset):
        body (ResponseRequest): No state, no reasoning, one answer: `previous_response_id`,
            `conversation`, `background`, `prompt`, `include`, `reasoning`, `truncation`,
            `top_logprobs`, `max_tool_calls` and `n` are refused by name, and so are the fields that
            only a chat has. Others that are not here are ignored.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | ResponseObject]
    """

    kwargs = _get_kwargs(
        body=body,
        x_cache_salt=x_cache_salt,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ResponseRequest,
    x_cache_salt: str | Unset = UNSET,
) -> ErrorResponse | ResponseObject | None:
    """Answer over documents, in the form of the Responses API

    Args:
        x_cache_salt (str | Unset):
        body (ResponseRequest): No state, no reasoning, one answer: `previous_response_id`,
            `conversation`, `background`, `prompt`, `include`, `reasoning`, `truncation`,
            `top_logprobs`, `max_tool_calls` and `n` are refused by name, and so are the fields that
            only a chat has. Others that are not here are ignored.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | ResponseObject
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_cache_salt=x_cache_salt,
        )
    ).parsed
