// The person who has signed in, and the ways to sign in and out.

import { createElement } from "react";

const url = path => new URL(path, location.href);

/** Where people can sign in, and who has. A gateway that is starting says neither. */
export async function readAccount() {
  const answer = await fetch(url("auth/session"));
  const account = await answer.json();
  return answer.ok ? account : { signIn: [], session: null };
}

/** Ends the session, and goes to where the issuer ends its own; returns why that is not possible. */
async function signOut() {
  const answer = await fetch(url("auth/logout"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { signOut, error } = await answer.json();
  if (!answer.ok) return error.message;
  if (signOut) location.assign(signOut);
  else location.reload();
}

/** The bar with the person's name, or with the links to sign in; nothing where nobody can sign in. */
export function AccountBar({ account, onFailure }) {
  const { signIn, session } = account;
  if (session) {
    const until = new Date(session.expiresAt).toLocaleString();
    const leave = async () => {
      const why = await signOut().catch(() => "The gateway does not answer: try again.");
      if (why) onFailure(why);
    };
    return createElement(
      "div",
      { id: "account" },
      createElement("span", { title: `Signed in at ${session.issuer} until ${until}` }, session.name),
      createElement("button", { type: "button", onClick: leave }, "Sign out"),
    );
  }
  if (signIn.length === 0) return null;
  const link = ({ issuer, url: path }) => {
    const text = signIn.length > 1 ? `Sign in with ${issuer}` : "Sign in";
    const to = encodeURIComponent(location.pathname);
    return createElement("a", { key: issuer, href: `${path}&to=${to}` }, text);
  };
  return createElement("nav", { id: "account", "aria-label": "Sign in" }, signIn.map(link));
}
