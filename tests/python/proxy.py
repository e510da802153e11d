"""A TCP proxy in front of a gateway, which cuts connections when a check asks for it."""

import asyncio
import contextlib
import socket
import struct


class Proxy:
    """Passes bytes on, in both directions."""

    def __init__(self, far):
        self.far = far
        self.connections = 0
        self.open_writers = set()

    @classmethod
    async def start(cls, far):
        """Starts a proxy in front of an address, `host:port`."""
        proxy = cls(far.rsplit(":", 1))
        proxy.server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        host, port = proxy.server.sockets[0].getsockname()
        proxy.address = f"{host}:{port}"
        return proxy

    async def _accept(self, near_reader, near_writer):
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection(*self.far)
        writers = (near_writer, far_writer)
        self.open_writers.update(writers)
        try:
            await asyncio.gather(self._pass(near_reader, far_writer), self._pass(far_reader, near_writer))
        finally:
            self.open_writers.difference_update(writers)

    async def _pass(self, reader, writer):
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    def living(self):
        """The ends of connections that are not closed already."""
        return [writer for writer in self.open_writers if not writer.is_closing()]

    def cut(self):
        """Breaks every connection, as a network that fails does."""
        for writer in self.living():
            # Lingering for no time makes it a reset, and no end.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
