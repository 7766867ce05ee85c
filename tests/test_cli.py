"""The command, run as users run it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import HOSTS, make_folder, run, script

import hostmod


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_folder(tmp_path, monkeypatch)


def test_version_names_versions_platform_and_backend() -> None:
    out, _ = run("--version")
    lines = out.splitlines()
    assert lines[0] == f"hostmod {hostmod.__version__}"
    assert lines[1].startswith("wasmtime ")
    assert lines[2].startswith("CPython ")
    assert lines[3].startswith("backend ")


def test_version_says_why_the_backend_is_not_the_native_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTMOD_NO_EXTENSIONS", "1")
    assert run("--version")[0].endswith("backend pure (not native: HOSTMOD_NO_EXTENSIONS is set)\n")


def test_the_installed_script_is_the_same_command() -> None:
    if not Path(script()).exists():
        pytest.skip("hostmod's script is not installed beside this Python")
    assert subprocess.check_output([script(), "--version"], encoding="utf-8") == run("--version")[0]


def test_without_the_extra_the_command_says_what_to_install_and_version_works(folder: Path) -> None:
    hide = "import sys; sys.modules['click'] = None; import importlib.util as u; f = u.find_spec\n"
    hide += "u.find_spec = lambda name, *a: None if name == 'click' else f(name, *a)\n"
    hide += "from hostmod.cli import main; sys.exit(main())"
    plain = subprocess.run(
        [sys.executable, "-c", hide, "inspect", "x"], capture_output=True, encoding="utf-8", check=False
    )
    assert plain.returncode == 1
    assert plain.stderr == (
        "hostmod: the command line needs click, which the extra 'cli' brings; write: pip install 'hostmod[cli]'\n"
    )
    version = subprocess.run(
        [sys.executable, "-c", hide, "--version"], capture_output=True, encoding="utf-8", check=True
    )
    assert version.stdout.startswith("hostmod ")


# ---------------------------------------------------------------------------------------------------------------- run


def test_run_starts_the_guest_with_a_host_module_from_a_file_and_closes_it() -> None:
    assert run("run", "--host", "hosts.py:Greeter", "guest.wat") == ("hello Ada\nclosed\n", "")


def test_run_finds_a_module_by_its_dotted_name() -> None:
    assert run("run", "--host", "hosts:Greeter", "guest.wat")[0] == "hello Ada\nclosed\n"


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        pytest.param("greeting=ahoy", "ahoy Ada\n", id="a word"),
        pytest.param("greeting='a, (b)', times=2", "a, (b) Ada\n" * 2, id="a string with a comma and an int"),
        pytest.param("path=counts.db", "hello Adacounts.db\n", id="a path"),
        pytest.param("path=5", "hello Ada5\n", id="a number for a parameter that is a str"),
        pytest.param(" ", "hello Ada\n", id="none"),
    ],
)
def test_options_of_the_constructor_stand_in_parentheses(options: str, printed: str) -> None:
    assert run("run", "--host", f"hosts.py:Greeter({options})", "guest.wat")[0] == printed + "closed\n"


@pytest.mark.parametrize(("name", "result"), [("ready", "3"), ("plain", "7")])
def test_a_host_can_be_an_instance_or_a_module_of_functions(name: str, result: str) -> None:
    out, _ = run("run", "--trace", "--host", f"hosts.py:{name}", "--invoke", "greet", "guest.wat")
    assert result in out.splitlines()


@pytest.mark.parametrize(
    ("name", "arguments", "printed"),
    [
        pytest.param("swap", ["-5", "0xff"], "255\n-5\n", id="two results, negative and hexadecimal"),
        pytest.param("swap", ["4294967295", "-1"], "-1\n-1\n", id="an unsigned 32-bit integer"),
        pytest.param("half", ["1e3"], "500.0\n", id="a float"),
        pytest.param("half", ["-inf"], "-inf\n", id="minus infinity"),
    ],
)
def test_invoke_parses_arguments_by_the_guests_signature(
    name: str, arguments: list[str], printed: str
) -> None:
    assert (
        run("run", "--host", "hosts.py:Greeter", "--invoke", name, "guest.wat", *arguments)[0]
        == printed + "closed\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--invoke", "half", "guest.wat", "x"], "'x', expected a number (f64)", id="no number"),
        pytest.param(
            ["--invoke", "swap", "guest.wat", "1.5", "1"], "expected an integer (i32)", id="no integer"
        ),
        pytest.param(
            ["--invoke", "swap", "guest.wat", "4294967296", "1"], "integer of 32 bits", id="too large"
        ),
        pytest.param(["--invoke", "swap", "guest.wat", "1"], "takes 2 arguments, 1 given", id="too few"),
        pytest.param(
            ["--invoke", "none", "guest.wat"], "exports no function 'none'; it exports _start", id="no export"
        ),
        pytest.param(["--invoke", "memory", "guest.wat"], "exports no function 'memory'", id="no function"),
        pytest.param(["--no-such-option", "guest.wat"], "No such option", id="no such option"),
        pytest.param(["start.wat"], "_start(i32) -> () takes arguments; write --invoke _start", id="_start"),
        pytest.param(["--dir", "nowhere", "wasi.wat"], "nowhere: no such directory", id="no such directory"),
        pytest.param([], "Missing argument", id="no guest"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_says_what_is_wrong(
    folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "start.wat").write_text('(module (func (export "_start") (param i32)))', "utf-8")
    (folder / "wasi.wat").write_text(
        '(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (memory (export "memory") 1))',
        "utf-8",
    )
    assert message in run("run", "--host", "hosts.py:Greeter", *arguments, code=2)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["none.wasm"], "none.wasm: no such guest", id="no such file"),
        pytest.param(["hosts.py"], "expected a WebAssembly module", id="not wasm"),
        pytest.param(["bad.wat"], "it does not compile", id="wasm that is not valid"),
        pytest.param(["."], "it cannot be read", id="a folder"),
        pytest.param(["simd.wat"], "v take or give a v128", id="an export whose type wasmtime cannot name"),
        pytest.param(["--host", "hosts.py:None_", "guest.wat"], "hosts has no 'None_'", id="no such class"),
        pytest.param(["--host", "hosts.py:Plain", "guest.wat"], "Plain is a class that is no", id="no HostModule"),
        pytest.param(["--host", "hosts.py:HOSTS", "guest.wat"], "has no 'HOSTS'", id="no such name"),
        pytest.param(["--host", "none.py:X", "guest.wat"], "no file none.py", id="no such host file"),
        pytest.param(["--host", "no.such:X", "guest.wat"], "no module 'no.such'", id="no such module"),
        pytest.param(["--host", "hosts.py", "guest.wat"], "no 'module:Class'", id="no class named"),
        pytest.param(["--host", "hosts.py:Greeter(tims=1)", "guest.wat"], "has no option 'tims'", id="no such option"),
        pytest.param(["--host", "broken.py:X", "guest.wat"], "SyntaxError", id="a host file with a mistake"),
        pytest.param(["guest.wat"], "no host module named 'greeter' was given", id="an import that nothing serves"),
        pytest.param(["--host", "hosts.py:Wrong", "guest.wat"], "host has (f32) -> i32", id="a mismatch"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_exit_code_1_and_one_message(
    folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "bad.wat").write_text("(module (func (result i32)))", "utf-8")
    (folder / "simd.wat").write_text('(module (func (export "v") (param v128)))', "utf-8")
    (folder / "broken.py").write_text("class X(", "utf-8")
    out, err = run("run", *arguments, code=1)
    assert message in err
    assert err.startswith("hostmod: ")
    assert out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("times=abc", "option times is 'abc', expected a value of type int"),
        ("tims=1", "Greeter has no option 'tims', expected greeting, times, path"),
        ("hello", "option 'hello', expected name=value; write Class(name=value, name=value)"),
    ],
    ids=["of another type", "unknown", "without a name"],
)
def test_an_option_that_does_not_fit_says_what_would(options: str, message: str) -> None:
    err = run("run", "--host", f"hosts.py:Greeter({options})", "guest.wat", code=1)[1]
    assert err == f"hostmod: hosts.py:Greeter({options}): {message}\n"


def test_a_message_says_what_can_be_given_on_the_command_line_and_no_more() -> None:
    assert run("run", "none.wasm", code=1)[1] == "hostmod: none.wasm: no such guest\n"
    assert run("run", "hosts.py", code=1)[1].endswith(
        "expected a WebAssembly module (a .wasm or .wat file)\n"
    )


HOSTILE = r"""
(module
  (import "greeter\0aguest.wat: ok" "x\1b[2J[bold]" (func))
  (import "greeter" "h\c3\a9llo\0a  forged" (func))
  (func (export "turned \e2\80\ae round")))
