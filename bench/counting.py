"""A reverse proxy before a registry that counts requests and bytes, by kind of request.

It forwards requests as they are, with the `Host` of the client, so that registries name the proxy in locations.
Connections are kept alive at both sides. Clear text and HTTP/1.1 only.
"""

import asyncio
import collections
import dataclasses
import re
import threading

PIECE = 256 * 1024
HEAD = 256 * 1024
MANIFESTS = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)$")
BLOBS = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>[a-z0-9]+:[0-9a-f]+)$")
UPLOADS = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/[^/]*$")


@dataclasses.dataclass
class Counts:
    """What went through a proxy: requests by kind, and bytes of bodies by kind, in both directions."""

    requests: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    sent: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    received: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    errors: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def total(self):
        return sum(self.requests.values())

    def of(self, *kinds):
        return sum(self.requests[kind] for kind in kinds)


def kind_of(method, target):
    path, _, query = target.partition("?")
    if path in ("/v2", "/v2/"):
        return "ping"
    if path.startswith("/v2/_catalog"):
        return "catalog"
    if path.endswith("/tags/list"):
        return "tags"
    if "/referrers/" in path:
        return "referrers"
    if UPLOADS.match(path):
        if method == "POST" and "mount=" in query:
            return "mount"
        return f"upload {method}"
    if BLOBS.match(path):
        return f"blob {method}"
    if MANIFESTS.match(path):
        return f"manifest {method}"
    return "other"


class Proxy:
    """A context manager that listens on a free port of loopback."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.counts = Counts()
        self.host = None
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def take(self):
        """Returns what was counted since the last call."""
        counts, self.counts = self.counts, Counts()
        return counts

    def run(self):
        asyncio.set_event_loop(self.loop)
        serving = asyncio.start_server(self.serve, "127.0.0.1", 0, limit=HEAD)
        server = self.loop.run_until_complete(serving)
        self.host = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def serve(self, reader, writer):
        upstream = None
        try:
            address, port = self.upstream.split(":")
            upstream = await asyncio.open_connection(address, int(port), limit=HEAD)
            while await self.exchange(reader, writer, *upstream):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client or the registry has closed the connection.
            pass
        finally:
            for each in (writer, upstream and upstream[1]):
                if each:
                    each.close()

    async def exchange(self, reader, writer, up_reader, up_writer):
        """Forwards one request and its response. Returns whether the connection stays open."""
        begin = await reader.readexactly(1)
        if not begin.isalpha():
            # A client that tries TLS first waits for a response to its hello.
            return False
        head = begin + await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        kind, counts = kind_of(method, target), self.counts
        counts.requests[kind] += 1
        up_writer.write(head)
        request = Fields(head)
        responding = asyncio.ensure_future(self.respond(kind, method, counts, up_reader, writer))
        try:
            sending = self.forward(request, reader, up_writer, counts.sent, kind)
            # A registry may refuse a body before it has read all of it.
            await asyncio.wait({asyncio.ensure_future(sending), responding}, return_when=asyncio.ALL_COMPLETED)
            return responding.result() and not request.closes
        finally:
            responding.cancel()

    async def respond(self, kind, method, counts, up_reader, writer):
        while True:
            head = await up_reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            writer.write(head)
            if status >= 200:
                break
            await writer.drain()
        if status >= 400:
            counts.errors[f"{kind} {status}"] += 1
        elif kind == "mount" and status == 202:
            counts.errors["mount refused"] += 1
        response = Fields(head)
        if method != "HEAD" and status not in (204, 304):
            await self.forward(response, up_reader, writer, counts.received, kind)
        await writer.drain()
        return not response.closes

    async def forward(self, fields, reader, writer, bytes_by_kind, kind):
        """Forwards the body of a message."""
        if fields.is_chunked:
            while True:
                line = await reader.readuntil(b"\r\n")
                size = int(line.split(b";")[0], 16)
                piece = await reader.readexactly(size + 2)
                writer.write(line + piece)
                bytes_by_kind[kind] += size
                await writer.drain()
                if size == 0:
                    return
        left = fields.length
        while left:
            piece = await reader.read(min(left, PIECE))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            bytes_by_kind[kind] += len(piece)
            writer.write(piece)
            await writer.drain()
        await writer.drain()


class Fields:
    """The fields of a head that frame its message."""

    def __init__(self, head):
        self.length, self.is_chunked, self.closes = 0, False, False
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip().lower()
            if name == "content-length":
                self.length = int(value)
            elif name == "transfer-encoding":
                self.is_chunked = "chunked" in value
            elif name == "connection":
                self.closes = value == "close"
