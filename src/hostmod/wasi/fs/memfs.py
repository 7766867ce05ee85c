"""`MemoryFS`: a writable tree of files in memory with a limit to its size; and `ZipFS`."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, ClassVar, TypeAlias

from hostmod.wasi.abi import Errno, FdFlags, Filestat, FileType, WasiError, Whence
from hostmod.wasi.fs.mounts import ReadOnly, Tree, system_of
from hostmod.wasi.system import MAX_OFFSET, Access, Directory, Entry, File

Content: TypeAlias = "bytes | bytearray | memoryview | str | File | Mapping[str, Content]"
"""What a tree is made of: a file's bytes (text is UTF-8), an open `File` of one's own, or a directory's contents."""

MAX_NAME = 255
"""Bytes of a name. Source: NAME_MAX of Linux."""

MAX_NAMES = 65_000
"""Names of one file. Source: LINK_MAX of ext4."""

NODE_SIZE = 256
"""Bytes that each file, directory and link counts for besides its content: about what CPython needs for one."""


class _Node:
    """A file, directory or link: what hard links share."""

    filetype: ClassVar[FileType]

    __slots__ = ("atim", "ctim", "fs", "ino", "mtim", "nlink")

    def __init__(self, fs: MemoryFS) -> None:
        self.fs = fs
        self.ino = fs._new_ino()
        self.nlink = 1
        self.atim = self.mtim = self.ctim = fs._now()

    @property
    def size(self) -> int:
        return 0

    def filestat(self) -> Filestat:
        return Filestat(
            self.fs._dev,
            self.ino,
            int(self.filetype),
            self.nlink,
            self.size,
            self.atim,
            self.mtim,
            self.ctim,
        )

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        if atim is not None:
            self.atim = atim
        if mtim is not None:
            self.mtim = mtim
        self.ctim = self.fs._now()

    def copy_times(self, found: Filestat) -> None:
        """Take over when something was read and changed."""
        self.atim, self.mtim = found.atim, found.mtim

    def changed(self) -> None:
        self.mtim = self.ctim = self.fs._now()

    def unlinked(self) -> None:
        """Drop one name; what nobody can reach gives its room back."""
        self.nlink -= 1
        self.ctim = self.fs._now()
        self.forget()

    def forget(self) -> None:
        """Give the room back, if there is neither a name nor an open file left."""
        if self.nlink == 0:
            self.fs._free(NODE_SIZE + self.size)


class _Regular(_Node):
    """A regular file."""

    filetype = FileType.REGULAR_FILE

    __slots__ = ("data", "opened")

    def __init__(self, fs: MemoryFS, data: bytes | bytearray = b"") -> None:
        fs._take(NODE_SIZE + len(data))
        super().__init__(fs)
        self.data = bytearray(data)
        self.opened = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def forget(self) -> None:
        if self.nlink == 0 and self.opened == 0:
            self.fs._free(NODE_SIZE + len(self.data))

    def resize(self, size: int) -> None:
        """Cut or fill with zeros; NOSPC if there is no room, with nothing changed."""
        more = size - len(self.data)
        if more > 0:
            self.fs._take(more)
            self.data += bytes(more)
        elif more < 0:
            del self.data[size:]
            self.fs._free(-more)

    def write(self, data: bytes, offset: int) -> int:
        """Write what there is room for; NOSPC if that is nothing."""
        content = self.data
        end = offset + len(data)
        more = end - len(content)
        if more > 0:
            room = self.fs._room()
            if more > room:
                end -= more - room
                if end <= offset:
                    raise WasiError(Errno.NOSPC)
                data = data[: end - offset]
                more = end - len(content)
            self.fs._take(more)
            if offset > len(content):
                content += bytes(offset - len(content))
        content[offset:end] = data
        self.changed()
        return end - offset


class _Link(_Node):
    """A symbolic link."""

    filetype = FileType.SYMBOLIC_LINK

    __slots__ = ("target",)

    def __init__(self, fs: MemoryFS, target: str) -> None:
        fs._take(NODE_SIZE + len(target.encode()))
        super().__init__(fs)
        self.target = target

    @property
    def size(self) -> int:
        return len(self.target.encode())


class _Given(_Node):
    """A `File` of the embedder's: the guest that opens it talks to that very object."""

    __slots__ = ("file",)

    def __init__(self, fs: MemoryFS, file: File) -> None:
        fs._take(NODE_SIZE)
        super().__init__(fs)
        self.file = file

    @property
    def filetype(self) -> FileType:  # type: ignore[override]  # of the object, here
        return self.file.filetype

    def filestat(self) -> Filestat:
        found = self.file.filestat()
        return Filestat(
            self.fs._dev,
            self.ino,
            int(found.filetype),
            self.nlink,
            found.size,
            found.atim,
            found.mtim,
            found.ctim,
        )


