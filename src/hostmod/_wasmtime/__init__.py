"""The one place that knows wasmtime-py's private C structures: a file for each thing of wasmtime's.

It reaches wasmtime's C API through the library that wasmtime-py has loaded. Importing it makes wasmtime-py's own ways
into a store do what hostmod's do (`patches`).
"""

from typing import Any

from hostmod._wasmtime import engine, patches, stack, store, views
from hostmod._wasmtime.capi import (
    CALLBACK,
    EXTERN_MEMORY,
    EXTERN_OF,
    EXTERN_SHAREDMEMORY,
    EXTERN_SIZE,
    RAW_SIZE,
    address_argument,
    addresses,
    bytes_argument,
    caller_context,
    core_name,
    extern_delete,
    func_call_unchecked,
    func_call_unchecked_held,
    function_type,
    memory_data,
    memory_data_size,
    memory_identity,
    prepared_data_size,
    prepared_export_get,
    size_of,
    type_address,
    wasmtime_version,
)
from hostmod._wasmtime.engine import fitting
from hostmod._wasmtime.externref import externref_from_raw
from hostmod._wasmtime.linker import (
    CoreTypes,
    Extern,
    Import,
    copy_linker,
    core_names,
    define_callback,
    export_of,
    exports_in_order,
    exports_of,
    imports_of,
    instantiate,
    linker_address,
    new_store,
    wasmtime_error,
)
from hostmod._wasmtime.store import context_of, engine_of, guard_of, keep_of, owns, raw_caller
from hostmod._wasmtime.traps import SPARE_MESSAGE, SPARE_TEXT, failure, raised, reraise, spares, trap
from hostmod._wasmtime.traps import check as check_handlers
from hostmod._wasmtime.views import array_at

__all__ = [
    "CALLBACK",
    "EXTERN_MEMORY",
    "EXTERN_OF",
    "EXTERN_SHAREDMEMORY",
    "EXTERN_SIZE",
    "RAW_SIZE",
    "SPARE_MESSAGE",
    "SPARE_TEXT",
    "CoreTypes",
    "Extern",
    "Import",
    "address_argument",
    "addresses",
    "array_at",
    "bytes_argument",
    "caller_context",
    "check_handlers",
    "context_of",
    "copy_linker",
    "core_name",
    "core_names",
    "define_callback",
    "engine",
    "engine_of",
    "export_of",
    "exports_in_order",
    "exports_of",
    "extern_delete",
    "externref_from_raw",
    "failure",
    "fitting",
    "func_call_unchecked",
    "func_call_unchecked_held",
    "function_type",
    "guard_of",
    "imports_of",
    "instantiate",
    "keep_of",
    "linker_address",
    "memory_data",
    "memory_data_size",
    "memory_identity",
    "new_store",
    "owns",
    "patches",
    "prepared_data_size",
    "prepared_export_get",
    "raised",
    "raw_caller",
    "reraise",
    "size_of",
    "spares",
    "stack",
    "store",
    "trap",
    "type_address",
    "verify",
    "views",
    "wasmtime_error",
    "wasmtime_version",
]

_selftest: Any = None


def verify() -> None:
    """Try what hostmod relies on in wasmtime, if that was not done in this process. Errors as of `selftest.verify`."""
    global _selftest  # noqa: PLW0603  # imported when it is first needed
    if _selftest is None:
        from hostmod._wasmtime import selftest

        _selftest = selftest
    _selftest.verify()
