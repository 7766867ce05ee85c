"""Resolves a guest's path beneath a preopened directory, which no path leaves.

A path is walked one component at a time, from a directory that is held open to one that is opened in it without
following links. ``..`` goes back to a directory that the walk has come through, never to what the system calls the
parent, and never above the start. A symbolic link is read, and what it holds is walked in its place, by the same rules;
an absolute one is refused, as an absolute path is. So there is nothing to check before use: whatever is renamed or
replaced while a path is walked, each step opens a name inside a directory that lies beneath the start, or fails.

    path_open(fd, "a/b/../c/file")            held open
        enter "a"                             start, a
        enter "b"                             start, a, b
        ".."    (no system call)              start, a
        "c" is a link that holds "../d"       start, a          walk "../d" in its place
        ".."                                  start
        enter "d"                             start, d
        "file" is left to the caller          start, d          ← directory; name = "file"
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from hostmod.wasi.abi import DIRECTORY, SYMBOLIC_LINK, Errno, Filestat, WasiError, number_of
from hostmod.wasi.system import Directory

MAX_LINKS = 40
"""Symbolic links expanded in one path. Source: Linux, path_resolution(7)."""

MAX_COMPONENTS = 8192
"""Components walked in one path, those of links included: a path of 4096 bytes has 2048 at the most."""

MAX_HELD = 64
"""Directories held open for ``..`` to go back to; a walk that goes back further starts anew from the top."""


class Walk:
    """One path, walked to its last component: `name` in `directory`, or `directory` itself where `name` is None.

    `must_be_directory` says that the path ends in a slash (or in what means the same). Leaving the ``with`` block
    closes what the walk opened, but not `root`.
    """

    __slots__ = (
        "_held",
        "_links",
        "_names",
        "_pending",
        "_room",
        "_root",
        "directory",
        "must_be_directory",
        "name",
    )

    def __init__(self, root: Directory, path: str) -> None:
        """Walk `path`; `WasiError` if it cannot be walked, with nothing left open."""
        if "\0" in path:
            raise WasiError(Errno.INVAL)
        self._root = root
        self.directory = root
        self.name: str | None = None
        self.must_be_directory = False
        if "/" not in path and path not in ("", ".", ".."):
            # The usual path: one component.
            self.name = path
            self._held: list[Directory] | None = None
            self._names: list[str] = []
            self._pending: list[str] = []
            self._links = 0
            self._room = MAX_COMPONENTS
            return
        self._held = []
        self._names = []
        self._pending = []
        self._links = 0
        self._room = MAX_COMPONENTS
        try:
            self._push(path)
            self._go()
        except BaseException:
            self.close()
            raise

    def _push(self, path: str) -> None:
        """Put the components of a path before those that are pending."""
        if path.startswith("/"):
            raise WasiError(Errno.NOTCAPABLE)
        if not path:
            raise WasiError(Errno.NOENT)
        parts = path.split("/")
        self._room -= len(parts)
        if self._room < 0:
            raise WasiError(Errno.LOOP)
        if not self._pending and parts[-1] in ("", ".", ".."):
            self.must_be_directory = True
        self._pending += [part for part in reversed(parts) if part and part != "."]

    def _go(self) -> None:
        """Walk until one component is left."""
        pending = self._pending
        self.name = None
        if len(pending) > 2 and not self._held and ".." not in pending:
            reached = self.directory.reach(pending[:0:-1])
            if reached is not None:
                self._names += pending[:0:-1]
                self._hold(reached)
                del pending[1:]
        while pending:
            part = pending.pop()
            if part == "..":
                self._back()
            elif not pending:
                self.name = part
                return
            else:
                self._enter(part)

    def _enter(self, part: str) -> None:
        try:
            entered = self.directory.enter(part)
        except (WasiError, OSError) as error:
            if number_of(error) not in (Errno.NOTDIR, Errno.LOOP):
                raise
            self._expand(part, error)
            return
        self._names.append(part)
        self._hold(entered)

    def _hold(self, directory: Directory) -> None:
        held = self._held
        if held is None:
            held = self._held = []
        held.append(directory)
        self.directory = directory
        if len(held) > MAX_HELD:
            held.pop(0).close()

    def _expand(self, part: str, refusal: Exception) -> None:
        """Walk what a link holds in its place; raise `refusal` if it is no link."""
        try:
            target = self.directory.read_link(part)
        except (WasiError, OSError) as error:
            raise (refusal if number_of(error) == Errno.INVAL else error) from None
        self._links += 1
        if self._links > MAX_LINKS:
            raise WasiError(Errno.LOOP)
        if not target.isascii():
            try:
                target.encode()
            except UnicodeEncodeError:  # bytes that are no UTF-8
                raise WasiError(Errno.ILSEQ) from None
        self._push(target)

    def _back(self) -> None:
        if not self._names:
            raise WasiError(Errno.NOTCAPABLE)
        self._names.pop()
        held = self._held
        if held:
            held.pop().close()
            if held:
                self.directory = held[-1]
                return
        self.directory = self._root
        if self._names:
            self._again()

    def _again(self) -> None:
        """Walk down to `_names` once more: what was held of it has been closed."""
        names, self._names = self._names, []
        for name in names:
            entered = self.directory.enter(name)
            self._names.append(name)
            self._hold(entered)

    def follow(self) -> None:
        """Walk on through the link that `name` is; LOOP if there were too many, INVAL if it is none."""
        name = self.name
        if name is None:
            raise WasiError(Errno.INVAL)
        self._expand(name, WasiError(Errno.INVAL))
        self._go()

    def stat(self, follow: bool) -> Filestat:
        """Return the attributes of what the path leads to, beyond links if `follow` (or a slash) says so."""
        while True:
            if self.name is None:
                return self.directory.filestat()
            found = self.directory.stat(self.name)
            if found.filetype == SYMBOLIC_LINK and (follow or self.must_be_directory):
                self.follow()
                continue
            if self.must_be_directory and found.filetype != DIRECTORY:
                raise WasiError(Errno.NOTDIR)
            return found

    def close(self) -> None:
        """Close what was opened on the way."""
        held, self._held = self._held, None
        if held:
            for directory in held:
                directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held:
            self.close()
