#!/usr/bin/env python3
"""Finds what the Markdown pages name and the repository does not have: files and Rust items.

    python3 .ci/docs.py

A link to a file must lead to one. In backticks, a path that begins with a directory of the repository
and a name that ends with .rs must be files; a Rust path such as `Type::method`, on the pages about the code
a name such as `HashingSink`, and in the tables of docs/from-oras-go.md every name on the right, must be
declared somewhere in the sources.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GO_TABLES = ROOT / "docs/from-oras-go.md"
CODE_PAGES = {ROOT / "docs/layers.md", ROOT / "docs/writing-a-backend.md"}


def listed(*patterns):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / line for line in lines.splitlines() if (ROOT / line).is_file()]


def declared():
    """Every name that the sources declare: items, methods, variants, fields, packages."""
    keyword = r"\b(?:fn|struct|enum|trait|type|const(?! fn)|mod|macro_rules!)\s+(\w+)"
    member = r"^\s*(?:pub )?(\w+)(?::|,|\s*[({])"
    names = {"from_str", "parse", "FromStr", "Option", "str", "std", "Default", "default"}
    for path in listed("*.rs"):
        text = path.read_text()
        names.update(re.findall(keyword, text))
        names.update(re.findall(member, text, re.MULTILINE))
    for path in listed("*Cargo.toml"):
        names.update(name.replace("-", "_") for name in re.findall(r'^name = "(.+)"', path.read_text(), re.M))
    return names


def without_code_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def problems():
    names = declared()
    files = listed()
    base_names = {path.name for path in files}
    directories = {path.relative_to(ROOT).parts[0] for path in files if path.parent != ROOT}
    for page in listed("*.md"):
        text = without_code_blocks(page.read_text())
        is_about_code = page in CODE_PAGES or page.parent == ROOT / "docs/design"
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target and not (page.parent / target).exists():
                yield page, f"no file {target}"
        for number, line in enumerate(text.splitlines()):
            cells = line.split("|") if page == GO_TABLES and line.startswith("| ") else [line]
            # The first cell is empty, and the second has Go's names.
            checked = "|".join(cells[2:]) if len(cells) > 2 else line
            for code in re.findall(r"`([^`]+)`", checked):
                yield from ((page, each) for each in unknown(code, names, base_names, directories, len(cells) > 2))
                if is_about_code and re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", code) and code not in names:
                    yield page, f"nothing is called {code}"


def unknown(code, names, base_names, directories, is_rust):
    if re.fullmatch(r"[\w.-]+\.rs", code):
        if code not in base_names:
            yield f"no file {code}"
    elif re.fullmatch(r"[\w./-]+", code) and "/" in code and code.split("/")[0] in directories:
        if not (ROOT / code).exists():
            yield f"no file {code}"
    elif re.fullmatch(r"\w+(::\w+)+!?", code) or is_rust and re.fullmatch(r"\w+!?", code):
        for part in code.rstrip("!").split("::"):
            if part not in names:
                yield f"nothing is called {part} in `{code}`"


if __name__ == "__main__":
    found = [f"{page.relative_to(ROOT)}: {message}" for page, message in problems()]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    sys.exit(bool(found))
