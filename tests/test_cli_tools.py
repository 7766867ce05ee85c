"""The commands that look at guests and write code: inspect, check, bindgen, stubs; and the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import make_folder, run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_folder(tmp_path, monkeypatch)


def test_inspect_lists_imports_exports_and_memories_as_plain_text_in_a_pipe() -> None:
    out, _ = run("inspect", "guest.wat")
    assert "\x1b" not in out
    lines = [line.split() for line in out.splitlines()]
    assert ["greeter", "greet", "function", "(i32,", "i32)", "->", "i32"] in lines
    assert ["memory", "memory", "1", "page,", "at", "most", "2"] in lines
    assert ["1", "page,", "at", "most", "2", "memory"] in lines


def test_inspect_says_who_serves_each_import() -> None:
    out, _ = run("inspect", "--host", "hosts.py:Greeter", "guest.wat")
    assert "served" in out
    assert "(name: String) -> Int32" in out


def test_inspect_with_a_mismatch_or_a_missing_import_is_exit_code_1() -> None:
    out, _ = run("inspect", "--host", "hosts.py:Wrong", "guest.wat", code=1)
    assert "mismatch" in out
    assert "host has (f32) -> i32" in out
    assert "missing" in out
    assert out.endswith("2 imports missing or mismatched\n")


def test_inspect_prints_json() -> None:
    found = json.loads(run("inspect", "--json", "--host", "hosts.py:Wrong", "guest.wat", code=1)[0])
    greet, fail = found["imports"]
    assert (greet["status"], greet["offered"], greet["host"]) == (
        "mismatch",
        "(f32) -> i32",
        "hosts.py:Wrong",
    )
    assert (fail["status"], fail["name"], fail["kind"], fail["type"]) == (
        "missing",
        "fail",
        "function",
        "(i32) -> i32",
    )
    assert found["memories"] == [
        {"minimum": 1, "maximum": 2, "is_64": False, "shared": False, "imported": "", "exported": "memory"}
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
def test_in_a_terminal_tables_have_rules() -> None:
    import pty

    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hostmod", "inspect", "guest.wat"], stdout=follower
    ) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        assert process.wait(60) == 0
    os.close(leader)
    assert "━━" in seen.decode()


# -------------------------------------------------------------------------------------------------------------- check


def test_check_passes_guests_that_agree_and_fails_those_that_do_not(folder: Path) -> None:
    (folder / "other.wat").write_text("(module)", "utf-8")
    assert run("check", "hosts.py:Greeter", "guest.wat", "other.wat")[0] == (
        "guest.wat: ok, 2 imports from greeter\nother.wat: ok, no imports from greeter\n"
    )
    out, _ = run("check", "hosts.py:Wrong", "guest.wat", "none.wasm", "hosts.py", code=1)
    assert out.splitlines()[0] == "guest.wat: FAILED"
    assert "  greeter::greet: guest wants (i32, i32) -> i32, host has (f32) -> i32" in out
    assert "  greeter::fail: guest wants (i32) -> i32, missing" in out
    assert "none.wasm: FAILED\n  none.wasm: no such guest" in out
    assert "hosts.py: FAILED\n" in out


@pytest.mark.parametrize("command", [["check"], ["bindgen", "c"]])
@pytest.mark.parametrize("spec", ["hosts.py:Plain", "hosts.py:No", "no.py:X", "nothing"])
def test_check_and_bindgen_refuse_what_is_no_host_module(command: list[str], spec: str) -> None:
    assert (
        "expected a HostModule class"
        in run(*command, spec, *(["guest.wat"] if command == ["check"] else []), code=1)[1]
    )


# --------------------------------------------------------------------------------------------------- bindgen and stubs


@pytest.mark.parametrize("language", ["c", "cpp", "rust", "zig", "tinygo", "assemblyscript"])
def test_bindgen_writes_to_the_screen_or_to_a_file(folder: Path, language: str) -> None:
    out, _ = run("bindgen", language, "hosts.py:Greeter")
    assert "Says hello." in out
    assert run("bindgen", language, "hosts.py:Greeter", "-o", "made") == ("", "")
    assert (folder / "made").read_text("utf-8") == out


def test_bindgen_refuses_a_language_that_it_does_not_know() -> None:
    assert "'cobol' is not one of" in run("bindgen", "cobol", "hosts.py:Greeter", code=2)[1]


def test_bindgen_to_a_folder_that_is_not_there_says_so() -> None:
    assert "nowhere" in run("bindgen", "c", "hosts.py:Greeter", "-o", "nowhere/x.h", code=1)[1]


def test_stubs_write_a_skeleton_that_serves_the_guest(folder: Path) -> None:
    run("stubs", "guest.wat", "-o", "skeleton.py")
    assert run("check", "skeleton.py:Greeter", "guest.wat")[0] == "guest.wat: ok, 2 imports from greeter\n"
    assert "not wasm" not in run("stubs", "hosts.py", code=1)[1]


def test_a_second_run_takes_the_guest_from_the_cache(folder: Path) -> None:
    run("inspect", "--no-cache", "guest.wat")
    assert not (folder / "cache").exists()
    run("inspect", "guest.wat")
    files = list((folder / "cache").iterdir())
    assert [path.suffix for path in files] == [".cwasm"]
    before = files[0].stat().st_ino
    run("run", "--host", "hosts.py:Greeter", "guest.wat")
    assert [path.stat().st_ino for path in (folder / "cache").iterdir()] == [before]


def test_what_takes_longer_than_a_second_shows_progress_in_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hostmod.cli import show

    monkeypatch.setattr(show, "SLOW", 0.05)
    with show.progress("Compiling x"):
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(show, "is_terminal", lambda stream=None: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show.progress("Compiling x"):
        time.sleep(0.3)
    assert "Compiling x" in capsys.readouterr().err
    with show.progress("quick"):
        pass
    assert "quick" not in capsys.readouterr().err
