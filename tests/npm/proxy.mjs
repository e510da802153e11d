// A TCP proxy in front of a gateway, which cuts connections when a check asks for it.

import { createServer, connect as dial } from "node:net";

/** Starts a proxy in front of a URL. Each client has its own, so that a cut of one spares the others. */
export async function startProxy(url) {
  const { hostname, port, pathname } = new URL(url);
  const open = new Set();
  const server = createServer(near => {
    const far = dial(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("error", () => {}).on("close", () => { open.delete(one); other.destroy(); }).pipe(other);
    }
  });
  await new Promise(listening => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}${pathname}`,
    isOpen: () => open.size > 0,
    cut() { for (const socket of open) socket.resetAndDestroy(); },
    close() { this.cut(); server.close(); },
  };
}
