"""Systems made of other Systems: read-only ones, and several under one root."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from hostmod.wasi.abi import DIRECTORY, Errno, Filestat, FileType, WasiError, number_of
from hostmod.wasi.system import Access, Directory, Entry, File, System

Tree = str | os.PathLike[str] | System
"""What a guest can be given as a directory: a path of the host's, or a System."""


def system_of(tree: Tree) -> System:
    """Return the System of a path of the host's, or the System given."""
    if isinstance(tree, str | os.PathLike):
        from hostmod.wasi.fs.posix import HostDirectory  # not there on hosts that are no POSIX systems

        return HostDirectory(tree)
    if not callable(getattr(tree, "root", None)):
        raise TypeError(f"{tree!r}: expected a directory's path, a MemoryFS or another hostmod.wasi.System")
    return tree


class ReadOnly:
    """A System that shows another, and lets nothing in it be changed: every attempt is ROFS.

    >>> from hostmod.wasi import MemoryFS
    >>> ReadOnly(MemoryFS({"a": b"1"})).root().remove_file("a")
    Traceback (most recent call last):
    hostmod.wasi.abi.WasiError: ROFS
    """

    def __init__(self, tree: Tree) -> None:
        self.system = system_of(tree)

    def root(self) -> Directory:
        return _ReadOnlyDirectory(self.system.root())

    def __repr__(self) -> str:
        return f"ReadOnly({self.system!r})"


class _ReadOnlyDirectory(Directory):
    """Passes on what only looks; `Directory`'s own methods refuse the rest with ROFS."""

    def __init__(self, inner: Directory) -> None:
        self._inner = inner

    def filestat(self) -> Filestat:
        return self._inner.filestat()

    def entries(self, limit: int) -> Iterable[Entry]:
        return self._inner.entries(limit)

    def stat(self, name: str) -> Filestat:
        return self._inner.stat(name)

    def enter(self, name: str) -> Directory:
        return _ReadOnlyDirectory(self._inner.enter(name))

    def reach(self, names: list[str]) -> Directory | None:
        found = self._inner.reach(names)
        return None if found is None else _ReadOnlyDirectory(found)

    def open_directory(self, name: str | None) -> Directory:
        return _ReadOnlyDirectory(self._inner.open_directory(name))

    def open_file(self, name: str, access: Access) -> File:
        try:
            found = self._inner.stat(name).filetype
        except (WasiError, OSError) as error:
            if access.create and number_of(error) == Errno.NOENT:
                raise WasiError(Errno.ROFS) from None
            raise
        if access.create and access.exclusive:
            raise WasiError(Errno.EXIST)
        if found == FileType.DIRECTORY:
            raise WasiError(Errno.ISDIR)
        if found == FileType.SYMBOLIC_LINK:
            raise WasiError(Errno.LOOP)
        if access.write or access.truncate:
            raise WasiError(Errno.ROFS)
        access = access._replace(create=False)
        return _ReadOnlyFile(self._inner.open_file(name, access))

    def read_link(self, name: str) -> str:
        return self._inner.read_link(name)

    def receiver(self, name: str) -> Directory:
        raise WasiError(Errno.ROFS)

    def close(self) -> None:
        self._inner.close()


class _ReadOnlyFile(File):
    """Passes on what only looks."""

    def __init__(self, inner: File) -> None:
        self._inner = inner
        self.filetype = inner.filetype
        self.read = inner.read  # type: ignore[method-assign]  # one call less for each
        self.pread = inner.pread  # type: ignore[method-assign]
        self.seek = inner.seek  # type: ignore[method-assign]

    def filestat(self) -> Filestat:
        return self._inner.filestat()

    def set_size(self, size: int) -> None:
        raise WasiError(Errno.ROFS)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        raise WasiError(Errno.ROFS)

    def set_flags(self, flags: int) -> None:
        self._inner.set_flags(flags)

    def advise(self, offset: int, length: int, advice: int) -> None:
        self._inner.advise(offset, length, advice)

    def ready(self, write: bool) -> int | None:
        return self._inner.ready(write)

    def fileno(self) -> int | None:
        return self._inner.fileno()

    def close(self) -> None:
        self._inner.close()


