#!/usr/bin/env python3
"""The tables of docs/interop.md, out of what the interop scripts have recorded.

    python3 tests/interop/matrix.py RECORD --write docs/interop.md
    python3 tests/interop/matrix.py RECORD --check docs/interop.md
    python3 tests/interop/matrix.py RECORD --check-part docs/interop.md

RECORD is the file that TRANSHIP_INTEROP_RECORD named when the scripts ran: lines of fields between tabs,

    version TABLE COLUMN VERSION
    check   TABLE COLUMN ROW CELL

Each table stands in the page between two marks. --write replaces those of which there is a record, and leaves the
others as they are. --check compares what was checked, and not versions and figures; there must be a record of each
table, save those whose mark says that they are slow. --check-part does the same for a run of the short forms, which need not
have made every check in the page.
"""

import argparse
import pathlib
import re
import sys

PLACE = re.compile(
    r"(?P<begin><!-- table (?P<name>\S+)(?P<slow>, slow)? -->\n)(?P<text>.*?)(?P<end><!-- end -->)",
    re.DOTALL,
)


class Table:
    """Cells by row and column, in the order in which they came."""

    def __init__(self):
        self.versions = {}
        self.columns = []
        self.rows = {}

    def add(self, column, row, cell):
        if column not in self.columns:
            self.columns.append(column)
        cells = self.rows.setdefault(row, {}).setdefault(column, [])
        if cell not in cells:
            cells.append(cell)

    def markdown(self):
        heads = [f"{column} {self.versions.get(column, '')}".strip() for column in self.columns]
        lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for row, cells in self.rows.items():
            texts = [", ".join(cells.get(column, [])) for column in self.columns]
            lines.append(f"| {row} | " + " | ".join(texts) + " |")
        return "\n".join(lines) + "\n"


def recorded(path):
    tables = {}
    for line in pathlib.Path(path).read_text().splitlines():
        kind, name, column, *rest = line.split("\t")
        table = tables.setdefault(name, Table())
        if kind == "version":
            table.versions[column] = rest[0]
        else:
            table.add(column, *rest)
    return tables


def checked(markdown):
    """What a table says was checked: rows, columns and cells, of all of them the numbers left out."""
    split = lambda line: [cell.strip() for cell in line.strip("|").split("|")]
    lines = [split(line) for line in markdown.splitlines() if line.startswith("|")]
    if not lines:
        return set()
    # A version is the last word of a head, and a figure is a number in a cell.
    heads = [re.sub(r" [\d.-]+$", "", head) for head in lines[0]]
    return {
        (row, head, re.sub(r"\d+", "…", cell))
        for row, *cells in lines[2:]
        for head, cell in zip(heads[1:], cells)
        if cell
    }


def differences(page, tables, part):
    for place in PLACE.finditer(page):
        name = place["name"]
        if name not in tables:
            if not place["slow"] and not part:
                yield f"{name}: there is no record of it"
            continue
        there, here = checked(place["text"]), checked(tables[name].markdown())
        yield from (f"{name}: not in the page: {' | '.join(each)}" for each in sorted(here - there))
        if not part:
            yield from (f"{name}: no longer checked: {' | '.join(each)}" for each in sorted(there - here))


def written(page, tables):
    def replaced(place):
        table = tables.get(place["name"])
        return f"{place['begin']}\n{table.markdown()}\n{place['end']}" if table else place[0]

    return PLACE.sub(replaced, page)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", metavar="PAGE", type=pathlib.Path)
    what.add_argument("--check", metavar="PAGE", type=pathlib.Path)
    what.add_argument("--check-part", metavar="PAGE", type=pathlib.Path)
    arguments = parser.parse_args()
    tables = recorded(arguments.record)
    path = arguments.write or arguments.check or arguments.check_part
    page = path.read_text()
    homeless = tables.keys() - {place["name"] for place in PLACE.finditer(page)}
    problems = [f"{name}: the page has no place for it" for name in sorted(homeless)]
    if arguments.write:
        path.write_text(written(page, tables))
    else:
        problems += differences(page, tables, arguments.check_part is not None)
    if problems:
        print(*problems, f"error: {path} is not what was checked; it says how it is written", sep="\n", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
