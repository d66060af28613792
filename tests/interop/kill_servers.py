#!/usr/bin/env python3
"""Two servers of one directory, killed in turn for many rounds, with all that a team's registry does.

    python3 tests/interop/kill_servers.py [TRANSHIP] [--rounds N] [--seed N]

TRANSHIP is the program to check, target/release/tranship unless given. Both servers have users, a mirror, a cache of
limited size, immutable tags, retention and garbage collection; a third process collects garbage with a short grace
period. In each round four clients push, pull, delete and read through the mirror while SIGKILL ends one server or both.
A client continues with the other server. What was acknowledged must be there, during the rounds and after them, and
what must not change has not changed. Works in a temporary directory, needs nothing but Python, and ends with the first failure.
"""

import base64
import contextlib
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

from kill_server import CONFIG, LAYER, MANIFEST, digest_of, fail, options

USER = "ann"
GRACE = 10
MIRROR = "up.example"
SETTINGS = """\
root: layouts:{root}
listen: 127.0.0.1:0
robots: {robots}
token-key: {key}
shared: true
state: {state}
anonymous-read: ['up.example/**']
mirror: ['up.example=http://{upstream}']
mirror-ttl: 1s
cache-size: 4MiB
gc-every: 2s
retention-every: 2s
repositories:
- match: team/**
  immutable-tags: ['release-*']
  retention: [{{tags: 'tmp-*', keep-last: 2}}]
"""


class Program:
    """A server. It chooses a port at its first start, and gets the same one at later starts."""

    def __init__(self, *arguments):
        self.arguments, self.host, self.process = arguments, None, None

    def start(self):
        listen = self.host or "127.0.0.1:0"
        command = [TRANSHIP, "serve", *self.arguments, "--listen", listen]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        if not line:
            fail(f"{' '.join(command)} does not start")
        self.host = line.removeprefix("http://")

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=60):
            fail(f"a server ended with {self.process.returncode}")
        self.process.stdout.close()


