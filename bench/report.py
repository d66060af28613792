"""What was measured, as Markdown and as JSON."""

import os
import pathlib
import platform
import subprocess

BEGIN = "<!-- What stands between these marks is written by {script} --write. -->"
END = "<!-- Until here. -->"
MIB = 1024 * 1024


def machine(work, tools):
    """What the figures depend on, as a list of lines."""
    model = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * MIB)
    lines = [
        f"{os.cpu_count()} cores ({model}), {memory} GiB of memory, Linux {platform.release()}",
        f"load before the run: {os.getloadavg()[0]:.1f}",
        f"data on {file_system(work)}",
    ]
    lines += [f"{name}: {first_line(command)}" for name, command in tools.items()]
    return lines


def file_system(path):
    return first_line(["findmnt", "-no", "FSTYPE", "--target", path])


def first_line(command):
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return output.strip().partition("\n")[0]


def seconds(value):
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms" if value >= 0.1 else f"{value * 1000:.1f} ms"


def table(rows):
    lines = [
        "| | Time, median | best | CPU, median | Peak memory | Time ÷ yardstick | CPU ÷ yardstick |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(f"| **{row.title}** | | | | | | |")
        by_name = {contender.name: contender for contender in row.contenders}
        for each in row.contenders:
            cells = [each.name, seconds(each.median("wall")), seconds(each.best("wall"))]
            cells += [seconds(each.median("cpu")), f"{each.peak() / MIB:.1f} MiB" if each.peak() else "?"]
            yardstick = by_name.get(each.yardstick)
            for what in ("wall", "cpu"):
                ratio = each.median(what) / max(yardstick.median(what), 1e-9) if yardstick else None
                cells.append(f"{ratio:.2f}" if ratio else "")
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def target_table(targets):
    lines = ["| Target | Measured | |", "|---|--:|---|"]
    for target in targets:
        lines.append(f"| {target.text} | {target.measured} | {'met' if target.met else '**missed**'} |")
    return lines


def markdown(command, facts, tables, targets, skipped):
    lines = [f"`{command}` on:", "", *(f"- {fact}" for fact in facts), ""]
    lines += tables + [""]
    if targets:
        lines += target_table(targets) + [""]
    lines += [f"Left out: {reason}" for reason in skipped]
    return "\n".join(lines).strip() + "\n"


def as_json(facts, rows, targets, skipped):
    def contender(each):
        return {"name": each.name, "yardstick": each.yardstick, "runs": [vars(run) for run in each.runs]}

    return {
        "machine": facts,
        "rows": [
            {"name": row.name, "title": row.title, "contenders": [contender(each) for each in row.contenders]}
            for row in rows
        ],
        "targets": [vars(target) for target in targets],
        "skipped": skipped,
    }


def write(page, script, text):
    """Replaces what stands between the two marks of a page that belong to a script."""
    page, begins = pathlib.Path(page), BEGIN.format(script=script)
    before, begin, rest = page.read_text().partition(begins)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} lacks the lines\n{begins}\n{END}")
    page.write_text(f"{before}{begins}\n\n{text}\n{END}{after}")
