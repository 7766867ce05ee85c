"""The commands of the command line: each parses, calls the library, and prints."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

import click
import wasmtime

from hostmod.checks import check
from hostmod.cli import show
from hostmod.cli.execute import INTERRUPTED, RunOptions, execute
from hostmod.cli.specs import Spec
from hostmod.cli.version import version_text
from hostmod.errors import GuestFileError, HostmodError, LinkError
from hostmod.guest import read
from hostmod.tools.bindgen import LANGUAGES, generate
from hostmod.tools.cache import ModuleCache, Settings
from hostmod.tools.inspect import Inspection, inspect, show_memory
from hostmod.tools.stubs import stubs
from hostmod.tools.wasm_binary import unnameable

T = TypeVar("T")

SETTINGS = Settings(interruptible=True)
"""One set for all commands, so that what one of them compiled serves the others."""


class _Options:
    """What every command shares, kept in click's context."""

    def __init__(self) -> None:
        self.debug = False


class _ClosedPipeError(Exception):
    """Nobody reads the output any more; BrokenPipeError itself is what click would end the process for."""


class _Group(click.Group):
    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _closed_pipe_said():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _closed_pipe_said():
            return super().invoke(ctx)


@contextlib.contextmanager
def _closed_pipe_said() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _ClosedPipeError from error


def run(arguments: list[str]) -> int:
    """Parse arguments, run the command they name, and return its exit code."""
    options = _Options()
    for stream in (sys.stdout, sys.stderr):
        # Names are the guest's choice: what an old terminal or pipe has no character for is shown by its number.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        found = cli.main(arguments, prog_name="hostmod", standalone_mode=False, obj=options)
        return found if isinstance(found, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except _ClosedPipeError as error:
        raise BrokenPipeError from error
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        else:
            show.error(_message(error))
        return 1


def _message(error: Exception) -> str:
    if isinstance(error, GuestFileError):  # which says what Python code can give besides
        return f"{error.source}: {error.found}, expected a WebAssembly module (a .wasm or .wat file)"
    if isinstance(error, OSError) and error.filename is not None and not isinstance(error, HostmodError):
        return f"{error.filename}: {(error.strerror or str(error)).partition(';')[0]}"
    if isinstance(error, HostmodError | ModuleNotFoundError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} (--debug shows the traceback)"
    return f"{type(error).__name__}: {error} (--debug shows the traceback)"


def _debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_object(_Options).debug = True  # type: ignore[union-attr]  # run() gives one


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_debug,
        help="Show Python's traceback of an error.",
    )(command)


def _cached(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--no-cache", is_flag=True, help="Compile the guest, and keep nothing on disk.")(
        command
    )


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        click.echo(version_text())
        context.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show versions and the active backend, and exit.",
)
@_common
def cli() -> None:
    """Run WebAssembly guests with host modules written in Python, look into them, and write bindings for them.

    A host module is named by where it is: pkg.module:Class, or path/to/file.py:Class, with options of its constructor
    in parentheses: 'kv.py:Kv(path=counts.db)'.
    """


def _load(guest: str, no_cache: bool) -> Any:
    cache = ModuleCache()
    if no_cache:
        cache.folder = None
    engine = SETTINGS.engine()
    with show.progress(f"Compiling {guest}"):
        module = _interruptibly(lambda: cache.load(Path(guest), SETTINGS, engine))
    name, data = read(Path(guest))
    strange = unnameable(data if data[:4] == b"\0asm" else bytes(wasmtime.wat2wasm(data.decode())))
    if strange:
        raise GuestFileError(name, f"{', '.join(strange)} take or give a v128 or a typed reference")
    return engine, module


def _interruptibly(work: Callable[[], T]) -> T:
    """Do some work that never looks for Ctrl-C, such as compiling, so that Ctrl-C ends the wait for it."""
    found: Future[T] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, name="hostmod compiler", daemon=True).start()
    while True:
        wait([found], timeout=0.2)  # in steps, since Windows lets no signal into a wait
        if found.done():
            return found.result()


