// Runs the examples of docs/clients.md against a gateway: node clients.mjs URL TOKEN. Events must be arriving meanwhile,
// in the instance that is listed.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { compile } from "./examples.mjs";
import { startProxy } from "./proxy.mjs";

const [url, token] = process.argv.slice(2);
const filter = { applicationInstances: ["0oalisted"] };

// What browsers have, and how a connection can be broken.
const sockets = new Set();
globalThis.WebSocket = class extends WebSocket {
  constructor(...words) {
    super(...words);
    sockets.add(this);
    this.on("close", () => sockets.delete(this));
  }
};

/** The positions of all events that match, newest first: what the clients are held to. */
async function newestFirst() {
  const query = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter, first: 1000) { nodes { position } } }";
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables: { filter } }),
  });
  const { data } = await answer.json();
  return data.syncEvents.nodes.map(({ position }) => position);
}

/** The same in the order of the log. */
const inOrder = async () => (await newestFirst()).sort((one, other) => one - other);

// Cuts the connections of `fetch`.
const proxy = await startProxy(url);

/**
 * Each client's functions, in one form: `list` gives the positions of three pages, where the client has lists, and
 * `follow` what ends it.
 */
const clients = {
  apollo: ({ connect, newest, follow }) => ({
    connect,
    async list(client, size) {
      const { list, more } = newest(client, filter, size);
      let [shown, failed] = [[], undefined];
      list.subscribe(({ data, error }) => { [shown, failed] = [data?.syncEvents?.edges ?? [], error]; });
      for (let pages = 1; pages <= 3; pages++) {
        while (shown.length < pages * size) {
          if (failed) throw failed;
          await sleep(10);
        }
        if (pages < 3) await more();
      }
      return shown.map(({ node }) => node.position);
    },
    follow(client, after, onEvent, onRefusal) {
      const subscription = follow(client, filter, after).subscribe({ next: onEvent, error: onRefusal });
      return () => subscription.unsubscribe();
    },
    code: error => error.errors[0].extensions.code,
  }),
  urql: ({ connect, pages, follow }) => ({
    connect,
    async list(client, size) {
      const listed = [];
      for await (const page of pages(client, filter, size)) {
        listed.push(...page.map(({ position }) => position));
        if (listed.length >= 3 * size) break;
      }
      return listed;
    },
    follow: (client, after, onEvent, onRefusal) => follow(client, filter, after, onEvent, onRefusal),
    code: error => error.graphQLErrors[0].extensions.code,
  }),
  Feed: ({ connect, page, follow }) => ({
    connect,
    async list(environment, size) {
      let { syncEvents } = await page(environment, filter, size);
      for (let more = 0; more < 2; more++) {
        ({ syncEvents } = await page(environment, filter, size, syncEvents.pageInfo.endCursor));
      }
      return syncEvents.edges.map(({ node }) => node.position);
    },
    follow: (environment, after, onEvent, onRefusal) => follow(environment, filter, after, onEvent, onRefusal),
    code: error => error.cause[0].extensions.code,
  }),
  stream: ({ follow }) => ({
    connect: (_, token) => token,
    follow(token, after, onEvent, onRefusal) {
      const stop = new AbortController();
      const events = async () => {
        for await (const event of follow(proxy.url, token, filter, after, stop.signal)) onEvent(event);
      };
      events().catch(onRefusal);
      return () => stop.abort();
    },
    code: error => error.errors[0].extensions.code,
  }),
};

/** Follows the log from its start, over broken connections, until events have come that were not there before. */
async function resumes(client, { follow }) {
  const [before, seen] = [await inOrder(), []];
  let refused;
  const stop = follow(client, "0", ({ position }) => seen.push(position), error => { refused = error; });
  for (const until of [5, before.length + 2, before.length + 4]) {
    while (seen.length < until) {
      assert.equal(refused, undefined);
      await sleep(10);
    }
    for (const socket of sockets) socket.terminate();
    proxy.cut();
  }
  stop();
  const after = await inOrder();
  assert.deepEqual(seen, after.slice(0, seen.length), "each event once, in order");
}

/** A position that is not there yet is refused, and not tried again and again. */
async function stopsWhereRefused(client, { follow, code }) {
  const refused = await new Promise(resolve => follow(client, "999999999", resolve, resolve));
  assert.equal(code(refused), "POSITION_AHEAD");
}

/** Pages continue each other, from the newest event on. */
async function lists(client, { list }) {
  if (!list) return;
  const size = 7;
  const before = await newestFirst();
  const listed = await list(client, size);
  const after = await newestFirst();
  const start = after.indexOf(listed[0]);
  assert.ok(start <= after.indexOf(before[0]), "the newest event comes first");
  assert.deepEqual(listed, after.slice(start, start + 3 * size), "three pages in a row");
}

async function needsItsToken(_, { connect, list, follow, code }) {
  const client = connect(url, "wrong");
  if (list) {
    await assert.rejects(list(client, 5));
  } else {
    const refused = await new Promise(resolve => follow(client, "0", resolve, resolve));
    assert.equal(code(refused), "UNAUTHENTICATED");
  }
}

/** Fails where something takes too long. */
async function inTime(promise) {
  const over = sleep(60_000, undefined, { ref: false }).then(() => { throw new Error("it takes too long"); });
  return Promise.race([promise, over]);
}

const modules = await compile();
await Promise.all(Object.entries(clients).map(async ([name, adapt]) => {
  const adapted = adapt(modules[name]);
  const client = adapted.connect(url, token);
  for (const check of [lists, resumes, stopsWhereRefused, needsItsToken]) {
    try {
      await inTime(check(client, adapted));
    } catch (error) {
      throw new Error(`${name}, ${check.name}`, { cause: error });
    }
  }
  console.log(`${name}: reads pages, resumes, stops where it is refused`);
}));
process.exit(0);
