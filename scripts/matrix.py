"""Runs the tests on several Pythons and versions of wasmtime, with each backend, and prints what passed where.

    python scripts/matrix.py                                    the core tests on every Python that can be had
    python scripts/matrix.py 3.11 3.15 --tests all              the whole suite on two
    python scripts/matrix.py 3.12 --wasmtime 48.0.0 50.0.1      two versions of wasmtime, a row each
    python scripts/matrix.py 3.14 --backend native --tests tests/test_guest.py -- -k memory -x

A Python is a version or the path of an interpreter. scripts/python_for_tests.sh fetches one that is not installed.
Each row has a virtual environment in build/matrix, which stays for the next time, and a log beside it. Packages of the
test extra that have no wheel for a Python are left out, and the table says so. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "matrix"

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")

TESTS = {
    "all": ("tests",),
    # Declarations, calls in both directions, the laws, WASI, and what checkers see: what a new Python can break.
    "core": (
        *(
            "tests/test_plan.py",
            "tests/test_declaration*.py",
            "tests/test_syntax.py",
            "tests/test_types_*.py",
        ),
        *("tests/test_trampoline.py", "tests/test_backend_native.py", "tests/test_backends.py"),
        *("tests/test_guest*.py", "tests/test_link.py", "tests/test_memory.py", "tests/test_laws_*.py"),
        *("tests/test_errors.py", "tests/test_typing.py", "tests/wasi"),
    ),
}
"""What is run, by the names that --tests takes."""

SHOWN = 100
"""Lines of a log that are shown where something failed."""

EXTENSION = {"native": "hostmod._backend._native", "pure": ""}
"""The backends, and the compiled module that each needs."""


class Unavailable(Exception):
    """A Python or a package that cannot be had here."""


@dataclass
class Row:
    """One run of pytest: where, and what came of it."""

    python: str
    wasmtime: str
    backend: str
    outcome: str = ""
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    skipped: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def log(self) -> Path:
        """What pytest printed."""
        return PLACE / f"{self.python}-wasmtime-{self.wasmtime}-{self.backend}.log"

    @property
    def good(self) -> bool:
        """It ran, and nothing failed."""
        return not self.outcome and not self.failed and self.counts["passed"] > 0


def run(*command: str | Path, timeout: float = 900, **environment: str) -> str:
    """Run a command at the project's root and return what it printed; CalledProcessError if it failed."""
    return subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=timeout,
    ).stdout.strip()


def version(python: str | Path) -> str:
    """Ask an interpreter for its version, with a t behind it where it has no GIL; "" if it does not run."""
    asked = (
        "import sys, sysconfig;"
        "print('%d.%d' % sys.version_info[:2] + 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')))"
    )
    try:
        return run(python, "-c", asked, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""


def candidates(wanted: str) -> Iterator[str]:
    """Where a version could be: this interpreter, the path, pyenv, and what was fetched or can be."""
    yield sys.executable
    yield from filter(None, [shutil.which(f"python{wanted}")])
    if shutil.which("pyenv"):
        for each in reversed(run("pyenv", "versions", "--bare").split()):
            if re.fullmatch(re.escape(wanted.removesuffix("t")) + r"\.\d+t?", each):
                yield f"{run('pyenv', 'prefix', each)}/bin/python"
    try:
        yield run(ROOT / "scripts" / "python_for_tests.sh", wanted).splitlines()[-1]
    except subprocess.CalledProcessError as error:
        raise Unavailable(error.stderr.strip().splitlines()[-1]) from None


def interpreter(wanted: str) -> tuple[str, str]:
    """Return the version and the path of a Python."""
    if os.sep in wanted:
        found = version(wanted)
        if not found:
            raise Unavailable(f"{wanted} does not run")
        return found, wanted
    for candidate in candidates(wanted):
        if version(candidate) == wanted:
            return wanted, candidate
    raise Unavailable(f"python {wanted} was not found")


def requirements(extra: str) -> Iterator[str]:
    """What an extra of the project's requires, those of its other extras that it names included."""
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ][extra]:
        named = re.fullmatch(r"hostmod\[([\w,]+)\]", each)
        if named:
            for other in named[1].split(","):
                yield from requirements(other)
        else:
            yield each


def sources() -> float:
    """When the newest of what decides the installation was changed."""
    files = [
        ROOT / "pyproject.toml",
        ROOT / "setup.py",
        *(ROOT / "src" / "hostmod" / "_backend").glob("*.[ch]"),
    ]
    return max(path.stat().st_mtime for path in files)


def environment(python: str, path: str, wasmtime: str) -> tuple[Path, list[str]]:
    """Make the virtual environment of a row, or bring it up to date; return its interpreter and what was left out."""
    home = PLACE / f"{python}-wasmtime-{wasmtime or 'any'}"
    inside = home / "bin" / "python"
    stamp = home / "installed"
    if stamp.exists() and stamp.stat().st_mtime > sources():
        return inside, stamp.read_text("utf-8").splitlines()
    if not inside.exists():
        # The interpreters that distributions cut in pieces have no ensurepip: pip comes as its own wheel, which runs.
        run(path, "-m", "venv", "--without-pip", home)
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", home / "pip", "pip")
        wheel = next((home / "pip").glob("pip-*.whl"))
        run(inside, wheel / "pip", "install", "--quiet", wheel)

    def install(*what: str) -> None:
        run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)

    wanted = list(requirements("test"))
    left_out = []
    try:
        install("--only-binary", ":all:", *wanted)
    except subprocess.CalledProcessError:
        for each in wanted:
            try:
                install("--only-binary", ":all:", each)
            except subprocess.CalledProcessError as error:
                if not re.search("No matching distribution|ResolutionImpossible", error.stderr):
                    raise
                left_out.append(each)
    pinned = f"wasmtime=={wasmtime}" if wasmtime else "wasmtime"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    install("--only-binary", ":all:", *([pinned] if wasmtime else project["dependencies"]))
    install("--no-deps", "--no-build-isolation", "--editable", ".")
    stamp.write_text("\n".join(left_out), "utf-8")
    return inside, left_out


