from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.cache_flushed import CacheFlushed
from ...models.error_response import ErrorResponse
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    tiers: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["tiers"] = tiers

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/v1/cache",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> CacheFlushed | ErrorResponse | None:
    if response.status_code == 200:
        response_200 = CacheFlushed.from_dict(response.json())

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
) -> Response[CacheFlushed | ErrorResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    tiers: str | Unset = UNSET,
) -> Response[CacheFlushed | ErrorResponse]:
    """Drop every cached block of the caller, from all tiers or some

     With API keys: the blocks of that key. Without: every block.

    Args:
        tiers (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CacheFlushed | ErrorResponse]
    """

    kwargs = _get_kwargs(
        tiers=tiers,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    tiers: str | Unset = UNSET,
) -> CacheFlushed | ErrorResponse | None:
    """Drop every cached block of the caller, from all tiers or some

     With API keys: the blocks of that key. Without: every block.

    Args:
        tiers (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CacheFlushed | ErrorResponse
    """

    return sync_detailed(
        client=client,
        tiers=tiers,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    tiers: str | Unset = UNSET,
) -> Response[CacheFlushed | ErrorResponse]:
    """Drop every cached block of the caller, from all tiers or some

     With API keys: the blocks of that key. Without: every block.

    Args:
        tiers (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CacheFlushed | ErrorResponse]
    """

    kwargs = _get_kwargs(
        tiers=tiers,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    tiers: str | Unset = UNSET,
) -> CacheFlushed | ErrorResponse | None:
    """Drop every cached block of the caller, from all tiers or some

     With API keys: the blocks of that key. Without: every block.

    Args:
        tiers (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CacheFlushed | ErrorResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            tiers=tiers,
        )
    ).parsed
