"""Checks one client against a gateway that stores nothing else meanwhile: check.py CLIENT URL TOKEN HOOK SECRET.

A client is a module of `clients`, in this form:

* `query(url, token)` gives the log's head.
* `follow(url, token, after)` gives positions after one, in order, and resumes by itself when the connection breaks;
  left out where the client has no subscriptions.
* `code(error)` tells the code, or the status, with which the gateway refused.
* `UNAUTHENTICATED` is what `code` tells of a wrong token.
* `STREAM_UNAUTHENTICATED` is the same for `follow`; left out where the client cannot tell a refused connection from one
  that broke, and so tries again.
"""

import asyncio
import importlib
import os
import sys
import traceback

import examples
from gateway import Gateway
from proxy import Proxy

# Time limit of every wait, in seconds.
PATIENCE = 60


async def in_time(step):
    async with asyncio.timeout(PATIENCE):
        return await step


async def refusal(client, step):
    """Gives the code with which the gateway refuses a step."""
    try:
        answer = await in_time(step)
    except Exception as error:
        code = client.code(error)
        assert code is not None, f"not refused by the gateway, but: {error!r}"
        return code
    raise AssertionError(f"not refused: {answer!r}")


async def asks(client, gateway):
    for _ in range(2):
        head = await gateway.deliver()
        assert await in_time(client.query(gateway.url, gateway.token)) == head
    code = await refusal(client, client.query(gateway.url, "a token that nobody has"))
    assert code == client.UNAUTHENTICATED, code


async def has_each_event_at_once(client, gateway):
    """An event must be there before the next one is stored: a client that waits for more bytes never has it."""
    head = await gateway.deliver()
    events = client.follow(gateway.url, gateway.token, head)
    for _ in range(5):
        first = asyncio.ensure_future(anext(events))
        position = await gateway.deliver()
        assert await in_time(first) == position


async def resumes(client, gateway):
    """Each event comes once, over connections that are cut between events and while nothing happens."""
    proxy = await Proxy.start(gateway.address)
    events = client.follow(f"http://{proxy.address}/graphql", gateway.token, "0")
    head = int(await gateway.deliver())
    for position in range(1, head + 1):
        assert await in_time(anext(events)) == str(position)
        if position == 2:
            proxy.cut()
    for _ in range(3):
        connections = proxy.connections
        proxy.cut()
        position = await gateway.deliver()
        assert await in_time(anext(events)) == position
        assert proxy.connections > connections, "the client has connected again"


async def is_told_what_is_refused(client, gateway):
    code = await refusal(client, anext(client.follow(gateway.url, gateway.token, "999999999")))
    assert code == "POSITION_AHEAD", code
    if hasattr(client, "STREAM_UNAUTHENTICATED"):
        code = await refusal(client, anext(client.follow(gateway.url, "a token that nobody has", "0")))
        assert code == client.STREAM_UNAUTHENTICATED, code


async def check(name, gateway):
    with examples.on_path():
        client = importlib.import_module(f"clients.{name}")
    checks = [asks]
    if hasattr(client, "follow"):
        checks += [has_each_event_at_once, resumes, is_told_what_is_refused]
    for one in checks:
        await one(client, gateway)
        print(f"{name}: {one.__name__}", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(check(sys.argv[1], Gateway(*sys.argv[2:])))
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    # Threads that wait for the next event would hold up the end.
    sys.stdout.flush()
    os._exit(status)
