"""The one place that knows wasmtime-py's private C structures: a file for each thing of wasmtime's, and this its face.

It reaches wasmtime's C API through the library that wasmtime-py has loaded. Importing it makes wasmtime-py's own ways
into a guest do what hostmod's do (`entries`), and makes its ways to change a store safe (`changes`).
"""

from hostmod._wasmtime import changes
from hostmod._wasmtime.entries import entries_raise_original
from hostmod._wasmtime.handlers import check as check_handlers
from hostmod._wasmtime.library import (
    CALLBACK,
    address_argument,
    addresses,
    bytes_argument,
    caller_context,
    caller_export_get,
    extern_delete,
    func_call_unchecked,
    func_call_unchecked_held,
    memory_data,
    memory_data_size,
    prepared_data_size,
    prepared_export_get,
)
from hostmod._wasmtime.linkers import define_callback, linker_address, wasmtime_error
from hostmod._wasmtime.moving import lends, lent, moved, watched
from hostmod._wasmtime.references import externref_from_raw, externrefs_to_raw
from hostmod._wasmtime.selftest import verify
from hostmod._wasmtime.signatures import core_name, function_type, type_address
from hostmod._wasmtime.stores import (
    context_address,
    engine_of,
    guard_of,
    hold_store,
    open_context,
    owns,
    raw_caller,
)
from hostmod._wasmtime.structures import (
    EXTERN_MEMORY,
    EXTERN_OF,
    EXTERN_SHAREDMEMORY,
    EXTERN_SIZE,
    RAW_SIZE,
    WASMTIME_VERSION,
    size_of,
)
from hostmod._wasmtime.traps import SPARE_MESSAGE, SPARE_TEXT, failure, raised, reraise, spares, trap
from hostmod._wasmtime.views import array_at, release_views
from hostmod._wasmtime.windows import Window

__all__ = [
    "CALLBACK",
    "EXTERN_MEMORY",
    "EXTERN_OF",
    "EXTERN_SHAREDMEMORY",
    "EXTERN_SIZE",
    "RAW_SIZE",
    "SPARE_MESSAGE",
    "SPARE_TEXT",
    "WASMTIME_VERSION",
    "Window",
    "address_argument",
    "addresses",
    "array_at",
    "bytes_argument",
    "caller_context",
    "caller_export_get",
    "changes",
    "check_handlers",
    "context_address",
    "core_name",
    "define_callback",
    "engine_of",
    "entries_raise_original",
    "extern_delete",
    "externref_from_raw",
    "externrefs_to_raw",
    "failure",
    "func_call_unchecked",
    "func_call_unchecked_held",
    "function_type",
    "guard_of",
    "hold_store",
    "lends",
    "lent",
    "linker_address",
    "memory_data",
    "memory_data_size",
    "moved",
    "open_context",
    "owns",
    "prepared_data_size",
    "prepared_export_get",
    "raised",
    "raw_caller",
    "release_views",
    "reraise",
    "size_of",
    "spares",
    "trap",
    "type_address",
    "verify",
    "wasmtime_error",
    "watched",
]
