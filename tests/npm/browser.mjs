// Opens a gateway's pages in Chromium: node browser.mjs ADDRESS [TOKEN OTHER_TOKEN]. Events must be arriving meanwhile. With
// tokens, the gateway is one that wants one of them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { launch } from "./chromium.mjs";

const [address, token, otherToken] = process.argv.slice(2);
const authorization = token ? { authorization: `Bearer ${token}` } : {};

// How many milliseconds anything may take.
const PATIENCE = 60_000;

async function head() {
  const answer = await fetch(`${address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify({ query: "{ ingestion { head } }" }),
  });
  const { data } = await answer.json();
  return Number(data.ingestion.head);
}

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
page.setDefaultTimeout(PATIENCE);

// Whatever must not be.
const faults = [];
// What the browser says of answers with an error's status, where that is the gateway's due.
let refusalsAreDue = Boolean(token);
page.on("console", message => {
  const isRefusal = message.text().includes("status of 401");
  if (message.type() === "error" && !(refusalsAreDue && isRefusal)) faults.push(`console: ${message.text()}`);
});
page.on("pageerror", error => faults.push(`error: ${error}`));
page.on("requestfailed", request => {
  // A page that is loaded anew gives up the files that it was still loading.
  const why = request.failure()?.errorText;
  if (why !== "net::ERR_ABORTED") faults.push(`failed: ${request.url()} ${why}`);
});
for (const kind of ["request", "websocket"]) {
  page.on(kind, asking => {
    const asked = new URL(asking.url());
    const isOwn = ["data:", "blob:"].includes(asked.protocol) || asked.host === new URL(address).host;
    if (!isOwn) faults.push(`asked ${asked}`);
  });
}

/** The answer that GraphiQL shows, once it is as wanted. */
async function answer(wanted) {
  const shown = page.locator(".result-window");
  const deadline = Date.now() + PATIENCE;
  let text = "";
  while (Date.now() < deadline) {
    // The editor only has the lines in sight, with spaces of its own.
    text = (await shown.innerText()).replaceAll("\u00a0", " ");
    if (wanted(text)) return text;
    await page.waitForTimeout(50);
  }
  throw new Error(`GraphiQL shows:\n${text}\n${faults.join("\n")}`);
}

const run = page.getByRole("button", { name: /execute query/i });
const stop = page.getByRole("button", { name: /stop/i });

/** Goes to a tab. GraphiQL finds out a moment later which operation it has. */
async function show(name) {
  await page.getByRole("tab", { name }).click();
  await page.waitForTimeout(1000);
}

const positions = text => [...text.matchAll(/"position": "(\d+)"/g)].map(([, digits]) => Number(digits));
const newestPosition = text => Math.max(...positions(text));

async function picture(name) {
  const file = `${token ? "token-" : ""}${name}.png`;
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, file) });
}

const box = page.getByLabel("Reader's token");

/** Enters a token, as a person would. */
async function enter(given) {
  await box.fill(given);
  await page.getByRole("button", { name: "Use token" }).click();
}

/** Waits until the schema is read with a token. */
const schemaRead = given => page.waitForResponse(answer =>
  answer.request().postData()?.includes("IntrospectionQuery")
  && answer.request().headers()["authorization"] === `Bearer ${given}` && answer.ok());

/** What a person meets who opens GraphiQL at a gateway with readers. */
async function giveTokens() {
  await page.getByText("The gateway wants a reader's token.").waitFor();
  assert.equal(await run.count(), 0, "nothing can be asked yet");
  await enter("nobody's token");
  await page.getByText("does not accept this token").waitFor();
  let read = schemaRead(otherToken);
  await enter(otherToken);
  await read;
  await run.waitFor();
  read = schemaRead(token);
  await enter(token);
  await read;
  refusalsAreDue = false;
  await page.getByRole("button", { name: /documentation explorer/i }).click();
  await page.getByRole("link", { name: "Query", exact: true }).waitFor();
  await picture("documentation");
  await page.getByRole("button", { name: /documentation explorer/i }).click();
  read = schemaRead(token);
  await page.reload();
  await read;
  await run.waitFor();
}

/** GraphiQL's examples, run as a person would. */
async function graphiql() {
  await page.goto(`${address}/graphiql`);
  if (token) await giveTokens();
  else assert.equal(await box.count(), 0, "an open gateway wants no token");
  await run.waitFor();

  const before = await head();
  await run.click();
  await answer(text => newestPosition(text) >= before);
  await picture("newest");

  await show("Live");
  const now = await head();
  await run.click();
  await answer(text => newestPosition(text) > now);
  await picture("live");
  await stop.click();
  if (token) return;

  for (const [name, wanted] of [["OfApplication", '"applicationInstance"'], ["Catalogue", '"office365"']]) {
    await show(name);
    await run.click();
    await answer(text => text.includes(wanted) && !text.includes('"errors"'));
    await picture(name);
  }
}

/** The live page, and its way to GraphiQL. */
async function live() {
  await page.goto(`${address}/`);
  // GraphiQL was given the token in this tab.
  await page.locator("#state.open").waitFor();
  const now = await head();
  await page.waitForFunction(now => Number(document.querySelector("#events td")?.textContent) > now, now);
  await picture("page");
  await page.getByRole("link", { name: "GraphiQL" }).click();
  await run.waitFor();
}

/** The live page in a tab that has no token yet, and GraphiQL after it. */
async function liveFirst() {
  await page.evaluate(() => sessionStorage.clear());
  await page.goto(`${address}/`);
  await box.fill("nobody's token");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("this token is not accepted").waitFor();
  await box.fill(token);
  await page.getByRole("button", { name: "Connect" }).click();
  await page.locator("#state.open").waitFor();
  const read = schemaRead(token);
  await page.getByRole("link", { name: "GraphiQL" }).click();
  await read;
}

/** A script and a style that somebody's text brought into the page have no effect. */
async function foreignScripts() {
  await page.goto(`${address}/`);
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.foreign = true";
    const image = document.createElement("img");
    image.setAttribute("onerror", "window.foreign = true");
    image.setAttribute("style", "color: red");
    image.src = "missing.png";
    const failed = new Promise(resolve => image.addEventListener("error", resolve));
    document.body.append(script, image);
    return failed;
  });
  assert.equal(await page.evaluate(() => window.foreign), undefined, "a foreign script ran");
  assert.notEqual(await page.locator("img").evaluate(image => getComputedStyle(image).color), "rgb(255, 0, 0)");
}

try {
  await graphiql();
  await live();
  refusalsAreDue = Boolean(token);
  if (token) await liveFirst();
  assert.deepEqual(faults, []);
  await foreignScripts();
  console.log("the pages are as they should be");
} finally {
  await browser.close();
}
