#!/usr/bin/env python3
"""The loop of a change: format, lint, unit tests of what changed. No server, Go, Helm or cluster.

    scripts/quick.py             what differs from the branch's upstream, or from HEAD where it has none
    scripts/quick.py --since REV what differs from REV

Takes: git and cargo's metadata. Gives: formatted files; clippy on each changed crate and on every crate that uses it; the unit
tests of the changed ones. Does not: run integration tests (`make test`), nor find out which unit test a change can break.
"""
import argparse
import json
import os
import subprocess
import sys
import time

EVERYTHING = {"Cargo.toml", "Cargo.lock", "clippy.toml", "rust-toolchain.toml", "rustfmt.toml"}


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run(*command):
    print("quick:", *command, flush=True)
    start = time.monotonic()
    status = subprocess.run(command).returncode
    if status:
        sys.exit(status)
    print(f"quick: {time.monotonic() - start:.0f} s", flush=True)


def upstream():
    found = subprocess.run(["git", "merge-base", "HEAD", "@{upstream}"], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else "HEAD"


def changed_files(since):
    tracked = output("git", "diff", "--name-only", since).split("\n")
    new = output("git", "ls-files", "--others", "--exclude-standard").split("\n")
    return {name for name in tracked + new if name}


def packages():
    """Folder -> (package, workspace packages it uses, whether it has a library)."""
    metadata = json.loads(output("cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"))
    names = {package["name"] for package in metadata["packages"]}
    return {
        os.path.basename(os.path.dirname(package["manifest_path"])): (
            package["name"],
            {dependency["name"] for dependency in package["dependencies"]} & names,
            any("lib" in target["kind"] for target in package["targets"]),
        )
        for package in metadata["packages"]
    }


def with_dependents(changed, known):
    found = set(changed)
    while True:
        more = {name for name, uses, _ in known.values() if uses & found} - found
        if not more:
            return found
        found |= more


def main():
    os.chdir(os.path.join(os.path.dirname(__file__), ".."))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--since", metavar="REV", default=upstream())
    files, known = changed_files(parser.parse_args().since), packages()
    folders = set(known) if files & EVERYTHING else {name.split("/")[0] for name in files} & set(known)
    changed = {known[folder][0] for folder in folders}
    run("cargo", "fmt", "--all")
    run("scripts/house.py", "--check")
    if not changed:
        print("quick: no crate changed")
        return
    flags = [flag for name in sorted(with_dependents(changed, known)) for flag in ("-p", name)]
    run("cargo", "clippy", "--quiet", *flags, "--all-targets", "--all-features", "--", "-D", "warnings")
    for kind, has_library in (("--lib", True), ("--bins", False)):
        names = sorted(known[folder][0] for folder in folders if known[folder][2] == has_library)
        if names:
            run("cargo", "test", "--quiet", *[flag for name in names for flag in ("-p", name)], kind)


main()
