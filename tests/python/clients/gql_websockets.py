"""gql over a WebSocket of the library websockets, in the older sub-protocol, which gql names first."""

import gql_events
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.websockets import WebsocketsTransport

FILTER = {"applicationInstances": ["0oalisted"]}
HEAD = gql("{ ingestion { head } }")
# All that gql has of `connection_error`.
UNAUTHENTICATED = """Server error: '{'message': "Forbidden: the token is unknown: this gateway accepts a reader's token"}'"""


def connect(url, token):
    payload = {"authorization": f"Bearer {token}"}
    return Client(transport=WebsocketsTransport(url.replace("http", "ws", 1), init_payload=payload))


async def query(url, token):
    async with connect(url, token) as session:
        return (await session.execute(HEAD))["ingestion"]["head"]


def follow(url, token, start):
    return gql_events.follow(connect(url, token), FILTER, start)


def code(error):
    match error:
        case TransportQueryError():
            return error.errors[0]["extensions"]["code"]
        case TransportServerError():
            return str(error)
