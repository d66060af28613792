#!/usr/bin/env python3
"""Measures pulls and pushes of tranship and of others, in one run.

    cargo build --profile dist -p tranship-cli
    python3 bench/registries.py                                   all rows, as Markdown
    python3 bench/registries.py --rows pull,push --rounds 9       some of them
    python3 bench/registries.py --write docs/benchmarks.md        into the page, between its marks
    python3 bench/registries.py --check                           exit 1 if a target is missed

Needs Python 3.9 and what `bash .ci/tools` installs: skopeo, and in `.tools` oras, crane, regctl and the
registry of distribution 3. Builds nothing. docs/benchmarks.md says what the rows mean.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import datasets
from layouts import MIB, ROOT, Bench, Skipped, main


LAYERS = 6
CONGESTION = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")


class Server:
    """A registry on loopback, with what it keeps below a directory of its own."""

    def __init__(self, command, port, root):
        self.command, self.host, self.root = command, f"127.0.0.1:{port}", root
        self.process = None

    def start(self):
        environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        self.process = subprocess.Popen(
            self.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise SystemExit(f"does not start: {' '.join(map(str, self.command))}")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def forget(self):
        """Removes all content, of which the server keeps nothing in memory."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RegistryBench(Bench):
    def __init__(self, options, work, other):
        super().__init__(options, work, other)
        self.crane, self.regctl, self.registry = (self.tool(name) for name in ("crane", "regctl", "registry"))
        self.servers = {}
        self.congestion = CONGESTION.read_text()
        self.control("cubic")

    def control(self, congestion):
        """Others than the usual one pace what is sent, on loopback too, and that is what would be measured."""
        try:
            CONGESTION.write_text(congestion)
        except OSError:
            # Only root may; the page says what it was.
            pass

    def versions(self):
        return {**super().versions(), "congestion control": ["cat", str(CONGESTION)]}

    def tool(self, name):
        path = ROOT / ".tools" / name
        return str(path) if os.access(path, os.X_OK) else shutil.which(name)

    def close(self):
        for server in self.servers.values():
            server.stop()
        self.control(self.congestion)

    # Servers.

    def config(self, port, root):
        """Of the registries of distribution, 2 and 3."""
        path = root.with_suffix(".yml")
        path.write_text(
            "version: 0.1\n"
            "log: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{delete: {{enabled: true}}, filesystem: {{rootdirectory: {root}}}}}\n"
            f'http: {{addr: "127.0.0.1:{port}"}}\n'
        )
        return str(path)

    def distribution(self, name):
        """The registry of distribution 3, on the disk."""
        if not self.registry:
            raise Skipped("the registry of distribution is not installed")
        if name not in self.servers:
            port, root = free_port(), self.work / f"registry-{name}"
            root.mkdir()
            self.servers[name] = Server([self.registry, "serve", self.config(port, root)], port, root)
            self.servers[name].start()
        return self.servers[name]

    def in_memory(self):
        """crane's registry, which keeps everything in memory."""
        if not self.crane:
            raise Skipped("crane is not installed")
        if "memory" not in self.servers:
            port = free_port()
            command = [self.crane, "registry", "serve", "--address", f"127.0.0.1:{port}"]
            self.servers["memory"] = Server(command, port, self.work / "unused")
            self.servers["memory"].start()
        return self.servers["memory"]

    # Contenders.

    def pulls(self, host, into):
        """Everybody's pull of what is tagged `v1`."""
        reference = f"{host}/bench/image:v1"
        layout = f"{into}:v1"
        commands = {
            "tranship, relaxed": [self.tranship, "cp", "--quiet", "--durability", "relaxed", reference, f"oci:{layout}"],
            "tranship": [self.tranship, "cp", "--quiet", reference, f"oci:{layout}"],
            "oras cp": self.oras and [self.oras, "cp", "--no-tty", "--from-plain-http", reference, "--to-oci-layout", layout],
            "crane pull": self.crane and [self.crane, "pull", "--format", "oci", reference, str(into)],
            "skopeo copy": self.skopeo and [self.skopeo, "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false", f"docker://{reference}", f"oci:{layout}"],
            "regctl image copy": self.regctl and [self.regctl, "--verbosity", "error", "--host", f"reg={host},tls=disabled", "image", "copy", reference, f"ocidir://{layout}"],
        }
        return [self.writer(name, [command], into) for name, command in commands.items() if command]

    def pushes(self, host, source, empty):
        """Everybody's push, to a registry that is made empty before."""
        reference = f"{host}/bench/image:v1"
        layout = f"{source}:v1"
        # crane takes the one manifest of a layout, or with --index its index.json.
        commands = {
            "tranship": [self.tranship, "cp", "--quiet", f"oci:{layout}", reference],
            "oras cp": self.oras and [self.oras, "cp", "--no-tty", "--from-oci-layout", layout, "--to-plain-http", reference],
            "crane push": self.crane and [self.crane, "push", str(source), reference],
            "skopeo copy": self.skopeo and [self.skopeo, "--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{reference}"],
            "regctl image copy": self.regctl and [self.regctl, "--verbosity", "error", "--host", f"reg={host},tls=disabled", "image", "copy", f"ocidir://{layout}", reference],
        }
        found = [self.writer(name, [command], self.work / "unused", None) for name, command in commands.items() if command]
        for each in found:
            each.prepare = empty
        return found

    def fill(self, server, layout):
        command = [self.tranship, "cp", "--quiet", f"oci:{layout}:v1", f"{server.host}/bench/image:v1"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    # Rows.

    def against_best(self, row, name, text, wall=None, cpu=None):
        """Compares with the peer that took the least, by wall time and by CPU time."""
        peers = [each for each in row.contenders if not each.name.startswith("tranship")]
        if not peers:
            raise Skipped("none of the others is installed")
        for what, limit in (("wall", wall), ("cpu", cpu)):
            best = min(peers, key=lambda each: each.median(what))
            for each in row.contenders:
                if each.name.startswith("tranship") and what == "wall":
                    each.yardstick = best.name
            if limit:
                ratio = row[name].median(what) / best.median(what)
                unit = "time" if what == "wall" else "CPU"
                self.target(f"{text}, {unit} ÷ {best.name}", ratio, limit)

    def pull_layer(self):
        server = self.distribution("pull-layer")
        self.fill(server, self.large())
        row = self.measure("pull", f"pull of a layer of {self.size // MIB} MiB, from distribution 3", self.pulls(server.host, self.work / "out"))
        self.against_best(row, "tranship, relaxed", "pulled layer", 0.6, 0.8)

    def push_layer(self):
        server = self.distribution("push-layer")
        contenders = self.pushes(server.host, self.large(), server.forget)
        row = self.measure("push", f"push of a layer of {self.size // MIB} MiB, to distribution 3", contenders)
        self.against_best(row, "tranship", "pushed layer", 1.0, 1.5)

    def image(self):
        return self.layout("several-layers", datasets.several_layers, LAYERS, self.size // 2 // LAYERS // MIB * MIB)

    def pull_image(self):
        server = self.distribution("pull-image")
        self.fill(server, self.image())
        row = self.measure("pull-image", f"pull of {LAYERS} layers, together {self.size // 2 // MIB} MiB, from distribution 3", self.pulls(server.host, self.work / "out"))
        self.against_best(row, "tranship, relaxed", "pulled image")

    def push_image(self):
        server = self.distribution("push-image")
        contenders = self.pushes(server.host, self.image(), server.forget)
        row = self.measure("push-image", "push of the same layers, to distribution 3", contenders)
        self.against_best(row, "tranship", "pushed image")

    def small_source(self):
        return self.layout("small-blobs", datasets.small_blobs, 100, 20)

    def pull_small(self):
        server = self.in_memory()
        self.fill(server, self.small_source())
        self.settle()
        row = self.measure("pull-small", "pull of 2,000 blobs of 4 to 64 KiB under 100 manifests, from crane's registry in memory", self.pulls(server.host, self.work / "out"))
        self.against_best(row, "tranship, relaxed", "pulled small blobs", 0.6, 0.5)

    def push_small(self):
        server = self.in_memory()

        def anew():
            server.stop()
            server.start()

        row = self.measure("push-small", "push of the same blobs, to crane's registry in memory", self.pushes(server.host, self.small_source(), anew))
        self.against_best(row, "tranship", "pushed small blobs", 0.6, 0.5)


ROWS = {
    "pull": RegistryBench.pull_layer,
    "push": RegistryBench.push_layer,
    "pull-image": RegistryBench.pull_image,
    "push-image": RegistryBench.push_image,
    "pull-small": RegistryBench.pull_small,
    "push-small": RegistryBench.push_small,
}

if __name__ == "__main__":
    main("bench/registries.py", __doc__.splitlines()[0], ROWS, RegistryBench)
