// GraphiQL over the gateway that serves this page, and a box for the reader's token where the gateway wants one.

import { createElement, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";
import { examples } from "./examples.js";
import { fetcherFor, isAccepted } from "./fetcher.js";
import { storedToken, storeToken } from "./token.js";

const REFUSED = "The gateway does not accept this token: enter a reader's token.";
const WANTED = "The gateway wants a reader's token.";
const AWAY = "The gateway does not answer: try again.";

/** The box for the token. */
function TokenBox({ token, said, onToken }) {
  const [written, setWritten] = useState(token);
  const submit = event => {
    event.preventDefault();
    onToken(written.trim());
  };
  return createElement(
    "form",
    { id: "token", onSubmit: submit },
    createElement(
      "label",
      null,
      "Reader's token ",
      createElement("input", {
        type: "password",
        autoComplete: "off",
        value: written,
        onChange: event => setWritten(event.target.value),
      }),
    ),
    createElement("button", null, "Use token"),
    createElement("span", { role: "status" }, said),
    createElement("a", { href: "./" }, "Live page"),
  );
}

function Page() {
  // The token with which the gateway answers; null until it is known whether it wants one.
  const [token, setToken] = useState(null);
  const [said, setSaid] = useState("");

  const tryToken = async candidate => {
    try {
      const accepted = await isAccepted(candidate);
      setSaid(accepted ? "" : candidate ? REFUSED : WANTED);
      if (!accepted) return;
      storeToken(candidate);
      setToken(candidate);
    } catch {
      setSaid(AWAY);
    }
  };
  useEffect(() => { tryToken(storedToken()); }, []);

  // Another token is another fetcher, with which GraphiQL reads the schema again.
  const fetcher = useMemo(() => (token === null ? null : fetcherFor(token, () => setSaid(REFUSED))), [token]);
  // A gateway without readers needs no token, so the box is left out.
  const hasBox = Boolean(token || said);
  return createElement(
    "div",
    { id: "page" },
    hasBox && createElement(TokenBox, { key: "box", token: token ?? storedToken(), said, onToken: tryToken }),
    fetcher && createElement(
      "div",
      { key: "graphiql", id: "tool" },
      createElement(GraphiQL, { fetcher, defaultTabs: examples, defaultEditorToolsVisibility: "variables" }),
    ),
  );
}

createRoot(document.getElementById("graphiql")).render(createElement(Page));