class Refused(Exception):
    """A response with an error status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Client(threading.Thread):
    """Repeats `step` until it is told to stop, with whichever server responds."""

    def __init__(self, servers, seed, password):
        super().__init__()
        self.servers, self.rng = servers, random.Random(seed)
        self.credentials = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
        self.connection, self.failure = None, None
        self.ended = threading.Event()
        self.steps = 0

    def run(self):
        while not self.ended.is_set():
            try:
                self.step()
                self.steps += 1
            except (OSError, http.client.HTTPException):
                # The server was killed. The result of the request is not known.
                self.connection = None
                self.ended.wait(0.05)
            except Exception as failure:
                self.failure = failure
                return

    def request(self, method, path, body=None, **headers):
        if self.connection is None:
            server = self.rng.choice(self.servers)
            self.connection = http.client.HTTPConnection(server.host, timeout=60)
        headers["Authorization"] = self.credentials
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 400:
            message = f"{method} {path}: {response.status} {content[:300].decode(errors='replace')}"
            raise Refused(response.status, message)
        return response, content

    def push(self, name, tag):
        """Pushes an image, and returns its digest and the content of its blobs and itself by digest."""
        contents = [self.rng.randbytes(self.rng.choice([10, 5_000, 300_000])) for _ in range(2)]
        contents.append(json.dumps({"number": self.rng.random()}).encode())
        blobs = {digest_of(content): content for content in contents}
        described = [{"mediaType": LAYER, "digest": digest, "size": len(content)} for digest, content in blobs.items()]
        config = {**described.pop(), "mediaType": CONFIG}
        for digest, content in blobs.items():
            self.request("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}
        content = json.dumps(manifest).encode()
        self.request("PUT", f"/v2/{name}/manifests/{tag}", content, **{"Content-Type": MANIFEST})
        return digest_of(content), {"blobs": blobs, "manifest": content}

    def verify(self):
        """Asks for everything that must be there."""

    def check(self, name, digest, image):
        """Compares an image with what the registry has."""
        wanted = [("manifests", digest, image["manifest"])]
        wanted += [("blobs", blob, content) for blob, content in image["blobs"].items()]
        for kind, each, content in wanted:
            _, got = self.request("GET", f"/v2/{name}/{kind}/{each}")
            if got != content:
                fail(f"{name}: {each} has other content")


class Pusher(Client):
    """Pushes images under tags that move, and under tags that must not."""

    def __init__(self, name, *arguments):
        super().__init__(*arguments)
        self.name, self.images = name, {}
        # For each tag, what it may point at: what was acknowledged last, and what was not known afterwards.
        self.tags, self.released = {}, 0

    def step(self):
        kind = self.rng.random()
        if kind < 0.2:
            # Retention may remove it at any time.
            self.push(self.name, f"tmp-{self.rng.randrange(10_000)}")
            return
        is_release = kind < 0.4
        tag = f"release-{self.released}" if is_release else f"v{self.rng.randrange(5)}"
        if is_release:
            self.released += 1
        possible = self.tags.setdefault(tag, [])
        # Until there is a response, it may be the new image. Which one that is shows when it is pushed.
        possible.append(None)
        digest, image = self.push(self.name, tag)
        self.tags[tag] = [digest]
        self.images[digest] = image
        if is_release:
            self.move(tag)
        self.verify_tag(self.rng.choice(list(self.tags)))

    def move(self, tag):
        """An immutable tag cannot be moved, whichever server is asked."""
        content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": EMPTY, "layers": []}).encode()
        try:
            self.request("POST", f"/v2/{self.name}/blobs/uploads/?digest={EMPTY['digest']}", b"{}")
            self.request("PUT", f"/v2/{self.name}/manifests/{tag}", content, **{"Content-Type": MANIFEST})
        except Refused as refused:
            if refused.status in (403, 405, 409):
                return
            raise
        fail(f"{self.name}: the immutable tag {tag} was moved")

    def verify(self):
        for tag in self.tags:
            self.verify_tag(tag)

    def verify_tag(self, tag):
        possible = self.tags[tag]
        if None in possible:
            return
        response, _ = self.request("HEAD", f"/v2/{self.name}/manifests/{tag}")
        digest = response.headers["Docker-Content-Digest"]
        if digest not in possible:
            fail(f"{self.name}: {tag} is {digest}, not {possible}")
        self.check(self.name, digest, self.images[digest])


EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}


class Deleter(Client):
    """Pushes images, and deletes some of them. What it deleted does not come back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.name, self.images, self.deleted = "team/deletes", {}, set()
        self.number = 0

    def step(self):
        self.number += 1
        tag = f"d{self.number}"
        digest, image = self.push(self.name, tag)
        self.images[tag] = digest, image
        if self.rng.random() < 0.6:
            chosen = self.rng.choice(list(self.images))
            digest, _ = self.images.pop(chosen)
            try:
                self.request("DELETE", f"/v2/{self.name}/manifests/{digest}")
            except Refused as refused:
                if refused.status != 404:
                    raise
            self.deleted.add(digest)

    def verify(self):
        for digest, image in self.images.values():
            self.check(self.name, digest, image)
        for digest in self.deleted:
            try:
                self.request("HEAD", f"/v2/{self.name}/manifests/{digest}")
            except Refused as refused:
                if refused.status == 404:
                    continue
                raise
            fail(f"{self.name}: {digest} was deleted and is there")


class Puller(Client):
    """Pulls through the mirror, whose cache has room for a part of the images."""

    def __init__(self, images, *arguments):
        super().__init__(*arguments)
        self.images = images

    def step(self):
        tag, (digest, image) = self.rng.choice(list(self.images.items()))
        name = f"{MIRROR}/library/base"
        response, _ = self.request("GET", f"/v2/{name}/manifests/{tag}", Accept=MANIFEST)
        if response.headers["Docker-Content-Digest"] != digest:
            fail(f"{name}:{tag} is not what its registry has")
        self.check(name, digest, image)