class _Lent(File):
    """A `File` of the embedder's, which stays open when the guest closes it."""

    def __init__(self, file: File) -> None:
        self.filetype = file.filetype
        for name in vars(File):
            if not name.startswith("_") and name not in ("filetype", "close"):
                setattr(self, name, getattr(file, name))


class _Directory(_Node, Directory):
    """A directory, which is open to whoever has it: there is nothing to close."""

    filetype = FileType.DIRECTORY

    __slots__ = ("children", "parent")

    def __init__(self, fs: MemoryFS, parent: _Directory | None = None) -> None:
        fs._take(NODE_SIZE)
        super().__init__(fs)
        self.children: dict[str, _Node] = {}
        self.parent = parent  # None: the root, or removed
        self.nlink = 2

    # ------------------------------------------------------------------------------------------ finding

    def _child(self, name: str) -> _Node:
        try:
            return self.children[name]
        except KeyError:
            raise WasiError(Errno.NAMETOOLONG if len(name.encode()) > MAX_NAME else Errno.NOENT) from None

    def _vacant(self, name: str) -> None:
        """Make sure that a name can be added."""
        if name in self.children:
            raise WasiError(Errno.EXIST)
        if len(name) * 4 > MAX_NAME and len(name.encode()) > MAX_NAME:
            raise WasiError(Errno.NAMETOOLONG)
        if self.nlink == 0:
            raise WasiError(Errno.NOENT)  # it was removed

    def entries(self, limit: int) -> Iterable[Entry]:
        self.atim = self.fs._now()
        return [
            Entry(name, node.ino, node.filetype)
            for (name, node), _ in zip(self.children.items(), range(limit), strict=False)
        ]

    def filestat(self) -> Filestat:
        return _Node.filestat(self)

    def stat(self, name: str) -> Filestat:
        return self._child(name).filestat()

    def enter(self, name: str) -> Directory:
        child = self._child(name)
        if not isinstance(child, _Directory):
            raise WasiError(Errno.NOTDIR)
        return child

    def reach(self, names: list[str]) -> Directory | None:
        found: _Node | None = self
        for name in names:
            if not isinstance(found, _Directory):
                return None
            found = found.children.get(name)
        return found if isinstance(found, _Directory) else None

    def open_directory(self, name: str | None) -> Directory:
        return self if name is None else self.enter(name)

    def open_file(self, name: str, access: Access) -> File:
        child = self.children.get(name)
        if child is None:
            if not access.create:
                child = self._child(name)
            else:
                self._vacant(name)
                child = self.children[name] = _Regular(self.fs)
                self.changed()
        elif access.create and access.exclusive:
            raise WasiError(Errno.EXIST)
        if isinstance(child, _Given):
            return _Lent(child.file)
        if not isinstance(child, _Regular):
            raise WasiError(Errno.ISDIR if isinstance(child, _Directory) else Errno.LOOP)
        if access.truncate:
            child.resize(0)
            child.changed()
        return MemoryFile(child, access)

    def read_link(self, name: str) -> str:
        child = self._child(name)
        if not isinstance(child, _Link):
            raise WasiError(Errno.INVAL)
        return child.target

    # ----------------------------------------------------------------------------------------- changing

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None:  # type: ignore[override]  # both
        _Node.set_times(self if name is None else self._child(name), atim, mtim)

    def _add(self, name: str, node: _Node) -> None:
        self.children[name] = node
        self.changed()

    def create_directory(self, name: str) -> None:
        self._vacant(name)
        self._add(name, _Directory(self.fs, self))
        self.nlink += 1

    def create_symlink(self, name: str, target: str) -> None:
        self._vacant(name)
        self._add(name, _Link(self.fs, target))

    def link(self, name: str, new: Directory, new_name: str) -> None:
        child = self._child(name)
        if not isinstance(new, _Directory) or new.fs is not self.fs:
            raise WasiError(Errno.XDEV)
        new._vacant(new_name)
        if isinstance(child, _Directory):
            raise WasiError(Errno.PERM)
        if child.nlink >= MAX_NAMES:
            raise WasiError(Errno.MLINK)
        self.fs._take(NODE_SIZE)
        child.nlink += 1
        child.ctim = self.fs._now()
        new._add(new_name, child)

    def rename(self, name: str, new: Directory, new_name: str) -> None:
        child = self._child(name)
        if not isinstance(new, _Directory) or new.fs is not self.fs:
            raise WasiError(Errno.XDEV)
        old = new.children.get(new_name)
        if old is child:
            return  # two names of one file: POSIX says to do nothing
        moved = isinstance(child, _Directory)
        if moved:
            above: _Directory | None = new
            while above is not None:
                if above is child:
                    raise WasiError(Errno.INVAL)
                above = above.parent
        if old is None:
            new._vacant(new_name)
        elif isinstance(old, _Directory):
            if not moved:
                raise WasiError(Errno.ISDIR)
            if old.children:
                raise WasiError(Errno.NOTEMPTY)
            new._discard(new_name, old)
        else:
            if moved:
                raise WasiError(Errno.NOTDIR)
            new._drop(new_name, old)
        del self.children[name]
        self.changed()
        new._add(new_name, child)
        child.ctim = self.fs._now()
        if isinstance(child, _Directory):
            self.nlink -= 1
            new.nlink += 1
            child.parent = new

    def _discard(self, name: str, child: _Directory) -> None:
        del self.children[name]
        self.nlink -= 1
        child.nlink = 0
        child.parent = None
        child.forget()

    def _drop(self, name: str, child: _Node) -> None:
        del self.children[name]
        if child.nlink > 1:
            self.fs._free(NODE_SIZE)  # what the further name counted for
        child.unlinked()

    def remove_directory(self, name: str) -> None:
        child = self._child(name)
        if not isinstance(child, _Directory):
            raise WasiError(Errno.NOTDIR)
        if child.children:
            raise WasiError(Errno.NOTEMPTY)
        self._discard(name, child)
        self.changed()

    def remove_file(self, name: str) -> None:
        child = self._child(name)
        if isinstance(child, _Directory):
            raise WasiError(Errno.ISDIR)
        self._drop(name, child)
        self.changed()


