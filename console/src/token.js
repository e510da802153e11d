// A reader's token, kept for this tab: the live page at / keeps it in the same place.

const KEY = "sluice.token";

/** The token; empty where there is none. A browser that keeps nothing for pages throws an error. */
export function storedToken() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function storeToken(token) {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser that allows no storage keeps the token for as long as the page is open.
  }
}

/** The header that bears a token; none without one. */
export const authorization = token => (token ? { authorization: `Bearer ${token}` } : {});
