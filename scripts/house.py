#!/usr/bin/env python3
"""Counts the house: files, functions, circles of imports, locked dependencies, long lines.

    scripts/house.py            a table per crate, the circles, and the functions over 40 lines
    scripts/house.py --check    only what the project forbids: lines over 120 columns; fails when there is one

Takes: the Rust files that git knows and Cargo.lock. Gives: text. Does not: parse Rust; it relies on rustfmt's indentation.
A circle is a set of files of one crate that import each other, however far around; a module and its own submodules are one
thing here and make none. Inline `mod tests` blocks and files named tests.rs count as tests.
"""
import collections
import os
import re
import subprocess
import sys

MAX_COLUMNS = 120
MAX_FUNCTION_LINES = 40
FUNCTION = re.compile(r"^( *)(?:pub(?:\([a-z ]+\))? )?(?:const )?(?:async )?fn (\w+)")
INLINE_TESTS = re.compile(r"^( *)mod \w+ \{$")
PATH = re.compile(r"\b(crate|self|super)((?:::super)*)((?:::\w+)*)(::\{)?")


def git_files():
    names = subprocess.run(["git", "ls-files", "*.rs"], capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if os.path.exists(name)]


def split_tests(lines):
    """The lines outside and inside of inline test modules."""
    code, tests, end = [], [], None
    for number, line in enumerate(lines):
        if end is None:
            match = INLINE_TESTS.match(line)
            if match and number > 0 and "cfg(test)" in lines[number - 1]:
                end = match.group(1) + "}"
        (code if end is None else tests).append(line)
        if end is not None and line == end:
            end = None
    return code, tests


def functions(lines):
    """(name, lines) of each function with a body."""
    found = []
    for number, line in enumerate(lines):
        match = FUNCTION.match(line)
        if not match:
            continue
        for end in range(number, len(lines)):
            if lines[end].startswith(match.group(1) + "}") or (end == number and line.endswith("}")):
                found.append((match.group(2), end - number + 1))
                break
            if lines[end].endswith(";") and lines[end].startswith(match.group(1)) and "{" not in "".join(lines[number:end + 1]):
                break
    return found


def module_of(path):
    """Module path of a file below src: ('controller', 'apply'); () is the crate's root."""
    parts = path.removesuffix(".rs").split("/")
    return tuple(part for part in parts if part not in ("lib", "main", "mod"))


def use_trees(text):
    """Every path named in the text, with the branches of `use` groups written out."""
    for match in PATH.finditer(text):
        start = [match.group(1)] + match.group(2).split("::")[1:] + match.group(3).split("::")[1:]
        if not match.group(4):
            yield start
            continue
        depth, branch, begin = 1, [], match.end()
        for position in range(match.end(), len(text)):
            letter = text[position]
            depth += (letter == "{") - (letter == "}")
            if (letter == "," and depth == 1) or depth == 0:
                branch.append(text[begin:position])
                begin = position + 1
            if depth == 0:
                break
        for piece in branch:
            yield start + re.findall(r"\w+", piece.split("{")[0])


def resolve(path, module, modules):
    """The module of this crate that a path leads to, or None."""
    if path[0] == "crate":
        names = list(path[1:])
    else:
        ups = sum(part == "super" for part in path)
        names = list(module[:len(module) - ups]) + [part for part in path if part not in ("super", "self")]
    while names and tuple(names) not in modules:
        names.pop()
    return tuple(names) if names else None


def circles(sources):
    """Strongly connected sets of modules; sources: module -> code as text."""
    edges = collections.defaultdict(set)
    for module, text in sources.items():
        for path in use_trees(text):
            target = resolve(path, module, sources)
            related = target is not None and (target[:len(module)] == module or module[:len(target)] == target)
            if target and not related:
                edges[module].add(target)
    reached = {module: reach(module, edges) for module in sources}
    groups = {frozenset(b for b in sources if b in reached[a] and a in reached[b]) | {a} for a in sources}
    return sorted((sorted("/".join(module) for module in group) for group in groups if len(group) > 1))


def reach(start, edges):
    seen, left = set(), [start]
    while left:
        for target in edges[left.pop()]:
            if target not in seen:
                seen.add(target)
                left.append(target)
    return seen


def spread(values):
    values = sorted(values) or [0]
    return f"{values[len(values) // 2]}/{values[int(len(values) * 0.9)]}/{values[-1]}"


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read().split("\n")


def long_lines(names):
    return [(name, number, len(line)) for name in names for number, line in enumerate(read(name), 1) if len(line) > MAX_COLUMNS]


def report(names):
    crates, long_functions, found = collections.defaultdict(lambda: collections.defaultdict(list)), [], []
    sources = collections.defaultdict(dict)
    for name in names:
        crate, place, rest = (name.split("/", 2) + [""])[:3]
        of, lines = crates[crate], read(name)
        if place != "src" or name.endswith("/tests.rs") or "/tests/" in name:
            of["test files"].append(len(lines) - 1)
            continue
        code, tests = split_tests(lines)
        of["files"].append(len(lines) - 1)
        of["inline tests"].append(len(tests))
        of["functions"] += [length for _, length in functions(code)]
        long_functions += [(name, *function) for function in functions(code) if function[1] > MAX_FUNCTION_LINES]
        sources[crate][module_of(rest)] = "\n".join(line for line in code if not line.lstrip().startswith("//"))
    print(f"{'crate':10} {'src files/lines (inline tests)':31} {'tests files/lines':18} {'file med/p90/max':17} fn n, med/p90/max")
    for crate, of in sorted(crates.items()):
        print(f"{crate:10} {f'''{len(of['files'])} / {sum(of['files'])} ({sum(of['inline tests'])})''':31} "
              f"{f'''{len(of['test files'])} / {sum(of['test files'])}''':18} {spread(of['files']):17} {len(of['functions'])}, {spread(of['functions'])}")
        found += [(crate, circle) for circle in circles(sources[crate])]
    print(f"circles: {len(found)}")
    for crate, circle in found:
        print(f"  {crate}: {' <-> '.join(circle)}")
    print(f"functions over {MAX_FUNCTION_LINES} lines: {len(long_functions)}")
    for function in long_functions:
        print("  {}: {} ({})".format(*function))
    with open("Cargo.lock", encoding="utf-8") as lock:
        print(f"locked dependencies: {lock.read().count('[[package]]')}")
    print(f"lines over {MAX_COLUMNS} columns: {len(long_lines(names))}")


def main():
    os.chdir(os.path.join(os.path.dirname(__file__), ".."))
    if sys.argv[1:] == ["--check"]:
        broken = long_lines(git_files())
        for name, number, length in broken:
            print(f"{name}:{number}: {length} columns; {MAX_COLUMNS} at most")
        sys.exit(1 if broken else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    report(git_files())


main()
