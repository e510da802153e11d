// GraphiQL over the gateway that serves this page: with the session of who has signed in, or a reader's token where the gateway
// wants one.

import { createElement, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";
import { AccountBar, readAccount } from "./account.js";
import { examples } from "./examples.js";
import { fetcherFor, refusalOf } from "./fetcher.js";
import { storedToken, storeToken } from "./token.js";

const REFUSED = "The gateway does not accept this token: enter a reader's token.";
const WANTED = "The gateway wants a reader's token.";
const SIGN_IN = "Sign in, or enter a reader's token.";
const ENDED = "Your session has ended: sign in again.";
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
  const [account, setAccount] = useState({ signIn: [], session: null });

  const tryToken = async candidate => {
    try {
      const [found, refusal] = await Promise.all([readAccount(), refusalOf(candidate)]);
      setAccount(found);
      const wanted = found.signIn.length > 0 ? SIGN_IN : WANTED;
      setSaid(!refusal ? "" : refusal.status === 403 ? refusal.message : candidate ? REFUSED : wanted);
      if (refusal) return;
      storeToken(candidate);
      setToken(candidate);
    } catch {
      setSaid(AWAY);
    }
  };
  useEffect(() => { tryToken(storedToken()); }, []);

  // Another token is another fetcher, with which GraphiQL reads the schema again.
  const refused = () => {
    setSaid(token ? REFUSED : ENDED);
    if (!token) readAccount().then(setAccount, () => setSaid(AWAY));
  };
  const fetcher = useMemo(() => (token === null ? null : fetcherFor(token, refused)), [token]);
  // A gateway without readers needs no token, and neither does who has signed in, so the box is left out.
  const hasBox = Boolean(token || said);
  return createElement(
    "div",
    { id: "page" },
    createElement(AccountBar, { key: "account", account, onFailure: setSaid }),
    hasBox && createElement(TokenBox, { key: "box", token: token ?? storedToken(), said, onToken: tryToken }),
    fetcher && createElement(
      "div",
      { key: "graphiql", id: "tool" },
      createElement(GraphiQL, { fetcher, defaultTabs: examples, defaultEditorToolsVisibility: "variables" }),
    ),
  );
}

createRoot(document.getElementById("graphiql")).render(createElement(Page));
