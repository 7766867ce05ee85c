"""Guest types: the annotations that signatures, structs and pointers are written with.

To a type checker each is the Python type it stands for: `Int32` is `int`, `String` is `str`, `Bytes` is `memoryview`.
"""

from hostmod.types.base import CoreType, GuestType, resolve
from hostmod.types.buffers import Array, ArrayType, Bytes, BytesType
from hostmod.types.directions import InOut, InOutType, Out, OutType, Owned, OwnedType
from hostmod.types.enums import EnumType, enum
from hostmod.types.formatting import format
from hostmod.types.json import Json, JsonType
from hostmod.types.pointer import List, ListType, NullablePointerType, Pointer, PointerType
from hostmod.types.references import Caller, CallerType, ExternRef, ExternRefType
from hostmod.types.results import Error, Optional, resolve_result
from hostmod.types.scalar import (
    Bool,
    BoolType,
    Duration,
    DurationType,
    Errno,
    ErrnoType,
    Float32,
    Float64,
    FloatType,
    Int8,
    Int16,
    Int32,
    Int64,
    IntegerType,
    ScalarType,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
)
from hostmod.types.structs import (
    Field,
    FixedArrayType,
    FixedBytesType,
    Length,
    StructType,
    fields,
    offsetof,
    sizeof,
    struct,
)
from hostmod.types.text import CString, CStringType, String, StringType

__all__ = [
    "Array",
    "ArrayType",
    "Bool",
    "BoolType",
    "Bytes",
    "BytesType",
    "CString",
    "CStringType",
    "Caller",
    "CallerType",
    "CoreType",
    "Duration",
    "DurationType",
    "EnumType",
    "Errno",
    "ErrnoType",
    "Error",
    "ExternRef",
    "ExternRefType",
    "Field",
    "FixedArrayType",
    "FixedBytesType",
    "Float32",
    "Float64",
    "FloatType",
    "GuestType",
    "InOut",
    "InOutType",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "IntegerType",
    "Json",
    "JsonType",
    "Length",
    "List",
    "ListType",
    "NullablePointerType",
    "Optional",
    "Out",
    "OutType",
    "Owned",
    "OwnedType",
    "Pointer",
    "PointerType",
    "ScalarType",
    "String",
    "StringType",
    "StructType",
    "Uint8",
    "Uint16",
    "Uint32",
    "Uint64",
    "enum",
    "fields",
    "format",
    "offsetof",
    "resolve",
    "resolve_result",
    "sizeof",
    "struct",
]