def tests(names: Sequence[str]) -> list[str]:
    """Return the files of named sets of tests; what is no such name is handed to pytest as it is."""
    found: list[str] = []
    for name in names:
        for pattern in TESTS.get(name, ()):
            files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))
            if not files:
                sys.exit(
                    f"matrix: no file is {pattern}, which {name!r} names; correct TESTS in {Path(__file__).name}"
                )
            found += files
        if name not in TESTS:
            found.append(name)
    return found


def measure(row: Row, python: Path, arguments: Sequence[str], timeout: float) -> None:
    """Run pytest for a row, and fill in what came of it."""
    needed = EXTENSION[row.backend]
    if needed:
        try:
            run(python, "-c", f"import {needed}")
        except subprocess.CalledProcessError:
            row.outcome = "no extension was built"
            return
    report = row.log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command = [
        *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit2"),
        *(f"--junitxml={report}", *arguments),
    ]
    started = time.monotonic()
    with row.log.open("w") as stream:
        try:
            status = subprocess.run(
                list(map(str, command)),
                cwd=ROOT,
                env={**os.environ, "HOSTMOD_NO_EXTENSIONS": "" if needed else "1"},
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=timeout,
            ).returncode
        except subprocess.TimeoutExpired:
            row.outcome = f"not done after {timeout:.0f} s"
            return
        finally:
            row.seconds = time.monotonic() - started
    if not report.exists():
        row.outcome = f"ended with status {status}: {row.log.relative_to(ROOT)}"
        return
    read(row, report)
    if status not in (0, 1):
        row.outcome = f"pytest's status {status}: {row.log.relative_to(ROOT)}"


def read(row: Row, report: Path) -> None:
    """Count what a report of pytest's holds."""
    for case in ElementTree.parse(report).iter("testcase"):
        where = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        kinds = [child.tag for child in case]
        if "failure" in kinds or "error" in kinds:
            row.counts["failed"] += 1
            row.failed.append(where)
        elif "skipped" in kinds:
            row.counts["skipped"] += 1
            row.skipped[case.find("skipped").get("message", "")] += 1  # type: ignore[union-attr]  # it is there
        else:
            row.counts["passed"] += 1


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out in columns, in Markdown's form."""
    head = ("Python", "wasmtime", "backend", "passed", "failed", "skipped", "seconds", "")
    cells = [
        (
            *(row.python, row.wasmtime, row.backend),
            *(str(row.counts[name]) for name in ("passed", "failed", "skipped")),
            *(f"{row.seconds:.0f}", row.outcome),
        )
        for row in rows
    ]
    widths = [max(len(line[index]) for line in [head, *cells]) for index in range(len(head))]
    lines = [head, tuple("-" * max(width, 3) for width in widths), *cells]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def details(rows: Sequence[Row]) -> Iterator[str]:
    """Say what failed, and why what was skipped was."""
    for title, collect in (
        ("failed", lambda row: row.failed),
        ("skipped", lambda row: [f"{count} x {reason}" for reason, count in row.skipped.items()]),
    ):
        where = collections.defaultdict(list)
        for row in rows:
            for item in collect(row):
                where[item].append(f"{row.python}/{row.wasmtime}/{row.backend}")
        for item, places in sorted(where.items()):
            yield f"{title}: {item}  ({', '.join(places)})"
    for row in rows:
        if not row.good and row.log.exists():
            said = row.log.read_text("utf-8", "replace").splitlines()
            yield "\n".join([f"the end of {row.log.relative_to(ROOT)}:", *said[-SHOWN:]])


def main() -> int:
    """Run what the arguments ask for; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("pythons", nargs="*", default=list(PYTHONS), metavar="PYTHON")
    parser.add_argument(
        "--wasmtime", nargs="+", default=[""], metavar="VERSION", help="default: what pip chooses"
    )
    parser.add_argument("--backend", nargs="+", choices=list(EXTENSION), default=["pure", "native"])
    parser.add_argument(
        "--tests", nargs="+", default=["core"], metavar="TESTS", help="all, core, or pytest's arguments"
    )
    parser.add_argument("--optional", action="store_true", help="a Python that cannot be had is no failure")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one row")
    line = sys.argv[1:]
    end = line.index("--") if "--" in line else len(line)
    rest = line[end + 1 :]
    chosen = parser.parse_args(line[:end])
    # A shell starts what it puts into the background with SIGINT ignored, and tests of Ctrl-C would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    rows: list[Row] = []
    notes: list[str] = []
    for wanted in chosen.pythons:
        for wasmtime in chosen.wasmtime:
            try:
                python, path = interpreter(wanted)
                inside, left_out = environment(python, path, wasmtime)
            except (Unavailable, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", "") or str(error)
                notes.append(f"{wanted}: not run: {said.strip().splitlines()[-1]}")
                if not (chosen.optional and isinstance(error, Unavailable)):
                    rows.append(Row(wanted, wasmtime, "", "not run"))
                continue
            notes += [f"{python}: left out {each}, which has no wheel for it" for each in left_out]
            has = run(inside, "-c", "from importlib.metadata import version; print(version('wasmtime'))")
            for backend in chosen.backend:
                row = Row(python, has, backend)
                print(f"Python {python}, wasmtime {has}, backend {backend} ...", flush=True)
                measure(row, inside, [*tests(chosen.tests), *rest], chosen.timeout)
                rows.append(row)
    print("\n".join([table(rows), *notes, *details(rows)]))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
