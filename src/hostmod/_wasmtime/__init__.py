"""The one place that knows wasmtime-py's private C structures: a file for each thing of wasmtime's.

It reaches wasmtime's C API through the library that wasmtime-py has loaded. Importing it makes wasmtime-py's own ways
into a store do what hostmod's do (`patches`).
"""

from hostmod._wasmtime import patches, stack, store, views
from hostmod._wasmtime.engine import fitting
from hostmod._wasmtime.handlers import check as check_handlers
from hostmod._wasmtime.instances import export_of, exports_in_order, instantiate, new_store
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
from hostmod._wasmtime.modules import CoreTypes, Extern, Import, core_names, exports_of, imports_of
from hostmod._wasmtime.references import externref_from_raw
from hostmod._wasmtime.selftest import verify
from hostmod._wasmtime.signatures import core_name, function_type, type_address
from hostmod._wasmtime.store import context_of, engine_of, guard_of, keep_of, owns, raw_caller
from hostmod._wasmtime.structures import (
    EXTERN_MEMORY,
    EXTERN_OF,
    EXTERN_SHAREDMEMORY,
    EXTERN_SIZE,
    RAW_SIZE,
    WASMTIME_VERSION,
    memory_identity,
    size_of,
)
from hostmod._wasmtime.traps import SPARE_MESSAGE, SPARE_TEXT, failure, raised, reraise, spares, trap
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
    "WASMTIME_VERSION",
    "CoreTypes",
    "Extern",
    "Import",
    "address_argument",
    "addresses",
    "array_at",
    "bytes_argument",
    "caller_context",
    "caller_export_get",
    "check_handlers",
    "context_of",
    "core_name",
    "core_names",
    "define_callback",
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
]