"""


def test_names_of_a_guest_cannot_write_lines_of_their_own_or_control_the_terminal(folder: Path) -> None:
    (folder / "hostile.wat").write_text(HOSTILE, "utf-8")
    for command, code in (
        (["inspect"], 0),
        (["inspect", "--host", "hosts.py:Greeter"], 1),
        (["run"], 1),
        (["run", "--host", "hosts.py:Greeter"], 1),
        (["check", "hosts.py:Greeter"], 1),
        (["stubs"], 0),
    ):
        text = "".join(run(*command, "hostile.wat", code=code))
        assert all(char.isprintable() or char == "\n" for char in text), command
        assert not any(line.lstrip().startswith(("guest.wat: ok", "forged")) for line in text.splitlines())
    out = run("inspect", "hostile.wat")[0]
    assert "  greeter\\nguest.wat: ok " in out
    assert " x\\x1b[2J[bold] " in out


def test_what_standard_output_has_no_character_for_is_shown_by_its_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "named.wat").write_text('(module (func (export "h\\c3\\a9llo")))', "utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert "h\\xe9llo" in run("inspect", "named.wat")[0]
    (folder / "accents.py").write_text(HOSTS.replace("Says hello.", "Says «hé»."), "utf-8")
    assert "Says «hé»." in run("bindgen", "c", "accents.py:Greeter")[0]  # code is in UTF-8


def test_debug_shows_the_traceback() -> None:
    assert "GuestFileError" in run("run", "--debug", "hosts.py", code=1)[1]
    assert "Traceback" in run("--debug", "run", "hosts.py", code=1)[1]


def test_a_guest_that_traps_is_exit_code_134_with_its_backtrace() -> None:
    _, err = run("run", "--host", "hosts.py:Greeter", "--invoke", "trap", "guest.wat", code=134)
    assert "unreachable" in err
    assert "!deep" in err


def test_a_host_function_that_raises_is_named_with_its_exception_and_the_guests_backtrace() -> None:
    out, err = run("run", "--host", "hosts.py:Greeter", "--invoke", "fail", "guest.wat", "-1", code=134)
    assert "hostmod: a host function raised RuntimeError: boom" in err
    assert "guest backtrace:\n    0:" in err
    assert out == "closed\n"
    assert (
        "raise RuntimeError"
        in run(
            "run", "--debug", "--host", "hosts.py:Greeter", "--invoke", "fail", "guest.wat", "-1", code=134
        )[1]
    )


def test_an_errno_is_no_error_of_the_command() -> None:
    assert run("run", "--host", "hosts.py:Greeter", "--invoke", "fail", "guest.wat", "2")[0] == "2\nclosed\n"


def test_a_guest_without_start_says_what_can_be_invoked(folder: Path) -> None:
    (folder / "lib.wat").write_text('(module (func (export "one")) (func (export "two")))', "utf-8")
    assert "exports no _start; name a function with --invoke: one, two" in run("run", "lib.wat", code=2)[1]
    (folder / "empty.wat").write_text("(module)", "utf-8")
    assert run("run", "empty.wat") == ("", "")


def test_trace_goes_to_standard_error_or_to_a_file(folder: Path) -> None:
    _, err = run("run", "--trace", "--host", "hosts.py:Greeter", "--invoke", "fail", "guest.wat", "2")
    assert err.startswith("greeter::fail(number=2) = ENOENT (No such file or directory) <0.")
    run("run", "--trace=calls.txt", "--host", "hosts.py:Greeter", "guest.wat")
    assert (folder / "calls.txt").read_text("utf-8").startswith('greeter::greet(name="Ada") = 3 <0.')


def test_profile_prints_a_table_and_writes_a_timeline(folder: Path) -> None:
    _, err = run("run", "--profile", "calls.json", "--host", "hosts.py:Greeter", "guest.wat")
    assert err.splitlines()[0].split() == [
        "function",
        "calls",
        "total",
        "mean",
        "p50",
        "p99",
        "max",
        "errors",
    ]
    assert "no such" not in run("run", "--profile", ".", "--host", "hosts.py:Greeter", "guest.wat", code=2)[0]
    out, err = run("run", "--profile", "no/x", "--host", "hosts.py:Greeter", "guest.wat", code=1)
    assert (out, err) == ("", "hostmod: no/x: No such file or directory\n")  # before the guest runs
    events = json.loads((folder / "calls.json").read_text("utf-8"))["traceEvents"]
    assert [event["name"] for event in events if event["ph"] == "X"] == ["greeter::greet"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
@pytest.mark.parametrize("where", ["the guest", "the host"])
def test_ctrl_c_ends_it_with_130_and_closes_the_host_modules(folder: Path, where: str) -> None:
    (folder / "sleepy.py").write_text(
        "import time\n"
        + HOSTS.replace(
            "        if number < 0:",
            "        print('in', flush=True); time.sleep(60)\n        if number < 0:",
        ),
        "utf-8",
    )
    call = (
        ["--invoke", "spin", "guest.wat"] if where == "the guest" else ["--invoke", "fail", "guest.wat", "1"]
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "hostmod", "run", "--host", "sleepy.py:Greeter", *call],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        if where == "the host":
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
        else:
            time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()  # what the signal did not end would compute on
    assert (process.returncode, out, err) == (130, "closed\n", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_a_long_compilation(folder: Path) -> None:
    body = "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {})))"
    functions = "\n".join(body.format(number) for number in range(200_000))
    (folder / "large.wat").write_text(f'(module {functions} (func (export "_start")))', "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "hostmod", "run", "large.wat"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, "", "")
    assert not list(folder.glob("cache/*.cwasm"))  # it was not the end of the compilation that ended it


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise on Windows")
def test_a_closed_pipe_ends_it_quietly() -> None:
    for command in (
        ["inspect", "guest.wat"],
        ["bindgen", "zig", "hosts.py:Greeter"],
        ["run", "--host", "hosts.py:Greeter(times=100000)", "guest.wat"],
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "hostmod", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), err) == (141, b""), command


@pytest.mark.skipif(sys.platform == "win32", reason="its shell closes no streams")
@pytest.mark.parametrize(
    "command", [["--version"], ["--help"], ["inspect", "guest.wat"], ["stubs", "guest.wat"]]
)
def test_standard_output_that_is_closed_or_full_is_no_traceback(command: list[str]) -> None:
    line = f"{shlex.join([sys.executable, '-m', 'hostmod', *command])}"
    closed = subprocess.run(f"{line} >&-", shell=True, capture_output=True, encoding="utf-8", check=False)
    assert (closed.returncode, closed.stderr) == (0, "")
    pipe = subprocess.Popen(
        [sys.executable, "-m", "hostmod", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()
    with pipe.stderr:
        assert (pipe.stderr.read(), pipe.wait(60)) == (b"", 141)
    if Path("/dev/full").exists():
        full = subprocess.run(
            f"{line} >/dev/full", shell=True, capture_output=True, encoding="utf-8", check=False
        )
        assert full.returncode == 1
        assert full.stderr.startswith("hostmod: ")
        assert "No space left on device" in full.stderr
        assert full.stderr.count("\n") == 1
