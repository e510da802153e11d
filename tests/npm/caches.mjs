// Holds the caches of clients, with their default settings, to what the gateway answers: node caches.mjs URL. A cache
// merges objects that have the same type and the same `id`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import relay from "relay-runtime";

const [url] = process.argv.slice(2);

const QUERY = `
  query CachesQuery {
    syncEvents(first: 100) {
      nodes {
        id
        position
        admin { oktaId alternateId displayName type }
        user { oktaId alternateId displayName type }
        applicationUser { oktaId alternateId displayName type }
        application { oktaId alternateId displayName type }
        applicationInstance { id label application { id name } }
        outcome { result reason }
        transaction { oktaId type }
        client { ipAddress userAgent city country }
        debugContext { debugData }
      }
    }
  }
`;

async function ask(text) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "accept": "application/json" },
    body: JSON.stringify({ query: text }),
  });
  return answer.json();
}

/** What relay-compiler makes of the query. */
async function compiled() {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const generated = join(here, "generated_caches");
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(join(generated, "__generated__"), { recursive: true });
  copyFileSync(join(here, "../../schema.graphql"), join(generated, "schema.graphql"));
  writeFileSync(join(generated, "Caches.js"), `graphql\`${QUERY}\`;`);
  writeFileSync(join(generated, "relay.config.json"), JSON.stringify({
    src: ".", schema: "schema.graphql", language: "javascript", eagerEsModules: true,
  }));
  execFileSync(join(here, "node_modules/.bin/relay-compiler"), ["relay.config.json"], { cwd: generated, stdio: "pipe" });
  const written = join(generated, "__generated__/CachesQuery.graphql");
  copyFileSync(`${written}.js`, `${written}.mjs`);
  return (await import(`${written}.mjs`)).default;
}

/** For each client, what its cache has of the query after an answer. */
const caches = {
  async apollo() {
    const client = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: url }) });
    const query = gql(QUERY);
    await client.query({ query });
    return client.readQuery({ query });
  },
  async urql() {
    const client = new Client({ url, exchanges: [cacheExchange(), fetchExchange], preferGetMethod: false });
    await client.query(QUERY, {}).toPromise();
    const { data, error } = await client.query(QUERY, {}, { requestPolicy: "cache-only" }).toPromise();
    assert.equal(error, undefined);
    return data;
  },
  async relay() {
    const network = relay.Network.create(({ text }) => ask(text));
    const environment = new relay.Environment({ network, store: new relay.Store(new relay.RecordSource()) });
    const query = await compiled();
    const operation = relay.createOperationDescriptor(relay.getRequest(query), {});
    const held = environment.retain(operation);
    await relay.fetchQuery(environment, query, {}).toPromise();
    const { data, isMissingData } = environment.lookup(operation.fragment);
    held.dispose();
    assert.equal(isMissingData, false);
    return data;
  },
};

/** A value without what clients add to their queries. */
function plain(value) {
  const text = JSON.stringify(value, (key, inner) => key === "__typename" ? undefined : inner);
  return JSON.parse(text);
}

const { data } = await ask(QUERY);
assert.ok(data.syncEvents.nodes.length > 1);
for (const [name, read] of Object.entries(caches)) {
  const shown = plain(await read());
  for (const [at, node] of data.syncEvents.nodes.entries()) {
    assert.deepEqual(shown.syncEvents.nodes[at], node, `${name} shows another event`);
  }
  console.log(`${name}: shows every event as it is`);
}
process.exit(0);
