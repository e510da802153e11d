// Runs the examples of docs/clients.md against a gateway: node clients.mjs URL TOKEN SEED CUTS. Events must be arriving
// meanwhile, in the instance that is listed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { inOrder, inTime, survivesCuts } from "./cuts.mjs";
import { compile, script } from "./examples.mjs";
import { startProxy } from "./proxy.mjs";

const [url, token, seed, cuts] = process.argv.slice(2);
const filter = { applicationInstances: ["0oalisted"] };

// What browsers have.
globalThis.WebSocket = WebSocket;

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

/**
 * Each client's functions, in one form: `list` gives the positions of three pages, where the client has lists, and
 * `follow` what ends it.
 */
const clients = {
  apollo: ({ connect, newest, follow, live }) => ({
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
    live: (client, size, more) => new Promise((resolve, reject) => {
      const view = live(client, filter, size).subscribe({
        next(events) {
          if (events.length < size + more) return;
          view.unsubscribe();
          resolve(events.map(({ position }) => position));
        },
        error: reject,
      });
    }),
    follow(client, from, onBatch, onRefusal) {
      const subscription = follow(client, filter, from).subscribe({ next: onBatch, error: onRefusal });
      return () => subscription.unsubscribe();
    },
    code: error => error.errors?.[0].extensions.code ?? error.message,
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
    follow: (client, from, onBatch, onRefusal) => follow(client, filter, from, onBatch, onRefusal),
    code: error => error.graphQLErrors[0]?.extensions.code ?? error.networkError.reason,
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
    follow: (environment, from, onBatch, onRefusal) => follow(environment, filter, from, onBatch, onRefusal),
    code: error => error.cause[0]?.extensions.code ?? error.message,
  }),
  socket: ({ connect, follow }) => ({
    connect,
    follow: (client, from, onBatch, onRefusal) => follow(client, filter, from, onBatch, onRefusal),
    code: error => error.cause[0]?.extensions.code ?? error.message,
  }),
  sse: ({ connect, follow }) => ({
    connect,
    follow: (client, from, onBatch, onRefusal) => follow(client, filter, from, onBatch, onRefusal),
    code: error => error.cause[0]?.extensions.code ?? error.message,
    unauthenticated: /^status 401$/,
  }),
  stream: ({ follow }) => ({
    connect: (url, token) => ({ url, token }),
    follow({ url, token }, from, onBatch, onRefusal) {
      const stop = new AbortController();
      const batches = async () => {
        for await (const batch of follow(url, token, filter, from, stop.signal)) onBatch(batch);
      };
      batches().catch(onRefusal);
      return () => stop.abort();
    },
    code: error => error.errors[0].extensions.code,
    unauthenticated: /^UNAUTHENTICATED$/,
  }),
};

/** Follows the log over connections that are cut at random moments. */
async function resumes(_, { connect, follow }, name) {
  await survivesCuts({
    name, seed: Number(seed), cuts: Number(cuts),
    startProxy: () => startProxy(url),
    follow: (proxy, from, onBatch, onRefusal) => follow(connect(proxy.url, () => token), from, onBatch, onRefusal),
    inOrder: () => inOrder(url, token, filter),
  });
}

