#!/usr/bin/env python3
"""Measures `tranship serve` and the servers of others, in one run.

    cargo build --profile dist -p tranship-cli
    python3 bench/servers.py                                   all rows, as Markdown
    python3 bench/servers.py --rows manifests --rounds 9       some of them
    python3 bench/servers.py --write docs/benchmarks.md        into the page, between its marks
    python3 bench/servers.py --check                           exit 1 if a target is missed

Needs Python 3.9, what `bash .ci/tools` installs (docker-registry, and in `.tools` crane and the registry of
distribution 3) and, for the row `manifests`, wrk (`apt-get install wrk`). Builds nothing.
docs/benchmarks.md says what the rows mean.
"""

import asyncio
import dataclasses
import hashlib
import http.client
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import time
import urllib.request

import datasets
import report
from layouts import MIB, Skipped, main
from measure import Contender, Run, high_water
from registries import CONGESTION, RegistryBench, Server, free_port

CLIENTS = 500
CONNECTIONS = 64
SECONDS = 4
TICKS = os.sysconf("SC_CLK_TCK")
ACCEPT = f"{datasets.MANIFEST}, {datasets.INDEX}"
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}


@dataclasses.dataclass
class Served(Run):
    """What a server did: how many (bytes or requests) in `wall` seconds, at what cost to it."""

    done: float
    tail: float = None

    @property
    def rate(self):
        return self.done / self.wall

    @property
    def cost(self):
        return self.cpu / self.done


class Serving(Contender):
    """A server under a load. `load` answers what was done and, where it knows, the 99th percentile."""

    def __init__(self, name, server, load, prepare=lambda: None):
        super().__init__(name, [], prepare)
        self.server, self.load = server, load

    def measure(self):
        pid = self.server.process.pid
        # The peak so far is forgotten, so that only what the load takes counts.
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")
        before, started = processor_time(pid), time.perf_counter()
        done, tail, wall = self.load(self.server)
        wall = wall or time.perf_counter() - started
        return Served(wall, processor_time(pid) - before, high_water(f"/proc/{pid}/status"), done, tail)


