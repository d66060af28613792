#!/usr/bin/env python3
"""Measures copies of image layouts with tranship and with others, in one run.

    cargo build --profile dist -p tranship-cli
    python3 bench/layouts.py                                  all rows, as Markdown
    python3 bench/layouts.py --rows link,small --rounds 9     some of them
    python3 bench/layouts.py --write docs/benchmarks.md       into the page, between its marks
    python3 bench/layouts.py --check                          exit 1 if a target is missed

Needs Python 3.9 and, for the rows that compare with them, openssl, skopeo and `.tools/oras`
(`bash .ci/tools`). Builds nothing. docs/benchmarks.md says what the rows mean.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import datasets
import report
from measure import Contender, in_child, interleaved

ROOT = pathlib.Path(__file__).resolve().parent.parent
GIB = 1024**3
MIB = 1024**2
MANIFESTS = (100, 1_000, 10_000)
# How many files are made to see how long one takes, and what is quick, in seconds.
FILES = 200
QUICK = 60e-6


@dataclasses.dataclass
class Row:
    name: str
    title: str
    contenders: list

    def __getitem__(self, name):
        return next(each for each in self.contenders if each.name == name)


@dataclasses.dataclass
class Target:
    text: str
    measured: str
    met: bool


class Skipped(Exception):
    """A row that cannot be measured here, and why."""


class Bench:
    def __init__(self, options, work, other):
        self.tranship = options.tranship
        self.rounds = options.rounds
        self.size = options.size * MIB
        self.work = work
        self.other = other
        self.oras = next((each for each in (str(ROOT / ".tools/oras"), shutil.which("oras")) if each and os.access(each, os.X_OK)), None)
        self.skopeo = shutil.which("skopeo")
        self.openssl = shutil.which("openssl")
        self.relaxed = ["--durability", "relaxed"] if "--durability" in self.help("cp") else None
        self.rows, self.targets, self.skipped = [], [], []

    def close(self):
        """Ends what was started."""

    def help(self, command):
        return subprocess.run([self.tranship, command, "--help"], capture_output=True, text=True, check=True).stdout

    def versions(self):
        """How the programs tell their versions."""
        tools = {"tranship": [self.tranship, "--version"], "skopeo": [self.skopeo, "--version"]}
        tools |= {"oras": [self.oras, "version"], "openssl": [self.openssl, "version"]}
        return {name: command for name, command in tools.items() if command[0]}

    def tables(self):
        return report.table(self.rows)

    # Data, made when the first row needs it.

    def layout(self, name, make, *arguments):
        path = self.work / "data" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            print(f"making {name} …", file=sys.stderr)
            in_child(make, path, *arguments)
        return path

    def large(self):
        return self.layout("one-layer", datasets.one_layer, self.size)

    def large_file(self, layout):
        return max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)

    # Contenders.

    def copy(self, name, source, into, options=(), tag="v1", scheme="oci", yardstick=None):
        command = [self.tranship, "cp", "--quiet", *options, f"{scheme}:{source}:{tag}", f"oci:{into}:v1"]
        return self.writer(name, [command], into, yardstick)

    def copies(self, name, *arguments, **options):
        """Both durabilities, where there are two."""
        found = [self.copy(name, *arguments, **options)]
        if self.relaxed:
            found.append(self.copy(f"{name}, relaxed", *arguments, options=self.relaxed, **options))
        return found

    def writer(self, name, commands, into, yardstick=None, verify=lambda: None):
        return Contender(name, commands, lambda: self.clear(into), verify, yardstick)

    def clear(self, into):
        """Makes room for the next output. Many files are put aside and removed in the end: for a minute
        ext4 does not give away the inodes of removed files, and looks at all of them for each new file.
        So a program would be measured by how many files the one before it left."""
        if into.is_dir() and into.parent == self.work and sum(len(files) for _, _, files in os.walk(into)) > 200:
            aside = self.work / "aside"
            aside.mkdir(exist_ok=True)
            into.rename(aside / str(len(os.listdir(aside))))
        shutil.rmtree(into, ignore_errors=True)
        if into.is_file():
            into.unlink()

    def settle(self):
        """Waits until new files are had quickly, as files may have been removed in large numbers before this ran."""
        aside = self.work / "aside"
        aside.mkdir(exist_ok=True)
        for _ in range(48):
            started = time.perf_counter()
            for _ in range(FILES):
                tempfile.NamedTemporaryFile(dir=aside, delete=False).close()
            each = (time.perf_counter() - started) / FILES
            if each < QUICK:
                return
            print(f"waiting, a new file takes {each * 1e6:.0f} µs …", file=sys.stderr)
            time.sleep(10)

    def hashing(self, file):
        if not self.openssl:
            raise Skipped("openssl is not installed")
        return [self.openssl, "dgst", "-sha256", str(file)]

    def peers(self, source, into):
        """skopeo and oras, copying what is tagged `v1`."""
        found = []
        if self.skopeo:
            command = [self.skopeo, "--insecure-policy", "copy", "--quiet", "--all"]
            command += [f"oci:{source}:v1", f"oci:{into}:v1"]
            found.append(self.writer("skopeo copy --all", [command], into))
        if self.oras:
            command = [self.oras, "cp", "--no-tty", "--from-oci-layout", f"{source}:v1"]
            command += ["--to-oci-layout", f"{into}:v1"]
            found.append(self.writer("oras cp", [command], into))
        return found

    # Rows.

    def measure(self, name, title, contenders, rounds=None):
        row = Row(name, title, contenders)
        print(f"{title} …", file=sys.stderr)
        interleaved(contenders, rounds or self.rounds)
        for each in contenders:
            each.prepare()
        self.rows.append(row)
        return row

    def target(self, text, measured, limit, unit=""):
        self.targets.append(Target(f"{text}: at most {limit}{unit}", f"{measured:.2f}{unit}", measured <= limit))

    def at_least(self, text, measured, limit):
        self.targets.append(Target(f"{text}: at least {limit}", f"{measured:.2f}", measured >= limit))

    def ratio(self, row, name, against, what="wall"):
        return row[name].median(what) / row[against].median(what)

    def link(self):
        """One file system that can link: the yardstick is to hash the file."""
        source, into = self.large(), self.work / "out"
        yardstick = "openssl dgst"
        contenders = [Contender(yardstick, [self.hashing(self.large_file(source))])]
        contenders += self.copies("tranship", source, into, yardstick=yardstick)
        title = f"layer of {self.size // MIB} MiB, one file system, linked"
        row = self.measure("link", title, contenders)
        self.target("linked layer, time ÷ openssl dgst", self.ratio(row, "tranship", yardstick), 1.3)
        self.target("linked layer, CPU ÷ openssl dgst", self.ratio(row, "tranship", yardstick, "cpu"), 1.2)

    def other_file_system(self):
        """Nothing can be linked: the yardstick is to copy and to hash the file side by side."""
        if not self.other:
            raise Skipped("there is no other file system to write to with enough room; name one with --other")
        source, into = self.large(), self.other / "out"
        file = self.large_file(source)
        yardstick = "cp ∥ openssl dgst"
        contenders = [self.writer(yardstick, [["cp", str(file), str(into)], self.hashing(file)], into)]
        contenders += [Contender("openssl dgst", [self.hashing(file)])]
        contenders += self.copies("tranship", source, into, yardstick=yardstick)
        where = report.file_system(self.other)
        row = self.measure("other", f"layer of {self.size // MIB} MiB, onto another file system ({where})", contenders)
        self.target("layer onto another file system, time ÷ cp ∥ openssl dgst", self.ratio(row, "tranship", yardstick), 1.3)
        self.target("layer onto another file system, CPU ÷ cp ∥ openssl dgst", self.ratio(row, "tranship", yardstick, "cpu"), 1.2)

    def copied(self):
        """One file system, but the blob may be written to, and so is not linked."""
        source, into = self.large(), self.work / "out"
        writable = self.layout("one-writable-layer", writable_copy, source)
        file = self.large_file(writable)
        self.against_cp("copied", f"layer of {self.size // MIB} MiB, one file system, not linked", file, into,
                        self.copies("tranship", writable, into), "not linked layer", 1.3)

    def archive(self):
        source, into = self.large(), self.work / "out"
        file = self.work / "data/one-layer.tar"
        if not file.exists():
            in_child(datasets.archive, source, file)
        probe = subprocess.run([self.tranship, "resolve", f"oci-archive:{file}:v1"], capture_output=True, text=True)
        if probe.returncode:
            raise Skipped(f"this tranship reads no archives: {probe.stderr.strip().splitlines()[0]}")
        self.against_cp("archive", f"archive of {self.size // MIB} MiB to a layout", file, into,
                        self.copies("tranship", file, into, scheme="oci-archive"), "archive to layout", 1.4)

    def against_cp(self, name, title, file, into, ours, text, limit):
        """With a disk below, what syncs is compared with what syncs, and what does not with what does not."""
        synced = f'cp "{file}" "{into}" && sync "{into}"'
        durable, plain = "(cp && sync) ∥ openssl dgst", "cp ∥ openssl dgst"
        contenders = [
            self.writer(plain, [["cp", str(file), str(into)], self.hashing(file)], into),
            self.writer(durable, [["sh", "-c", synced], self.hashing(file)], into),
        ]
        for each in ours:
            each.yardstick = plain if each.name.endswith("relaxed") else durable
        row = self.measure(name, title, contenders + ours)
        for each in ours:
            self.target(f"{text}, {each.name}, time ÷ {each.yardstick}", self.ratio(row, each.name, each.yardstick), limit)

    def small(self):
        """Many small blobs, as fast as skopeo and oras and three times faster."""
        source = self.layout("small-blobs", datasets.small_blobs, 100, 20)
        self.settle()
        self.against_peers("small", "2,000 blobs of 4 to 64 KiB under 100 manifests", source, self.work / "out", 3)

    def small_elsewhere(self):
        if not self.other:
            raise Skipped("there is no other file system to write to; name one with --other")
        source = self.layout("small-blobs", datasets.small_blobs, 100, 20)
        title = f"the same blobs, onto another file system ({report.file_system(self.other)})"
        # skopeo takes 20 s here as well, and the target is about the row above.
        self.against_peers("small-other", title, source, self.other / "out", None, without="skopeo")

    def against_peers(self, name, title, source, into, limit, without="nobody"):
        peers = [peer for peer in self.peers(source, into) if not peer.name.startswith(without)]
        if not peers:
            raise Skipped("neither skopeo nor oras is installed")
        row = self.measure(name, title, peers + self.copies("tranship", source, into, yardstick=peers[0].name))
        for peer in peers if limit else []:
            self.at_least(f"small blobs, {peer.name} ÷ tranship", self.ratio(row, peer.name, "tranship"), limit)

    def manifests(self):
        """The cost of a manifest, by how many there are."""
        into, each_cost = self.work / "out", {}
        self.settle()
        for count in MANIFESTS:
            source = self.layout(f"manifests-{count}", datasets.many_manifests, count, False)
            rounds = self.rounds if count < 10_000 else max(3, self.rounds // 2)
            contenders = self.copies("tranship", source, into)
            row = self.measure(f"manifests-{count}", f"{count:,} manifests in one index", contenders, rounds)
            each_cost[count] = {each.name: each.median("wall") / count for each in row.contenders}
        for name in each_cost[MANIFESTS[0]]:
            self.flat(f"{name}: cost of a manifest", {count: costs[name] for count, costs in each_cost.items()})

    def flat(self, text, costs):
        """A process costs something by itself, so that one of few is dear; with many it must not grow."""
        told = ", ".join(f"{cost * 1e6:.0f} µs of {count:,}" for count, cost in costs.items())
        *fewer, most = costs.values()
        self.target(f"{text} among {MANIFESTS[-1]:,} ÷ the least among fewer ({told})", most / min(fewer), 1.5)

    def tags(self):
        """Tags that one process sets on one manifest."""
        source, into = self.layout("manifests-100", datasets.many_manifests, 100, False), self.work / "out"
        first = self.copy("tranship", source, into).commands[0]

        def again():
            self.clear(into)
            subprocess.run(first, check=True, stdout=subprocess.DEVNULL)

        costs = {}
        for count in MANIFESTS:
            names = [f"t{number}" for number in range(count)]
            command = [self.tranship, "tag", "--quiet", f"oci:{into}:v1", *names]
            contender = Contender("tranship tag", [command], again)
            self.measure(f"tags-{count}", f"{count:,} tags set by one process", [contender])
            costs[count] = contender.median("wall") / count
        self.flat("cost of a tag", costs)
        self.clear(into)

    def opening(self):
        """Opening a large layout only to resolve a tag."""
        source = self.layout("tagged-10000", datasets.many_manifests, 10_000, True)
        contenders = [Contender("tranship resolve", [[self.tranship, "resolve", f"oci:{source}:t5000"]])]
        if self.oras:
            contenders.append(Contender("oras resolve", [[self.oras, "resolve", "--oci-layout", f"{source}:t5000"]]))
        if self.skopeo:
            command = [self.skopeo, "--insecure-policy", "inspect", "--raw", f"oci:{source}:t5000"]
            contenders.append(Contender("skopeo inspect --raw", [command]))
        for each in contenders[1:]:
            each.yardstick = contenders[0].name
        row = self.measure("open", "resolving one tag of 10,000", contenders, max(self.rounds, 9))
        self.target("resolving one tag of 10,000, CPU", row["tranship resolve"].median("cpu") * 1000, 20, " ms")

    def big(self):
        """What memory a blob of 4 GiB takes: it is hashed and linked, and written elsewhere."""
        source = self.layout("sparse-layer", datasets.one_sparse_layer, 4 * GIB)
        yardstick = Contender("openssl dgst", [self.hashing(self.large_file(source))])
        ours = self.copy("tranship", source, self.work / "out", yardstick="openssl dgst")
        self.measure("big", "layer of 4 GiB, one file system, linked", [yardstick, ours], min(self.rounds, 3))

    def memory(self):
        """The target that every copy has to meet."""
        ours = ("tranship", "tranship, relaxed")
        copies = [(row, each) for row in self.rows for each in row.contenders if each.name in ours]
        if copies:
            row, most = max(copies, key=lambda pair: pair[1].peak())
            self.target(f"peak memory of any copy, the most in “{row.title}”", most.peak() / MIB, 24, " MiB")


def writable_copy(path, source):
    """The same layout, whose blobs their owner may write to, as skopeo and others leave them."""
    shutil.copytree(source, path)
    for blob in (path / "blobs/sha256").iterdir():
        blob.chmod(0o644)


ROWS = {
    "link": Bench.link,
    "other": Bench.other_file_system,
    "copied": Bench.copied,
    "archive": Bench.archive,
    "small": Bench.small,
    "small-other": Bench.small_elsewhere,
    "manifests": Bench.manifests,
    "tags": Bench.tags,
    "open": Bench.opening,
    "big": Bench.big,
}


def options(rows, description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("tranship", nargs="?", default=str(ROOT / "target/dist/tranship"), help="the program to measure")
    parser.add_argument("--rows", default=",".join(rows), help="which, with commas between them (default: all: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the large layer (default: %(default)s)")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target", help="where data is made, on a real disk (default: %(default)s)")
    parser.add_argument("--other", type=pathlib.Path, default=pathlib.Path("/dev/shm"), help="a directory on another file system (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every run of every contender there too")
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE", help="put the tables into this page, between its marks")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    chosen = parser.parse_args()
    chosen.rows = chosen.rows.split(",")
    unknown = [row for row in chosen.rows if row not in rows]
    if unknown or chosen.rounds < 1 or chosen.size < 1:
        parser.error(f"unknown rows {unknown}" if unknown else "--rounds and --size begin with 1")
    if not os.access(chosen.tranship, os.X_OK):
        parser.error(f"{chosen.tranship} is missing: run cargo build --profile dist -p tranship-cli")
    chosen.tranship = os.path.abspath(chosen.tranship)
    return chosen


def another_file_system(path, work, size):
    """A directory of our own in `path`, if that is another file system than `work` with enough room."""
    if path.is_dir() and path.stat().st_dev != work.stat().st_dev and shutil.disk_usage(path).free > 3 * size:
        return pathlib.Path(tempfile.mkdtemp(prefix="tranship-bench-", dir=path))
    return None


def main(script, description, rows, kind):
    """Measures what the command line asks for. `rows` has methods of `kind`, by their names."""
    chosen = options(rows, description)
    chosen.work.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=chosen.work.resolve()))
    other = another_file_system(chosen.other, work, chosen.size * MIB)
    # Some tools keep large temporary files, which are not to be on another file system.
    os.environ["TMPDIR"] = str(work)
    bench = kind(chosen, work, other)
    try:
        facts = report.machine(work, bench.versions())
        for name in chosen.rows:
            try:
                rows[name](bench)
            except Skipped as reason:
                bench.skipped.append(f"{name}: {reason}")
        bench.memory()
    finally:
        bench.close()
        for each in filter(None, (work, other)):
            shutil.rmtree(each, ignore_errors=True)

    text = report.markdown(shlex.join(["python3", script, *sys.argv[1:]]), facts, bench.tables(), bench.targets, bench.skipped)
    print(text)
    if chosen.write:
        report.write(chosen.write, script, text)
    if chosen.json:
        chosen.json.write_text(json.dumps(report.as_json(facts, bench.rows, bench.targets, bench.skipped), indent=1) + "\n")
    missed = [target for target in bench.targets if not target.met]
    for target in missed:
        print(f"missed: {target.text}: {target.measured}", file=sys.stderr)
    sys.exit(1 if chosen.check and missed else 0)


if __name__ == "__main__":
    main("bench/layouts.py", __doc__.splitlines()[0], ROWS, Bench)
