from collections.abc import Callable
from typing import Any, Self

class Codec:
    def __new__(cls, struct: type | None, size: int, fields: tuple[tuple[Any, ...], ...], /) -> Self: ...

class View: ...

class Thunk:
    def __new__(
        cls,
        where: str,
        name: bytes,
        params: tuple[Any, ...],
        results: tuple[Any, ...],
        optional: bool,
        is_tuple: bool,
        errors: dict[type[BaseException], Any],
        errno_index: int,
        errno_slot: Any,
        fixed: object,
        /,
    ) -> Self: ...

class CallMemory:
    @property
    def size(self) -> int: ...
    def __len__(self) -> int: ...
    def _window(self) -> memoryview: ...
    def view(self, offset: int, length: int) -> memoryview: ...
    def _elements(self, offset: int, length: int, format: str, /) -> memoryview: ...
    def read(self, offset: int, length: int) -> bytes: ...
    def end(self, offset: int, length: int) -> int: ...

class PointerMethods:
    def load(self) -> Any: ...
    def store(self, value: Any) -> None: ...

class ListMethods:
    def __getitem__(self, index: Any) -> Any: ...

class Guard:
    context: int
    entries: int
    owner: int
    depth: int
    stack: int
    keeper: Any
    record: Any
    def release_unused_context(self) -> None: ...
    @property
    def inside(self) -> bool: ...
    @property
    def moving(self) -> set[Any]: ...
    @property
    def windows(self) -> dict[bytes, Any]: ...
    def __new__(cls, context: int = 0, stack: int = ..., /) -> Self: ...

class Entered:
    def __new__(cls, guard: Guard, where: str, runs: bool = True, /) -> Self: ...

class Handed:
    @property
    def _as_parameter_(self) -> Any: ...

class GuestCall:
    def __new__(
        cls,
        where: str,
        fallback: Callable[..., Any],
        keep: object,
        guard: Any,
        params: tuple[Any, ...],
        results: tuple[Any, ...],
        optional: bool,
        is_tuple: bool,
        errno_index: int,
        words: int,
        context: int,
        function: bytes,
        hold: bool,
        /,
    ) -> Self: ...
    def __call__(self, *arguments: Any) -> Any: ...

def classes(
    memory: type,
    pointer: type,
    list: type,
    load: Callable[..., Any],
    store: Callable[..., Any],
    getitem: Callable[..., Any],
    base: type,
    /,
) -> None: ...
def define_all(
    linker: int,
    rows: tuple[tuple[Any, bytes, bytes, int], ...],
    functions: tuple[Callable[..., Any], ...],
    receiver: object,
    keep: list[object] | None,
    /,
) -> tuple[int, int] | None: ...
def hand(guard: Guard, where: str, /) -> Any: ...
def setup(
    addresses: dict[str, int], helpers: dict[str, Any], spare_message: bytes, keeper: type, context: type, /
) -> None: ...
def opcodes() -> dict[str, int]: ...
def sizes() -> dict[str, int]: ...