class MemoryFile(File):
    """An open file of a `MemoryFS`."""

    filetype = FileType.REGULAR_FILE

    __slots__ = ("_append", "_node", "_position", "_readable", "_writable")

    def __init__(self, node: _Regular, access: Access) -> None:
        self._node = node
        self._position = 0
        self._readable = access.read
        self._writable = access.write
        self._append = bool(access.flags & FdFlags.APPEND)
        node.opened += 1

    def read(self, size: int) -> bytes:
        position = self._position
        data = self.pread(size, position)
        self._position = position + len(data)
        return data

    def write(self, data: bytes) -> int:
        if not self._writable:
            raise WasiError(Errno.BADF)
        if not data:
            return 0
        node = self._node
        position = len(node.data) if self._append else self._position
        written = node.write(data, position)
        self._position = position + written
        return written

    def pread(self, size: int, offset: int) -> bytes:
        if not self._readable:
            raise WasiError(Errno.BADF)
        # Not through a memoryview: while there is one, a guest in another thread could not write.
        return bytes(self._node.data[offset : offset + size])

    def pwrite(self, data: bytes, offset: int) -> int:
        if not self._writable:
            raise WasiError(Errno.BADF)
        if self._append:
            offset = len(self._node.data)  # as Linux does, and as "fdflags: Record" says of append
        return self._node.write(data, offset) if data else 0

    def seek(self, offset: int, whence: int) -> int:
        if whence == Whence.CUR:
            offset += self._position
        elif whence == Whence.END:
            offset += len(self._node.data)
        if offset < 0:
            raise WasiError(Errno.INVAL)
        if offset > MAX_OFFSET:
            raise WasiError(Errno.OVERFLOW)
        self._position = offset
        return offset

    def filestat(self) -> Filestat:
        return self._node.filestat()

    def set_size(self, size: int) -> None:
        if not self._writable:
            raise WasiError(Errno.INVAL)
        self._node.resize(size)
        self._node.changed()

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._node.set_times(atim, mtim)

    def set_flags(self, flags: int) -> None:
        self._append = bool(flags & FdFlags.APPEND)

    def allocate(self, offset: int, length: int) -> None:
        if not self._writable:
            raise WasiError(Errno.BADF)
        if offset + length > len(self._node.data):
            self._node.resize(offset + length)

    def close(self) -> None:
        self._node.opened -= 1
        self._node.forget()