class Collector(threading.Thread):
    """Collects garbage with a grace period of some seconds, in a separate process."""

    def __init__(self, root):
        super().__init__()
        self.root, self.failure, self.runs = root, None, 0
        self.ended = threading.Event()

    def run(self):
        command = [TRANSHIP, "gc", "--quiet", "--grace", f"{GRACE}s", f"layouts:{self.root}"]
        while not self.ended.wait(0.3):
            done = subprocess.run(command, capture_output=True, text=True)
            # 8: a writer was faster.
            if done.returncode not in (0, 8):
                self.failure = f"gc: exit code {done.returncode}: {done.stderr}"
                return
            self.runs += 1


def upstream(work, running):
    """A registry whose content the mirror has, and that content."""
    program = Program("--quiet", "--root", f"layouts:{work / 'upstream'}")
    program.start()
    running.callback(program.kill)
    client, images = Client([program], 1, ""), {}
    for number in range(12):
        images[f"base-{number}"] = client.push("library/base", f"base-{number}")
    return program, images


def servers(work, source, running):
    key, robots = work / "key", work / "robots.json"
    create = [TRANSHIP, "token", "create", USER, "--file", str(robots), "--grant", "**:rw"]
    password = subprocess.run(create, capture_output=True, text=True, check=True).stdout.strip()
    key.write_text(base64.b64encode(random.Random(2).randbytes(32)).decode())
    key.chmod(0o600)
    found = []
    for number in range(2):
        settings = work / f"serve-{number}.yaml"
        settings.write_text(SETTINGS.format(
            root=work / "registry", robots=robots, key=key, state=work / f"state-{number}", upstream=source.host,
        ))
        found.append(Program(str(settings), "--quiet"))
    for each in found:
        each.start()
        running.callback(each.kill)
    return found, password


def round_of(pair, clients, rng):
    time.sleep(rng.uniform(0.3, 1.5))
    victims = pair if rng.random() < 0.3 else [rng.choice(pair)]
    for victim in victims:
        victim.kill()
    time.sleep(rng.uniform(0, 0.3))
    for victim in victims:
        victim.start()
    for client in clients:
        if client.failure:
            fail(client.failure)


def main():
    global TRANSHIP
    arguments = options(__doc__.splitlines()[0], rounds=30)
    TRANSHIP = arguments.tranship
    rng = random.Random(arguments.seed)
    print(f"two servers, killed under load, seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        run(pathlib.Path(directory), arguments.rounds, rng)


def run(work, rounds, rng):
    with contextlib.ExitStack() as running:
        source, images = upstream(work, running)
        pair, password = servers(work, source, running)
        check(work, rounds, rng, source, images, pair, password)


def check(work, rounds, rng, source, images, pair, password):
    common = lambda: (pair, rng.random(), password)
    clients = [
        Pusher("team/one", *common()), Pusher("team/two", *common()), Deleter(*common()), Puller(images, *common()),
    ]
    collector = Collector(work / "registry")
    for thread in (*clients, collector):
        thread.start()
    try:
        for _ in range(rounds):
            round_of(pair, clients, rng)
    finally:
        for thread in (*clients, collector):
            thread.ended.set()
        for thread in (*clients, collector):
            thread.join()
    for thread in (*clients, collector):
        if thread.failure:
            fail(thread.failure)
    for client in clients:
        for server in pair:
            client.servers, client.connection = [server], None
            client.verify()
    for each in (*pair, source):
        each.stop()
    checked = subprocess.run(
        [TRANSHIP, "fsck", "--quiet", f"layouts:{work / 'registry'}"], capture_output=True, text=True
    )
    if checked.returncode:
        fail(f"the layouts are not sound:\n{checked.stdout}{checked.stderr}")
    counts = [len(clients[0].tags) + len(clients[1].tags), len(clients[2].images), len(clients[2].deleted)]
    print(
        f"  {rounds} rounds: {counts[0]} tags and {counts[1]} images that were acknowledged are there, "
        f"{counts[2]} deleted ones are not; {clients[3].steps} images pulled through the mirror, {collector.runs} collections"
    )
    if not (all(counts) and clients[3].steps and collector.runs):
        fail("something was never done, so this tested nothing")


if __name__ == "__main__":
    sys.exit(main())
