#!/usr/bin/env python3
"""Measures `tranship serve` and the registry of distribution with many repositories and tags, in one run.

    cargo build --profile dist -p tranship-cli
    python3 bench/growth.py                                   all rows, as Markdown
    python3 bench/growth.py --rows tag --rounds 9             some of them
    python3 bench/growth.py --write docs/benchmarks.md        into the page, between its marks
    python3 bench/growth.py --check                           exit 1 if a target is missed

Needs Python 3.9 and the registry of distribution 3, which `bash .ci/tools` installs. Builds nothing.
docs/benchmarks.md says what the rows mean.
"""

import http.client
import random
import re
import time

import growth_data
import report
from layouts import Skipped, main
from measure import high_water
from registries import Server, free_port
from servers import ACCEPT, Served, ServerBench, Serving, processor_time

REPOSITORIES = 10_000
TAGS = 100_000
# How often each request is sent in a measurement.
PUSHES = 20
READS = 40
# The most CPU time that a request may take, in milliseconds.
MOST = 20


class GrowthBench(ServerBench):
    def __init__(self, options, work, other):
        super().__init__(options, work, other)
        self.images = growth_data.Images(work / "images")
        self.random = random.Random(3)

    def versions(self):
        tools = {"tranship": [self.tranship, "--version"], "registry": [self.registry, "--version"]}
        return {name: command for name, command in tools.items() if command[0]}

    def tables(self):
        lines = []
        for row in self.rows:
            lines += table(row) + [""]
        return lines[:-1]

    def all(self):
        if not self.servers:
            self.add("tranship", growth_data.layouts, lambda port, root: [
                self.tranship, "serve", "--quiet", "--ui", "--listen", f"127.0.0.1:{port}", "--root", f"layouts:{root}",
            ])
            if not self.registry:
                raise Skipped("the registry of distribution is not installed")
            self.add("distribution 3", growth_data.distribution, lambda port, root: [
                self.registry, "serve", self.config(port, root),
            ])
        return self.servers

    def add(self, name, fill, command):
        port, root = free_port(), self.work / re.sub(r"\W+", "-", name)
        root.mkdir()
        fill(root, self.images, REPOSITORIES, TAGS)
        self.servers[name] = Server(command(port, root), port, root)
        self.servers[name].start()

    def requests(self, name, title, load, only=None):
        servers = {each: server for each, server in self.all().items() if only in (None, each)}
        contenders = [Serving(each, server, load) for each, server in servers.items()]
        row = self.measure(name, title, contenders)
        self.target(f"{title}: CPU of tranship", row["tranship"].median("cost") * 1000, MOST, " ms")

    # Rows.

    def tag(self):
        def push(server):
            def requests():
                for _ in range(PUSHES):
                    number = self.random.randrange(TAGS)
                    # Nearly all of them move the tag.
                    content = self.images.content(self.random.randrange(growth_data.IMAGES))
                    yield "PUT", f"/v2/{growth_data.LARGE}/manifests/v{number:06}", content
            return send(server, requests())

        self.requests("tag", f"push of a tag among {TAGS:,}", push)

    def tag_list(self):
        def read(server):
            numbers = (self.random.randrange(TAGS) for _ in range(READS))
            path = f"/v2/{growth_data.LARGE}/tags/list?n=100&last=v"
            return send(server, (("GET", f"{path}{number:06}", None) for number in numbers))

        self.requests("tag-list", f"page of 100 of {TAGS:,} tags", read)

    def catalog(self):
        names = growth_data.names(REPOSITORIES)

        def read(server):
            chosen = (self.random.choice(names) for _ in range(READS))
            return send(server, (("GET", f"/v2/_catalog?n=100&last={name}", None) for name in chosen))

        self.requests("catalog", f"page of 100 of {REPOSITORIES:,} repositories", read)

    def page(self):
        def read(server):
            return send(server, (("GET", "/ui/", None) for _ in range(READS)))

        self.requests("page", f"first page of /ui/ with {REPOSITORIES:,} repositories", read, "tranship")

    def search(self):
        def read(server):
            numbers = (self.random.randrange(100) for _ in range(READS))
            return send(server, (("GET", f"/ui/?q=app-0{number:02}", None) for number in numbers))

        self.requests("search", f"search among {REPOSITORIES:,} repositories", read, "tranship")

    def start(self):
        def start(server):
            server.process.kill()
            server.process.wait()
            started = time.perf_counter()
            server.start()
            done, tail, _ = send(server, [("GET", "/v2/team-42/app-042/manifests/v1", None)])
            return done, tail, time.perf_counter() - started

        contenders = [Restarting(name, server, start) for name, server in self.all().items()]
        row = self.measure("start", f"start with {REPOSITORIES:,} repositories, to the first manifest", contenders)
        self.target("start until the first manifest is served", row["tranship"].median("wall"), 1, " s")


class Restarting(Serving):
    def measure(self):
        done, tail, wall = self.load(self.server)
        pid = self.server.process.pid
        return Served(wall, processor_time(pid), high_water(f"/proc/{pid}/status"), done, tail)


def send(server, requests):
    """Sends requests one after the other, and returns how many, no percentile, and the seconds they took."""
    connection = http.client.HTTPConnection(server.host)
    connection.connect()
    started, done = time.perf_counter(), 0
    for method, path, content in requests:
        headers = {"Accept": ACCEPT}
        if content is not None:
            headers["Content-Type"] = "application/vnd.oci.image.manifest.v1+json"
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        said = response.read()
        if response.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {response.status} {said[:200]}")
        done += 1
    return done, None, time.perf_counter() - started


def table(row):
    lines = [
        f"| {row.title} | Time each, median | best | CPU each, of the server | Its peak memory |",
        "|---|--:|--:|--:|--:|",
    ]
    for each in row.contenders:
        times = [run.wall / run.done for run in each.runs]
        cells = [each.name, report.seconds(1 / each.median("rate")), report.seconds(min(times))]
        cells += [report.seconds(each.median("cost")), f"{each.peak() / report.MIB:.1f} MiB"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


ROWS = {
    "tag": GrowthBench.tag,
    "tag-list": GrowthBench.tag_list,
    "catalog": GrowthBench.catalog,
    "page": GrowthBench.page,
    "search": GrowthBench.search,
    "start": GrowthBench.start,
}

if __name__ == "__main__":
    main("bench/growth.py", __doc__.splitlines()[0], ROWS, GrowthBench)
