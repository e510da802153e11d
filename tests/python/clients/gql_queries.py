"""gql over the transports that have no subscriptions: requests, and httpx with asyncio and without."""

import asyncio

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

HEAD = gql("{ ingestion { head } }")
UNAUTHENTICATED = ["UNAUTHENTICATED"] * 3


class Refused(Exception):
    """The gateway refused, with these codes."""


async def query(url, token):
    """Asks by each transport, which must all have the same answer."""
    headers = {"authorization": f"Bearer {token}"}
    told = [
        await outcome(asyncio.to_thread(ask, RequestsHTTPTransport(url, headers=headers))),
        await outcome(asyncio.to_thread(ask, HTTPXTransport(url, headers=headers))),
        await outcome(ask_with_asyncio(HTTPXAsyncTransport(url, headers=headers))),
    ]
    heads = [head for head, _ in told]
    if None in heads:
        raise Refused([code for _, code in told])
    assert len(set(heads)) == 1, heads
    return heads[0]


async def outcome(step):
    """Gives the head, and the code with which the gateway refuses."""
    try:
        return (await step)["ingestion"]["head"], None
    except TransportQueryError as error:
        return None, error.errors[0]["extensions"]["code"]


def ask(transport):
    with Client(transport=transport) as session:
        return session.execute(HEAD)


async def ask_with_asyncio(transport):
    async with Client(transport=transport) as session:
        return await session.execute(HEAD)


def code(error):
    return error.args[0] if isinstance(error, Refused) else None
