// Asks the gateway: queries by POST, subscriptions over a WebSocket, both at /graphql beside this page.

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { createClient } from "graphql-ws";
import { authorization } from "./token.js";

const url = new URL("graphql", location.href);
const socketUrl = new URL(url);
socketUrl.protocol = url.protocol.replace("http", "ws");

/** The token's header, unless one is written in the editor of headers, and what else is written there. */
function headersFor(token, written = {}) {
  const isWritten = Object.keys(written).some(name => name.toLowerCase() === "authorization");
  return isWritten ? written : { ...authorization(token), ...written };
}

/** Why the gateway does not answer who bears a token, or has a session: a status and a message. Null if it answers. */
export async function refusalOf(token) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization(token) },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
  // Read whatever the status is: an answer that is left unread stays open until the page is left.
  const { errors } = await answer.json();
  return [401, 403].includes(answer.status) ? { status: answer.status, message: errors[0].message } : null;
}

/**
 * A fetcher for who bears a token. GraphiQL reads the schema when it is given another fetcher. The headers go with a
 * request, and with a subscription into `connection_init`: browsers cannot give a WebSocket headers.
 */
export function fetcherFor(token, onRefusal) {
  return (parameters, options) => {
    const headers = headersFor(token, options?.headers);
    const wsClient = createClient({
      url: socketUrl.href,
      connectionParams: headers,
      // A broken subscription shows that it broke. Tried again without the last position, it would hide a gap.
      retryAttempts: 0,
    });
    const observed = async (...request) => {
      const answer = await fetch(...request);
      if (answer.status === 401) onRefusal();
      return answer;
    };
    const ask = createGraphiQLFetcher({ url: url.href, fetch: observed, wsClient, enableIncrementalDelivery: false });
    return ask(parameters, { ...options, headers });
  };
}
