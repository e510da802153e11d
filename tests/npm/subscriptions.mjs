// Subscribes with every client that there is, over every protocol: node subscriptions.mjs URL TOKEN SEED CUTS. Events must be
// arriving meanwhile. Each client has its connection cut at random moments, resumes, and must have seen every event once.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from "@urql/core";
import * as sse from "graphql-sse";
import * as transport from "graphql-ws";
import { SubscriptionClient } from "subscriptions-transport-ws";
import { WebSocket } from "ws";
import { inOrder, inTime, survivesCuts } from "./cuts.mjs";
import { startProxy } from "./proxy.mjs";

// What browsers have.
globalThis.WebSocket = WebSocket;

const [url, token, seed, cuts] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const headers = { authorization };
const QUERY = `subscription Events($from: SyncEventStart) {
  syncEvents(from: $from) { events { position } position }
}`;
const BAD = "subscription Bad { syncEvents { nothing } }";

const ws = url => url.replace(/^http/, "ws");

/** A socket that may be closed before it is open, as in browsers; `ws` has an error then, which nobody would handle. */
class ClosableWebSocket extends WebSocket {
  constructor(...given) {
    super(...given);
    this.on("error", () => {});
  }
}

/** Ends a client. A connection that broke just before is no fault. */
const dispose = client => Promise.resolve(client.dispose()).catch(() => {});

/**
 * Each client in one form: `subscribe(query, from, {next, error, complete})` gives what ends it. `next` takes a batch,
 * `error` the gateway's code, or nothing where the connection broke.
 */
const clients = {
  "graphql-ws": url => {
    const client = transport.createClient({ url: ws(url), connectionParams: { authorization }, retryAttempts: 0 });
    return {
      subscribe: (query, from, { next, error, complete }) => client.subscribe({ query, variables: { from } }, {
        next: ({ data }) => next(data.syncEvents),
        error: failed => error(Array.isArray(failed) ? failed[0].extensions.code : undefined),
        complete,
      }),
      close: () => dispose(client),
    };
  },
  // It resumes by itself: its own retries ask for the variables again.
  "graphql-ws, which retries": url => {
    const client = transport.createClient({
      url: ws(url), connectionParams: { authorization },
      retryAttempts: Infinity, shouldRetry: () => true, retryWait: () => sleep(20),
    });
    return {
      retries: true,
      subscribe(query, from, { next, error, complete }) {
        const variables = { from };
        return client.subscribe({ query, variables }, {
          next({ data }) {
            variables.from = { after: data.syncEvents.position };
            next(data.syncEvents);
          },
          error: failed => error(Array.isArray(failed) ? failed[0].extensions.code : undefined),
          complete,
        });
      },
      close: () => dispose(client),
    };
  },
  "graphql-sse": url => {
    const client = sse.createClient({ url, headers, retryAttempts: 0 });
    return {
      subscribe: (query, from, { next, error, complete }) => client.subscribe({ query, variables: { from } }, {
        next: ({ data, errors }) => errors ? error(errors[0].extensions.code) : next(data.syncEvents),
        error: () => error(),
        complete,
      }),
      close: () => dispose(client),
    };
  },
  "Apollo Client over WebSocket": url => {
    const socket = transport.createClient({ url: ws(url), connectionParams: { authorization }, retryAttempts: 0 });
    return { ...apollo(new GraphQLWsLink(socket)), close: () => dispose(socket) };
  },
  "Apollo Client over multipart HTTP": url => ({ ...apollo(new HttpLink({ uri: url, headers })), close() {} }),
  "urql over WebSocket": url => {
    const socket = transport.createClient({ url: ws(url), connectionParams: { authorization }, retryAttempts: 0 });
    const forwardSubscription = ({ query, variables }) => ({
      subscribe: sink => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    });
    return {
      ...urql({ url, exchanges: [subscriptionExchange({ forwardSubscription })] }),
      close: () => dispose(socket),
    };
  },
  "urql over SSE": url => ({
    ...urql({ url, exchanges: [fetchExchange], fetchSubscriptions: true, fetchOptions: { headers } }),
    close() {},
  }),
  "subscriptions-transport-ws": url => {
    const client = new SubscriptionClient(ws(url), { connectionParams: { authorization } }, ClosableWebSocket);
    let broken = () => {};
    client.onDisconnected(() => broken());
    return {
      once: true,
      subscribe(query, from, { next, error, complete }) {
        broken = () => error();
        const { unsubscribe } = client.request({ query, variables: { from } }).subscribe({
          next: ({ data }) => next(data.syncEvents),
          error: failed => error([failed].flat()[0]?.extensions?.code),
          complete,
        });
        return () => { broken = () => {}; unsubscribe(); };
      },
      close() { broken = () => {}; client.close(); },
    };
  },
};