def processor_time(pid):
    """User and system time of a process, in seconds."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class ServerBench(RegistryBench):
    def __init__(self, options, work, other):
        super().__init__(options, work, other)
        self.docker, self.wrk = shutil.which("docker-registry"), shutil.which("wrk")

    def versions(self):
        tools = {"tranship": [self.tranship, "--version"], "docker-registry": [self.docker, "--version"]}
        tools |= {"registry": [self.registry, "--version"], "crane": [self.crane, "version"]}
        tools["wrk"] = ["dpkg-query", "-Wf", "${Version}", "wrk"]
        tools["congestion control"] = ["cat", str(CONGESTION)]
        return {name: command for name, command in tools.items() if command[0]}

    def tables(self):
        lines = []
        for row in self.rows:
            lines += table(row) + [""]
        return lines[:-1]

    def memory(self):
        """The row `clients` has the target for memory."""

    # Servers.

    def all(self):
        """Everybody, with what each needs to begin empty; those in memory have no directory."""
        found = {}

        def add(name, command, on_disk=True):
            if name not in self.servers:
                port, root = free_port(), self.work / re.sub(r"\W+", "-", name)
                root.mkdir()
                self.servers[name] = Server(command(port, root), port, root)
            found[name] = self.servers[name]
            found[name].on_disk = on_disk

        def tranship(*options):
            return lambda port, _: [self.tranship, "serve", "--quiet", "--listen", f"127.0.0.1:{port}", *options]

        def layouts(*options):
            return lambda port, root: tranship("--root", f"layouts:{root}", *options)(port, root)

        add("tranship, layouts", layouts())
        add("tranship, layouts, relaxed", layouts("--durability", "relaxed"))
        add("tranship, memory", tranship(), on_disk=False)
        if self.docker:
            add("docker-registry 2.8", lambda port, root: [self.docker, "serve", self.config(port, root)])
        if self.registry:
            add("distribution 3", lambda port, root: [self.registry, "serve", self.config(port, root)])
        if self.crane:
            crane = [self.crane, "registry", "serve"]
            add("crane registry, disk", lambda port, root: [*crane, "--address", f"127.0.0.1:{port}", "--disk", str(root)])
            add("crane registry, memory", lambda port, _: [*crane, "--address", f"127.0.0.1:{port}"], on_disk=False)
        if all(name.startswith("tranship") for name in found):
            raise Skipped("none of the others is installed")
        return found

    def anew(self, server):
        server.stop()
        server.forget()
        server.start()

    def filled(self, layout, without=()):
        """Everybody with the image of `layout`, and nothing else."""
        servers = {name: server for name, server in self.all().items() if name not in without}
        for server in servers.values():
            self.anew(server)
            self.fill(server, layout)
        return servers

    def finish(self, servers):
        for server in servers.values():
            server.stop()
            server.forget()

    # Rows.

    def get(self):
        source = self.large()
        path = f"/v2/bench/image/blobs/sha256:{self.large_file(source).name}"
        # What is not synced is read as what is.
        servers = self.filled(source, without=["tranship, layouts, relaxed"])
        contenders = [Serving(name, server, lambda server: download(server.host, path, self.size)) for name, server in servers.items()]
        row = self.measure("get", f"GET of a blob of {self.size // MIB} MiB", contenders)
        self.finish(servers)
        self.against("GET of a blob", row, "tranship, layouts", 1.5, on_disk=True)
        self.against("GET of a blob", row, "tranship, memory", 1.5, on_disk=False)

    def put(self):
        file, servers = self.large_file(self.large()), self.all()

        def empty(server):
            for other in servers.values():
                other.stop()
                other.forget()
            server.start()

        contenders = [
            Serving(name, server, lambda server: upload(server.host, file), lambda server=server: empty(server))
            for name, server in servers.items()
        ]
        row = self.measure("put", f"PUT of a blob of {self.size // MIB} MiB", contenders)
        self.finish(servers)
        self.against("PUT of a blob", row, "tranship, layouts, relaxed", 1.5, on_disk=True)
        self.against("PUT of a blob", row, "tranship, memory", 1.5, on_disk=False)

    def small_image(self):
        return self.layout("three-layers", three_layers, MIB)

    def manifests(self):
        if not self.wrk:
            raise Skipped("wrk is not installed")
        source = self.small_image()
        servers = self.filled(source, without=["tranship, layouts, relaxed"])
        digest = json.loads((source / "index.json").read_bytes())["manifests"][0]["digest"]
        for kind, reference in (("tag", "v1"), ("digest", digest)):
            contenders = [Serving(name, server, lambda server: self.storm(server, reference)) for name, server in servers.items()]
            row = self.measure(f"manifests-{kind}", f"GET of a manifest by {kind}, {CONNECTIONS} connections", contenders)
            for ours, on_disk in (("tranship, layouts", True), ("tranship, memory", None)):
                text = f"GET of a manifest by {kind}"
                self.against(text, row, ours, 3, on_disk=None)
                best = self.best(row, on_disk=None)
                self.target(f"{text}, {ours}: p99 ÷ that of {best.name}", row[ours].median("tail") / best.median("tail"), 1.0)
            # crane's registry keeps manifests in memory, wherever its blobs are.
            self.against(f"GET of a manifest by {kind}", row, "tranship, layouts", 3, on_disk=True, without="crane")
        self.finish(servers)

    def storm(self, server, reference, repository="bench/image"):
        command = [self.wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-H", f"Accept: {ACCEPT}"]
        command.append(f"http://{server.host}/v2/{repository}/manifests/{reference}")
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said or "Socket errors" in said:
            raise SystemExit(f"failed: {' '.join(command)}\n{said}")
        count, wall, unit = re.search(r"(\d+) requests in ([\d.]+)(\w+),", said).groups()
        tail, tail_unit = re.search(r"99%\s+([\d.]+)(\w+)", said).groups()
        return int(count), float(tail) * UNITS[tail_unit], float(wall) * UNITS[unit]

    def clients(self):
        source = self.small_image()
        servers = self.filled(source, without=["tranship, layouts, relaxed"])
        pull = asyncio_pull(source)
        open_files()
        contenders = [Serving(name, server, pull) for name, server in servers.items()]
        row = self.measure("clients", f"{CLIENTS} clients at once, each pulls a manifest, a config and 3 layers of 1 MiB", contenders, min(self.rounds, 3))
        self.finish(servers)
        for each in contenders:
            if each.name.startswith("tranship"):
                self.target(f"{CLIENTS} clients, no errors, {each.name}: peak memory", each.peak() / MIB, 150, " MiB")

    def best(self, row, on_disk, without="nobody"):
        """The fastest of the others: of those on a disk, in memory, or all."""
        return max(
            (
                each for each in row.contenders
                if not each.name.startswith(("tranship", without)) and on_disk in (None, each.server.on_disk)
            ),
            key=lambda each: each.median("rate"),
            default=None,
        )

    def against(self, text, row, ours, limit, **which):
        if best := self.best(row, **which):
            row[ours].yardstick = row[ours].yardstick or best.name
            ratio = row[ours].median("rate") / best.median("rate")
            self.at_least(f"{text}, {ours}: rate ÷ that of {best.name}", ratio, limit)


def three_layers(root, size):
    layout = datasets.Layout(root)
    layers = [layout.blob(datasets.LAYER, datasets.gzip(bytes([number]) * size)[:size]) for number in range(3)]
    layout.list(layout.manifest(layout.blob(datasets.CONFIG, datasets.image_config(0)), layers), "v1")
    layout.finish()


# Loads: what was done, the 99th percentile, and the time it took if that is known better.


def download(host, path, size):
    """Reads as fast as can be: 1 MiB at a time over itself."""
    address, port = host.split(":")
    with socket.create_connection((address, int(port))) as connection:
        started = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        buffer = bytearray(MIB)
        at = connection.recv_into(buffer)
        head, _, rest = bytes(buffer[:at]).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {head[:200]}")
        left = size - len(rest)
        while left > 0:
            count = connection.recv_into(buffer)
            if not count:
                raise SystemExit(f"{path}: {left} bytes are missing")
            left -= count
        return size, None, time.perf_counter() - started


def upload(host, file):
    """POST, and a PUT that sends the file out of the page cache without copying it."""
    size, digest = file.stat().st_size, file.name
    started = time.perf_counter()
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/v2/bench/image/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    location = re.sub(r"^http://[^/]+", "", answer.headers["Location"])
    connection.putrequest("PUT", f"{location}{'&' if '?' in location else '?'}digest=sha256:{digest}")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    with open(file, "rb") as content:
        connection.sock.sendfile(content)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 201:
        raise SystemExit(f"PUT to {host}: {answer.status} {said[:200]}")
    return size, None, time.perf_counter() - started


def open_files():
    """Raises the limit of open files, of this process and of the servers that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * CLIENTS)), hard))


