"""Checks one client against a gateway that stores nothing else meanwhile: check.py CLIENT SEED CUTS URL TOKEN HOOK SECRET.

A client is a module of `clients`, in this form:

* `query(url, token)` gives the log's head.
* `follow(url, token, start)` gives batches, and resumes by itself when the connection breaks; left out where the client has no
  subscriptions.
* `code(error)` tells the code, or the status, with which the gateway refused.
* `UNAUTHENTICATED` is what `code` tells of a wrong token.
* `STREAM_UNAUTHENTICATED` is the same for `follow`; left out where the client cannot tell a refused connection from one
  that broke, and so tries again.
"""

import asyncio
import importlib
import os
import random
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


async def positions(batches):
    async for batch in batches:
        for event in batch["events"]:
            yield event["position"]


async def has_each_event_at_once(client, gateway):
    """An event must be there before the next one is stored: a client that waits for more bytes never has it."""
    head = await gateway.deliver()
    events = positions(client.follow(gateway.url, gateway.token, {"after": head}))
    for _ in range(5):
        first = asyncio.ensure_future(anext(events))
        position = await gateway.deliver()
        assert await in_time(first) == position


async def begins_at_once(client, gateway):
    """The first payload comes before any event, and says where the subscription stands."""
    head = await gateway.deliver()
    for start, position in [(None, head), ({"after": "1"}, "1"), ({"receivedAt": "2020-01-01T00:00:00Z"}, "0")]:
        batches = client.follow(gateway.url, gateway.token, start)
        first = await in_time(anext(batches))
        assert (first["events"], first["position"]) == ([], position), first


async def resumes(client, gateway, seed, cuts):
    """Each event comes once, over connections that are cut at random moments, also before the first payload."""
    assert cuts > 0, "nothing is cut"
    total = 0
    for start in [{"after": "0"}, None]:
        chance = random.Random(f"{seed} {client.__name__} {start}")
        proxy = await Proxy.start(gateway.address)
        seen, first = [], None
        is_over = False

        async def read(proxy=proxy, start=start, seen=seen):
            nonlocal first
            async for batch in client.follow(f"http://{proxy.address}/graphql", gateway.token, start):
                first = first or batch["position"]
                seen += [int(event["position"]) for event in batch["events"]]

        async def arrivals():
            while not is_over:
                await gateway.deliver()
                await asyncio.sleep(0.05)

        reading, arriving = asyncio.ensure_future(read()), asyncio.ensure_future(arrivals())
        share = (cuts + (start is None)) // 2
        done = 0
        while done < share:
            while not proxy.living():
                assert not reading.done(), reading.exception()
                await asyncio.sleep(0.001)
            # The first cut comes within 100 ms, and every third one so early that the subscription may not stand yet.
            longest = 0.1 if done == 0 else 0.03 if done % 3 == 0 else 0.4
            await asyncio.sleep(chance.random() * longest)
            if proxy.living():
                proxy.cut()
                done += 1
        is_over = True
        await arriving
        async with asyncio.timeout(PATIENCE):
            while not seen or seen[-1] < gateway.head:
                assert not reading.done(), reading.exception()
                await asyncio.sleep(0.01)
        begin = int(start["after"] if start else first)
        assert seen == list(range(begin + 1, gateway.head + 1)), f"{begin}, {seen}"
        reading.cancel()
        total += done
    assert total == cuts
    print(f"{client.__name__}: {total} cuts, seed {seed}: nothing is missed or comes twice", flush=True)


async def is_told_what_is_refused(client, gateway):
    code = await refusal(client, anext(client.follow(gateway.url, gateway.token, {"after": "999999999"})))
    assert code == "POSITION_AHEAD", code
    if hasattr(client, "STREAM_UNAUTHENTICATED"):
        code = await refusal(client, anext(client.follow(gateway.url, "a token that nobody has", {"after": "0"})))
        assert code == client.STREAM_UNAUTHENTICATED, code


async def check(name, seed, cuts, gateway):
    with examples.on_path():
        client = importlib.import_module(f"clients.{name}")
    checks = [asks]
    if hasattr(client, "follow"):
        checks += [has_each_event_at_once, begins_at_once, is_told_what_is_refused]
    for one in checks:
        await one(client, gateway)
        print(f"{name}: {one.__name__}", flush=True)
    if hasattr(client, "follow"):
        await resumes(client, gateway, seed, cuts)


if __name__ == "__main__":
    try:
        asyncio.run(check(sys.argv[1], sys.argv[2], int(sys.argv[3]), Gateway(*sys.argv[4:])))
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    # Threads that wait for the next event would hold up the end.
    sys.stdout.flush()
    os._exit(status)