function apollo(link) {
  const code = failed => CombinedGraphQLErrors.is(failed) ? failed.errors[0].extensions.code : undefined;
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return {
    subscribe(query, from, { next, error, complete }) {
      const options = { query: gql(query), variables: { from }, fetchPolicy: "no-cache" };
      const subscription = client.subscribe(options).subscribe({
        next({ data, error: failed }) {
          if (data) next(data.syncEvents);
          else error(code(failed));
        },
        error: failed => error(code(failed)),
        complete,
      });
      return () => subscription.unsubscribe();
    },
  };
}

function urql(options) {
  const client = new UrqlClient({ preferGetMethod: false, ...options });
  return {
    subscribe(query, from, { next, error, complete }) {
      let failed = false;
      const { unsubscribe } = client.subscription(query, { from }).subscribe(({ data, error: told }) => {
        if (told) {
          failed = true;
          error(told.graphQLErrors[0]?.extensions.code);
        } else if (data) {
          next(data.syncEvents);
        }
      });
      return unsubscribe;
    },
  };
}

/** Follows the log over connections that break, and gives what ends it. */
function follow(proxy, connect, from, onBatch, onRefusal) {
  let [client, stop, isOver] = [connect(proxy.url), () => {}, false];
  const fail = error => { isOver = true; onRefusal(error); };
  const subscribe = () => {
    let isBroken = false;
    stop = client.subscribe(QUERY, from, {
      next(batch) {
        if (isOver || isBroken) return;
        onBatch(batch);
        from = { after: batch.position };
      },
      error(code) {
        if (isOver || isBroken) return;
        isBroken = true;
        if (code !== undefined) return fail(new Error(`refused: ${code}`));
        if (client.retries) return fail(new Error("it does not try again"));
        // A connection of the library's own is given up with it.
        setTimeout(() => {
          if (isOver) return;
          // Otherwise urql takes the next subscription with the same variables for this one.
          stop();
          if (client.once) { client.close(); client = connect(proxy.url); }
          subscribe();
        }, 20);
      },
      complete() { if (!isOver && !isBroken) fail(new Error("it ended as if there was no more")); },
    });
  };
  subscribe();
  return () => { isOver = true; stop(); client.close(); };
}

/** What is refused is told with its code. */
async function isRefused(way, connect) {
  const client = connect(way.url);
  for (const [query, from, expected] of [
    [BAD, undefined, "GRAPHQL_VALIDATION_FAILED"],
    [QUERY, { after: "999999999" }, "POSITION_AHEAD"],
  ]) {
    const told = await new Promise(tell => {
      client.subscribe(query, from, { next: tell, error: tell, complete: () => tell("nothing but the end") });
    });
    assert.equal(told, expected);
  }
  client.close();
}

await Promise.all(Object.entries(clients).map(async ([name, connect]) => {
  const way = await startProxy(url);
  try {
    await inTime(survivesCuts({
      name, seed: Number(seed), cuts: Number(cuts), inOrder: () => inOrder(url, token),
      startProxy: () => startProxy(url),
      follow: (proxy, from, onBatch, onRefusal) => follow(proxy, connect, from, onBatch, onRefusal),
    }), 120_000 + 1000 * cuts);
    await inTime(isRefused(way, connect), 60_000);
  } catch (error) {
    throw new Error(name, { cause: error });
  }
  way.close();
}));
process.exit(0);
