// Cuts a client's connection at random moments, also before its first payload, and checks that it resumes without a gap.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Random numbers from 0 to 1 that a seed determines (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number for a name, so that each client has moments of its own. */
const numberOf = name => [...name].reduce((number, letter) => (number * 31 + letter.charCodeAt(0)) >>> 0, 7);

/** Fails where something takes too long, in milliseconds. */
export async function inTime(promise, patience) {
  const over = sleep(patience, undefined, { ref: false }).then(() => { throw new Error("it takes too long"); });
  return Promise.race([promise, over]);
}

/** The positions of all events that match, in the order of the log. */
export async function inOrder(url, token, filter = {}) {
  const query = `query ($filter: SyncEventFilter, $after: String) {
    syncEvents(filter: $filter, first: 1000, after: $after, orderBy: { field: POSITION, direction: ASC }) {
      nodes { position }
      pageInfo { hasNextPage endCursor }
    }
  }`;
  const positions = [];
  for (let after = null; ;) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables: { filter, after } }),
    });
    const { nodes, pageInfo } = (await answer.json()).data.syncEvents;
    positions.push(...nodes.map(({ position }) => position));
    if (!pageInfo.hasNextPage) return positions;
    after = pageInfo.endCursor;
  }
}

/**
 * Cuts a proxy's connections so many times at moments that the seed determines: the first one within 100 ms of subscribing.
 * Only a cut of an open connection counts. While there is none, `check` fails where there will be none.
 */
export async function cutAtRandom({ proxy, name, seed, cuts, check }) {
  const next = random(seed ^ numberOf(name));
  for (let done = 0; done < cuts; done += 1) {
    while (!proxy.isOpen()) {
      check(done);
      await sleep(1);
    }
    // Every third cut comes so early that the subscription may not stand yet.
    const longest = done === 0 ? 100 : done % 3 === 0 ? 30 : 400;
    await sleep(next() * longest);
    if (proxy.isOpen()) proxy.cut();
    else done -= 1;
  }
  return cuts;
}

/**
 * Follows the log from its start and from now at once, each by a connection of its own that is cut again and again.
 * `follow(proxy, from, onBatch, onRefusal)` gives what ends it; `inOrder()` gives the positions of all events that match.
 */
export async function survivesCuts({ name, seed, cuts, starts = [{ after: "0" }, null], startProxy, follow, inOrder }) {
  assert.ok(cuts > 0, "nothing is cut");
  const counts = await Promise.all(starts.map(async (from, index) => {
    const proxy = await startProxy();
    const seen = [];
    let [first, last, refused] = [undefined, undefined, undefined];
    const onBatch = ({ events, position }) => {
      first ??= position;
      assert.ok(last === undefined || BigInt(position) >= BigInt(last), `${position} comes after ${last}`);
      seen.push(...events.map(({ position }) => position));
      last = position;
    };
    const stop = await follow(proxy, from, onBatch, error => { refused = error; });
    const check = done => {
      if (refused) throw new Error(`refused after ${done} cuts and ${seen.length} events`, { cause: refused });
    };
    const share = Math.floor((cuts + index) / starts.length);
    const count = await cutAtRandom({ proxy, name: `${name} ${index}`, seed, cuts: share, check });
    const head = (await inOrder()).at(-1);
    while (last === undefined || BigInt(last) < BigInt(head)) {
      check(share);
      await sleep(10);
    }
    await stop();
    const start = BigInt(from?.after ?? (from ? 0 : first));
    const expected = (await inOrder()).filter(position => BigInt(position) > start).slice(0, seen.length);
    assert.deepEqual(seen, expected, "each event once, in order");
    assert.ok(seen.at(-1) === undefined ? !from : BigInt(seen.at(-1)) >= BigInt(head), "all that was stored");
    proxy.close();
    return count;
  }));
  const total = counts.reduce((sum, count) => sum + count, 0);
  assert.equal(total, cuts, "so many connections were cut");
  console.log(`${name}: ${total} cuts, seed ${seed}: nothing is missed or comes twice`);
}
