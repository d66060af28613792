#!/usr/bin/env python3
"""Sudden death of a server: SIGKILL under load, and what it acknowledged is there when it starts again.

    python3 tests/interop/kill_server.py [TRANSHIP] [--rounds N] [--seed N]

TRANSHIP is the program to check, target/release/tranship unless given. Works in a temporary directory,
needs nothing but Python, and ends with the first thing that goes wrong.
"""

import argparse
import hashlib
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"

CLIENTS = 6
CHUNK = 100_000


def fail(message):
    raise SystemExit(f"error: {message}")


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Server:
    """The program, serving a directory of layouts on a port of its own choice."""

    def __init__(self, root):
        command = [TRANSHIP, "serve", "--quiet", "--root", f"layouts:{root}"]
        self.process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        self.host = self.process.stdout.readline().strip().removeprefix("http://")
        if not self.host:
            fail("the server does not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=60):
            fail(f"the server ended with {self.process.returncode}")
        self.process.stdout.close()


class Client:
    """Pushes images until the server is gone, and keeps in mind what was acknowledged."""

    def __init__(self, server, name, seed):
        self.connection = http.client.HTTPConnection(server.host, timeout=60)
        self.name = name
        self.rng = random.Random(seed)
        self.blobs = {}
        self.manifests = {}
        # For each tag, what it may point at: what was acknowledged last, and what was under way.
        self.tags = {}
        # Uploads under way: how much of what has been acknowledged.
        self.uploads = {}
        self.failure = None
        self.thread = threading.Thread(target=self.run)

    def request(self, method, path, body=b"", **headers):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            self.failure = f"{method} {path}: {answer.status} {content.decode()}"
            raise ConnectionError(self.failure)
        return answer, content

    def run(self):
        try:
            while True:
                self.image()
        except (OSError, http.client.HTTPException):
            # The server is gone, unless it has said something else before.
            pass

    def image(self):
        config = json.dumps({"number": self.rng.random()}).encode()
        layers = [self.rng.randbytes(self.rng.choice([10, 5_000, 700_000])) for _ in range(3)]
        fields = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(CONFIG, config),
            "layers": [self.blob(LAYER, layer) for layer in layers],
        }
        content = json.dumps(fields).encode()
        digest = digest_of(content)
        tag = self.rng.choice(["latest", f"v{self.rng.randrange(10)}"])
        possible = self.tags.setdefault(tag, [])
        possible.append(digest)
        path = f"/v2/{self.name}/manifests/{tag}"
        self.request("PUT", path, content, **{"Content-Type": MANIFEST})
        self.manifests[digest] = content
        self.tags[tag] = [digest]

    def blob(self, media_type, content):
        digest = digest_of(content)
        uploads = f"/v2/{self.name}/blobs/uploads/"
        if self.rng.random() < 0.4:
            self.request("POST", f"{uploads}?digest={digest}", content)
        else:
            answer, _ = self.request("POST", uploads)
            location = answer.headers["Location"]
            for start in range(0, len(content), CHUNK):
                self.request("PATCH", location, content[start : start + CHUNK])
                self.uploads[location] = (start + CHUNK, content)
            self.uploads.pop(location, None)
            self.request("PUT", f"{location}?digest={digest}")
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def verify(self, server):
        """Asks a new server for everything."""
        self.connection = http.client.HTTPConnection(server.host, timeout=60)
        for kind, contents in (("blobs", self.blobs), ("manifests", self.manifests)):
            for digest, content in contents.items():
                _, got = self.request("GET", f"/v2/{self.name}/{kind}/{digest}")
                if got != content:
                    fail(f"{self.name}: {digest} has other content")
        for tag, possible in self.tags.items():
            if len(possible) == 1 and possible[0] not in self.manifests:
                continue  # The only push of it was under way.
            answer, _ = self.request("HEAD", f"/v2/{self.name}/manifests/{tag}")
            if answer.headers["Docker-Content-Digest"] not in possible:
                fail(f"{self.name}: {tag} points elsewhere")
        for location, (acknowledged, content) in self.uploads.items():
            answer, _ = self.request("GET", location)
            offset = int(answer.headers["Range"].removeprefix("0-")) + 1
            if not min(acknowledged, len(content)) <= offset <= len(content):
                fail(f"{self.name}: an upload has {offset} bytes, {acknowledged} were acknowledged")
            self.request("PATCH", location, content[offset:])
            self.request("PUT", f"{location}?digest={digest_of(content)}")


def round_of(temporary, number, rng):
    root = temporary / f"round-{number}"
    server = Server(root)
    clients = [Client(server, f"team/app-{each}", rng.random()) for each in range(CLIENTS)]
    for client in clients:
        client.thread.start()
    time.sleep(rng.uniform(0.1, 1.5))
    server.kill()
    for client in clients:
        client.thread.join()
        if client.failure:
            fail(client.failure)

    server = Server(root)
    for client in clients:
        client.verify(server)
        if client.failure:
            fail(client.failure)
    server.stop()
    checked = subprocess.run(
        [TRANSHIP, "fsck", "--quiet", f"layouts:{root}"], capture_output=True, text=True
    )
    if checked.returncode:
        fail(f"{root} is not sound:\n{checked.stdout}{checked.stderr}")
    count = lambda what: sum(len(getattr(client, what)) for client in clients)
    return count("blobs"), count("manifests"), count("uploads")


def options(description, rounds):
    """The command line of a script that kills servers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("tranship", nargs="?", default="target/release/tranship")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    arguments.tranship = os.path.abspath(arguments.tranship)
    if not os.access(arguments.tranship, os.X_OK):
        fail(f"{arguments.tranship} is missing: run cargo build --release -p tranship-cli")
    return arguments


def main():
    global TRANSHIP
    arguments = options(__doc__.splitlines()[0], rounds=10)
    TRANSHIP = arguments.tranship
    rng = random.Random(arguments.seed)
    print(f"a server killed under load, seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        totals = [0, 0, 0]
        for number in range(arguments.rounds):
            counts = round_of(pathlib.Path(directory), number, rng)
            totals = [total + count for total, count in zip(totals, counts)]
    blobs, manifests, uploads = totals
    print(
        f"  killed {arguments.rounds} times: {blobs} blobs and {manifests} manifests that were "
        f"acknowledged are there, and {uploads} uploads went on"
    )
    if not (blobs and manifests):
        fail("nothing was pushed: this was no test")


if __name__ == "__main__":
    sys.exit(main())
