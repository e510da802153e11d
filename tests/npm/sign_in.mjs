// Signs in at a gateway in Chromium, through oidc-provider: node sign_in.mjs ADDRESS PORT CLIENT_ID CLIENT_SECRET. The gateway's
// issuer is http://127.0.0.1:PORT. Events must be arriving meanwhile.

import assert from "node:assert/strict";
import { join } from "node:path";
import Provider from "oidc-provider";
import { launch } from "./chromium.mjs";

const [address, port, client_id, client_secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

// How many milliseconds anything may take, and the end of a session on its sockets.
const PATIENCE = 60_000;
const REVOCATION = 3_000;

const provider = new Provider(issuer, {
  clients: [{
    client_id,
    client_secret,
    redirect_uris: [`${address}/auth/callback`],
    post_logout_redirect_uris: [`${address}/`],
    backchannel_logout_uri: `${address}/auth/backchannel-logout`,
    backchannel_logout_session_required: true,
  }],
  claims: { openid: ["sub"], profile: ["name"], groups: ["groups"] },
  // The claims are in the ID token, and not only in the userinfo.
  conformIdTokenClaims: false,
  features: { backchannelLogout: { enabled: true } },
  // The issuer sends logout tokens to this machine, which it would not do by itself.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: id === "ada" ? "Ada Lovelace" : id, groups: id === "ada" ? ["owners"] : ["guests"] }),
  }),
});
const server = provider.listen(Number(port), "127.0.0.1");
await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
const failures = [];
provider.on("backchannel.error", (_, error) => failures.push(`logout token: ${error} ${error.cause ?? ""}`));
provider.on("server_error", (_, error) => failures.push(`issuer: ${error}`));

const browser = await launch();

async function newPage(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", error => failures.push(`error: ${error}`));
  return page;
}

async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `sign-in-${name}.png`) });
}

/** Signs in at the issuer, as a person would. */
async function enter(page, name) {
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.getByRole("button", { name: /sign-in/i }).click();
  await page.getByRole("button", { name: /continue/i }).click();
}

const isOpen = page => page.locator("#state.open").waitFor();

/** Executes GraphiQL's query until its result is there. GraphiQL finds its operation some time after its start; a click before that
 * does nothing. */
async function execute(page) {
  const hasResult = () => page.evaluate(() => document.querySelector(".result-window")?.innerText.includes('"position"'));
  for (const end = Date.now() + PATIENCE; !(await hasResult()); await page.waitForTimeout(500)) {
    assert.ok(Date.now() < end, "GraphiQL shows no result");
    const button = page.getByRole("button", { name: /execute query/i });
    if (await button.isVisible()) await button.click();
  }
}

/** Waits until a page of a signed-in person shows that it is signed out, which must be soon. */
async function signedOut(page, since) {
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  const took = Date.now() - since;
  // The page waits for a moment before it connects again.
  assert.ok(took < REVOCATION + 2_000, `it took ${took} ms`);
}

try {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  const page = await newPage(context);

  // Signed out, the page offers to sign in.
  await page.goto(`${address}/`);
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  await page.getByLabel("Reader's token").waitFor();
  assert.ok(await page.locator("#person").isHidden());
  await picture(page, "offered");
  await page.getByRole("link", { name: "Sign in" }).click();
  await enter(page, "ada");

  // Signed in, it shows the name, and events as they arrive.
  await isOpen(page);
  await page.getByText("Ada Lovelace").waitFor();
  assert.equal(page.url(), `${address}/`);
  const rows = await page.locator("#events tr").count();
  const first = await page.locator("#events td").first().textContent();
  await page.waitForFunction(first => document.querySelector("#events td").textContent !== first, first);
  assert.ok(rows > 0 && (await page.locator("#entry").isHidden()));
  await picture(page, "live");
  const cookie = (await context.cookies(address)).find(({ name }) => name === "sluice");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Lax", "/"]);
  assert.equal(await page.evaluate(() => document.cookie), "", "no script reads the cookies");

  // GraphiQL has the same session, and needs no token.
  const tool = await newPage(context);
  await tool.goto(`${address}/graphiql`);
  await tool.getByText("Ada Lovelace").waitFor();
  assert.equal(await tool.getByLabel("Reader's token").count(), 0);
  await execute(tool);
  await picture(tool, "graphiql");

  // A sign-out ends the subscription in the other tab, too.
  await tool.getByRole("button", { name: "Sign out" }).click();
  const since = Date.now();
  await signedOut(page, since);
  await picture(page, "ended");
  await tool.getByRole("button", { name: /yes, sign me out/i }).click();
  await tool.waitForURL(`${address}/`);
  await tool.getByRole("link", { name: "Sign in" }).waitFor();

  // GraphiQL leads to the issuer, too, and back to itself.
  await tool.goto(`${address}/graphiql`);
  await tool.getByText("Sign in, or enter a reader's token.").waitFor();
  await picture(tool, "graphiql-offered");
  await tool.getByRole("link", { name: "Sign in" }).click();
  await enter(tool, "ada");
  await tool.waitForURL(`${address}/graphiql`);
  await tool.getByText("Ada Lovelace").waitFor();

  // The issuer ends its session, and tells the gateway.
  await page.goto(`${address}/`);
  await isOpen(page);
  await tool.goto(`${issuer}/session/end`);
  await tool.getByRole("button", { name: /yes, sign me out/i }).click();
  const ended = Date.now();
  await signedOut(page, ended);

  // A person without rights is told why.
  const stranger = await newPage(await browser.newContext());
  await stranger.goto(`${address}/auth/login`);
  await enter(stranger, "eve");
  await stranger.getByText("no rule gives you rights here").waitFor();
  await picture(stranger, "no-rights");
  assert.deepEqual(failures, []);
  console.log("people sign in and out as they should");
} finally {
  if (failures.length > 0) console.log(failures.join("\n"));
  await browser.close();
  server.close();
  server.closeAllConnections();
}
