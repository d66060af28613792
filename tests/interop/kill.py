#!/usr/bin/env python3
"""Sudden death: copies that are killed at random moments, alone and beside garbage collection.

    python3 tests/interop/kill.py [TRANSHIP] [--rounds N] [--seed N]

TRANSHIP is the program to check, target/release/tranship unless given. Works in a temporary directory,
needs nothing but Python, and ends with the first thing that goes wrong.
"""

import argparse
import atexit
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
NAME = "org.opencontainers.image.ref.name"

TRY_AGAIN = 8
NOT_FOUND = 3


def fail(message):
    raise SystemExit(f"error: {message}")


class Source:
    """A layout that no tool under test wrote."""

    def __init__(self, path, rng):
        self.path = path
        self.rng = rng
        self.entries = []
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def document(self, media_type, fields):
        content = json.dumps({"schemaVersion": 2, "mediaType": media_type, **fields})
        return self.blob(media_type, content.encode())

    def image(self, name, sizes, shared=()):
        layers = [self.blob(LAYER, self.rng.randbytes(size)) for size in sizes]
        config = self.blob(CONFIG, json.dumps({"name": name}).encode())
        return self.document(MANIFEST, {"config": config, "layers": [*layers, *shared]})

    def tag(self, name, entry):
        self.entries.append({**entry, "annotations": {NAME: name}})
        index = {"schemaVersion": 2, "manifests": self.entries}
        (self.path / "index.json").write_text(json.dumps(index))


def tranship(*arguments):
    return [TRANSHIP, *map(str, arguments)]


def run(*arguments, allowed=(0,)):
    """Runs the program, which must end with one of these codes."""
    ended = subprocess.run(tranship(*arguments), capture_output=True, text=True)
    if ended.returncode not in allowed:
        text = f"{ended.stdout[-2000:]}{ended.stderr}"
        fail(f"exit code {ended.returncode}: tranship {' '.join(map(str, arguments))}\n{text}")
    return ended


def fsck(layout):
    """Asks whether a layout is sound, and that nothing at all is missing from it."""
    ended = run("fsck", "--quiet", "--format", "json", f"oci:{layout}", allowed=(0, 4))
    report = json.loads(ended.stdout)
    bad = [
        finding
        for finding in report["layouts"][0]["findings"]
        if finding["severity"] == "error" or finding["kind"] == "missing"
    ]
    if ended.returncode or bad:
        fail(f"{layout} is not sound: {json.dumps(bad, indent=2)}")


def blobs(layout):
    directory = layout / "blobs/sha256"
    paths = directory.iterdir() if directory.exists() else ()
    return {path.name: path.stat().st_size for path in paths}


def is_complete(layout, source):
    """That a layout which fsck has found sound holds all blobs of the source."""
    here, there = blobs(layout), blobs(source)
    lost = {name for name, size in there.items() if here.get(name) != size}
    if lost:
        fail(f"{layout} lacks {len(lost)} blobs, such as {sorted(lost)[0]}")


