"""The command, run as users run it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hostmod

GUEST = """
(module
  (import "greeter" "greet" (func $greet (param i32 i32) (result i32)))
  (import "greeter" "fail" (func $fail (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (data (i32.const 8) "Ada")
  (func (export "_start") (drop (call $greet (i32.const 8) (i32.const 3))))
  (func (export "greet") (result i32) (call $greet (i32.const 8) (i32.const 3)))
  (func (export "fail") (param i32) (result i32) (call $fail (local.get 0)))
  (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func $deep unreachable)
  (func (export "trap") (call $deep))
  (func (export "spin") (loop $again (br $again))))
"""

HOSTS = '''
from hostmod import HostModule, function, module
from hostmod.types import Error, Float32, Int32, String

class Greeter(HostModule, name="greeter"):
    """Says hello."""

    def __init__(self, greeting: str = "hello", times: int = 1, path: str = "") -> None:
        self.greeting, self.times, self.path = greeting, times, path

    @function
    def greet(self, name: String) -> Int32:
        print(f"{self.greeting} {name}{self.path}\\n" * self.times, end="")
        return len(name)

    @function
    def fail(self, number: Int32) -> Error:
        if number < 0:
            raise RuntimeError("boom")
        if number:
            raise OSError(number, "as asked")

    def close(self) -> None:
        print("closed")

class Wrong(HostModule, name="greeter"):
    @function
    def greet(self, name: Float32) -> Int32:
        return 0

class Plain:
    pass

ready = Greeter("ready")
plain = module("greeter")

@plain.function
def greet(name: String) -> Int32:
    return 7

@plain.function
def fail(number: Int32) -> Error: ...
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a guest and a file of host modules, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOSTMOD_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "guest.wat").write_text(GUEST, "utf-8")
    (tmp_path / "hosts.py").write_text(HOSTS, "utf-8")
    return tmp_path


def run(*arguments: str, code: int = 0, stdin: str = "") -> tuple[str, str]:
    """Run the command; return its output and its errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "hostmod", *arguments],
        capture_output=True,
        encoding="utf-8",
        input=stdin,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr or "--debug" in arguments
    return done.stdout, done.stderr


def script() -> str:
    return str(Path(sys.executable).with_name("hostmod"))


# ------------------------------------------------------------------------------------------------------------ version


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


# --------------------------------------------------------------------------------------------------------------- wasi

WASI = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $argsizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $prestat (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 2000) "made")
  (func $print (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (drop (call $argsizes (i32.const 16) (i32.const 20)))
    (drop (call $args (i32.const 100) (i32.const 200)))
    (call $print (i32.const 200) (i32.load (i32.const 20)))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (call $environ (i32.const 100) (i32.const 400)))
    (call $print (i32.const 400) (i32.load (i32.const 20)))
    (if (i32.eqz (call $prestat (i32.const 3) (i32.const 600) (i32.const 5)))
      (then (call $print (i32.const 600) (i32.const 5))))
    (call $exit (call $mkdir (i32.const 3) (i32.const 2000) (i32.const 4)))))
"""


@pytest.fixture
def wasi(folder: Path) -> Path:
    (folder / "prog.wat").write_text(WASI, "utf-8")
    (folder / "tree").mkdir()
    return folder


@pytest.mark.parametrize("which", ["hostmod", "builtin"])
def test_a_wasi_program_gets_arguments_environment_and_directory_and_its_exit_code_passes_through(
    wasi: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSED", "on")
    options = ["--wasi", which, "--env", "A=1", "--env", "PASSED", "--env", "ABSENT", "--dir", "tree::/data"]
    assert run("run", *options, "prog.wat", "-x", "y")[0] == "prog.wat\0-x\0y\0A=1\0PASSED=on\0/data"
    assert (wasi / "tree" / "made").is_dir()
    assert run("run", *options, "prog.wat", code=20)[0].endswith("/data")  # EXIST


@pytest.mark.parametrize("which", ["hostmod", "builtin"])
def test_a_read_only_directory_cannot_be_written(wasi: Path, which: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "hostmod", "run", "--wasi", which, "--dir", "tree::/data:ro", "prog.wat"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert process.returncode != 0
    assert not (wasi / "tree" / "made").exists()


def test_a_directory_in_memory_is_the_guests_alone(wasi: Path) -> None:
    assert run("run", "--mem-dir", "/temp", "prog.wat")[0] == "prog.wat\0/temp"
    assert list((wasi / "tree").iterdir()) == []
    assert (
        "--mem-dir needs hostmod's own WASI"
        in run("run", "--wasi", "builtin", "--mem-dir", "/t", "prog.wat", code=2)[1]
    )


def test_a_copy_in_memory_leaves_the_folder_as_it_is(wasi: Path) -> None:
    assert run("run", "--mem-dir", "tree::/data", "prog.wat")[0] == "prog.wat\0/data"
    assert list((wasi / "tree").iterdir()) == []
    (wasi / "tree" / "made").mkdir()
    run("run", "--mem-dir", "tree::/data", "prog.wat", code=20)  # EXIST: it was copied
    with (wasi / "tree" / "large").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "tree: more than 64 MiB" in run("run", "--mem-dir", "tree::/data", "prog.wat", code=2)[1]
    assert "gone: no such directory" in run("run", "--mem-dir", "gone::/data", "prog.wat", code=2)[1]


@pytest.mark.parametrize("which", ["hostmod", "builtin"])
def test_one_place_is_given_once(wasi: Path, which: str) -> None:
    options = ["--wasi", which, "--dir", "tree::/data"]
    twice = run("run", *options, "--dir", ".::/data:ro", "prog.wat", code=2)[1]
    assert "/data is given to the guest twice" in twice
    nameless = run("run", *options, "--dir", "tree::", "prog.wat", code=2)[1]
    assert "a directory for the guest without a name" in nameless
    if which == "hostmod":
        mixed = run("run", *options, "--mem-dir", "/data", "prog.wat", code=2)[1]
        assert "/data is given to the guest twice" in mixed


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_none_for_the_guest(wasi: Path, closed: str) -> None:
    command = f"exec {sys.executable} -m hostmod run --mem-dir /temp prog.wat {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.split() else "prog.wat\0/temp")


def test_a_variable_without_a_name_is_refused(wasi: Path) -> None:
    for given in ("", "=x"):
        assert "expected NAME or NAME=VALUE" in run("run", "--env", given, "prog.wat", code=2)[1]


def test_trace_shows_wasi_calls_with_their_errnos_by_name(wasi: Path) -> None:
    (wasi / "tree" / "made").mkdir()
    _, err = run("run", "--trace", "--dir", "tree::/data", "prog.wat", code=20)
    assert any(
        line.startswith("wasi_snapshot_preview1::path_create_directory(") and "EXIST" in line
        for line in err.splitlines()
    ), err


# ------------------------------------------------------------------------------------------------------------ inspect


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
