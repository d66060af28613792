"""Runs programs and measures them: wall time, CPU time, peak memory."""

import dataclasses
import mmap
import os
import statistics
import subprocess
import tempfile
import threading
import time


# More than any one run asks for, in bytes.
MEMORY = 2 << 30


@dataclasses.dataclass
class Run:
    """What one run cost: seconds, seconds of user and system time, bytes."""

    wall: float
    cpu: float
    peak: int


@dataclasses.dataclass
class Contender:
    """Something to measure: one or more commands that run side by side.

    `prepare` is called before each run and is not measured, and `verify` after it. `yardstick` names
    the contender of the same row that this one is compared with.
    """

    name: str
    commands: list
    prepare: object = lambda: None
    verify: object = lambda: None
    yardstick: str = None
    runs: list = dataclasses.field(default_factory=list)

    def measure(self):
        return side_by_side(self.commands)

    def median(self, what):
        return statistics.median(getattr(run, what) for run in self.runs)

    def best(self, what):
        return min(getattr(run, what) for run in self.runs)

    def peak(self):
        return max(run.peak for run in self.runs)


def interleaved(contenders, rounds):
    """Measures all contenders in turn, `rounds` times, after a round that is not counted.

    The uncounted round fills the page cache. Each round begins with another contender, so that none always
    runs behind the same neighbour.
    """
    for number in range(rounds + 1):
        first = number % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            contender.prepare()
            os.sync()
            in_child(touch_memory)
            run = contender.measure()
            contender.verify()
            if number:
                contender.runs.append(run)


def touch_memory():
    """Has the memory ready that the next run will ask for.

    A virtual machine gives memory that is free back to its host in the background, and whoever uses it next waits
    for the host: for a gibibyte of page cache up to as long as all the rest of a pull takes.
    """
    zeros = bytes(1 << 20)
    with mmap.mmap(-1, MEMORY) as memory:
        for _ in range(MEMORY // len(zeros)):
            memory.write(zeros)


def side_by_side(commands):
    """Starts all commands at once and waits for all. CPU is their sum, and memory the largest."""
    started = time.perf_counter()
    # Some say a line for each blob, and would wait for a pipe that nobody reads.
    said = [tempfile.TemporaryFile() for _ in commands]
    processes = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        for command, errors in zip(commands, said)
    ]
    watches = [Watch(process.pid) for process in processes]
    usages = []
    for process, command, errors in zip(processes, commands, said):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        usages.append(usage)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"failed: {' '.join(map(str, command))}\n{errors.read().decode()}")
    wall = time.perf_counter() - started
    for errors in said:
        errors.close()
    peaks = [watch.peak(usage) for watch, usage in zip(watches, usages)]
    return Run(wall, sum(usage.ru_utime + usage.ru_stime for usage in usages), max(peaks))


class Watch:
    """Follows the peak memory of a process.

    The system's own answer when a process has ended is never less than what this Python had when it
    started the process. So where it is hardly more than that, the peak that was last read while the process
    ran is taken instead; 0 if it ended before it could be read.
    """

    EVERY = 0.005

    def __init__(self, pid):
        self.path = f"/proc/{pid}/status"
        self.seen = 0
        self.floor = own_peak()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not self.done.wait(self.EVERY):
            self.seen = max(self.seen, high_water(self.path))

    def peak(self, usage):
        self.done.set()
        self.thread.join()
        told = usage.ru_maxrss * 1024
        return told if told > 1.1 * self.floor else self.seen


def own_peak():
    return high_water("/proc/self/status")


def high_water(path):
    try:
        with open(path) as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def in_child(function, *arguments):
    """Calls a function in a process of its own, so that this one stays small."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*arguments)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"{function.__name__} failed")
