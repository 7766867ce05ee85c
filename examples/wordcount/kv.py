"""The host module `kv`: counts by key, kept in SQLite; kv.h is the same thing as a C guest sees it."""

from __future__ import annotations

import sqlite3

from hostmod import HostModule, function
from hostmod.types import Bytes, Error, List, Pointer, String, Uint32, Uint64, struct


@struct
class Entry:
    """A row of `Kv.top`; the key is ``text[start : start + length]`` of the buffer that is passed with the rows."""

    start: Uint32
    length: Uint32
    count: Uint64


class StoreFullError(Exception):
    """The key is new, and the store already holds as many keys as it may."""


# The guest's error numbers. They are the interface's own, as in kv.h, so that a guest means the same thing by them
# whatever system it runs on.
ENOENT, ENOSPC, EOVERFLOW, ENOBUFS = 2, 28, 75, 105


class Kv(
    HostModule,
    name="kv",
    # What the guest sees of each exception. Any other one is a bug: it traps the guest, and reaches the guest's caller.
    errors={
        KeyError: ENOENT,
        StoreFullError: ENOSPC,
        OverflowError: EOVERFLOW,  # SQLite's integers have 63 bits and a sign
        BufferError: ENOBUFS,
    },
):
    """Counts by key, in memory or in a file; `capacity` limits how many keys there may be."""

    def __init__(self, path: str = ":memory:", *, capacity: int | None = None) -> None:
        self._db = sqlite3.connect(path)
        self._db.execute("CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER)")
        self._capacity = capacity
        (self._size,) = self._db.execute("SELECT count(*) FROM counts").fetchone()

    @function
    def get(self, key: String, count: Pointer[Uint64]) -> Error:
        """Read one count. ENOENT: there is no such key; the count is left alone."""
        row = self._db.execute("SELECT count FROM counts WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        count.store(row[0])

    @function
    def set(self, key: String, count: Uint64) -> Error:
        """Store one count, whether the key is new or not.

        ENOSPC: the key is new, and the store is full. EOVERFLOW: the count takes more than 63 bits.
        """
        if self._db.execute("UPDATE counts SET count = ? WHERE key = ?", (count, key)).rowcount:
            return
        if self._size == self._capacity:
            raise StoreFullError(key)
        self._db.execute("INSERT INTO counts VALUES (?, ?)", (key, count))
        self._size += 1

    @function
    def top(self, rows: List[Entry], text: Bytes, filled: Pointer[Uint32]) -> Error:
        """Fill the rows with the highest counts, best first, and the text with their keys; `filled` says how many.

        ENOBUFS: the text is too small for their keys; try again with a larger one.
        """
        query = "SELECT key, count FROM counts ORDER BY count DESC, key LIMIT ?"
        found = [(key.encode(), count) for key, count in self._db.execute(query, (len(rows),))]
        if sum(len(key) for key, _ in found) > len(text):
            raise BufferError("text is too small for the keys")
        start = 0
        for row, (key, count) in zip(rows.pointers(), found, strict=False):
            text[start : start + len(key)] = key
            row.store(Entry(start, len(key), count))
            start += len(key)
        filled.store(len(found))

    @function
    def commit(self) -> Error:
        """Keep what was set since the last commit; without it, the store forgets it when it is closed."""
        self._db.commit()

    def counts(self) -> dict[str, int]:
        """Return all counts; for the host only, since no `@function` offers it to the guest."""
        return dict(self._db.execute("SELECT key, count FROM counts"))

    def close(self) -> None:
        """Close the database; what was not committed is gone."""
        self._db.close()