class MemoryFS(MutableMapping[str, Any]):
    """A System in memory, and a mapping from its files' paths to their bytes.

    Args:
        contents: what is in it: names (or paths: ``"etc/hosts"``) to bytes, text, an open `File` of one's own, or a
            mapping for a directory.
        max_bytes: how much it holds, each file counted with 256 bytes more; NOSPC past it.
        clock: returns nanoseconds since 1970, for the times of files.

    >>> fs = MemoryFS({"a.txt": b"hi", "etc": {"motd": "hello"}}, max_bytes=1 << 20)
    >>> fs["b/c.txt"] = b"made by the host"
    >>> sorted(fs), fs["etc/motd"]
    (['a.txt', 'b/c.txt', 'etc/motd'], b'hello')
    """

    _last_dev: ClassVar[int] = 0

    def __init__(
        self,
        contents: Mapping[str, Content] | None = None,
        *,
        max_bytes: int = 64 << 20,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._now = clock
        self._inos = 0
        # A number that no other filesystem of this process has, so that programs can tell their files apart.
        MemoryFS._last_dev += 1
        self._dev = (1 << 32) + MemoryFS._last_dev
        self._root = _Directory(self)
        self._fill(self._root, contents or {})

    @classmethod
    def copy_of(
        cls, tree: Tree, *, max_bytes: int = 64 << 20, clock: Callable[[], int] = time.time_ns
    ) -> MemoryFS:
        """Copy a directory of the host's, or another System, into memory: what a guest does to it stays there.

        Links are copied, and never followed; two names of one file become two files. What is no file, directory or link
        is left out, and so is a name that is no UTF-8.

        Args:
            tree: a path of the host's, or a System.
            max_bytes: how much it holds, the copy included.
            clock: as for one that starts empty.

        Raises:
            WasiError: NOSPC, if the copy is larger than `max_bytes`.
            OSError: something in it cannot be read.

        >>> sorted(MemoryFS.copy_of(MemoryFS({"a": b"1", "b": {"c": b"2"}})))
        ['a', 'b/c']
        """
        fs = cls(max_bytes=max_bytes, clock=clock)
        # Depth first, by hand: as many directories are open at a time as the tree is deep, and that may be deep.
        opened: list[tuple[Directory, _Directory, Iterator[Entry]]] = []

        def enter(source: Directory, target: _Directory) -> None:
            opened.append((source, target, iter(())))
            opened[-1] = (source, target, iter(list(source.entries(max_bytes // NODE_SIZE + 1))))

        try:
            enter(system_of(tree).root(), fs._root)
            while opened:
                source, target, entries = opened[-1]
                entry = next(entries, None)
                if entry is None:
                    target.copy_times(source.filestat())
                    opened.pop()
                    source.close()
                elif entry.filetype == FileType.DIRECTORY:
                    target.create_directory(entry.name)
                    enter(source.open_directory(entry.name), fs._walk(entry.name, start=target))
                elif entry.filetype == FileType.SYMBOLIC_LINK:
                    target.create_symlink(entry.name, source.read_link(entry.name))
                    target.children[entry.name].copy_times(source.stat(entry.name))
                elif entry.filetype == FileType.REGULAR_FILE:
                    fs._copy_file(entry.name, source, target)
        finally:
            for source, *_ in opened:
                source.close()
        return fs

    def _copy_file(self, name: str, source: Directory, target: _Directory) -> None:
        file = source.open_file(name, Access())
        try:
            found = file.filestat()
            if found.filetype != FileType.REGULAR_FILE:
                return  # a stream of the embedder's, which may have no end
            node = _Regular(self)
            target._vacant(name)
            target._add(name, node)
            while data := file.read(1 << 20):
                if node.write(data, node.size) < len(data):
                    raise WasiError(Errno.NOSPC)
            node.copy_times(found)
        finally:
            file.close()

    def root(self) -> Directory:
        return self._root

    # ------------------------------------------------------------------------------------------- limits

    def _new_ino(self) -> int:
        self._inos += 1
        return self._inos

    def _room(self) -> int:
        return max(0, self.max_bytes - self.used_bytes)

    def _take(self, size: int) -> None:
        if size > self.max_bytes - self.used_bytes:
            raise WasiError(Errno.NOSPC)
        self.used_bytes += size

    def _free(self, size: int) -> None:
        self.used_bytes -= size

    # --------------------------------------------------------------------------------- the host's view

    def _fill(self, directory: _Directory, contents: Mapping[str, Content]) -> None:
        for path, content in contents.items():
            if isinstance(content, Mapping):
                self._fill(self._walk(path, create=True, start=directory), content)
            else:
                self._put(path, content, directory)

    def _walk(self, path: str, create: bool = False, start: _Directory | None = None) -> _Directory:
        found = start or self._root
        for name in _components(path):
            child = found.children.get(name)
            if child is None and create:
                found.create_directory(name)
                child = found.children[name]
            if not isinstance(child, _Directory):
                raise KeyError(path)
            found = child
        return found

    def _place(
        self, path: str, create: bool = False, start: _Directory | None = None
    ) -> tuple[_Directory, str]:
        *above, name = _components(path) or [""]
        if not name:
            raise KeyError(path)
        return self._walk("/".join(above), create, start), name

    def _put(self, path: str, content: Any, start: _Directory | None = None) -> None:
        directory, name = self._place(path, create=True, start=start)
        old = directory.children.get(name)
        if isinstance(content, str):
            content = content.encode()
        if isinstance(content, bytes | bytearray | memoryview):
            if isinstance(old, _Regular):
                old.resize(len(content))
                old.data[:] = content
                old.changed()
                return
            node: _Node = _Regular(self, bytes(content))
        elif hasattr(content, "read") and hasattr(content, "filestat"):
            node = _Given(self, content)
        else:
            raise TypeError(
                f"MemoryFS[{path!r}]: {type(content).__name__}, expected bytes, text, a mapping or a "
                "hostmod.wasi.File; for a Python stream, write InputStream(stream) or OutputStream(stream)"
            )
        if old is not None:
            directory.remove_file(name)
        directory._vacant(name)
        directory._add(name, node)

    def __getitem__(self, path: str) -> Any:
        """Return a file's bytes (or the `File` that was put there); links are not followed. KeyError if it is none."""
        directory, name = self._place(path)
        child = directory.children.get(name)
        if isinstance(child, _Regular):
            return bytes(child.data)
        if isinstance(child, _Given):
            return child.file
        raise KeyError(path)

    def __setitem__(self, path: str, content: Any) -> None:
        """Write a file, making the directories that lead to it."""
        if isinstance(content, Mapping):
            self._fill(self._walk(path, create=True), content)
        else:
            self._put(path, content)

    def __delitem__(self, path: str) -> None:
        """Remove a file, or an empty directory."""
        directory, name = self._place(path)
        child = directory.children.get(name)
        if child is None:
            raise KeyError(path)
        if isinstance(child, _Directory):
            directory.remove_directory(name)
        else:
            directory.remove_file(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the paths of files."""
        for place, name in self._files():
            parts = [name]
            above = place
            while above is not None:
                parts.append(above[1])
                above = above[0]
            yield "/".join(reversed(parts))

    def __len__(self) -> int:
        return sum(1 for _ in self._files())

    def _files(self) -> Iterator[tuple[_Above, str]]:
        """Find all files: what leads to each, and its name. Paths are not made here: a guest's tree may be deep."""
        stack: list[tuple[_Above, _Directory]] = [(None, self._root)]
        while stack:
            above, directory = stack.pop()
            for name, child in list(directory.children.items()):
                if isinstance(child, _Directory):
                    stack.append(((above, name), child))
                elif isinstance(child, _Regular | _Given):
                    yield above, name

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<MemoryFS of {len(self)} files, {self.used_bytes} of {self.max_bytes} bytes used>"


_Above: TypeAlias = "tuple[_Above, str] | None"
"""A directory, as its name behind the directory above it; None for the root."""


def _components(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part and part != "."]
    if ".." in parts or "\0" in path:
        raise KeyError(path)
    return parts


class ZipFS:
    """A System that shows a zip archive, read-only: its files are unpacked when it is opened.

    Args:
        archive: a path or a binary file object.
        max_bytes: how much may be unpacked; OSError ENOSPC (as `WasiError`) past it, so that a bomb does no harm.
    """

    def __init__(self, archive: Any, *, max_bytes: int = 64 << 20) -> None:
        self._fs = fs = MemoryFS(max_bytes=max_bytes)
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                try:
                    parts = _components(info.filename)
                except KeyError:
                    continue  # a name that leads out of the archive
                if not parts:
                    continue
                if info.is_dir():
                    fs._walk("/".join(parts), create=True)
                    continue
                if info.file_size > fs._room():
                    raise WasiError(Errno.NOSPC)
                with opened.open(info) as file:
                    fs._put("/".join(parts), file.read(info.file_size))
        self._shown = ReadOnly(fs)

    def root(self) -> Directory:
        return self._shown.root()
