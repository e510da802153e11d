"""aiohttp by itself: queries, and subscriptions over multipart, by its reader of parts."""

import asyncio

import aiohttp

EVENTS = """
  subscription Events($filter: SyncEventFilter, $from: SyncEventStart) {
    syncEvents(filter: $filter, from: $from) { events { position user { alternateId } } position }
  }
"""
HEAD = "{ ingestion { head } }"
FILTER = {"applicationInstances": ["0oalisted"]}
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
UNAUTHENTICATED = 401
STREAM_UNAUTHENTICATED = 401


class Refused(Exception):
    """The gateway refused: a list of GraphQL's errors."""


def connect(token):
    return aiohttp.ClientSession(headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT, raise_for_status=True)


async def query(url, token):
    async with connect(token) as session, session.post(url, json={"query": HEAD}) as answer:
        return (await answer.json())["data"]["ingestion"]["head"]


async def follow(url, token, start):
    headers = {"accept": "multipart/mixed;subscriptionSpec=1.0"}
    async with connect(token) as session:
        while True:
            body = {"query": EVENTS, "variables": {"filter": FILTER, "from": start}}
            try:
                async with session.post(url, json=body, headers=headers) as answer:
                    async for part in aiohttp.MultipartReader.from_response(answer):
                        told = await part.json()
                        payload = told.get("payload") or {}
                        if errors := told.get("errors") or payload.get("errors"):
                            raise Refused(errors)
                        if data := payload.get("data"):
                            for event in data["syncEvents"]["events"]:
                                assert event["user"] == {"alternateId": "zoë@acme.example"}
                            yield data["syncEvents"]
                            start = {"after": data["syncEvents"]["position"]}
            except aiohttp.ClientResponseError:
                raise
            except (aiohttp.ClientError, OSError, ValueError):
                # The connection broke, perhaps within a part.
                await asyncio.sleep(0.02)


def code(error):
    match error:
        case Refused():
            return error.args[0][0]["extensions"]["code"]
        case aiohttp.ClientResponseError():
            return error.status
