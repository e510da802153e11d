"""httpx-sse: the example of docs/clients.md, and queries by httpx."""

import asyncio

import httpx
import sse_events

FILTER = {"applicationInstances": ["0oalisted"]}
HEAD = "{ ingestion { head } }"
UNAUTHENTICATED = 401
STREAM_UNAUTHENTICATED = 401


async def query(url, token):
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        answer = await client.post(url, json={"query": HEAD})
    return answer.raise_for_status().json()["data"]["ingestion"]["head"]


async def follow(url, token, start):
    batches = sse_events.follow(url, token, FILTER, start)
    while True:
        yield await asyncio.to_thread(next, batches)


def code(error):
    match error:
        case sse_events.Refused():
            return error.args[0][0]["extensions"]["code"]
        case httpx.HTTPStatusError():
            return error.response.status_code
