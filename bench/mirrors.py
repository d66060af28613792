#!/usr/bin/env python3
"""Measures mirrors of a whole registry by tranship and by others, in one run, and counts their requests.

    cargo build --profile dist -p tranship-cli
    python3 bench/mirrors.py                                       all servers and tools, as Markdown
    python3 bench/mirrors.py --servers tranship --tools mirror     some of them
    python3 bench/mirrors.py --rounds 0                            requests and checks alone, without times
    python3 bench/mirrors.py --write docs/benchmarks.md            into the page, between its marks
    python3 bench/mirrors.py --check                               exit 1 if a target is missed

Needs Python 3.9 and what `bash .ci/tools` installs: skopeo, docker-registry, and in `.tools` oras, regsync and the
registry of distribution 3. Builds nothing. docs/benchmarks.md says what the columns mean.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import report
from counting import Proxy
from measure import Run, side_by_side
from mirror_data import DataSet
from registries import Server, free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
NAMESPACE = "bench"
SCRIPT = "bench/mirrors.py"


class Skipped(Exception):
    """Something that cannot be measured here, and why."""


# Servers: how each is started on a port, with content below a directory.


def distribution(program):
    def command(port, root):
        config = root.with_suffix(".yml")
        config.write_text(
            "version: 0.1\n"
            "log: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{delete: {{enabled: true}}, filesystem: {{rootdirectory: {root}}}}}\n"
            f'http: {{addr: "127.0.0.1:{port}"}}\n'
        )
        return [program, "serve", str(config)]

    return command


def serve(tranship):
    def command(port, root):
        return [tranship, "serve", "--quiet", "--listen", f"127.0.0.1:{port}", "--root", f"layouts:{root}"]

    return command


SERVERS = {
    "docker-registry": ("docker-registry 2.8", lambda tranship: distribution(tool("docker-registry"))),
    "distribution": ("distribution 3", lambda tranship: distribution(tool("registry"))),
    "tranship": ("tranship serve", serve),
}


# Tools: the commands that mirror everything from one host to another, run one after the other. `work` is an empty
# directory that both runs of a tool share.


def mirror(tranship, data, source, target, work):
    if subprocess.run([tranship, "mirror", "--help"], capture_output=True).returncode:
        raise Skipped("this tranship has no command mirror")
    # JSON is YAML, and quotes what needs it.
    rules = {
        "version": 1,
        "registries": {host: {"plainHttp": True} for host in (source, target)},
        "images": [{"from": f"{source}/**", "to": f"{target}/{{repository}}"}],
    }
    return [[tranship, "mirror", "--quiet", write(work / "mirror.yaml", rules)]]


def cp(tranship, data, source, target, work):
    command = [tranship, "cp", "--quiet", f"--plain-http={source}", f"--plain-http={target}"]
    return [[*command, f"{source}/{image}", f"{target}/{image}"] for image in images(data)]


def skopeo(tranship, data, source, target, work):
    wanted = {source: {"tls-verify": False, "images": {name: [] for name in data.tagged}}}
    command = [tool("skopeo"), "--insecure-policy", "sync", "--all", "--src", "yaml", "--dest", "docker"]
    # It names what it copies by the last part of the name.
    return [[*command, "--dest-tls-verify=false", write(work / "skopeo.yaml", wanted), f"{target}/{NAMESPACE}"]]


def regsync(parallel=None):
    def commands(tranship, data, source, target, work):
        config = {
            "version": 1,
            "creds": [{"registry": host, "tls": "disabled"} for host in (source, target)],
            "defaults": {"parallel": parallel} if parallel else {},
            "sync": [{"source": f"{source}/{name}", "target": f"{target}/{name}", "type": "repository"} for name in data.tagged],
        }
        return [[tool("regsync"), "--verbosity", "error", "--config", write(work / "regsync.yaml", config), "once"]]

    return commands


def oras_cp(tranship, data, source, target, work):
    command = [tool("oras"), "cp", "--recursive", "--no-tty", "--from-plain-http", "--to-plain-http"]
    return [[*command, f"{source}/{image}", f"{target}/{image}"] for image in images(data)]


def oras_backup(tranship, data, source, target, work):
    oras, commands = tool("oras"), []
    for name in data.tagged:
        layout = str(work / name.replace("/", "-"))
        commands.append([oras, "backup", "--no-tty", "--plain-http", "--output", layout, f"{source}/{name}"])
        commands.append([oras, "restore", "--no-tty", "--plain-http", "--input", layout, f"{target}/{name}"])
    return commands


TOOLS = {
    "mirror": ("tranship mirror", mirror),
    "cp": ("tranship cp, each tag", cp),
    "skopeo": ("skopeo sync --all", skopeo),
    "regsync": ("regsync once", regsync()),
    "regsync-8": ("regsync once, parallel 8", regsync(8)),
    "oras-cp": ("oras cp -r, each tag", oras_cp),
    "oras-backup": ("oras backup and restore", oras_backup),
}


def images(data):
    return [f"{name}:{tag}" for name, tags in data.tagged.items() for tag in tags]


def write(path, document):
    path.write_text(json.dumps(document, indent=1))
    return str(path)


def tool(name):
    path = ROOT / ".tools" / name
    found = str(path) if os.access(path, os.X_OK) else shutil.which(name)
    if not found:
        raise Skipped(f"{name} is not installed")
    return found


# Runs.


@dataclasses.dataclass
class Counted:
    """What one run asked of both ends."""

    source: object
    target: object


@dataclasses.dataclass
class Result:
    server: str
    tool: str
    # For the first run, and for the second, which finds everything up to date.
    counted: list
    times: list


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.data = DataSet(options.repositories, options.tags)
        self.results, self.targets, self.skipped = [], [], []

    def run(self):
        for server in self.options.servers:
            title, make = SERVERS[server]
            try:
                command = make(self.options.tranship)
            except Skipped as reason:
                self.skip(title, reason)
                continue
            source, target = (self.server(server, end, command) for end in ("source", "target"))
            try:
                source.start()
                tell(f"{title}: filling the source …")
                self.data.push(source.host)
                self.must_match("the source", source.host)
                self.measure(title, source, target)
            finally:
                source.stop()
                target.stop()
                for each in (source, target):
                    shutil.rmtree(each.root, ignore_errors=True)

    def skip(self, title, reason):
        text = f"{title}: {reason}"
        if text not in self.skipped:
            self.skipped.append(text)

    def server(self, name, end, command):
        port, root = free_port(), self.work / f"{name}-{end}"
        root.mkdir()
        return Server(command(port, root), port, root)

    def measure(self, server, source, target):
        found = []
        for name in self.options.tools:
            title, commands = TOOLS[name]
            tell(f"{server}: {title}, counted …")
            try:
                counted = self.counted(title, commands, source, target)
            except Skipped as reason:
                self.skip(title, reason)
                continue
            found.append((Result(server, title, counted, []), commands))
        for number in range(self.options.rounds):
            first = number % max(1, len(found))
            for result, commands in found[first:] + found[:first]:
                tell(f"{server}: {result.tool}, round {number + 1} …")
                result.times.append(self.timed(result.tool, commands, source, target))
        for result, _ in found:
            self.results.append(result)
            if result.tool == "tranship mirror":
                self.judge(result)

    def counted(self, title, commands, source, target):
        self.empty(target)
        with Proxy(source.host) as before, Proxy(target.host) as behind, self.directory() as work:
            steps, runs = commands(self.options.tranship, self.data, before.host, behind.host, work), []
            for _ in range(2):
                self.sequence(steps)
                runs.append(Counted(before.take(), behind.take()))
                self.must_match(title, target.host)
        return runs

    def timed(self, title, commands, source, target):
        self.empty(target)
        with self.directory() as work:
            steps, runs = commands(self.options.tranship, self.data, source.host, target.host, work), []
            for _ in range(2):
                os.sync()
                runs.append(self.sequence(steps))
                self.must_match(title, target.host)
        return runs

    def directory(self):
        class Directory(tempfile.TemporaryDirectory):
            def __enter__(self):
                return pathlib.Path(super().__enter__())

        return Directory(dir=self.work)

    def sequence(self, commands):
        runs = [side_by_side([command]) for command in commands]
        return Run(sum(run.wall for run in runs), sum(run.cpu for run in runs), max(run.peak for run in runs))

    def empty(self, server):
        server.stop()
        server.forget()
        server.start()

    def must_match(self, what, host):
        """Tools that skip what they fail to copy may end with success."""
        if wrong := self.data.check(host):
            raise SystemExit(f"error: {what}: {len(wrong)} tags are not as at the source; {wrong[0]}")

    def judge(self, result):
        """The promises about a mirror, which are about requests and so do not depend on the machine."""
        first, second = result.counted
        blobs, manifests = self.data.blob_bytes(), self.data.manifest_bytes()
        self.at_most(result, "bytes of blobs read, first run", read(first, "blob GET"), blobs)
        self.at_most(result, "bytes of blobs written, first run", uploaded(first), blobs)
        self.at_most(result, "bytes of manifests read, first run", read(first, "manifest GET"), manifests)
        tags = self.data.tags
        self.at_most(result, "requests for manifests at the source, second run", manifest_requests(second.source), tags)
        self.at_most(result, "requests for manifests at the destination, second run", manifest_requests(second.target), tags)
        others = second.source.of("blob HEAD", "blob GET") + writes(second.target) + second.target.of("blob HEAD", "blob GET")
        self.at_most(result, "requests for blobs, and writes, second run", others, 0)

    def at_most(self, result, what, measured, limit):
        text = f"{result.server}: {what}, at most {limit:,}"
        self.targets.append(Target(text, f"{measured:,}", measured <= limit))


@dataclasses.dataclass
class Target:
    text: str
    measured: str
    met: bool


def read(counted, kind):
    return counted.source.received[kind]


def uploaded(counted):
    return sum(size for kind, size in counted.target.sent.items() if kind.startswith("upload "))


def manifest_requests(counts):
    return counts.of("manifest HEAD", "manifest GET")


def writes(counts):
    return sum(number for kind, number in counts.requests.items() if kind.startswith(("upload ", "mount", "manifest PUT")))


def tell(text):
    print(text, file=sys.stderr)


# The report.

COLUMNS = {
    "source": {
        "Manifests HEAD": ("manifest HEAD",),
        "Manifests GET": ("manifest GET",),
        "Blobs HEAD": ("blob HEAD",),
        "Blobs GET": ("blob GET",),
        "Lists": ("tags", "catalog", "referrers"),
    },
    "target": {
        "Manifests HEAD, GET": ("manifest HEAD", "manifest GET"),
        "Manifests PUT": ("manifest PUT",),
        "Blobs HEAD, GET": ("blob HEAD", "blob GET"),
        "Mounts": ("mount",),
        "Uploads": ("upload POST", "upload PATCH", "upload PUT", "upload GET"),
        "Lists": ("tags", "catalog", "referrers"),
    },
}
RUNS = ("first", "second")


def counts_table(results, end, size):
    columns = COLUMNS[end]
    what = "Read" if end == "source" else "Written"
    yield f"| {'At the source' if end == 'source' else 'At the destination'} | Run | Requests | {' | '.join(columns)} | Other | {what} |"
    yield f"|---|---|--:|{'--:|' * len(columns)}--:|--:|"
    for result in results:
        for run, counted in zip(RUNS, result.counted):
            counts = getattr(counted, end)
            cells = [counts.of(*kinds) for kinds in columns.values()]
            numbers = [counts.total(), *cells, counts.total() - sum(cells)]
            name = result.tool if run == RUNS[0] else ""
            yield f"| {name} | {run} | {' | '.join(f'{each:,}' for each in numbers)} | {size(counted) / MIB:.1f} MiB |"


def times_table(results):
    yield "| | First run, median | best | Second run, median | best | CPU, first | second | Peak memory |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for result in results:
        cells = []
        for at in range(2):
            walls = [runs[at].wall for runs in result.times]
            cells += [report.seconds(statistics.median(walls)), report.seconds(min(walls))]
        for at in range(2):
            cells.append(report.seconds(statistics.median(runs[at].cpu for runs in result.times)))
        peak = max(run.peak for runs in result.times for run in runs)
        yield f"| {result.tool} | {' | '.join(cells)} | {peak / MIB:.1f} MiB |"


def tables(bench):
    for server in dict.fromkeys(result.server for result in bench.results):
        results = [result for result in bench.results if result.server == server]
        yield f"**From and to {server}**"
        yield ""
        if bench.options.rounds:
            yield from times_table(results)
            yield ""
        yield from counts_table(results, "source", lambda counted: sum(counted.source.received.values()))
        yield ""
        yield from counts_table(results, "target", lambda counted: sum(counted.target.sent.values()))
        yield ""


def as_json(bench, facts):
    def counted(each):
        return {end: {name: dict(values) for name, values in vars(getattr(each, end)).items()} for end in ("source", "target")}

    results = [
        {
            "server": each.server,
            "tool": each.tool,
            "counted": [counted(run) for run in each.counted],
            "times": [[vars(run) for run in runs] for runs in each.times],
        }
        for each in bench.results
    ]
    return {"machine": facts, "results": results, "targets": [vars(each) for each in bench.targets], "skipped": bench.skipped}


def facts(bench, work):
    programs = {"tranship": [bench.options.tranship, "--version"]}
    for name, arguments in (("skopeo", ["--version"]), ("docker-registry", ["--version"]), ("registry", ["--version"])):
        programs[name] = [name_or_none(name), *arguments]
    programs["oras"] = [name_or_none("oras"), "version"]
    lines = report.machine(work, {name: command for name, command in programs.items() if command[0]})
    # It was built without its version.
    version = ROOT / ".tools/regsync.version"
    if version.exists():
        lines.append(f"regsync: {version.read_text().strip()}")
    data = bench.data
    text = f"{data.tags:,} tags in {len(data.tagged)} repositories, {data.shared / data.layers:.0%} of their layers shared"
    lines.append(f"{text}; {data.blob_bytes() / MIB:.1f} MiB of distinct blobs, {data.manifest_bytes() / MIB:.2f} MiB of manifests")
    return lines


def name_or_none(name):
    try:
        return tool(name)
    except Skipped:
        return None


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tranship", nargs="?", default=str(ROOT / "target/dist/tranship"), help="the program to measure")
    for what, known in (("servers", SERVERS), ("tools", TOOLS)):
        parser.add_argument(f"--{what}", default=",".join(known), help="which, with commas between them (default: all: %(default)s)")
    parser.add_argument("--repositories", type=int, default=200, help="how many the source has (default: %(default)s)")
    parser.add_argument("--tags", type=int, default=1000, help="how many the source has in all (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed; 0 only counts (default: %(default)s)")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target", help="where data is made, on a real disk (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every count and run there too")
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE", help="put the tables into this page, between its marks")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed or something was left out")
    chosen = parser.parse_args()
    for what, known in (("servers", SERVERS), ("tools", TOOLS)):
        names = getattr(chosen, what).split(",")
        setattr(chosen, what, names)
        if unknown := [name for name in names if name not in known]:
            parser.error(f"unknown {what}: {', '.join(unknown)}")
    if chosen.repositories < 1 or chosen.tags < chosen.repositories or chosen.rounds < 0:
        parser.error("there must be a repository, and a tag for each")
    if not os.access(chosen.tranship, os.X_OK):
        parser.error(f"{chosen.tranship} is missing: run cargo build --profile dist -p tranship-cli")
    chosen.tranship = os.path.abspath(chosen.tranship)
    return chosen


def main():
    chosen = arguments()
    # The servers end with this program, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: terminated"))
    chosen.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.work.resolve()) as directory:
        work = pathlib.Path(directory)
        # No tool reads settings or credentials of the user.
        os.environ |= {"TMPDIR": directory, "HOME": directory, "DOCKER_CONFIG": directory}
        for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
            os.environ.pop(name, None)
        bench = Bench(chosen, work)
        machine = facts(bench, work)
        bench.run()
    text = report.markdown(shlex.join(["python3", SCRIPT, *sys.argv[1:]]), machine, list(tables(bench))[:-1], bench.targets, bench.skipped)
    print(text)
    if chosen.write:
        report.write(chosen.write, SCRIPT, text)
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(bench, machine), indent=1) + "\n")
    missed = [f"missed: {target.text}: {target.measured}" for target in bench.targets if not target.met]
    missed += [f"left out: {reason}" for reason in bench.skipped]
    for each in missed:
        tell(each)
    sys.exit(1 if chosen.check and missed else 0)


if __name__ == "__main__":
    main()
