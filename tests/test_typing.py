"""What mypy and pyright see of the guest types: revealed types, and the bodies that they refuse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hostmod

HERE = Path(__file__).parent / "typing"
PROJECT = HERE.parent.parent

SYNTAX = HERE.parent / "syntax"

FILES = [HERE / "accepted.py", HERE / "rejected.py"]
if sys.version_info >= (3, 14):
    FILES += [SYNTAX / "aliases.py", SYNTAX / "unquoted.py"]

Seen = dict[str, dict[int, str]]
"""By file, and by line: the type that was revealed, or the codes of the errors."""


def expected(name: str, checker: str) -> dict[int, str]:
    """Read the comments of a file: what both checkers say, or ``mypy: one thing; pyright: another``."""
    found: dict[int, str] = {}
    (file,) = (file for file in FILES if file.name == name)
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        comment = line.partition("  # ")[2]
        if comment:
            parts = dict(re.findall(r"(mypy|pyright): (.*?)(?=; pyright: |$)", comment))
            found[number] = parts.get(checker, comment)
    return found


def plain(text: str) -> str:
    """Drop modules from the names of types, and mypy's ``def`` before a callable."""
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text).removeprefix("def ")


def run(directory: Path, *command: str) -> str:
    """Run a checker in a directory, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def by_mypy(scratch: Path) -> Seen:
    output = run(
        PROJECT,
        *("mypy", "--strict", "--cache-dir", str(scratch), "--show-error-codes", "--hide-error-context"),
        *(
            "--no-error-summary",
            "--no-pretty",
            "--python-version",
            f"{sys.version_info[0]}.{sys.version_info[1]}",
        ),
        *map(str, FILES),
    )
    seen: Seen = {file.name: {} for file in FILES}
    for line in output.splitlines():
        matched = re.fullmatch(r"(.*?):(\d+): (error|note): (.*)", line)
        assert matched, line
        path, number, kind, text = matched.groups()
        revealed = re.fullmatch(r'Revealed type is "(.*)"', text)
        if revealed:
            seen[Path(path).name][int(number)] = plain(revealed[1])
        elif kind == "error":
            seen.setdefault(Path(path).name, {})[int(number)] = text[text.rindex("[") + 1 : -1]
    return seen


def by_pyright(scratch: Path) -> Seen:
    # A project of its own, since this one's settings leave out the file of errors.
    settings = {
        "extraPaths": [str(PROJECT / "src")],
        "pythonVersion": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "typeCheckingMode": "standard",
    }
    (scratch / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    for source in FILES:
        shutil.copy(source, scratch)
    output = run(scratch, "pyright", "--outputjson", "--pythonpath", sys.executable)
    seen: Seen = {file.name: {} for file in FILES}
    for each in json.loads(output)["generalDiagnostics"]:
        file, number = Path(each["file"]).name, each["range"]["start"]["line"] + 1
        if each["severity"] == "information":
            seen[file][number] = plain(re.fullmatch(r'Type of ".*" is "(.*)"', each["message"], re.DOTALL)[1])  # type: ignore[index]  # it matches
        elif each["severity"] == "error":
            codes = [*filter(None, seen[file].get(number, "").split(", ")), each["rule"]]
            seen[file][number] = ", ".join(dict.fromkeys(codes))
    return seen


CHECKERS: dict[str, Callable[[Path], Seen]] = {"mypy": by_mypy, "pyright": by_pyright}


@pytest.fixture(scope="module", params=list(CHECKERS))
def checker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Seen]:
    """One run of each checker over both files, for all tests."""
    name: str = request.param
    return name, CHECKERS[name](tmp_path_factory.mktemp("cache"))


def test_each_guest_type_is_the_python_type_that_it_stands_for(checker: tuple[str, Seen]) -> None:
    name, seen = checker
    assert seen["accepted.py"] == expected("accepted.py", name)
    assert len(seen["accepted.py"]) > 80


def test_bodies_and_calls_that_do_not_fit_are_refused_and_no_others(checker: tuple[str, Seen]) -> None:
    name, seen = checker
    assert seen["rejected.py"] == expected("rejected.py", name)
    assert len(seen["rejected.py"]) > 25


@pytest.mark.skipif(sys.version_info < (3, 14), reason="3.14 puts off the evaluation of annotations")
@pytest.mark.parametrize("file", ["aliases.py", "unquoted.py"])
def test_declarations_in_the_syntax_of_newer_pythons_are_accepted(
    checker: tuple[str, Seen], file: str
) -> None:
    name, seen = checker
    assert seen[file] == expected(file, name)


EXPORTS = """\
import hostmod
from hostmod.types import Int32

class Calculator(hostmod.GuestModule):
    @hostmod.export
    def add(self, a: Int32, b: Int32) -> Int32:
        raise NotImplementedError

    @hostmod.export
    def clear(self) -> None: ...

    @hostmod.export
    def sub(self, a: Int32, b: Int32) -> Int32: ...
"""


@pytest.mark.slow
def test_exports_of_a_guest_need_no_setting_of_mypys_if_their_bodies_raise(tmp_path: Path) -> None:
    (tmp_path / "calculator.py").write_text(EXPORTS, "utf-8")
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nmypy_path = {PROJECT / 'src'}\n", "utf-8")
    command = ("mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"))
    assert run(tmp_path, *command, "calculator.py").splitlines() == [
        "calculator.py:13: error: Missing return statement  [empty-body]"
    ]
    assert run(tmp_path, *command, "--disable-error-code", "empty-body", "calculator.py") == ""


def test_the_body_of_an_export_never_runs() -> None:
    names: dict[str, Any] = {"__name__": "calculator"}
    exec(EXPORTS, names)
    guest = """(module (func (export "clear"))
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))"""
    with hostmod.instantiate(guest) as made:
        calculator = names["Calculator"](made.store, made.instance)
        assert (calculator.add(2, 40), calculator.sub(44, 2), calculator.clear()) == (42, 42, None)
