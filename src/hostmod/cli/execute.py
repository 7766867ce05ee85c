"""Runs a guest from the command line: its hosts, its WASI, its exit code, and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

import click
import wasmtime

from hostmod.checks import name_of, spell_type
from hostmod.cli import show
from hostmod.cli.specs import Spec
from hostmod.errors import LinkError
from hostmod.guest import Guest, instantiate, interface_of
from hostmod.link import FunctionModule, HostModule
from hostmod.observe.decorate import Decorator, decorate
from hostmod.observe.profile import Profile, profile
from hostmod.observe.trace import trace
from hostmod.tools.inspect import WASI

TRAPPED = 134
"""Exit code of a guest that traps: 128 + SIGABRT, as wasmtime's own command has it."""

INTERRUPTED = 130
"""What a shell shows for a program that SIGINT ended: 128 + 2."""


@dataclass(slots=True)
class RunOptions:
    """What is to be run, as the command line says."""

    guest: str
    module: wasmtime.Module
    engine: wasmtime.Engine
    specs: list[Spec]
    arguments: tuple[str, ...]
    invoke: str | None = None
    trace: str | None = None
    profile: str | None = None
    dirs: tuple[str, ...] = ()
    mem_dirs: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    wasi: str = "hostmod"

    @property
    def argv(self) -> list[str]:
        """What a WASI guest sees as its arguments: the file's name, then what follows it."""
        return [Path(self.guest).name, *(() if self.invoke else self.arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """What a WASI guest sees as its environment."""
        found: dict[str, str] = {}
        for each in self.env:
            name, equals, value = each.partition("=")
            if not name:
                raise click.BadParameter(f"{each!r}, expected NAME or NAME=VALUE", param_hint="--env")
            if equals:
                found[name] = value
            elif name in os.environ:
                found[name] = os.environ[name]
        return found

    @property
    def mounts(self) -> list[tuple[str, str, bool]]:
        """The directories of ``--dir``: on the host, for the guest, and whether it may only read."""
        found: list[tuple[str, str, bool]] = []
        for each in self.dirs:
            text, read_only = (each.removesuffix(":ro"), True) if each.endswith(":ro") else (each, False)
            host, separator, guest = text.partition("::")
            _check_directory(host, "--dir")
            found.append((host, guest if separator else host, read_only))
        return found

    @property
    def copies(self) -> list[tuple[str | None, str]]:
        """The directories of ``--mem-dir``: what to copy of the host's (None: nothing), and its place."""
        found: list[tuple[str | None, str]] = []
        for each in self.mem_dirs:
            host, separator, guest = each.partition("::")
            if separator:
                _check_directory(host, "--mem-dir")
            found.append((host, guest) if separator else (None, each))
        return found

    def check_places(self) -> None:
        """Refuse two directories in one place, of which the guest would see one."""
        places = [guest for _, guest, _ in self.mounts] + [guest for _, guest in self.copies]
        for place in places:
            if not place:
                raise click.UsageError("a directory for the guest without a name; write HOST::/ for its root")
            if places.count(place) > 1:
                raise click.UsageError(f"{place} is given to the guest twice")


def _check_directory(host: str, option: str) -> None:
    if not Path(host).is_dir():
        raise click.BadParameter(f"{host}: no such directory", param_hint=option)


def execute(options: RunOptions) -> int:
    """Run it, and return the exit code."""
    decorators: list[Decorator] = []
    measured: Profile | None = None
    with contextlib.ExitStack() as stack:
        if options.trace is not None:
            decorators.append(stack.enter_context(trace(None if options.trace == "-" else options.trace)))
        if options.profile is not None:
            measured = profile()
            decorators.append(measured)
            # Opened first: what cannot be written is not to be found out after a long run.
            timeline = stack.enter_context(Path(options.profile).open("w", encoding="utf-8"))
            stack.callback(_report, measured, timeline)
        hosts: list[HostModule | FunctionModule] = []
        for spec in options.specs:
            made = _decorated(spec, decorators)
            if isinstance(made, HostModule):
                stack.enter_context(made)
            hosts.append(made)
        store = wasmtime.Store(options.engine)
        store.set_epoch_deadline(1)
        linker = wasmtime.Linker(options.engine)
        served = _wasi(options, hosts, store, linker, decorators, stack)
        with _interruptible(options.engine) as interrupted:
            try:
                with instantiate(options.module, *served, store=store, linker=linker) as guest:
                    return _run(options, guest)
            except wasmtime.ExitTrap as error:
                return error.code
            except KeyboardInterrupt:
                return INTERRUPTED
            except (LinkError, click.ClickException, BrokenPipeError):
                raise
            except wasmtime.Trap as error:
                if interrupted.is_set():
                    return INTERRUPTED
                return _trapped(error, f"the guest trapped: {error}")
            except wasmtime.WasmtimeError as error:
                return _trapped(error, f"the guest failed: {error}")
            except Exception as error:
                notes = "\n".join(getattr(error, "__notes__", ()))
                text = f"a host function raised {type(error).__name__}: {error}"
                return _trapped(error, f"{text}\n{notes}" if notes else text)
    raise AssertionError("unreachable: the block above returns or raises")


def _decorated(spec: Spec, decorators: list[Decorator]) -> HostModule | FunctionModule:
    if decorators:
        if isinstance(spec.target, type | FunctionModule):
            spec.target = decorate(spec.target, *decorators)
        else:
            # The file made this instance itself: from here on it is one of the decorated class.
            spec.target.__class__ = decorate(type(spec.target), *decorators)
    return spec.make()


def _wasi(
    options: RunOptions,
    hosts: list[HostModule | FunctionModule],
    store: wasmtime.Store,
    linker: wasmtime.Linker,
    decorators: list[Decorator],
    stack: contextlib.ExitStack,
) -> list[HostModule | FunctionModule]:
    """Serve WASI to a guest that imports it, unless one of the hosts does."""
    named = {name_of(host) for host in hosts}
    wanted = {each.module for each in options.module.imports} & set(WASI) - named
    if not wanted:
        return hosts
    options.check_places()
    if options.wasi == "builtin":
        if options.mem_dirs:
            raise click.UsageError("--mem-dir needs hostmod's own WASI; leave out --wasi builtin")
        config = wasmtime.WasiConfig()
        config.argv = options.argv
        config.env = options.environment.items()
        config.inherit_stdin()
        config.inherit_stdout()
        config.inherit_stderr()
        for host, guest, read_only in options.mounts:
            config.preopen_dir(host, guest, not read_only)
        store.set_wasi(config)
        linker.define_wasi()
        return hosts
    made = _python_wasi(options, decorators)
    stack.enter_context(made)
    return [*hosts, made]


def _python_wasi(options: RunOptions, decorators: list[Decorator]) -> HostModule:
    from hostmod.wasi import MemoryFS, ReadOnly, Wasi, WasiError

    preopens: dict[str, Any] = {}
    for host, guest, read_only in options.mounts:
        preopens[guest] = ReadOnly(host) if read_only else host
    for copied, guest in options.copies:
        try:
            preopens[guest] = MemoryFS() if copied is None else MemoryFS.copy_of(copied)
        except WasiError:
            raise click.BadParameter(f"{copied}: more than 64 MiB", param_hint="--mem-dir") from None
    cls: Any = decorate(Wasi, *decorators) if decorators else Wasi
    made: HostModule = cls(
        args=options.argv,
        env=options.environment,
        stdin=_bytes_of(sys.stdin),
        stdout=_bytes_of(sys.stdout),
        stderr=_bytes_of(sys.stderr),
        preopens=preopens,
    )
    return made


def _bytes_of(stream: TextIO | None) -> BinaryIO | None:
    """Return the stream of bytes beneath a standard stream; None for one that is closed."""
    return None if stream is None else stream.buffer


def _run(options: RunOptions, guest: Guest) -> int:
    if options.invoke is not None:
        if options.invoke != "_initialize" and "_initialize" in _functions(guest):
            guest.exports["_initialize"]()
        return _invoke(options, guest)
    known = _functions(guest)
    if "_start" not in known:
        if not known:
            return 0  # its start function, if it has one, has run
        raise click.UsageError(
            f"{options.guest} exports no _start; name a function with --invoke: {', '.join(known)}"
        )
    start = interface_of(guest.module).exports["_start"]
    if start.core_types[0]:
        raise click.UsageError(
            f"{options.guest}: _start{spell_type(start)} takes arguments; write --invoke _start"
        )
    runner = getattr(guest, "run", None)
    if runner is not None:
        return int(runner() or 0)
    guest.exports["_start"]()
    return 0


def _functions(guest: Guest) -> list[str]:
    """Return the names of the functions that a guest exports, without making any callable."""
    return [name for name, each in interface_of(guest.module).exports.items() if each.kind == "func"]


def _invoke(options: RunOptions, guest: Guest) -> int:
    name = options.invoke or ""
    interface = interface_of(guest.module)
    if not interface.exports_function(name):
        raise click.BadParameter(
            f"{options.guest} exports no function {name!r}; it exports {', '.join(_functions(guest)) or 'none'}",
            param_hint="--invoke",
        )
    export = interface.exports[name]
    wanted, _ = export.core_types
    spelled = f"{name}{spell_type(export)}"
    if len(wanted) != len(options.arguments):
        raise click.UsageError(
            f"{spelled} takes {len(wanted)} argument{'' if len(wanted) == 1 else 's'}, "
            f"{len(options.arguments)} given"
        )
    values = [
        parse_argument(text, core, f"argument {index + 1} of {spelled}")
        for index, (text, core) in enumerate(zip(options.arguments, wanted, strict=True))
    ]
    result = guest.exports[name](*values)
    for each in result if isinstance(result, tuple) else () if result is None else (result,):
        print(each)
    return 0


def parse_argument(text: str, core: str, where: str) -> int | float:
    """Read an argument of a core type from the command line; click.BadParameter if it does not fit.

    >>> parse_argument("0xff", "i32", ""), parse_argument("1e3", "f64", "")
    (255, 1000.0)
    """
    if core in ("i32", "i64"):
        bits = int(core[1:])
        try:
            value = int(text, 0)
        except ValueError:
            try:
                value = int(text)  # leading zeros
            except ValueError:
                raise click.BadParameter(
                    f"{text!r}, expected an integer ({core})", param_hint=where
                ) from None
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise click.BadParameter(f"{text}, expected an integer of {bits} bits ({core})", param_hint=where)
        return value
    if core in ("f32", "f64"):
        try:
            return float(text)
        except ValueError:
            raise click.BadParameter(f"{text!r}, expected a number ({core})", param_hint=where) from None
    raise click.BadParameter(f"{core} has no form on the command line", param_hint=where)


def _trapped(error: BaseException, text: str) -> int:
    context = click.get_current_context(silent=True)
    if context is not None and getattr(context.obj, "debug", False):
        traceback.print_exception(error)
    else:
        show.error(text)
    return TRAPPED


def _report(measured: Profile, timeline: IO[str]) -> None:
    measured.export(timeline)
    head, rows = measured.rows()
    show.table("", head, rows, numbers=len(head) - 1, stream=sys.stderr)


@contextlib.contextmanager
def _interruptible(engine: wasmtime.Engine) -> Iterator[threading.Event]:
    """Let Ctrl-C end the guest, wherever it is; the event says that it did.

    Python handles a signal when it runs again, which a guest in a loop never lets it; but it writes the signal's number
    to a file descriptor at once. A thread that reads it moves the engine's epoch on, which ends the guest. A second
    Ctrl-C ends the process, for what waits outside of both (a read of wasmtime's own WASI, for example).
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while data := reader.recv(64):
            for number in data:
                if number == signal.SIGINT:
                    if interrupted.is_set():
                        os._exit(INTERRUPTED)
                    interrupted.set()
                    engine.increment_epoch()

    thread = threading.Thread(target=watch, name="hostmod Ctrl-C", daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield interrupted
    finally:
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join()
        reader.close()