class Mounts:
    """A System that shows several under one root: ``Mounts({"/": "some/dir", "/data": MemoryFS()})``.

    What is mounted hides what its place held before; places that nothing else has are made up. A mounted directory can
    be neither renamed nor removed (BUSY), and nothing can be moved or linked from one System into another (XDEV).
    """

    def __init__(self, places: Mapping[str, Tree]) -> None:
        self._top = _Place()
        for path, tree in places.items():
            place = self._top
            for part in path.split("/"):
                if part in ("..", "\0"):
                    raise ValueError(f"Mounts: {path!r}, expected a path without ..")
                if part not in ("", "."):
                    place = place.children.setdefault(part, _Place())
            place.system = system_of(tree)

    def root(self) -> Directory:
        return self._top.open(None)


class _Place:
    """A place in a tree of mounts: the System mounted there, if any, and the places beneath it."""

    def __init__(self) -> None:
        self.system: System | None = None
        self.children: dict[str, _Place] = {}

    def open(self, under: Directory | None) -> Directory:
        """Open it; `under` is the directory that it lies on, if there is one and nothing is mounted here."""
        inner = self.system.root() if self.system is not None else under
        if not self.children and inner is not None:
            return inner
        return _MountDirectory(self, inner)


class _MountDirectory(Directory):
    """A directory in which other directories are mounted."""

    def __init__(self, place: _Place, inner: Directory | None) -> None:
        self._place = place
        self._inner = inner

    def _below(self, name: str | None = None) -> Directory:
        """What it lies on, to do something with a name there that is not mounted."""
        if name in self._place.children:
            raise WasiError(Errno.BUSY)
        if self._inner is None:
            raise WasiError(Errno.ROFS)
        return self._inner

    def _found(self, name: str) -> Directory:
        if self._inner is None:
            raise WasiError(Errno.NOENT)
        return self._inner

    def filestat(self) -> Filestat:
        if self._inner is not None:
            return self._inner.filestat()
        return Filestat(0, id(self._place) & (2**63 - 1), DIRECTORY, 2, 0, 0, 0, 0)

    def entries(self, limit: int) -> Iterable[Entry]:
        shown: list[Entry] = []
        for name in self._place.children:
            mounted = self.enter(name)
            try:
                shown.append(Entry(name, mounted.filestat().ino, FileType.DIRECTORY))
            finally:
                mounted.close()
        if self._inner is not None:
            hidden = self._place.children
            shown += [each for each in self._inner.entries(limit) if each.name not in hidden]
        return shown

    def stat(self, name: str) -> Filestat:
        if name not in self._place.children:
            return self._found(name).stat(name)
        mounted = self.enter(name)
        try:
            return mounted.filestat()
        finally:
            mounted.close()

    def enter(self, name: str) -> Directory:
        return self._open(name, "enter")

    def _open(self, name: str, how: str) -> Directory:
        place = self._place.children.get(name)
        if place is None:
            found: Directory = getattr(self._found(name), how)(name)
            return found
        under = None
        if place.system is None and self._inner is not None:
            try:
                under = getattr(self._inner, how)(name)
            except (WasiError, OSError):
                under = None
        return place.open(under)

    def open_directory(self, name: str | None) -> Directory:
        if name is not None:
            return self._open(name, "open_directory")
        return _MountDirectory(self._place, None if self._inner is None else self._inner.open_directory(None))

    def open_file(self, name: str, access: Access) -> File:
        if name in self._place.children:
            raise WasiError(Errno.ISDIR)
        if self._inner is None:
            raise WasiError(Errno.ROFS if access.create else Errno.NOENT)
        return self._inner.open_file(name, access)

    def read_link(self, name: str) -> str:
        if name in self._place.children:
            raise WasiError(Errno.INVAL)
        return self._found(name).read_link(name)

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None:
        self._below(name).set_times(name, atim, mtim)

    def create_directory(self, name: str) -> None:
        if name in self._place.children:
            raise WasiError(Errno.EXIST)
        self._below().create_directory(name)

    def create_symlink(self, name: str, target: str) -> None:
        if name in self._place.children:
            raise WasiError(Errno.EXIST)
        self._below().create_symlink(name, target)

    def receiver(self, name: str) -> Directory:
        return self._below(name).receiver(name)

    def link(self, name: str, new: Directory, new_name: str) -> None:
        self._below(name).link(name, new, new_name)

    def rename(self, name: str, new: Directory, new_name: str) -> None:
        self._below(name).rename(name, new, new_name)

    def remove_directory(self, name: str) -> None:
        self._below(name).remove_directory(name)

    def remove_file(self, name: str) -> None:
        if name in self._place.children:
            raise WasiError(Errno.ISDIR)
        self._below().remove_file(name)

    def sync(self) -> None:
        if self._inner is not None:
            self._inner.sync()

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()
