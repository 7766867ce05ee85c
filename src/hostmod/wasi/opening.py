"""Opens what is at the end of a path, as `path_open` does."""

from __future__ import annotations

from hostmod.wasi.abi import (
    DIRECTORY,
    DIRECTORY_RIGHTS,
    FILE_RIGHTS,
    REGULAR_FILE,
    STREAM_RIGHTS,
    SYMBOLIC_LINK,
    Errno,
    OFlags,
    Rights,
    WasiError,
    number_of,
)
from hostmod.wasi.descriptors import Descriptor
from hostmod.wasi.sandbox import Walk
from hostmod.wasi.system import Access

_READS = Rights.FD_READ
_WRITES = Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE


def open_at(walk: Walk, follow: bool, oflags: int, base: int, inheriting: int, fdflags: int) -> Descriptor:
    """Open what `walk` leads to, beyond links if `follow` (or a slash) says so, with no rights but those that apply."""
    write = base & _WRITES != 0
    create = oflags & OFlags.CREAT != 0
    exclusive = oflags & OFlags.EXCL != 0
    truncate = oflags & OFlags.TRUNC != 0
    access = Access(base & _READS != 0 or not write, write, create, exclusive, truncate, fdflags)
    while True:
        name = walk.name
        if name is None and create and exclusive:
            raise WasiError(Errno.EXIST)
        directory = name is None or oflags & OFlags.DIRECTORY != 0 or walk.must_be_directory
        try:
            if name is not None and directory and create:
                raise not_made(walk, missing=Errno.ISDIR)
            if name is not None and not directory:
                try:
                    file = walk.directory.open_file(name, access)
                except (WasiError, OSError) as error:
                    if create or number_of(error) != Errno.ISDIR:
                        raise
                else:
                    applying = FILE_RIGHTS if file.filetype == REGULAR_FILE else STREAM_RIGHTS
                    return Descriptor(file, None, base & applying, inheriting & FILE_RIGHTS, fdflags)
            return _opened_directory(walk, write or truncate, base, inheriting, fdflags)
        except (WasiError, OSError) as error:
            if name is None or number_of(error) not in (Errno.LOOP, Errno.NOTDIR):
                raise
            if not (follow or walk.must_be_directory):
                raise
            if walk.directory.stat(name).filetype != SYMBOLIC_LINK:
                raise
        walk.follow()


def _opened_directory(walk: Walk, change: bool, base: int, inheriting: int, fdflags: int) -> Descriptor:
    directory = walk.directory.open_directory(walk.name)
    if change:
        directory.close()
        raise WasiError(Errno.ISDIR)
    return Descriptor(
        None,
        directory,
        base & DIRECTORY_RIGHTS,
        inheriting & (DIRECTORY_RIGHTS | FILE_RIGHTS),
        fdflags,
    )


def not_made(walk: Walk, missing: Errno = Errno.NOENT) -> Exception:
    """Return what to say of a path that ends in a slash where no directory is to be made."""
    try:
        found = walk.stat(follow=True)
    except (WasiError, OSError) as error:
        return WasiError(missing) if number_of(error) == Errno.NOENT else error
    return WasiError(Errno.EXIST if found.filetype == DIRECTORY else Errno.NOTDIR)
