from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.document_list import DocumentList
from ...models.error_response import ErrorResponse
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_cache_salt, Unset):
        headers["x-cache-salt"] = x_cache_salt

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["after"] = after

    params["cache_salt"] = cache_salt

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/documents",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> DocumentList | ErrorResponse | None:
    if response.status_code == 200:
        response_200 = DocumentList.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorResponse.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorResponse.from_dict(response.json())

        return response_401

    if response.status_code == 429:
        response_429 = ErrorResponse.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = ErrorResponse.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = ErrorResponse.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[DocumentList | ErrorResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> Response[DocumentList | ErrorResponse]:
    """List documents

    Args:
        limit (int | Unset):
        after (str | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DocumentList | ErrorResponse]
    """

    kwargs = _get_kwargs(
        limit=limit,
        after=after,
        cache_salt=cache_salt,
        x_cache_salt=x_cache_salt,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> DocumentList | ErrorResponse | None:
    """List documents

    Args:
        limit (int | Unset):
        after (str | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DocumentList | ErrorResponse
    """

    return sync_detailed(
        client=client,
        limit=limit,
        after=after,
        cache_salt=cache_salt,
        x_cache_salt=x_cache_salt,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> Response[DocumentList | ErrorResponse]:
    """List documents

    Args:
        limit (int | Unset):
        after (str | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DocumentList | ErrorResponse]
    """

    kwargs = _get_kwargs(
        limit=limit,
        after=after,
        cache_salt=cache_salt,
        x_cache_salt=x_cache_salt,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> DocumentList | ErrorResponse | None:
    """List documents

    Args:
        limit (int | Unset):
        after (str | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DocumentList | ErrorResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            limit=limit,
            after=after,
            cache_salt=cache_salt,
            x_cache_salt=x_cache_salt,
        )
    ).parsed
