"""Forked children compile, and a signal's handler that is not wasmtime's is warned of."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest
import wasmtime
from wat import run_apart

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
signals = pytest.mark.skipif(sys.platform != "linux", reason="signals are not what wasmtime uses there")


def run(before: str, program: str) -> str:
    return run_apart(before + textwrap.dedent(program))


FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")  # Python 3.12 and later warn of a fork beside threads
import wasmtime, hostmod
from hostmod import HostModule, function
from hostmod.guest import loading

TEXT = '(module (func (export "run") (result i32) (i32.const 42)))'
mine = wasmtime.Engine()
fueled = wasmtime.Config()
fueled.consume_fuel = True
fueled = wasmtime.Engine(fueled)
assert hostmod.instantiate(TEXT).exports.run() == 42  # from here on the parent has its pool of threads
compiled = hostmod.load(TEXT, mine)


def in_child(work, seconds=60):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        threading.Timer(seconds, os._exit, [9]).start()
        try:
            print(work())
        except hostmod.HostmodError as error:
            print(type(error).__name__, error)
        sys.stdout.flush()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        print("exit", code)
"""


@forks
def test_wasmtime_s_own_compiler_hangs_in_a_forked_child() -> None:
    """Why there is a cure: should this fail, wasmtime has one, and hostmod's can go."""
    assert run(FORK, "in_child(lambda: wasmtime.Module(mine, TEXT), seconds=2)") == "exit 9\n"


@forks
@pytest.mark.parametrize(
    ("work", "prints"),
    [
        pytest.param("hostmod.instantiate(TEXT).exports.run()", "42", id="an engine of hostmod's own"),
        pytest.param("hostmod.instantiate(TEXT, engine=mine).exports.run()", "42", id="the parent's engine"),
        pytest.param("hostmod.instantiate(compiled).exports.run()", "42", id="what the parent compiled"),
        pytest.param(
            "hostmod.instantiate(TEXT, engine=wasmtime.Engine()).exports.run()",
            "42",
            id="an engine of the child's",
        ),
        pytest.param("len(hostmod.load(TEXT).exports)", "1", id="loading"),
        pytest.param("hostmod.load('(module (func (result i32)))')", "GuestFileError", id="no valid guest"),
    ],
)
def test_a_forked_child_compiles(work: str, prints: str) -> None:
    assert run(FORK, f"in_child(lambda: {work})").split(":")[0].split(" ")[0].strip() == prints


@forks
def test_a_forked_child_refuses_an_engine_that_would_wait_for_ever() -> None:
    program = "loading._PATIENCE = 0.5\nin_child(lambda: hostmod.load(TEXT, fueled))"
    assert run(FORK, program) == (
        "LinkError load: compiling in a forked child, with an engine whose compiler waits for threads of the parent, "
        "expected one without; set parallel_compilation = False in its wasmtime.Config, compile before the fork, or "
        "start processes by 'spawn' or 'forkserver'\n"
    )


@forks
def test_a_forked_child_takes_an_engine_of_any_settings_that_compiles_without_threads() -> None:
    program = """
    def work():
        config = wasmtime.Config()
        config.consume_fuel = True
        config.parallel_compilation = False
        engine = wasmtime.Engine(config)
        return [len(hostmod.load(TEXT, engine).exports) for _ in range(2)]
    in_child(work)
    """
    assert run(FORK, program) == "[1, 1]\n"


@forks
def test_other_engines_of_hostmod_s_compile_in_a_forked_child() -> None:
    program = """
    from hostmod.tools.cache import ModuleCache, Settings
    from hostmod.tools.inspect import inspect
    from hostmod.testing import call
    from hostmod.types import Int32

    class Host(HostModule, name="host"):
        @function
        def f(self, value: Int32) -> Int32:
            return value + 1

    def work():
        module = ModuleCache("/dev/null/none").load(TEXT, Settings(interruptible=True))
        return len(module.exports), len(inspect(TEXT).exports), call(Host().f, 1)
    in_child(work)
    """
    assert run(FORK, program) == "(1, 1, 2)\n"


SIGNALS = """
import faulthandler, sys, warnings
faulthandler.disable()
import wasmtime, hostmod
warnings.simplefilter("always")
OUTSIDE = '''(module (memory (export "memory") 1)
  (func (export "run") (result i32) (i32.load (i32.const 65536))))'''

def warned(**given):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        guest = hostmod.instantiate(OUTSIDE, **given)
    return guest, [str(each.message) for each in seen]

def traps(guest):
    try:
        guest.exports.run()
    except hostmod.Trap as trap:
        return trap.trap_code.name
"""


@signals
def test_faulthandler_enabled_first_leaves_traps_to_wasmtime() -> None:
    program = """
    faulthandler.enable()
    guest, said = warned()
    print(traps(guest), said)
    """
    assert run(SIGNALS, program) == "MEMORY_OUT_OF_BOUNDS []\n"


@signals
@pytest.mark.parametrize(
    "before", ["hostmod.instantiate(OUTSIDE)", "wasmtime.Engine()"], ids=["a guest", "an engine"]
)
def test_faulthandler_enabled_after_the_first_engine_is_warned_of_once(before: str) -> None:
    program = f"""
    {before}
    faulthandler.enable()
    _, first = warned()
    _, second = warned()
    print(len(first), len(second))
    print(first[0].partition("expected ")[2])
    """
    assert run(SIGNALS, program) == (
        "1 0\nwasmtime's own handler: a guest that reads outside of its memory ends the process; call "
        "faulthandler.enable() before the first wasmtime.Engine is made (python -X faulthandler does), or make engines "
        "with signals_based_traps = False in their wasmtime.Config\n"
    )


@signals
def test_faulthandler_enabled_after_the_first_guest_is_warned_of_with_an_engine_of_one_s_own() -> None:
    program = """
    engine = wasmtime.Engine()
    warned(engine=engine)
    faulthandler.enable()
    print(len(warned(engine=engine)[1]))
    faulthandler.disable()
    guest, said = warned(engine=engine)
    print(traps(guest), said)
    """
    assert run(SIGNALS, program) == "1\nMEMORY_OUT_OF_BOUNDS []\n"


@signals
def test_a_handler_that_is_gone_is_warned_of() -> None:
    program = """
    import signal
    warned()
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    print(warned()[1][0].partition(",")[0])
    """
    assert run(SIGNALS, program) == "SIGSEGV goes to nobody\n"


@signals
@pytest.mark.skipif(
    not hasattr(wasmtime.Config, "signals_based_traps"), reason="wasmtime-py has it from 45 on"
)
def test_engines_without_signals_trap_under_any_handler_and_are_not_warned_of() -> None:
    program = """
    config = wasmtime.Config()
    config.signals_based_traps = False
    engine = wasmtime.Engine(config)
    faulthandler.enable()
    guest, said = warned(engine=engine)
    print(traps(guest), said)
    """
    assert run(SIGNALS, program) == "MEMORY_OUT_OF_BOUNDS []\n"