/** A position that is not there yet is refused, and not tried again and again. */
async function stopsWhereRefused(client, { follow, code }) {
  const from = { after: "999999999" };
  const refused = await new Promise(resolve => follow(client, from, resolve, resolve));
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

/** A live view has the newest page, and each later event once. */
async function showsLive(client, { live }) {
  if (!live) return;
  const shown = await live(client, 7, 5);
  const all = await newestFirst();
  const start = all.indexOf(shown[0]);
  assert.ok(start >= 0 && shown.length >= 12, `${shown}`);
  assert.deepEqual(shown, all.slice(start, start + shown.length), "a page and what came after it");
}

/** A token that is refused is told, and not sent again and again. Until then, each connection has a new one. */
async function needsItsToken(_, { connect, list, follow, code, unauthenticated = /Forbidden/ }) {
  let asked = 0;
  const client = connect(url, () => { asked += 1; return "wrong"; });
  if (list) await assert.rejects(list(client, 5));
  const before = asked;
  const refused = await new Promise(resolve => follow(client, { after: "0" }, resolve, resolve));
  assert.match(code(refused), unauthenticated);
  const [attempts, least] = [asked - before, `${unauthenticated}` === "/Forbidden/" ? 2 : 1];
  assert.ok(attempts >= least, `${attempts} attempts`);
  await sleep(3_000);
  assert.equal(asked - before, attempts, "it stops");
  if (least === 1) return;
  const tokens = ["wrong", token];
  const renewing = connect(url, () => tokens.shift() ?? token);
  const batch = await new Promise((resolve, reject) => { follow(renewing, { after: "0" }, resolve, reject); });
  assert.ok(batch.position && tokens.length === 0, "a new token is let in");
}

/** Follows by the shell script, which keeps its position in a file. */
function followByCurl(proxy, from, onBatch, onRefusal) {
  const directory = mkdtempSync(join(tmpdir(), "follow-"));
  writeFileSync(join(directory, "position"), `${from.after}\n`);
  const shell = spawn("bash", ["-c", script("follow.sh"), "follow.sh"], {
    cwd: directory,
    env: { ...process.env, GATEWAY: new URL(proxy.url).origin, TOKEN: token },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  shell.on("exit", code => { if (code !== null) onRefusal(new Error(`the script ended with ${code}`)); });
  createInterface({ input: shell.stdout }).on("line", line => {
    const event = JSON.parse(line);
    onBatch({ events: [event], position: event.position });
  });
  return async () => {
    const ended = once(shell, "exit");
    process.kill(-shell.pid);
    await ended;
    assert.match(readFileSync(join(directory, "position"), "utf8"), /^\d+\n$/);
  };
}

async function curlResumes() {
  await survivesCuts({
    name: "curl", seed: Number(seed), cuts: Number(cuts),
    starts: [{ after: "0" }],
    startProxy: () => startProxy(url),
    follow: followByCurl,
    inOrder: () => inOrder(url, token),
  });
}

/** The script resumes where a connection breaks in the middle of a line. */
async function curlResumesWithinALine() {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    asked += 1;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const half = `event: next\nid: 1\ndata: {"data":{"syncEvents":{"events":[{"position":"1","eventType":"`;
    response.write(half, () => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = { url: `http://127.0.0.1:${server.address().port}/graphql` };
  let [printed, refused] = [0, undefined];
  const stop = followByCurl(proxy, { after: "0" }, () => { printed += 1; }, error => { refused = error; });
  while (asked < 2) {
    if (refused) throw refused;
    await sleep(10);
  }
  await stop();
  server.close();
  assert.equal(printed, 0);
}

/** The script ends with the gateway's errors, if its token is wrong. */
async function curlStops() {
  const shell = spawn("bash", ["-c", script("follow.sh"), "follow.sh"], {
    cwd: mkdtempSync(join(tmpdir(), "follow-")),
    env: { ...process.env, GATEWAY: new URL(url).origin, TOKEN: "wrong" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  shell.stderr.on("data", text => { said += text; });
  const [code] = await once(shell, "close");
  assert.equal(code, 1, said);
  assert.equal(JSON.parse(said)[0].extensions.code, "UNAUTHENTICATED");
}

const modules = await compile();
const checked = Object.entries(clients).map(async ([name, adapt]) => {
  const adapted = adapt(modules[name]);
  const client = adapted.connect(url, () => token);
  for (const check of [lists, showsLive, resumes, stopsWhereRefused, needsItsToken]) {
    try {
      // Node's `fetch` sends nothing and does not end where a connection is reset before Node learns that it stands. A client
      // then goes on after a silence of 60 s, possibly more than once.
      await inTime(check(client, adapted, name), 240_000 + 1000 * cuts);
    } catch (error) {
      throw new Error(`${name}, ${check.name}`, { cause: error });
    }
  }
});
const byCurl = [[curlResumes, 120_000 + 4000 * cuts], [curlResumesWithinALine, 60_000], [curlStops, 60_000]];
await Promise.all([...checked, ...byCurl.map(([check, patience]) => inTime(check(), patience))]);
process.exit(0);