class _RunCommand(click.Command):
    """``--trace`` takes a file as ``--trace=FILE`` only: the word after a bare one is the guest."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with_value = {
            name
            for each in self.params
            if isinstance(each, click.Option) and not each.is_flag and each.name != "trace"
            for name in each.opts
        }
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "--":
            if args[at] == "--trace":
                args[at] = "--trace=-"
            at += 2 if args[at] in with_value else 1
        return super().parse_args(ctx, args)


def _hosts(required: bool = False) -> Callable[..., Any]:
    return click.option(
        "--host", "hosts", multiple=True, required=required, metavar="SPEC", help="A host module; repeatable."
    )


@cli.command("run", cls=_RunCommand, context_settings={"allow_interspersed_args": False})
@_hosts()
@click.option(
    "--invoke",
    metavar="NAME",
    help="Call this export; its arguments follow the file, its results are printed one a line.",
)
@click.option(
    "--trace", metavar="[FILE]", help="Show each host call on a line; --trace=FILE writes them to a file."
)
@click.option(
    "--profile",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Measure host calls: a table at the end, and a timeline in FILE for Perfetto or speedscope.",
)
@click.option(
    "--dir",
    "dirs",
    multiple=True,
    metavar="HOST[::GUEST][:ro]",
    help="Give the guest a directory; with :ro, for reading only. Repeatable.",
)
@click.option(
    "--mem-dir",
    "mem_dirs",
    multiple=True,
    metavar="[HOST::]GUEST",
    help="Give the guest a directory in memory: an empty one, or a copy of HOST. Repeatable.",
)
@click.option(
    "--env",
    "env",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Set a variable of the guest's environment, or pass on one of this one's. Repeatable.",
)
@click.option(
    "--wasi",
    type=click.Choice(["hostmod", "builtin"]),
    default="hostmod",
    show_default=True,
    help="Which WASI serves a guest that imports it: hostmod's, in Python, or wasmtime's.",
)
@_cached
@_common
@click.argument("guest")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run_command(guest: str, no_cache: bool, hosts: tuple[str, ...], **options: Any) -> int:
    """Run GUEST (a .wasm or .wat file) with ARGUMENTS.

    The exit code is the guest's; 134 if it traps, 130 after Ctrl-C.
    """
    specs = [Spec(text) for text in hosts]
    engine, module = _load(guest, no_cache)
    return execute(RunOptions(guest=guest, module=module, engine=engine, specs=specs, **options))


@cli.command("inspect")
@_hosts()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_cached
@_common
@click.argument("guest")
def inspect_command(guest: str, hosts: tuple[str, ...], as_json: bool, no_cache: bool) -> int:
    """Show what GUEST imports, exports and was made by; with --host, what is served, missing or mismatched.

    The exit code is 1 if anything is missing or mismatched.
    """
    specs = [Spec(text) for text in hosts]
    _, module = _load(guest, no_cache)
    found = inspect(Path(guest), [(spec.label, spec.target) for spec in specs], module=module)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        _print_inspection(found, bool(specs))
    return 1 if found.problems else 0


def _print_inspection(found: Inspection, with_hosts: bool) -> None:
    print(f"{found.source}: {found.size:,} bytes\n")
    head = ["module", "name", "kind", "type"]
    if with_hosts:
        head += ["status", "served by", "declared"]
    rows, styles = [], []
    for each in found.imports:
        row = [each.module, each.name, each.kind, each.type]
        if with_hosts:
            detail = f"host has {each.offered}" if each.status == "mismatch" else each.offered
            if each.status in ("missing", "mismatch") and each.advice:
                detail = f"{detail}; {each.advice}" if detail else each.advice
            row += [each.status, each.host, detail]
        rows.append(row)
        styles.append("red" if each.status in ("missing", "mismatch") else "")
    show.table("Imports", head, rows, styles=styles)
    show.table(
        "Exports", ["name", "kind", "type"], [[each.name, each.kind, each.type] for each in found.exports]
    )
    show.table(
        "Memories",
        ["size", "imported from", "exported as"],
        [[show_memory(each), each.imported, each.exported] for each in found.memories],
    )
    show.table(
        "Producers",
        ["field", "name", "version"],
        [[field, *each] for field, values in found.producers.items() for each in values],
    )
    if with_hosts and found.problems:
        count = len(found.problems)
        print(f"{count} import{'s' if count > 1 else ''} missing or mismatched")


@cli.command("check")
@_cached
@_common
@click.argument("spec")
@click.argument("guests", nargs=-1, required=True, metavar="GUEST...")
def check_command(spec: str, guests: tuple[str, ...], no_cache: bool) -> int:
    """Compare what each GUEST imports from the host module SPEC with what that offers.

    Prints a line for each guest. The exit code is 1 if any of them and the module disagree.
    """
    target = Spec(spec).target
    failed = False
    for guest in guests:
        try:
            _, module = _load(guest, no_cache)
            check(module, target)
        except LinkError as error:
            failed = True
            print(show.lines(f"{guest}: FAILED"))
            for mismatch in error.mismatches:
                print(f"  {mismatch}")
        except (HostmodError, FileNotFoundError) as error:
            failed = True
            print(show.lines(f"{guest}: FAILED\n  {_message(error)}"))
        else:
            count = sum(each.module == target.name for each in module.imports)
            print(f"{guest}: ok, {count or 'no'} import{'' if count == 1 else 's'} from {target.name}")
    return 1 if failed else 0


def _print_code(text: str) -> None:
    """Print source code: what it is piped into is a file in UTF-8, whatever the terminal has."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
    else:
        print(text, end="")


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    @click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Write to FILE, not to the screen.",
    )
    @functools.wraps(command)
    def with_output(*args: Any, output: str | None, **options: Any) -> int:
        text = command(*args, **options)
        if output is None:
            _print_code(text)
        else:
            Path(output).write_text(text, encoding="utf-8", newline="\n")
        return 0

    return with_output


@cli.command("bindgen")
@click.argument("language", type=click.Choice(list(LANGUAGES)))
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@_output
@_common
def bindgen_command(language: str, specs: tuple[str, ...]) -> str:
    """Write declarations of host modules for guests in LANGUAGE."""
    return generate(language, [Spec(text).target for text in specs])


@cli.command("stubs")
@click.argument("guest")
@_output
@_cached
@_common
def stubs_command(guest: str, no_cache: bool) -> str:
    """Write a Python skeleton of the host modules that GUEST needs."""
    _, module = _load(guest, no_cache)
    return stubs(module, Path(guest).name)
