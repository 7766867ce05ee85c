"""Run the official conformance tests of WASI preview 1 through the command `hostmod run`.

    python scripts/wasi_conformance.py SUITE                each in a fresh copy of its folder on the host
    python scripts/wasi_conformance.py SUITE --memory       each in a copy of its folder in memory
    HOSTMOD_NO_EXTENSIONS=1 python scripts/wasi_conformance.py SUITE

SUITE is a checkout of WebAssembly/wasi-testsuite, branch prod/testsuite-base, which has the tests as WebAssembly. What
each is given, and has to answer, stands in a JSON file beside it. Source: doc/specification.md there, "Configuration
Spec". The exit code is 1 if any failed, 2 if there is none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = "tests/*/testsuite/wasm32-wasip1/*.wasm"

TIMEOUT = 60.0
"""Seconds for one test."""


def executable() -> list[str]:
    """The command `hostmod` that is installed beside this Python, or else the same by the module's name."""
    beside = Path(sys.executable).with_name("hostmod")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "hostmod"]


@dataclass(frozen=True)
class Test:
    """One test, as its JSON file describes it."""

    path: Path
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    root: str | None = None
    exit_code: int = 0
    stdout: str | None = None
    stderr: str | None = None

    @classmethod
    def read(cls, path: Path) -> Test:
        """Read the description of the test at `path`; without one, it has to end with 0."""
        beside = path.with_suffix(".json")
        found: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
        found = {key: value for key, value in found.items() if value is not None}
        if "dirs" in found:  # as older versions of the suite say it
            (found["root"],) = found.pop("dirs")
        return cls(path, **found)  # a TypeError for a key that no test of preview 1 has had so far

    @property
    def name(self) -> str:
        """Its language and its name."""
        return f"{self.path.parents[2].name}/{self.path.stem}"

    def command(self, folder: Path | None, memory: bool, options: list[str]) -> list[str]:
        """What is typed to run it, with `folder` as its root."""
        command = [*executable(), "run", *options]
        for name, value in self.env.items():
            command += ["--env", f"{name}={value}"]
        if folder is not None:
            command += ["--mem-dir" if memory else "--dir", f"{folder}::/"]
        return [*command, str(self.path), *self.args]

    def failures(self, memory: bool, options: list[str]) -> Iterator[tuple[str, str, str]]:
        """Run it; for each thing that is not as it should be: what, what was expected, and what was found."""
        with tempfile.TemporaryDirectory() as place:
            folder = None
            if self.root is not None:
                folder = Path(place) / "root"
                shutil.copytree(self.path.parent / self.root, folder, symlinks=True)
            try:
                done = subprocess.run(
                    self.command(folder, memory, options),
                    cwd=place,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                    timeout=TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                yield "time", f"{TIMEOUT:.0f} s at most", "still running"
                return
        if done.returncode != self.exit_code:
            said = (done.stderr or done.stdout).strip()
            yield "exit code", str(self.exit_code), f"{done.returncode}: {said}"
        if self.stdout is not None and done.stdout != self.stdout:
            yield "stdout", repr(self.stdout), repr(done.stdout)
        if self.stderr is not None and done.stderr != self.stderr:
            yield "stderr", repr(self.stderr), repr(done.stderr)


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", type=Path, help="the checkout")
    parser.add_argument("--memory", action="store_true", help="files in memory (`--mem-dir`)")
    parser.add_argument(
        "--wasi", default="hostmod", choices=("hostmod", "builtin"), help="as of `hostmod run`"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="tests whose names contain one of these")
    options = parser.parse_args()
    tests = [Test.read(path) for path in sorted(options.suite.resolve().glob(TESTS))]
    if options.only:
        tests = [test for test in tests if any(part in test.name for part in options.only)]
    start = time.perf_counter()
    rows: list[tuple[str, str, str, str]] = []
    for number, test in enumerate(tests, 1):
        if sys.stderr.isatty():
            print(f"\r\033[K{number} of {len(tests)}: {test.name}", end="", file=sys.stderr, flush=True)
        rows += [(test.name, *row) for row in test.failures(options.memory, ["--wasi", options.wasi])]
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if rows:
        head = ("test", "what", "expected", "found")
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
        for row in (head, *rows):
            print("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]))
        print()
    failed = len({row[0] for row in rows})
    where = "in memory" if options.memory else "of the host's"
    version = subprocess.run([*executable(), "--version"], capture_output=True, encoding="utf-8", check=True)
    print(*version.stdout.splitlines(), f"WASI {options.wasi}, files {where}", sep=", ")
    took = time.perf_counter() - start
    print(f"{len(tests) - failed} passed, {failed} failed of {len(tests)} in {took:.0f} s")
    return 2 if not tests else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