def asyncio_pull(layout, prefix="", clients=CLIENTS):
    """All clients connect, and then all pull at the same time from the repository below `prefix`. Digests are checked."""
    manifest = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    document = json.loads((layout / "blobs/sha256" / manifest["digest"].split(":")[1]).read_bytes())
    blobs = [document["config"], *document["layers"]]
    repository = f"/v2/{prefix}bench/image"
    wanted = [(f"{repository}/manifests/v1", manifest)]
    wanted += [(f"{repository}/blobs/{blob['digest']}", blob) for blob in blobs]

    async def client(host, streams):
        reader, writer = streams
        for path, content in wanted:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {ACCEPT}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{path}: {head[:200]}")
            body = await reader.readexactly(content["size"])
            if "sha256:" + hashlib.sha256(body).hexdigest() != content["digest"]:
                raise SystemExit(f"{path}: has another digest")
        writer.close()

    async def all_at_once(server):
        address, port = server.host.split(":")
        connect = (asyncio.open_connection(address, int(port)) for _ in range(clients))
        streams = await asyncio.gather(*connect)
        started = time.perf_counter()
        await asyncio.gather(*(client(server.host, each) for each in streams))
        return clients * len(wanted), None, time.perf_counter() - started

    return lambda server: asyncio.run(all_at_once(server))


def table(row):
    is_requests = row.contenders[0].runs[0].done < 1e7
    rate, cost = ("Requests/s", "CPU each") if is_requests else ("MiB/s", "CPU per GiB")
    has_tail = row.contenders[0].runs[0].tail is not None
    lines = [
        f"| {row.title} | {rate}, median | best |{' p99 |' if has_tail else ''} {cost} of the server | Its peak memory | Rate ÷ yardstick |",
        f"|---|--:|--:|{'--:|' if has_tail else ''}--:|--:|--:|",
    ]
    by_name = {each.name: each for each in row.contenders}
    for each in row.contenders:
        scale = 1 if is_requests else MIB
        best = max(run.rate for run in each.runs)
        cells = [each.name, f"{each.median('rate') / scale:,.0f}", f"{best / scale:,.0f}"]
        if has_tail:
            cells.append(report.seconds(each.median("tail")))
        cells.append(f"{each.median('cost') * 1e6:.1f} µs" if is_requests else report.seconds(each.median("cost") * 1024 * MIB))
        yardstick = by_name.get(each.yardstick)
        ratio = f"{each.median('rate') / yardstick.median('rate'):.2f}" if yardstick else ""
        cells += [f"{each.peak() / MIB:.1f} MiB", ratio]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


ROWS = {
    "get": ServerBench.get,
    "put": ServerBench.put,
    "manifests": ServerBench.manifests,
    "clients": ServerBench.clients,
}

if __name__ == "__main__":
    main("bench/servers.py", __doc__.splitlines()[0], ROWS, ServerBench)
