// Subscribes with every client that there is, over every protocol: node subscriptions.mjs URL TOKEN. Events must be
// arriving meanwhile. Each client has its connection cut again and again, resumes, and must have seen every event once.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from "@urql/core";
import * as sse from "graphql-sse";
import * as transport from "graphql-ws";
import { SubscriptionClient } from "subscriptions-transport-ws";
import { WebSocket } from "ws";
import { startProxy } from "./proxy.mjs";

// What browsers have.
globalThis.WebSocket = WebSocket;

const [url, token] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const headers = { authorization };
const QUERY = "subscription Events($after: Position) { syncEvents(after: $after) { position } }";
const BAD = "subscription Bad { syncEvents { nothing } }";

// Events before these positions, and those that arrive meanwhile.
const CUTS = [5, 33, 35];
const LAST = 38;

const ws = url => url.replace(/^http/, "ws");

/**
 * Each client in one form: `subscribe(query, after, {next, error, complete})` gives what ends it. `next` takes the
 * position, `error` the gateway's code, or nothing where the connection broke.
 */
const clients = {
  "graphql-ws": url => {
    const client = transport.createClient({ url: ws(url), connectionParams: { authorization }, retryAttempts: 0 });
    return {
      subscribe: (query, after, { next, error, complete }) => client.subscribe({ query, variables: { after } }, {
        next: ({ data }) => next(data.syncEvents.position),
        error: failed => error(Array.isArray(failed) ? failed[0].extensions.code : undefined),
        complete,
      }),
      close: () => client.dispose(),
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
      subscribe(query, after, { next, error, complete }) {
        const variables = { after };
        return client.subscribe({ query, variables }, {
          next: ({ data }) => next(variables.after = data.syncEvents.position),
          error: failed => error(Array.isArray(failed) ? failed[0].extensions.code : undefined),
          complete,
        });
      },
      close: () => client.dispose(),
    };
  },
  "graphql-sse": url => {
    const client = sse.createClient({ url, headers, retryAttempts: 0 });
    return {
      subscribe: (query, after, { next, error, complete }) => client.subscribe({ query, variables: { after } }, {
        next: ({ data, errors }) => errors ? error(errors[0].extensions.code) : next(data.syncEvents.position),
        error: () => error(),
        complete,
      }),
      close: () => client.dispose(),
    };
  },
  "Apollo Client over WebSocket": url => {
    const socket = transport.createClient({ url: ws(url), connectionParams: { authorization }, retryAttempts: 0 });
    return { ...apollo(new GraphQLWsLink(socket)), close: () => socket.dispose() };
  },
  "Apollo Client over multipart HTTP": url => ({ ...apollo(new HttpLink({ uri: url, headers })), close() {} }),
  "urql over WebSocket": url => {
    const socket = transport.createClient({ url: ws(url), connectionParams: { authorization }, retryAttempts: 0 });
    const forwardSubscription = ({ query, variables }) => ({
      subscribe: sink => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    });
    return {
      ...urql({ url, exchanges: [subscriptionExchange({ forwardSubscription })] }),
      close: () => socket.dispose(),
    };
  },
  "urql over SSE": url => ({
    ...urql({ url, exchanges: [fetchExchange], fetchSubscriptions: true, fetchOptions: { headers } }),
    close() {},
  }),
  "subscriptions-transport-ws": url => {
    const client = new SubscriptionClient(ws(url), { connectionParams: { authorization } }, WebSocket);
    let broken = () => {};
    client.onDisconnected(() => broken());
    return {
      once: true,
      subscribe(query, after, { next, error, complete }) {
        broken = () => error();
        const { unsubscribe } = client.request({ query, variables: { after } }).subscribe({
          next: ({ data }) => next(data.syncEvents.position),
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
    subscribe(query, after, { next, error, complete }) {
      const options = { query: gql(query), variables: { after }, fetchPolicy: "no-cache" };
      const subscription = client.subscribe(options).subscribe({
        next({ data, error: failed }) {
          if (data) next(data.syncEvents.position);
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
    subscribe(query, after, { next, error, complete }) {
      let failed = false;
      const { unsubscribe } = client.subscription(query, { after }).subscribe(({ data, error: told }) => {
        if (told) {
          failed = true;
          error(told.graphQLErrors[0]?.extensions.code);
        } else if (data) {
          next(data.syncEvents.position);
        }
      });
      return unsubscribe;
    },
  };
}

/** Follows the log from its start over broken connections, and gives the positions in the order in which they came. */
async function follow(way, connect) {
  const seen = [];
  const cuts = [...CUTS];
  await new Promise((done, fail) => {
    let [client, stop, isOver] = [connect(way.url), () => {}, false];
    const subscribe = () => {
      let isBroken = false;
      stop = client.subscribe(QUERY, seen.at(-1) ?? "0", {
        next(position) {
          if (isOver || isBroken) return;
          seen.push(position);
          if (seen.length === cuts[0]) {
            cuts.shift();
            way.cut();
          } else if (seen.length >= LAST) {
            isOver = true;
            setTimeout(() => { stop(); done(); });
          }
        },
        error(code) {
          if (isOver || isBroken) return;
          isBroken = true;
          if (code !== undefined) return fail(new Error(`refused: ${code}`));
          if (client.retries) return fail(new Error("it does not try again"));
          // A connection of the library's own is given up with it.
          setTimeout(() => {
            if (client.once) { client.close(); client = connect(way.url); }
            subscribe();
          }, 20);
        },
        complete() { if (!isOver && !isBroken) fail(new Error("it ended as if there was no more")); },
      });
    };
    subscribe();
  });
  return seen;
}

/** What is refused is told with its code. */
async function isRefused(way, connect) {
  const client = connect(way.url);
  for (const [query, after, expected] of [
    [BAD, undefined, "GRAPHQL_VALIDATION_FAILED"],
    [QUERY, "999999999", "POSITION_AHEAD"],
  ]) {
    const told = await new Promise(tell => {
      client.subscribe(query, after, { next: tell, error: tell, complete: () => tell("nothing but the end") });
    });
    assert.equal(told, expected);
  }
  client.close();
}

/** Fails where something takes too long. */
async function inTime(promise) {
  const over = sleep(120_000, undefined, { ref: false }).then(() => { throw new Error("it takes too long"); });
  return Promise.race([promise, over]);
}

await Promise.all(Object.entries(clients).map(async ([name, connect]) => {
  const way = await startProxy(url);
  try {
    const seen = await inTime(follow(way, connect));
    assert.deepEqual(seen, seen.map((_, index) => String(index + 1)), "each event once, in order");
    way.cut();
    await inTime(isRefused(way, connect));
  } catch (error) {
    throw new Error(name, { cause: error });
  }
  way.close();
  console.log(`${name}: subscribes, resumes, is told what is refused`);
}));
process.exit(0);
