"""gql over HTTP alone, by aiohttp: the example of docs/clients.md, which subscribes over multipart."""

import gql_events
from gql.transport.exceptions import TransportQueryError, TransportServerError

FILTER = {"applicationInstances": ["0oalisted"]}
UNAUTHENTICATED = "UNAUTHENTICATED"
STREAM_UNAUTHENTICATED = 401


async def query(url, token):
    """Reads all pages; the newest event has the head's position."""
    pages = gql_events.pages(gql_events.connect(url, token), FILTER, first=2)
    events = [event async for page in pages for event in page]
    positions = [int(event["position"]) for event in events]
    assert positions == list(range(len(positions), 0, -1)), positions
    return events[0]["position"]


async def follow(url, token, start):
    async for batch in gql_events.follow(gql_events.connect(url, token), FILTER, start):
        for event in batch["events"]:
            assert event["user"] == {"alternateId": "zoë@acme.example"}
        yield batch


def code(error):
    match error:
        case TransportQueryError():
            return error.errors[0]["extensions"]["code"]
        case TransportServerError():
            return error.code