def copy_and_kill(delay, *arguments):
    """Starts a copy and kills it after so many seconds; answers whether it was done before."""
    copy = subprocess.Popen(
        tranship("cp", "--quiet", *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        copy.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        copy.send_signal(signal.SIGKILL)
    _, errors = copy.communicate()
    if copy.returncode not in (0, -signal.SIGKILL, TRY_AGAIN):
        fail(f"a copy ended with {copy.returncode}: {errors.decode()}")
    return copy.returncode == 0


def alone(temporary, rounds, rng):
    """Kills copies at moments spread over their time; each time fsck and a second copy follow."""
    # On another file system, where there is one: blobs that are linked are published all at once.
    memory = pathlib.Path("/dev/shm")
    is_roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 200 << 20
    directory = tempfile.mkdtemp(dir=memory if is_roomy else temporary)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    source = Source(pathlib.Path(directory) / "source", rng)
    images = [
        source.image(f"image {number}", [rng.randint(16384, 200_000) for _ in range(40)])
        for number in range(10)
    ]
    large = source.image("large", [3 << 20, 2 << 20, 1 << 20])
    source.tag("all", source.document(INDEX, {"manifests": [*images, large]}))
    tagged = f"oci:{source.path}:all"

    durations = []
    for number in range(5):
        whole = temporary / f"whole-{number}"
        started = time.monotonic()
        run("cp", "--quiet", tagged, f"oci:{whole}:all")
        durations.append(time.monotonic() - started)
        is_complete(whole, source.path)
    duration = sorted(durations)[2]
    print(f"  a whole copy takes {duration:.2f} s")

    outcomes = {"no layout yet": 0, "part": 0, "whole": 0}
    stored = set()
    for number in range(rounds):
        # Two in a row work on one destination, so that every other finds a part there.
        destination = temporary / f"killed-{number // 2}"
        # The times of copies vary: the last rounds wait for twice as long as one usually takes.
        fraction = 2 * (number + rng.random()) / rounds if number % 2 == 0 else rng.random() / 2
        is_done = copy_and_kill(fraction * duration, tagged, f"oci:{destination}:all")
        if (destination / "oci-layout").exists():
            fsck(destination)
            has_tag = NAME in (destination / "index.json").read_text()
            if is_done or has_tag:
                is_complete(destination, source.path)
            outcomes["whole" if has_tag else "part"] += 1
            stored.add(len(blobs(destination)))
        else:
            if is_done:
                fail(f"{destination} is no layout after a copy that succeeded")
            run("fsck", "--quiet", f"oci:{destination}", allowed=(0, NOT_FOUND))
            outcomes["no layout yet"] += 1
            stored.add(0)
        # The copy run again, beside what the next round goes on with.
        again = temporary / "again"
        if destination.exists():
            shutil.copytree(destination, again, copy_function=os.link)
        run("cp", "--quiet", tagged, f"oci:{again}:all")
        fsck(again)
        is_complete(again, source.path)
        shutil.rmtree(again)
        if number % 2 == 1:
            shutil.rmtree(destination, ignore_errors=True)
    print(f"  {rounds} copies killed: {outcomes}, with {len(stored)} numbers of blobs")
    if rounds >= 20 and len(stored) < 2:
        fail("the moments were not spread over the time of a copy")


class Collector:
    """Collects garbage over and over, in a process each time."""

    def __init__(self, layout):
        self.layout = layout
        self.removed = 0
        self.runs = 0
        self.failure = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.collect)

    def collect(self):
        arguments = ("gc", "--quiet", "--format", "json", "--grace", "1s", f"oci:{self.layout}")
        while not self.stop.is_set():
            ended = subprocess.run(tranship(*arguments), capture_output=True, text=True)
            if ended.returncode == 0:
                self.removed += len(json.loads(ended.stdout)["layouts"][0]["removed"])
            elif ended.returncode != TRY_AGAIN:
                self.failure = f"gc ended with {ended.returncode}: {ended.stderr}"
                return
            self.runs += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        if self.failure:
            fail(self.failure)


class Copies:
    """Copies one image until that has succeeded, killed some of the times."""

    def __init__(self, source, destination, name, old_at, duration, seed):
        self.arguments = (f"oci:{source}:{name}", f"oci:{destination}:{name}")
        self.old_at = old_at
        self.duration = duration
        self.rng = random.Random(seed)
        self.killed = 0
        self.retried = 0
        self.failure = None
        self.thread = threading.Thread(target=self.copy)

    def copy(self):
        try:
            # Most begin shortly before the garbage is old enough, and so find it there.
            begin = self.old_at - self.rng.uniform(-0.1, 2 * self.duration)
            time.sleep(max(0, begin - time.monotonic()))
            if self.rng.random() < 0.4 and not copy_and_kill(
                self.rng.uniform(0.1, 1.5) * self.duration, *self.arguments
            ):
                self.killed += 1
            for _ in range(50):
                ended = run("cp", "--quiet", *self.arguments, allowed=(0, TRY_AGAIN))
                if ended.returncode == 0:
                    return
                self.retried += 1
            fail("a copy was refused 50 times")
        except SystemExit as error:
            self.failure = str(error)


def beside_gc(temporary, rounds, rng):
    """Copies rely on what is garbage, and is collected meanwhile."""
    source = Source(temporary / "images", rng)
    shared = [source.blob(LAYER, rng.randbytes(20_000)) for _ in range(10)]
    names = [f"image-{number}" for number in range(4)]
    for name in names:
        sizes = [rng.randint(4096, 32768) for _ in range(120)]
        image = source.image(name, sizes, shared)
        source.tag(name, source.document(INDEX, {"manifests": [image]}))
    destination = temporary / "collected"
    for name in names:
        started = time.monotonic()
        run("cp", "--quiet", f"oci:{source.path}:{name}", f"oci:{destination}:{name}")
        ended = time.monotonic()
    duration = ended - started
    killed = retried = 0
    with Collector(destination) as collector:
        for number in range(rounds):
            # All becomes garbage, which is old a second after it was copied.
            old_at = ended + 1
            for entry in source.entries:
                index = json.loads(
                    (source.path / "blobs/sha256" / entry["digest"][7:]).read_text()
                )
                for digest in (entry["digest"], index["manifests"][0]["digest"]):
                    run("manifest", "delete", "--yes", f"oci:{destination}@{digest}")
            copies = [
                Copies(source.path, destination, name, old_at, duration, rng.random())
                for name in names
            ]
            for each in copies:
                each.thread.start()
            for each in copies:
                each.thread.join()
                if each.failure:
                    fail(f"beside gc: {each.failure}")
                killed += each.killed
                retried += each.retried
            ended = time.monotonic()
            fsck(destination)
            is_complete(destination, source.path)
    print(
        f"  {rounds * len(names)} copies beside {collector.runs} runs of gc, which removed "
        f"{collector.removed} blobs: {killed} killed, {retried} tried again"
    )
    if not collector.removed or not collector.runs:
        fail("gc has removed nothing: this was no test")
    # In the end only what is in use is there.
    time.sleep(1.1)
    run("gc", "--quiet", "--grace", "1s", f"oci:{destination}")
    if blobs(destination) != blobs(source.path):
        fail("gc has not left just what is in use")
    fsck(destination)


def main():
    global TRANSHIP
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tranship", nargs="?", default="target/release/tranship")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    TRANSHIP = os.path.abspath(arguments.tranship)
    if not os.access(TRANSHIP, os.X_OK):
        fail(f"{TRANSHIP} is missing: run cargo build --release -p tranship-cli")
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        temporary = pathlib.Path(directory)
        print("copies killed at random moments")
        alone(temporary, arguments.rounds, rng)
        print("copies beside garbage collection")
        beside_gc(temporary, max(1, arguments.rounds // 5), rng)


if __name__ == "__main__":
    sys.exit(main())
