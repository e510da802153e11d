// Asks the gateway: queries by POST, subscriptions over a WebSocket, both at /graphql beside this page.

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { createClient } from "graphql-ws";

const url = new URL("graphql", location.href);
const socketUrl = new URL(url);
socketUrl.protocol = url.protocol.replace("http", "ws");

// What was written last: it goes for the tabs in which nothing is written, until the page is loaded anew.
let known = {};

/**
 * What is written in the editor of headers goes with the request, and with a subscription into `connection_init`, where
 * the gateway looks for `authorization` too: browsers cannot give a WebSocket headers.
 */
export function fetcher(parameters, options) {
  if (Object.keys(options?.headers ?? {}).length > 0) known = options.headers;
  const wsClient = createClient({
    url: socketUrl.href,
    connectionParams: known,
    // A broken subscription shows that it broke. Tried again without the last position, it would hide a gap.
    retryAttempts: 0,
  });
  const fetch = createGraphiQLFetcher({ url: url.href, wsClient, enableIncrementalDelivery: false });
  return fetch(parameters, { ...options, headers: known });
}
