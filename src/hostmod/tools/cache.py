"""Caches compiled guests on disk, so that a guest is compiled once and loaded after that."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import stat
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path

import wasmtime

from hostmod.guest import Source, compile_bytes, new_engine, read

_MAGIC = b"hostmod compiled module 1\n"
"""How a file of the cache starts; its SHA-256 and the module, as wasmtime serializes it, follow."""

_ABANDONED = 3600.0
"""Seconds after which nobody is still writing a file."""

_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides which code a guest is compiled to; part of the cache's key.

    `interruptible` lets another thread (or Ctrl-C) end the guest in the middle of a loop; `debug` keeps line numbers
    for native debuggers; `optimize` is ``"speed"``, ``"speed_and_size"`` or ``"none"``.
    """

    interruptible: bool = False
    debug: bool = False
    optimize: str = "speed"

    def engine(self) -> wasmtime.Engine:
        """Make an engine of these settings."""
        config = wasmtime.Config()
        config.epoch_interruption = self.interruptible
        config.debug_info = self.debug
        config.cranelift_opt_level = self.optimize
        return new_engine(config)

    def __str__(self) -> str:
        return " ".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))


def default_folder() -> Path | None:
    """Return the platform's folder for what can be made again, or None if this user has none.

    ``HOSTMOD_CACHE_DIR`` names another.
    """
    named = os.environ.get("HOSTMOD_CACHE_DIR")
    if named:
        return Path(named)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "hostmod" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "hostmod"
    # Source: XDG Base Directory Specification; a relative path there is invalid, and to be ignored.
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if Path(xdg).is_absolute() else home / ".cache") / "hostmod"


class ModuleCache:
    """A folder of compiled guests, by their content, wasmtime's version, the machine and the settings.

    Any number of processes can use one folder: a file appears in it whole or not at all. A file that is damaged, cut
    short or of another origin is compiled anew and replaced; a folder that cannot be written is done without.

    Code that is loaded from it is run, so what others can write to is not trusted: on POSIX, files have to belong to
    this user, and be writable by nobody else.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, limit: int = 1 << 30) -> None:
        """Use a folder, by default the platform's.

        Args:
            folder: where the files are; made when the first is written.
            limit: bytes that all files may take; the ones used longest ago go first.
        """
        self.folder = default_folder() if folder is None else Path(folder)
        self.limit = limit

    def load(
        self, source: Source, settings: Settings | None = None, engine: wasmtime.Engine | None = None
    ) -> wasmtime.Module:
        """Load a guest, compiling it only if the folder does not have it.

        Args:
            source: as in `hostmod.load`.
            settings: what `engine` was made with.
            engine: what to load it for; ``settings.engine()`` if not given.

        Raises:
            FileNotFoundError, GuestFileError: as `hostmod.load`.
        """
        if isinstance(source, wasmtime.Module):
            return source
        settings = settings or Settings()
        engine = engine or settings.engine()
        name, data = read(source)
        path = self.path(data, settings)
        if path is not None:
            module = self._load(path, engine)
            if module is not None:
                return module
        module = compile_bytes(name, data, engine)
        if path is not None:
            self._store(path, module)
        return module

    def holds(self, source: Source, settings: Settings | None = None) -> bool:
        """Say whether a guest is in the folder (where it may yet turn out to be damaged)."""
        if isinstance(source, wasmtime.Module):
            return False
        path = self.path(read(source)[1], settings or Settings())
        return path is not None and path.is_file()

    def path(self, data: bytes, settings: Settings) -> Path | None:
        """Return where the compiled form of a guest's bytes is kept, or None without a folder."""
        if self.folder is None:
            return None
        key = f"{version('wasmtime')} {sys.platform} {platform.machine()} {settings}"
        digest = hashlib.sha256(key.encode() + b"\0" + data).hexdigest()
        return self.folder / f"{digest}.cwasm"

    def _load(self, path: Path, engine: wasmtime.Engine) -> wasmtime.Module | None:
        try:
            with path.open("rb") as file:
                if not _ours(os.fstat(file.fileno())):
                    return None
                content = file.read()
        except OSError:
            return None
        digest, payload = content[len(_MAGIC) : len(_MAGIC) + _DIGEST], content[len(_MAGIC) + _DIGEST :]
        # wasmtime checks the header of what it loads, not the code, and code that is damaged crashes the process.
        if not content.startswith(_MAGIC) or hashlib.sha256(payload).digest() != digest:
            return None
        try:
            module = wasmtime.Module.deserialize(engine, payload)
        except wasmtime.WasmtimeError:  # made on a machine of the same kind whose processor has more
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return module

    def _store(self, path: Path, module: wasmtime.Module) -> None:
        payload = bytes(module.serialize())
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Written under a name of its own, then renamed: readers and other writers never see a part of it.
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            self._prune(path)
        except OSError:
            return

    def _prune(self, keep: Path) -> None:
        for path in keep.parent.glob(".*.new"):  # of a process that was ended while it wrote
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
        found: list[tuple[float, int, Path]] = []
        for path in keep.parent.glob("*.cwasm"):
            with contextlib.suppress(OSError):  # another process may have removed it
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                return
            if path != keep:
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def _ours(status: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
