"""gql over a WebSocket of aiohttp, in the sub-protocol graphql-transport-ws."""

import gql_events
from gql import Client, gql
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError

FILTER = {"applicationInstances": ["0oalisted"]}
HEAD = gql("{ ingestion { head } }")
# gql does not tell with which code a WebSocket was closed.
UNAUTHENTICATED = "Connection was closed"


def connect(url, token):
    return Client(
        transport=AIOHTTPWebsocketsTransport(
            url.replace("http", "ws", 1),
            init_payload={"authorization": f"Bearer {token}"},
            subprotocols=[AIOHTTPWebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
    )


async def query(url, token):
    async with connect(url, token) as session:
        return (await session.execute(HEAD))["ingestion"]["head"]


def follow(url, token, start):
    return gql_events.follow(connect(url, token), FILTER, start)


def code(error):
    match error:
        case TransportQueryError():
            return error.errors[0]["extensions"]["code"]
        case TransportConnectionFailed():
            return str(error)
