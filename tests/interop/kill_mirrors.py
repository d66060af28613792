#!/usr/bin/env python3
"""Sudden death of jobs of many images: mirrors and bundles that are killed at random moments and run again.

    python3 tests/interop/kill_mirrors.py [TRANSHIP] [--rounds N] [--seed N] [--jobs NAME,…]

After each kill what is left must be sound, and after the last run the result must be that of a run that was not
disturbed. TRANSHIP is the program to check, target/release/tranship unless given. Works in a temporary directory,
needs nothing but Python, and ends with the first thing that goes wrong.
"""

import argparse
import dataclasses
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
import time

import kill
from kill import NAME, NOT_FOUND, TRY_AGAIN, Source, fail, run, tranship

# Some of the images of a job failed.
PARTIAL = 9
REPOSITORIES = 8
IMAGES = 3
LAYERS = 8


@dataclasses.dataclass
class Job:
    """A command that is killed and run again.

    `command` returns its arguments for a place to write to, and `state` describes what is there; both get the directory
    of the job. `check` looks at what a killed run has left.
    """

    name: str
    command: object
    state: object
    check: object


# The commands.


def mirror(common, place):
    rules = {"version": 1, "images": [{"from": f"layouts:{common}/source", "to": f"layouts:{place}/mirror"}]}
    path = place / "mirror.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(rules))
    return ("mirror", "--quiet", path)


def create(*options):
    def command(common, place):
        return ("bundle", "create", "--quiet", *options, "-o", place / "bundle.tar", f"layouts:{common}/source")

    return command


def apply(common, place):
    return ("bundle", "apply", "--quiet", "--parts", place / "parts", common / "bundle.tar", f"layouts:{place}/applied")


# What a place holds.


def layouts(name):
    """The tags and blobs of each layout."""

    def state(place):
        found = {}
        for index in sorted((place / name).rglob("index.json")):
            layout = index.parent
            entries = json.loads(index.read_text())["manifests"]
            tags = {entry["annotations"][NAME]: entry["digest"] for entry in entries if NAME in entry.get("annotations", {})}
            found[str(layout.relative_to(place / name))] = (tags, sorted(kill.blobs(layout).items()))
        return found

    return state


def volumes(place):
    """The bytes of the files of a bundle."""
    files = sorted(place.glob("bundle*.tar"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# What must hold after a kill.


def sound(name):
    def check(place, expected):
        """No layout is damaged, and a tag that is set leads to whole content."""
        location = f"layouts:{place / name}"
        ended = run("fsck", "--quiet", "--format", "json", location, allowed=(0, 4, NOT_FOUND))
        if ended.returncode == NOT_FOUND:
            return
        for layout in json.loads(ended.stdout)["layouts"]:
            bad = [each for each in layout["findings"] if each["severity"] == "error" or each["kind"] == "missing"]
            if bad:
                fail(f"{layout['location']} is not sound: {json.dumps(bad, indent=2)}")
        if ended.returncode:
            fail(f"{location} is not sound: {ended.stdout}")
        for layout, (tags, _) in layouts(name)(place).items():
            for tag, digest in tags.items():
                if expected[layout][0].get(tag) != digest:
                    fail(f"{location}//{layout}:{tag} is {digest}, which the source does not have")

    return check


def whole(place, expected):
    """A file with the name of a volume is complete."""
    for name, digest in volumes(place).items():
        if expected.get(name) != digest:
            fail(f"{place / name} was left, and is not the whole volume")


JOBS = [
    Job("mirror", mirror, layouts("mirror"), sound("mirror")),
    Job("bundle create", create(), volumes, whole),
    Job("bundle create, volumes", create("--volume-size", "3MB"), volumes, whole),
    Job("bundle apply", apply, layouts("applied"), sound("applied")),
]


# Runs.


def fill(root, rng):
    """Repositories whose images share layers."""
    pool = [rng.randbytes(rng.randint(16384, 150_000)) for _ in range(12)]
    for number in range(REPOSITORIES):
        source = Source(root / f"team/app-{number}", rng)
        for image in range(IMAGES):
            shared = [source.blob(kill.LAYER, content) for content in rng.sample(pool, 5)]
            sizes = [rng.randint(8192, 120_000) for _ in range(LAYERS - len(shared))]
            manifest = source.image(f"{number} {image}", sizes, shared)
            source.tag(f"v{image}", source.document(kill.INDEX, {"manifests": [manifest]}))


def killed(arguments, delay):
    """Starts a command and kills it after so many seconds. Returns whether it had ended before."""
    process = subprocess.Popen(tranship(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        fail(f"exit code {process.returncode}: tranship {' '.join(map(str, arguments))}\n{errors.decode()}")
    return process.returncode == 0


def undisturbed(job, common, root):
    """Returns what the job makes, and how long it takes."""
    durations, states = [], []
    for number in range(3):
        place = root / f"whole-{number}"
        place.mkdir()
        arguments = job.command(common, place)
        started = time.monotonic()
        run(*arguments)
        durations.append(time.monotonic() - started)
        states.append(job.state(place))
        job.check(place, states[0])
        shutil.rmtree(place)
    if not states[0] or states[0] != states[1] or states[1] != states[2]:
        fail(f"{job.name}: runs that were not disturbed differ, or make nothing")
    return states[0], sorted(durations)[1]


def kill_and_repeat(job, common, root, rounds, rng):
    expected, duration = undisturbed(job, common, root)
    kills = left = 0
    for number in range(rounds):
        place = root / f"killed-{number}"
        place.mkdir()
        arguments = job.command(common, place)
        # Every other round is killed twice, so that the second run finds what the first has left.
        for attempt in range(1 + number % 2):
            fraction = (number + rng.random()) / rounds if attempt == 0 else rng.random()
            if killed(arguments, 1.1 * fraction * duration):
                break
            kills += 1
            left += bool(job.state(place))
            job.check(place, expected)
        for _ in range(50):
            if run(*arguments, allowed=(0, PARTIAL, TRY_AGAIN)).returncode == 0:
                break
        else:
            fail(f"{job.name}: it failed 50 times after it was killed")
        job.check(place, expected)
        if (found := job.state(place)) != expected:
            differing = [key for key in expected if found.get(key) != expected[key]]
            differing += [key for key in found if key not in expected]
            fail(f"{job.name}: after a kill and another run these differ: {differing}")
        shutil.rmtree(place)
    print(f"  {job.name}: takes {duration:.2f} s; {rounds} rounds with {kills} kills, of which {left} left something")
    if rounds >= 10 and not kills:
        fail(f"{job.name}: no run was killed, so nothing was tested")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tranship", nargs="?", default="target/release/tranship")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", default=",".join(job.name.replace(", ", " ") for job in JOBS), help="default: %(default)s")
    arguments = parser.parse_args()
    kill.TRANSHIP = os.path.abspath(arguments.tranship)
    if not os.access(kill.TRANSHIP, os.X_OK):
        fail(f"{kill.TRANSHIP} is missing: run cargo build --release -p tranship-cli")
    wanted = arguments.jobs.split(",")
    jobs = [job for job in JOBS if job.name.replace(", ", " ") in wanted]
    if not jobs:
        fail(f"no job is called {arguments.jobs}")
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        # No run continues what another has recorded.
        os.environ["XDG_STATE_HOME"] = str(root / "state")
        common = root / "common"
        fill(common / "source", rng)
        print("jobs killed at random moments and run again")
        run(*create()(common, common))
        for job in jobs:
            kill_and_repeat(job, common, root, arguments.rounds, rng)


if __name__ == "__main__":
    sys.exit(main())
