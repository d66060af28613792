#!/usr/bin/env python3
"""Measures `tranship serve --mirror` beside itself without a mirror, and beside the cache of distribution, in one run.

    cargo build --profile dist -p tranship-cli
    python3 bench/caches.py                                   all rows, as Markdown
    python3 bench/caches.py --rows cold --rounds 9            some of them
    python3 bench/caches.py --write docs/benchmarks.md        into the page, between its marks
    python3 bench/caches.py --check                           exit 1 if a target is missed

Needs Python 3.9, the registry of distribution 3, which `bash .ci/tools` installs, and wrk (`apt-get install wrk`).
Builds nothing. docs/benchmarks.md says what the rows mean.
"""

import re
import sys
import urllib.request

from layouts import MIB, Skipped, main
from registries import Server, free_port
from servers import CLIENTS, CONNECTIONS, ServerBench, Serving, asyncio_pull, download, open_files

OWN, HIT, OTHER = "tranship, own repository", "tranship, cache hit", "distribution 3, cache hit"
PREFIX = "up.example/"
CONTENT = re.compile(rb'^tranship_requests_total\{endpoint="(?:blob|manifest)",method="GET",[^}]*\} (\d+)$', re.MULTILINE)


class CacheBench(ServerBench):
    def servers_of(self, source):
        """Starts the origin and a cache of each kind. The caches also have repositories that the origin lacks."""
        if not self.registry:
            raise Skipped("the registry of distribution is not installed")
        if not self.servers:
            origin = self.add("origin", lambda port, root: [*self.serve(port, root)])
            self.add("tranship", lambda port, root: [
                *self.serve(port, root), "--mirror", f"{PREFIX[:-1]}=http://{origin.host}", "--mirror-ttl", "1h",
            ])
            self.add("distribution", lambda port, root: [self.registry, "serve", self.proxy(port, root, origin)])
        for server in self.servers.values():
            self.anew(server)
        self.fill(self.servers["origin"], source)
        self.fill(self.servers["tranship"], source)
        return self.servers["tranship"], self.servers["distribution"]

    def serve(self, port, root):
        return [self.tranship, "serve", "--quiet", "--listen", f"127.0.0.1:{port}", "--root", f"layouts:{root}"]

    def proxy(self, port, root, origin):
        path = self.config(port, root)
        with open(path, "a") as file:
            file.write(f"proxy: {{remoteurl: http://{origin.host}}}\n")
        return path

    def add(self, name, command):
        port, root = free_port(), self.work / name
        root.mkdir()
        self.servers[name] = Server(command(port, root), port, root)
        return self.servers[name]

    def hits(self, name, title, load, source):
        """Measures reads of an own repository and of caches that have the content."""
        ours, other = self.servers_of(source)
        pull = lambda server, prefix: asyncio_pull(source, prefix, 1)(server)
        pull(ours, PREFIX)
        pull(other, "")
        contenders = [
            Serving(OWN, ours, lambda server: load(server, "")),
            Serving(HIT, ours, lambda server: load(server, PREFIX)),
            Serving(OTHER, other, lambda server: load(server, "")),
        ]
        row = self.measure(name, title, contenders)
        self.finish(self.servers)
        row[HIT].yardstick = OWN
        self.at_least(f"{title}: rate of a cache hit ÷ that of an own repository", row[HIT].median("rate") / row[OWN].median("rate"), 0.95)

    # Rows.

    def get(self):
        source = self.large()
        path = f"bench/image/blobs/sha256:{self.large_file(source).name}"
        load = lambda server, prefix: download(server.host, f"/v2/{prefix}{path}", self.size)
        self.hits("get", f"GET of a blob of {self.size // MIB} MiB", load, source)

    def manifests(self):
        if not self.wrk:
            raise Skipped("wrk is not installed")
        load = lambda server, prefix: self.storm(server, "v1", f"{prefix}bench/image")
        self.hits("manifests", f"GET of a manifest by tag, {CONNECTIONS} connections", load, self.small_image())

    def cold(self):
        source = self.small_image()
        open_files()
        ours, other = self.servers_of(source)
        origin = self.servers["origin"]

        def empty(server):
            self.anew(server)
            self.asked = requests(origin)

        contenders = [
            Serving("tranship, cold cache", ours, asyncio_pull(source, PREFIX), lambda: empty(ours)),
            Serving("distribution 3, cold cache", other, asyncio_pull(source), lambda: empty(other)),
            Serving("tranship, the origin", origin, asyncio_pull(source)),
        ]
        found = {each.name: [] for each in contenders[:2]}
        for each in contenders[:2]:
            each.verify = lambda counts=found[each.name]: counts.append(requests(origin) - self.asked)
        title = f"{CLIENTS} clients at once pull an image that is not in the cache"
        self.measure("cold", title, contenders, min(self.rounds, 3))
        self.finish(self.servers)
        # A manifest, a config and three layers.
        for name, counts in found.items():
            print(f"  {name}: {max(counts)} requests to the origin", file=sys.stderr)
        self.target(f"{title}: requests of tranship to the origin", max(found["tranship, cold cache"]), 5)


def requests(origin):
    """How many GETs of manifests and blobs the origin has had."""
    with urllib.request.urlopen(f"http://{origin.host}/metrics") as response:
        return sum(int(count) for count in CONTENT.findall(response.read()))


ROWS = {
    "get": CacheBench.get,
    "manifests": CacheBench.manifests,
    "cold": CacheBench.cold,
}

if __name__ == "__main__":
    main("bench/caches.py", __doc__.splitlines()[0], ROWS, CacheBench)
