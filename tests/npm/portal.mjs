// Opens a front end of another origin in Chromium, which asks and follows a gateway: node portal.mjs ADDRESS TOKEN PORT. The
// gateway allows pages of http://127.0.0.1:PORT. Events must be arriving meanwhile.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { launch } from "./chromium.mjs";

const [address, token, port] = process.argv.slice(2);

/** Serves an empty page, and gives the server once it listens. */
function serve(port) {
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html>"));
  return new Promise(resolve => server.listen(port, "127.0.0.1", () => resolve(server)));
}

/** What the page does: a query, a stream, a socket. It tells what each had, or its error. */
async function visit({ address, token }) {
  const outcome = async work => {
    try {
      return await work();
    } catch (error) {
      return `${error}`;
    }
  };
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const ask = (accept, query) =>
    fetch(`${address}/graphql`, { method: "POST", headers: { ...headers, accept }, body: JSON.stringify({ query }) });
  const query = outcome(async () => {
    const answer = await ask("application/json", "{ ingestion { head } }");
    const { data } = await answer.json();
    return Number(data.ingestion.head) > 0 && answer.headers.has("x-request-id") ? "answered" : "empty";
  });
  const subscription = "subscription { syncEvents { __typename } }";
  const stream = outcome(async () => {
    const answer = await ask("text/event-stream", subscription);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return `ended: ${text}`;
      text += value;
      if (text.includes("event: next")) {
        await reader.cancel();
        return "followed";
      }
    }
  });
  const socket = outcome(() => new Promise((resolve, reject) => {
    const socket = new WebSocket(`${address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const send = message => socket.send(JSON.stringify(message));
    socket.onopen = () => send({ type: "connection_init", payload: { authorization: `Bearer ${token}` } });
    socket.onclose = ({ code }) => reject(new Error(`closed ${code}`));
    socket.onmessage = ({ data }) => {
      const { type } = JSON.parse(data);
      if (type === "connection_ack") send({ id: "1", type: "subscribe", payload: { query: subscription } });
      if (type === "next") resolve("followed");
    };
  }));
  return { query: await query, stream: await stream, socket: await socket };
}

const browser = await launch();
const servers = await Promise.all([serve(Number(port)), serve(0)]);
try {
  const page = await browser.newPage();
  const visitFrom = async server => {
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    return page.evaluate(visit, { address, token });
  };
  assert.deepEqual(await visitFrom(servers[0]), { query: "answered", stream: "followed", socket: "followed" });
  const refused = "TypeError: Failed to fetch";
  assert.deepEqual(await visitFrom(servers[1]), { query: refused, stream: refused, socket: "Error: closed 1006" });
} finally {
  await browser.close();
  for (const server of servers) server.close();
}
