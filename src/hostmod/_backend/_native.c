/* The native backend: one callback in C that runs any packed Plan.

   Overview
   --------
   wasmtime calls `callback` for every host function of every module. Its environment is a `Served`: the Python function
   to run, and a Thunk that says how. A Thunk is a Plan packed into an array of `Slot`s, one for each parameter and
   result, each with an operation code. `callback` takes the GIL; `serve` turns the call's stack into Python objects
   (`load_param`), calls, stores what comes back (`store_result`), and ends what the call handed out (`end_call`).

   Whatever a slot's code cannot do (a guest type of the user's, an int subclass, a value out of range) goes to Python,
   for that one value: `helpers[LOAD]` and `helpers[STORE]` run what the pure backend runs. So both give the
   same values and the same errors, and no message is written here.

   Guest memory is never held on to. `locate` asks wasmtime for its address and size before each access that could have
   seen a change; objects are copied out of it before Python objects are made of them, since making objects can run the
   garbage collector, and that anything. The only lasting pointers are those of `View`s, which Python sees as
   memoryviews: each belongs to one call and ends with it, and refers to the store's Keeper, so that the memory is there for
   as long as the View is, however it came to be kept.

   The other direction is `GuestCall`: Python values into slots, wasmtime_func_call_unchecked, slots into values.

   wasmtime is not linked against: `setup` is given the addresses of its functions, and the sizes of its structures as
   wasmtime-py knows them, and refuses if they are not those written here. Source: wasmtime's C API, val.h, func.h,
   extern.h, memory.h. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#define WITH_GIL 0 /* objects are seen by several threads at once: none is kept for the next call */
#else
#define WITH_GIL 1
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#define THREAD_LOCAL __declspec(thread)
#define STACK_NOW() ((uintptr_t)_AddressOfReturnAddress())
static inline long count_down(volatile long *count) { return _InterlockedDecrement(count); }
static inline void count_up(volatile long *count) { _InterlockedIncrement(count); }
static inline uint64_t next_number(volatile uint64_t *last) { return (uint64_t)_InterlockedIncrement64((volatile long long *)last); }
static inline unsigned long load_owner(volatile unsigned long *owner) { return (unsigned long)_InterlockedOr((volatile long *)owner, 0); }
static inline void store_owner(volatile unsigned long *owner, unsigned long thread) { _InterlockedExchange((volatile long *)owner, (long)thread); }
static inline bool claim_owner(volatile unsigned long *owner, unsigned long thread) { return _InterlockedCompareExchange((volatile long *)owner, (long)thread, 0) == 0; }
#else
#define THREAD_LOCAL _Thread_local
#define STACK_NOW() ((uintptr_t)__builtin_frame_address(0)) /* not a variable's: sanitizers keep those elsewhere */
static inline long count_down(long *count) { return __atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL); }
static inline void count_up(long *count) { __atomic_add_fetch(count, 1, __ATOMIC_RELAXED); }
static inline uint64_t next_number(uint64_t *last) { return __atomic_add_fetch(last, 1, __ATOMIC_RELAXED); }
static inline unsigned long load_owner(unsigned long *owner) { return __atomic_load_n(owner, __ATOMIC_RELAXED); }
static inline void store_owner(unsigned long *owner, unsigned long thread) { __atomic_store_n(owner, thread, __ATOMIC_RELEASE); }
static inline bool claim_owner(unsigned long *owner, unsigned long thread) {
    unsigned long nobody = 0;
    return __atomic_compare_exchange_n(owner, &nobody, thread, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
#endif

/* ------------------------------------------------------------------------------------------- wasmtime's structures */

typedef union {
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    float f32;
    double f64;
    unsigned char v128[16];
} raw_t; /* wasmtime_val_raw_t */

typedef struct {
    uint8_t kind;
    uint64_t of[3];
} extern_t; /* wasmtime_extern_t; `of` holds the 24 bytes of a wasmtime_memory_t */

typedef struct {
    uint64_t words[2];
} func_t; /* wasmtime_func_t */

typedef struct {
    uint64_t words[3];
} root_t; /* room for a wasmtime_externref_t: a reference that is rooted, all zeros for null */

enum { EXTERN_MEMORY = 3, EXTERN_SHAREDMEMORY = 4 };

/* What a wasmtime_caller_t * points to. wasmtime does not publish it, so nothing but `known_memory` reads it, and that
   believes it only where it agrees with what wasmtime does publish. */
typedef struct {
    void *context;
    uint64_t store;
    uint32_t instance;
} caller_t;

static struct {
    void *(*caller_context)(void *caller);
    bool (*caller_export_get)(void *caller, const char *name, size_t length, extern_t *item);
    unsigned char *(*memory_data)(void *context, const void *memory);
    size_t (*memory_data_size)(void *context, const void *memory);
    void (*extern_delete)(extern_t *item);
    void *(*func_call_unchecked)(void *context, const func_t *func, raw_t *slots, size_t count, void **trap);
    void *(*trap_new)(const char *message, size_t length);
    void (*externref_from_raw)(void *context, uint32_t raw, void *root);
    uint32_t (*externref_to_raw)(void *context, const void *root);
    void (*externref_unroot)(void *root);
    void (*externref_unroot_in)(void *context, void *root); /* until wasmtime 37, in its place */
    void *(*linker_define)(void *linker, const char *module, size_t module_length, const char *name, size_t name_length,
                           const void *type, void *callback, void *env, void (*finalizer)(void *));
} wt;

/* ------------------------------------------------------------------------------------------------- operation codes */

/* Each is named here, and nowhere else: Python asks for them (`opcodes`). CODEC is done by helpers[LOAD] and
   helpers[STORE], VIEW is of Bytes and Array, NULLABLE a pointer or None, STRUCT in Codecs only. */
#define OPCODES(X)                                                                                                     \
    X(CODEC) X(I8) X(U8) X(I16) X(U16) X(I32) X(U32) X(I64) X(U64) X(F32) X(F64) X(BOOL) X(STRING) X(CSTRING) X(VIEW)  \
    X(POINTER) X(NULLABLE) X(LIST) X(ENUM) X(DURATION) X(EXTERNREF) X(CALLER) X(STRUCT)
#define OP_ENUMERATOR(name) OP_##name,
enum { OPCODES(OP_ENUMERATOR) OP_COUNT };
#undef OP_ENUMERATOR

/* ------------------------------------------------------------------------------------- what Python does, when asked */

enum {
    LOAD,           /* (where, slot, memory, words) -> value */
    STORE,          /* (where, slot, memory, value) -> words */
    FAULT,          /* (offset, length, size): raises */
    INVALID_STRING, /* (offset, bytes, errors): raises */
    MISSING,        /* (where, name, kind or -1): raises */
    STALE,          /* (): raises */
    ELSEWHERE,      /* (): raises */
    BAD_NONE,       /* (where, result): raises */
    BAD_TUPLE,      /* (where, result, count): raises */
    ERRNO,          /* (error, table) -> int or None */
    TRAP,           /* (where, error) -> address of a trap */
    ESCAPED,        /* (where, count): raises */
    MOVES,          /* (context, bytes of a wasmtime_memory_t) -> whether that memory can move */
    END_MOVING,     /* (set, where): raises if something in the set cannot be ended */
    GUARD,          /* (context) -> Guard or None */
    WATCH,          /* (context, view): has the store refuse to run its guest while the view is there */
    NESTED,         /* (): raises */
    STACK,          /* (where, left, need): raises */
    CALLER,         /* (memory, address) -> Caller */
    REFERENCE,      /* (context, address of a root) -> object */
    MAKE_ROOT,      /* (context, object, address of a root that is all zeros) */
    DROP,           /* (): lets go of what is in `dropped` */
    DROPPED,        /* no function: handles of objects that guests let go of */
    FAIL,           /* (error address, trap address): raises */
    BUSY,           /* (where): raises */
    RAISE_ERRNO,    /* (number): raises */
    RAISED,         /* no function: what the entry beneath this call raises, as `error`, if the trap says `message` */
    HELPER_COUNT
};

static const char *const helper_names[HELPER_COUNT] = {
    "load", "store",  "fault",  "invalid_string", "missing",   "stale",      "elsewhere", "bad_none", "bad_tuple",
    "errno", "trap", "escaped", "moves", "end_moving", "guard", "watch", "nested", "stack", "caller", "reference", "make_root", "drop", "dropped", "fail", "busy",
    "raise_errno", "raised",
};
static PyObject *helpers[HELPER_COUNT];
static PyObject *keeper_class; /* what keeps a store's memory: `_wasmtime.store.Keeper` */
static PyObject *spare_text, *str_error, *str_message;
static PyObject *spare_message; /* bytes: what a trap says when not even helpers[TRAP] could run */

static PyTypeObject *pointer_class; /* subclasses of Python's Pointer, List and Memory, with the methods below */
static PyTypeObject *list_class;
static PyTypeObject *memory_class;
static Py_ssize_t pointer_memory, pointer_offset, pointer_type; /* where Pointer keeps its slots */
static Py_ssize_t list_pointer, list_length;
static PyObject *pointer_load, *pointer_store, *list_getitem; /* Python's own methods, for what is not done here */
static PyObject *memory_base;                                /* Python's own Memory, likewise */
static PyObject *str_native, *str_release, *str_memory, *str_offset, *str_type, *str_pointer, *str_length, *str_end;
static PyObject *zero;

static PyObject *ask(int helper, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    PyObject *tuple = Py_VaBuildValue(format, arguments);
    va_end(arguments);
    if (tuple == NULL)
        return NULL;
    PyObject *result = PyObject_CallObject(helpers[helper], tuple);
    Py_DECREF(tuple);
    return result;
}

static inline void unroot(void *context, root_t *root) {
    if (wt.externref_unroot_in != NULL)
        wt.externref_unroot_in(context, root);
    else
        wt.externref_unroot(root);
}

/* Ask for an exception to be raised; returns NULL always. */
static PyObject *refuse(PyObject *answer) {
    if (answer != NULL) {
        Py_DECREF(answer);
        PyErr_SetNone(PyExc_SystemError);
    }
    return NULL;
}

static PyObject *fault(uint64_t offset, uint64_t length, size_t size) {
    return refuse(ask(FAULT, "(KKn)", (unsigned long long)offset, (unsigned long long)length, (Py_ssize_t)size));
}

static PyObject *take_error(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (type == NULL)
        return NULL;
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(value, trace);
        Py_DECREF(trace);
    }
    Py_DECREF(type);
    return value;
#endif
}

static void put_error(PyObject *error) {
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

/* Find an item of a dict: a new reference, or NULL, with an exception only if looking failed. */
static PyObject *item_of(PyObject *dict, PyObject *key) {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *found;
    PyDict_GetItemRef(dict, key, &found);
    return found;
#else
    return Py_XNewRef(PyDict_GetItemWithError(dict, key));
#endif
}

static bool takes(Py_ssize_t count, Py_ssize_t expected) {
    if (count != expected)
        PyErr_SetNone(PyExc_TypeError);
    return count == expected;
}

static inline PyObject **slot_at(PyObject *object, Py_ssize_t offset) { return (PyObject **)((char *)object + offset); }

/* Get what a slot of an object holds, as a new reference, or NULL with no exception. */
static inline PyObject *held_at(PyObject *object, Py_ssize_t offset, PyObject *name) {
#if WITH_GIL
    (void)name;
    return Py_XNewRef(*slot_at(object, offset));
#else
    PyObject *found = PyObject_GetAttr(object, name);
    (void)offset;
    if (found == NULL)
        PyErr_Clear();
    return found;
#endif
}

/* ------------------------------------------------------------------------------------------------------------ views */

/* The exporter of a memoryview of guest memory. It belongs to one call, and gives no other memoryview once that has ended.
   What Python made of it may still be there then: as long as the View is, its Keeper is, and so the memory. */
typedef struct {
    PyObject_HEAD
    unsigned char *data;
    bool ended;
    Py_ssize_t length;
    Py_ssize_t step;
    Py_ssize_t count;
    char *format;
    PyObject *keeper;
    PyObject *weak;
} View;

/* A text of one letter for each. A memoryview goes on using the text after it was released: it belongs to no View. */
static char formats[128][2];

static int view_getbuffer(View *self, Py_buffer *buffer, int flags) {
    if (self->ended) {
        buffer->obj = NULL;
        refuse(ask(STALE, "()"));
        return -1;
    }
    self->count = self->length / self->step;
    buffer->buf = self->data;
    buffer->obj = Py_NewRef((PyObject *)self);
    buffer->len = self->length;
    buffer->readonly = 0;
    buffer->itemsize = self->step;
    buffer->format = (flags & PyBUF_FORMAT) ? self->format : NULL;
    buffer->ndim = 1;
    buffer->shape = (flags & PyBUF_ND) ? &self->count : NULL;
    buffer->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &self->step : NULL;
    buffer->suboffsets = NULL;
    buffer->internal = NULL;
    return 0;
}

static void view_dealloc(View *self) {
    if (self->weak != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    Py_XDECREF(self->keeper);
    PyObject_Free(self);
}

static PyBufferProcs view_buffer = {(getbufferproc)view_getbuffer, NULL};

static PyTypeObject ViewType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.View",
    .tp_basicsize = sizeof(View),
    .tp_dealloc = (destructor)view_dealloc,
    .tp_as_buffer = &view_buffer,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_weaklistoffset = offsetof(View, weak),
};

static View *view_new(unsigned char *data, Py_ssize_t length, char format, Py_ssize_t step, PyObject *keeper) {
    static unsigned char nothing[1];
    View *self = PyObject_New(View, &ViewType);
    if (self == NULL)
        return NULL;
    self->data = data != NULL ? data : nothing; /* an empty memory has no address */
    self->ended = false;
    self->length = length;
    self->step = step;
    self->format = formats[(unsigned char)format & 127];
    self->keeper = Py_XNewRef(keeper);
    self->weak = NULL;
    return self;
}

/* ------------------------------------------------------------------------------------------- objects in guest memory */

typedef struct Codec Codec;

typedef struct {
    int op;
    Py_ssize_t offset; /* in the struct, in bytes */
    Py_ssize_t slot;   /* in the Python instance */
    PyObject *name;    /* of that slot */
    PyObject *extra;   /* of an enum, its members by number; of a Duration, its class */
    PyObject *cls;     /* of an enum, its class */
    Codec *codec;      /* of a nested struct */
} Field;

/* How objects of one guest type are read and written: a scalar (one field), or a struct of fields. */
struct Codec {
    PyObject_HEAD
    PyTypeObject *cls; /* of a struct; NULL for a scalar */
    Py_ssize_t size;
    Py_ssize_t count;
    Field *fields;
};

static const Py_ssize_t op_size[OP_COUNT] = {[OP_I8] = 1,  [OP_U8] = 1,  [OP_I16] = 2, [OP_U16] = 2, [OP_I32] = 4,
                                             [OP_U32] = 4, [OP_I64] = 8, [OP_U64] = 8, [OP_F32] = 4, [OP_F64] = 8,
                                             [OP_BOOL] = 1, [OP_DURATION] = 8};

/* Make the Python object of a number in memory. `data` is the host's own copy. */
static PyObject *number_load(int op, const unsigned char *data) {
    union {
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
    } value;
    memcpy(&value, data, (size_t)op_size[op]);
    switch (op) {
    case OP_I8:
        return PyLong_FromLong((int8_t)data[0]);
    case OP_U8:
        return PyLong_FromLong(data[0]);
    case OP_I16:
        return PyLong_FromLong(value.i16);
    case OP_U16:
        return PyLong_FromLong(value.u16);
    case OP_I32:
        return PyLong_FromLong(value.i32);
    case OP_U32:
        return PyLong_FromUnsignedLongLong(value.u32);
    case OP_I64:
    case OP_DURATION:
        return PyLong_FromLongLong(value.i64);
    case OP_U64:
        return PyLong_FromUnsignedLongLong(value.u64);
    case OP_F32:
        return PyFloat_FromDouble(value.f32);
    case OP_F64:
        return PyFloat_FromDouble(value.f64);
    case OP_BOOL:
        return PyBool_FromLong(data[0]);
    }
    PyErr_SetNone(PyExc_SystemError);
    return NULL;
}

/* Read an int that CPython keeps in one digit, as it does nearly all. Returns whether it is one. */
static inline bool small_int(PyObject *value, int64_t *number) {
#if PY_VERSION_HEX >= 0x030C0000
    if (!PyUnstable_Long_IsCompact((PyLongObject *)value))
        return false;
    *number = PyUnstable_Long_CompactValue((PyLongObject *)value);
#else
    Py_ssize_t size = Py_SIZE(value);
    if (size < -1 || size > 1)
        return false;
    *number = size * (int64_t)((PyLongObject *)value)->ob_digit[0];
#endif
    return true;
}

/* Write an integer's bytes, if it is in range. Returns whether it was. */
static bool integer_store(int op, unsigned char *data, int64_t number) {
    switch (op) {
    case OP_I8:
        if (number < INT8_MIN || number > INT8_MAX)
            return false;
        break;
    case OP_U8:
        if (number < 0 || number > UINT8_MAX)
            return false;
        break;
    case OP_I16:
        if (number < INT16_MIN || number > INT16_MAX)
            return false;
        break;
    case OP_U16:
        if (number < 0 || number > UINT16_MAX)
            return false;
        break;
    case OP_I32:
        if (number < INT32_MIN || number > INT32_MAX)
            return false;
        break;
    case OP_U32:
        if (number < 0 || number > UINT32_MAX)
            return false;
        break;
    case OP_U64:
        if (number < 0)
            return false;
        break;
    case OP_I64:
    case OP_DURATION:
        break;
    default:
        return false;
    }
    memcpy(data, &number, (size_t)op_size[op]); /* little-endian hosts only: wasmtime-py knows no others */
    return true;
}

/* Write a number's bytes, if the value is of the exact type and in range. Returns whether it was; raises nothing. */
static bool number_store(int op, unsigned char *data, PyObject *value) {
    switch (op) {
    case OP_F32:
    case OP_F64: {
        double number;
        if (PyFloat_CheckExact(value)) {
            number = PyFloat_AS_DOUBLE(value);
        } else if (PyLong_CheckExact(value)) {
            number = PyLong_AsDouble(value);
            if (number == -1.0 && PyErr_Occurred()) {
                PyErr_Clear();
                return false;
            }
        } else {
            return false;
        }
        if (op == OP_F64) {
            memcpy(data, &number, 8);
            return true;
        }
        float narrow = (float)number;
        if (Py_IS_INFINITY(narrow) && !Py_IS_INFINITY(number))
            return false;
        memcpy(data, &narrow, 4);
        return true;
    }
    case OP_BOOL:
        if (!PyBool_Check(value))
            return false;
        data[0] = value == Py_True;
        return true;
    }
    if (!PyLong_Check(value) || (!PyLong_CheckExact(value) && op != OP_DURATION && !PyBool_Check(value)))
        return false;
    int64_t number;
    if (small_int(value, &number))
        return integer_store(op, data, number);
    if (op == OP_U64) {
        uint64_t large = PyLong_AsUnsignedLongLong(value);
        if (large == UINT64_MAX && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        memcpy(data, &large, 8);
        return true;
    }
    int overflow;
    number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0)
        return false;
    if (number == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return integer_store(op, data, number);
}

/* Write the number of an enum's member, which is an int of that class. */
static bool member_store(int op, PyObject *cls, unsigned char *data, PyObject *value) {
    int overflow;
    if ((PyObject *)Py_TYPE(value) != cls)
        return false;
    int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0 || (number == -1 && PyErr_Occurred())) {
        PyErr_Clear();
        return false; /* of an unsigned 64-bit number, say */
    }
    return integer_store(op, data, number);
}

static PyObject *codec_load(Codec *self, const unsigned char *data);
static bool codec_store(Codec *self, unsigned char *data, PyObject *value);

/* Make the object of one field; NULL without an exception if Python has to. */
static PyObject *field_load(const Field *field, const unsigned char *data) {
    if (field->op == OP_STRUCT)
        return codec_load(field->codec, data);
    PyObject *number = number_load(field->op, data);
    if (number == NULL || field->extra == NULL)
        return number;
    PyObject *result = NULL;
    if (field->op == OP_DURATION) {
        result = PyObject_CallOneArg(field->extra, number);
    } else {
        result = item_of(field->extra, number);
    }
    Py_DECREF(number);
    return result;
}

static bool field_store(const Field *field, unsigned char *data, PyObject *value) {
    if (field->op == OP_STRUCT)
        return codec_store(field->codec, data, value);
    if (field->cls != NULL)
        return member_store(field->op, field->cls, data, value);
    return number_store(field->op, data, value);
}

/* Make an object from its bytes; NULL without an exception if Python has to. */
static PyObject *codec_load(Codec *self, const unsigned char *data) {
    if (self->cls == NULL)
        return field_load(&self->fields[0], data);
    PyObject *object = self->cls->tp_alloc(self->cls, 0);
    if (object == NULL)
        return NULL;
    for (Py_ssize_t index = 0; index < self->count; index++) {
        const Field *field = &self->fields[index];
        PyObject *value = field_load(field, data + field->offset);
        if (value == NULL) {
            Py_DECREF(object);
            return NULL;
        }
        *slot_at(object, field->slot) = value;
    }
    return object;
}

/* Write an object's bytes, `data` being zeros; returns whether it could, raises nothing. */
static bool codec_store(Codec *self, unsigned char *data, PyObject *value) {
    if (self->cls == NULL)
        return field_store(&self->fields[0], data, value);
    if (Py_TYPE(value) != self->cls)
        return false;
    for (Py_ssize_t index = 0; index < self->count; index++) {
        const Field *field = &self->fields[index];
        PyObject *item = held_at(value, field->slot, field->name);
        bool fits = item != NULL && field_store(field, data + field->offset, item);
        Py_XDECREF(item);
        if (!fits)
            return false;
    }
    return true;
}

/* A codec refers to classes, and their guest types to it: the garbage collector has to see through it. It clears others
   in such a cycle, never a codec, which may be in use. */
static int codec_traverse(Codec *self, visitproc visit, void *arg) {
    for (Py_ssize_t index = 0; index < self->count; index++) {
        Py_VISIT(self->fields[index].extra);
        Py_VISIT(self->fields[index].cls);
        Py_VISIT(self->fields[index].codec);
    }
    Py_VISIT(self->cls);
    return 0;
}

static void codec_dealloc(Codec *self) {
    PyObject_GC_UnTrack(self);
    for (Py_ssize_t index = 0; index < self->count; index++) {
        Py_XDECREF(self->fields[index].name);
        Py_XDECREF(self->fields[index].extra);
        Py_XDECREF(self->fields[index].cls);
        Py_XDECREF(self->fields[index].codec);
    }
    PyMem_Free(self->fields);
    Py_XDECREF(self->cls);
    PyObject_GC_Del(self);
}

static PyTypeObject CodecType;

/* Codec(cls or None, size, ((op, offset, name, extra, cls, codec), ...)) */
static PyObject *codec_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)type;
    (void)keywords;
    PyObject *cls, *fields;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "OnO!", &cls, &size, &PyTuple_Type, &fields))
        return NULL;
    Codec *self = PyObject_GC_New(Codec, &CodecType);
    if (self == NULL)
        return NULL;
    self->cls = cls == Py_None ? NULL : (PyTypeObject *)Py_NewRef(cls);
    self->size = size;
    self->count = 0;
    self->fields = PyMem_Calloc((size_t)PyTuple_GET_SIZE(fields) + 1, sizeof(Field));
    if (self->fields == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(fields); index++) {
        Field *field = &self->fields[index];
        PyObject *name, *extra, *enumeration, *codec;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(fields, index), "inOOOO", &field->op, &field->offset, &name, &extra,
                              &enumeration, &codec))
            goto failed;
        if (self->cls != NULL) {
            PyObject *member = PyObject_GetAttr((PyObject *)self->cls, name);
            if (member == NULL)
                goto failed;
            bool plain = Py_TYPE(member) == &PyMemberDescr_Type &&
                         ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
            if (plain)
                field->slot = ((PyMemberDescrObject *)member)->d_member->offset;
            Py_DECREF(member);
            if (!plain) {
                PyErr_SetObject(PyExc_TypeError, name);
                goto failed;
            }
        }
        bool nested = field->op == OP_STRUCT;
        if (nested ? Py_TYPE(codec) != &CodecType : (field->op < OP_I8 || field->op >= OP_COUNT || op_size[field->op] == 0)) {
            PyErr_SetObject(PyExc_TypeError, name);
            goto failed;
        }
        field->name = Py_NewRef(name);
        field->extra = extra == Py_None ? NULL : Py_NewRef(extra);
        field->cls = enumeration == Py_None ? NULL : Py_NewRef(enumeration);
        field->codec = nested ? (Codec *)Py_NewRef(codec) : NULL;
        self->count++;
        if (field->offset < 0 || field->offset + (nested ? field->codec->size : op_size[field->op]) > size) {
            PyErr_SetObject(PyExc_ValueError, name);
            goto failed;
        }
    }
    PyObject_GC_Track(self);
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static PyTypeObject CodecType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.Codec",
    .tp_basicsize = sizeof(Codec),
    .tp_dealloc = (destructor)codec_dealloc,
    .tp_traverse = (traverseproc)codec_traverse,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = codec_new,
};

/* ------------------------------------------------------------------------------------------------------------ plans */

typedef struct {
    int op;
    int base;          /* of an enum, the op of its number */
    Py_ssize_t index;  /* of its first core value */
    Py_ssize_t step;   /* bytes of an element: of a view, or of a list */
    Py_ssize_t root;   /* of a reference among the parameters, the how manieth it is */
    char format;       /* of a view */
    const char *cores; /* one letter for each core value: i l f d e */
    const char *errors;
    PyObject *slot;  /* the plan's own Slot, for the helpers */
    PyObject *extra; /* of a pointer or list, its element's type; of an enum, its members; of a Duration, its class */
    PyObject *cls;   /* of an enum, its class */
    PyObject *packed;
    Codec *codec;    /* of a pointer's element, if there is one */
    PyObject *spare; /* a Pointer that nobody kept, for the next call */
} Slot;

/* A Plan, packed. */
typedef struct {
    PyObject *where;
    Slot *params, *results;
    Py_ssize_t param_count, result_count, errno_index;
    bool optional, is_tuple;
} Plan;

typedef struct {
    PyObject_HEAD
    Plan plan;
    PyObject *name; /* bytes: the export that the memory is found by */
    PyObject *errors;
    PyObject *errno_slot;
    PyObject *fixed; /* None, or (bytes of a wasmtime_extern_t, callable that returns the context it belongs to) */
    PyObject *spare; /* a CallMemory that nobody kept, for the next call */
    uint64_t number; /* its own, never given again in the process */
    Py_ssize_t references, returned; /* how many parameters, and results, are references */
} Thunk;

static uint64_t thunk_numbers;

static int slots_traverse(Slot *slots, Py_ssize_t count, visitproc visit, void *arg) {
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_VISIT(slots[index].slot);
        Py_VISIT(slots[index].extra);
        Py_VISIT(slots[index].cls);
        Py_VISIT(slots[index].packed);
        Py_VISIT(slots[index].codec);
        Py_VISIT(slots[index].spare);
    }
    return 0;
}

static void slots_clear(Slot *slots, Py_ssize_t count) {
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_XDECREF(slots[index].slot);
        Py_XDECREF(slots[index].extra);
        Py_XDECREF(slots[index].cls);
        Py_XDECREF(slots[index].packed);
        Py_XDECREF(slots[index].codec);
        Py_XDECREF(slots[index].spare);
    }
    PyMem_Free(slots);
}

/* Unpack ((op, base, index, step, format, cores, errors, slot, extra, cls), ...). */
static Slot *slots_of(PyObject *packed, Py_ssize_t *count) {
    Py_ssize_t length = PyTuple_GET_SIZE(packed);
    Slot *slots = PyMem_Calloc((size_t)length + 1, sizeof(Slot));
    if (slots == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t index = 0; index < length; index++) {
        Slot *slot = &slots[index];
        PyObject *item = PyTuple_GET_ITEM(packed, index), *object, *extra, *cls;
        int format;
        if (!PyArg_ParseTuple(item, "iinnCssOOO", &slot->op, &slot->base, &slot->index, &slot->step, &format,
                              &slot->cores, &slot->errors, &object, &extra, &cls)) {
            slots_clear(slots, index);
            return NULL;
        }
        slot->format = (char)format;
        slot->slot = Py_NewRef(object);
        slot->extra = Py_NewRef(extra);
        slot->cls = Py_NewRef(cls);
        slot->packed = Py_NewRef(item); /* owns the bytes of `cores` and `errors` */
        PyObject *codec = extra != Py_None ? PyObject_GetAttr(extra, str_native) : NULL;
        if (codec == NULL)
            PyErr_Clear();
        else if (Py_TYPE(codec) == &CodecType)
            slot->codec = (Codec *)codec;
        else
            Py_DECREF(codec);
    }
    *count = length;
    return slots;
}

/* Fill in a plan that is all zeros; false with an exception, and the plan as far as it got. */
static bool plan_of(Plan *plan, PyObject *where, PyObject *params, PyObject *results) {
    plan->where = Py_NewRef(where);
    plan->params = slots_of(params, &plan->param_count);
    if (plan->params != NULL)
        plan->results = slots_of(results, &plan->result_count);
    return plan->results != NULL;
}

static int plan_traverse(Plan *plan, visitproc visit, void *arg) {
    int stop = slots_traverse(plan->params, plan->param_count, visit, arg);
    return stop != 0 ? stop : slots_traverse(plan->results, plan->result_count, visit, arg);
}

static void plan_clear(Plan *plan) {
    slots_clear(plan->params, plan->param_count);
    slots_clear(plan->results, plan->result_count);
    Py_XDECREF(plan->where);
}

static int thunk_traverse(Thunk *self, visitproc visit, void *arg) {
    int stop = plan_traverse(&self->plan, visit, arg);
    if (stop != 0)
        return stop;
    Py_VISIT(self->errors);
    Py_VISIT(self->errno_slot);
    Py_VISIT(self->fixed);
    Py_VISIT(self->spare);
    return 0;
}

static void thunk_dealloc(Thunk *self) {
    PyObject_GC_UnTrack(self);
    plan_clear(&self->plan);
    Py_XDECREF(self->name);
    Py_XDECREF(self->errors);
    Py_XDECREF(self->errno_slot);
    Py_XDECREF(self->fixed);
    Py_XDECREF(self->spare);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Thunk(where, name, params, results, optional, is_tuple, errors, errno_index, errno_slot, fixed) */
static PyObject *thunk_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)keywords;
    PyObject *where, *name, *params, *results, *errors, *errno_slot, *fixed;
    int optional, is_tuple;
    Py_ssize_t errno_index;
    if (!PyArg_ParseTuple(arguments, "OSO!O!ppOnOO", &where, &name, &PyTuple_Type, &params, &PyTuple_Type, &results,
                          &optional, &is_tuple, &errors, &errno_index, &errno_slot, &fixed))
        return NULL;
    Thunk *self = (Thunk *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->name = Py_NewRef(name);
    self->errors = Py_NewRef(errors);
    self->errno_slot = Py_NewRef(errno_slot);
    self->fixed = Py_NewRef(fixed);
    self->number = next_number(&thunk_numbers);
    self->plan.optional = optional;
    self->plan.is_tuple = is_tuple;
    self->plan.errno_index = errno_index;
    if (!plan_of(&self->plan, where, params, results)) {
        Py_DECREF(self);
        return NULL;
    }
    for (Py_ssize_t index = 0; index < self->plan.param_count; index++)
        if (self->plan.params[index].op == OP_EXTERNREF)
            self->plan.params[index].root = self->references++;
    for (Py_ssize_t index = 0; index < self->plan.result_count; index++)
        self->returned += self->plan.results[index].op == OP_EXTERNREF;
    return (PyObject *)self;
}

static PyTypeObject ThunkType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.Thunk",
    .tp_basicsize = sizeof(Thunk),
    .tp_dealloc = (destructor)thunk_dealloc,
    .tp_traverse = (traverseproc)thunk_traverse,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = thunk_new,
};

/* ------------------------------------------------------------------------------------------------- who is in a store */

/* The lowest address of this thread's stack: 0 if it was not asked for yet, 1 where the system does not tell. */
static THREAD_LOCAL uintptr_t stack_low;

enum { STACK_MARGIN = 128 * 1024, STACK_NESTED = 64 * 1024 }; /* as in _wasmtime/stack.py */

#if defined(_WIN32)
#include <windows.h>
static uintptr_t find_stack_low(void) {
    ULONG_PTR low = 0, high = 0;
    GetCurrentThreadStackLimits(&low, &high);
    return low != 0 ? (uintptr_t)low : 1;
}
#elif defined(__APPLE__)
#include <pthread.h>
static uintptr_t find_stack_low(void) {
    pthread_t self = pthread_self();
    return (uintptr_t)pthread_get_stackaddr_np(self) - pthread_get_stacksize_np(self);
}
#elif defined(__linux__)
#include <pthread.h>
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes); /* pthread.h has it with _GNU_SOURCE only */
static uintptr_t find_stack_low(void) {
    pthread_attr_t attributes;
    void *address = NULL;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return 1;
    if (pthread_attr_getstack(&attributes, &address, &size) != 0)
        address = NULL;
    pthread_attr_destroy(&attributes);
    return address != NULL ? (uintptr_t)address : 1;
}
#else
static uintptr_t find_stack_low(void) { return 1; }
#endif

/* Which thread is inside a store, and how many calls deep. `owner` is claimed by compare-and-swap; all else belongs to the
   thread that is inside, but for `context`, which anyone may look at to see if the store is closed. */
typedef struct Guard {
    PyObject_HEAD
    unsigned long long context; /* the store's, 0 for what is no open store */
    unsigned long long entries; /* how often it was entered */
    unsigned long owner;
    Py_ssize_t depth;
    Py_ssize_t stack;      /* bytes of native stack that its engine lets a guest use */
    PyObject *keeper;      /* what keeps its memory, or NULL while nothing has shown it */
    PyObject *moving;      /* a set of what shows memory that can move, or NULL */
    PyObject *windows;     /* a dict of windows on its memories, or NULL */
    PyObject *record;      /* the wasmtime_context_t, as ctypes has it */
    struct Handed *handed; /* a context that this thread was handed and has not passed to wasmtime yet; borrowed */
    struct Guard *outside; /* in `inside`, the one that this thread has entered before */
} Guard;

static PyTypeObject GuardType;

static THREAD_LOCAL Guard *inside;       /* the stores that this thread is inside, the last first */
static THREAD_LOCAL Py_ssize_t entered; /* how many times it has entered one and not left */
static void take_back(Guard *self);

typedef struct Call Call;
static THREAD_LOCAL Call *showing; /* calls under way that have handed out views of memory that can move */
static bool end_showing(unsigned long long context, PyObject *where);

static void guard_leave(Guard *self) {
    entered--;
    if (--self->depth > 0)
        return;
    Guard **link = &inside;
    while (*link != NULL && *link != self)
        link = &(*link)->outside;
    if (*link == NULL)
        return; /* let go in another thread, which cannot leave for this one: it stays claimed */
    *link = self->outside;
    store_owner(&self->owner, 0);
}

/* Claim a store for this thread; if its guest may run (`runs`), see that it can. False with an exception. This is the one
   way in: of guest calls, and of whatever asks for a store's context. */
static bool guard_enter(Guard *self, PyObject *where, bool runs) {
    unsigned long thread = PyThread_get_thread_ident();
    bool first = load_owner(&self->owner) != thread;
    if (!first && self->handed != NULL && self->depth == 1) {
        take_back(self);
        first = true;
    }
    if (runs) {
        if (stack_low == 0)
            stack_low = find_stack_low();
        if (stack_low > 1) {
            Py_ssize_t left = (Py_ssize_t)(STACK_NOW() - stack_low);
            Py_ssize_t need = first ? self->stack + STACK_MARGIN : STACK_NESTED;
            if (left < need) {
                refuse(ask(STACK, "(Onn)", where, left, need));
                return false;
            }
        }
    }
    if (first) {
        if (!claim_owner(&self->owner, thread)) {
            refuse(ask(BUSY, "(O)", where));
            return false;
        }
        self->outside = inside;
        inside = self;
    }
    self->depth++;
    entered++;
    if (runs) {
        self->entries++;
        bool fine = showing == NULL || end_showing(self->context, where);
        if (fine && self->context != 0 && self->moving != NULL && PySet_GET_SIZE(self->moving) > 0) {
            PyObject *ended = ask(END_MOVING, "(OO)", self->moving, where);
            fine = ended != NULL;
            Py_XDECREF(ended);
        }
        if (!fine) {
            guard_leave(self);
            return false;
        }
    }
    return true;
}

/* Find the guard of a store that this thread is inside: a new reference, or NULL with an exception. */
static Guard *guard_at(void *context) {
    for (Guard *guard = inside; guard != NULL; guard = guard->outside)
        if (guard->context == (uintptr_t)context)
            return (Guard *)Py_NewRef((PyObject *)guard);
    /* Its guest was called by the program's own use of wasmtime's C API. */
    PyObject *found = ask(GUARD, "(K)", (unsigned long long)(uintptr_t)context);
    if (found != NULL && Py_TYPE(found) != &GuardType) {
        Py_CLEAR(found);
        refuse(ask(STALE, "()"));
    }
    return (Guard *)found;
}

/* Guard(context, stack) */
static PyObject *guard_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)keywords;
    unsigned long long context = 0;
    Py_ssize_t stack = 512 * 1024;
    if (!PyArg_ParseTuple(arguments, "|Kn", &context, &stack))
        return NULL;
    Guard *self = (Guard *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->context = context;
    self->stack = stack;
    return (PyObject *)self;
}

static void guard_dealloc(Guard *self) {
    Py_XDECREF(self->keeper);
    Py_XDECREF(self->moving);
    Py_XDECREF(self->windows);
    Py_XDECREF(self->record);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Two containers that few stores need: made when they are asked for, by the thread that is inside or alone with them. */
static PyObject *guard_moving(Guard *self, void *unused) {
    (void)unused;
    if (self->moving == NULL)
        self->moving = PySet_New(NULL);
    return Py_XNewRef(self->moving);
}

static PyObject *guard_windows(Guard *self, void *unused) {
    (void)unused;
    if (self->windows == NULL)
        self->windows = PyDict_New();
    return Py_XNewRef(self->windows);
}

/* release_unused_context(): leave for a context that this thread was handed and never passed to wasmtime: an exception came in between. */
static PyObject *guard_release_unused_context(Guard *self, PyObject *unused) {
    (void)unused;
    if (self->handed != NULL && self->depth == 1 && load_owner(&self->owner) == PyThread_get_thread_ident())
        take_back(self);
    Py_RETURN_NONE;
}

static PyMethodDef guard_methods[] = {
    {"release_unused_context", (PyCFunction)guard_release_unused_context, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Whether the calling thread is inside, and nothing has to end before its guest runs: then there is no need to enter. */
static PyObject *guard_inside(Guard *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(load_owner(&self->owner) == PyThread_get_thread_ident() && self->handed == NULL &&
                           showing == NULL &&
                           (self->moving == NULL || PySet_GET_SIZE(self->moving) == 0));
}

static PyGetSetDef guard_getset[] = {
    {"inside", (getter)guard_inside, NULL, NULL, NULL},
    {"moving", (getter)guard_moving, NULL, NULL, NULL},
    {"windows", (getter)guard_windows, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef guard_members[] = {
    {"context", T_ULONGLONG, offsetof(Guard, context), 0, NULL},
    {"entries", T_ULONGLONG, offsetof(Guard, entries), READONLY, NULL},
    {"owner", T_ULONG, offsetof(Guard, owner), READONLY, NULL},
    {"depth", T_PYSSIZET, offsetof(Guard, depth), READONLY, NULL},
    {"stack", T_PYSSIZET, offsetof(Guard, stack), READONLY, NULL},
    {"keeper", T_OBJECT, offsetof(Guard, keeper), 0, NULL},
    {"record", T_OBJECT, offsetof(Guard, record), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject GuardType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.Guard",
    .tp_basicsize = sizeof(Guard),
    .tp_dealloc = (destructor)guard_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_members = guard_members,
    .tp_methods = guard_methods,
    .tp_getset = guard_getset,
    .tp_new = guard_new,
};

/* A claim on a store, from when it is made until it goes. */
typedef struct {
    PyObject_HEAD
    Guard *guard;
} Entered;

/* Entered(guard, where, runs=True) */
static PyObject *entered_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)keywords;
    PyObject *guard, *where;
    int runs = 1;
    if (!PyArg_ParseTuple(arguments, "O!O|p", &GuardType, &guard, &where, &runs))
        return NULL;
    Entered *self = (Entered *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (!guard_enter((Guard *)guard, where, runs)) {
        Py_DECREF(self);
        return NULL;
    }
    self->guard = (Guard *)Py_NewRef(guard);
    return (PyObject *)self;
}

static void entered_dealloc(Entered *self) {
    if (self->guard != NULL)
        guard_leave(self->guard);
    Py_XDECREF(self->guard);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject EnteredType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.Entered",
    .tp_basicsize = sizeof(Entered),
    .tp_dealloc = (destructor)entered_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = entered_new,
};

/* Stands for a context among the arguments of a C function: `_wasmtime.store.Handed`. */
typedef struct Handed {
    PyObject_HEAD
    PyObject *pointer; /* a Context with the claim; NULL once it was passed on, or taken back */
    Guard *guard;
    PyObject *where;
} Handed;

static PyObject *context_class; /* `_wasmtime.store.Context` */
static Py_ssize_t context_entered;

/* Make a pointer to a store's context that is a claim on the store. */
static PyObject *context_of(Guard *guard, PyObject *where) {
    if (guard->record == NULL) {
        PyErr_SetNone(PyExc_TypeError);
        return NULL;
    }
    PyObject *context = PyObject_CallOneArg(context_class, guard->record);
    Entered *claim = context != NULL ? (Entered *)EnteredType.tp_alloc(&EnteredType, 0) : NULL;
    if (claim != NULL && guard_enter(guard, where, true)) {
        claim->guard = (Guard *)Py_NewRef((PyObject *)guard);
        if (guard->context != 0) {
            *slot_at(context, context_entered) = (PyObject *)claim;
            return context;
        }
        PyErr_SetString(PyExc_ValueError, "already closed"); /* by another thread, before the claim */
    }
    Py_XDECREF(claim);
    Py_XDECREF(context);
    return NULL;
}

/* Leave for what was handed and never passed on. A signal's exception can come between the two, and its traceback keep what
   was handed; only the thread that was handed it can be here. */
static void take_back(Guard *self) {
    Handed *handed = self->handed;
    self->handed = NULL;
    Py_CLEAR(handed->pointer);
}

static PyObject *handed_parameter(Handed *self, void *unused) {
    (void)unused;
    PyObject *pointer = self->pointer;
    self->pointer = NULL;
    if (self->guard->handed == self)
        self->guard->handed = NULL;
    return pointer != NULL ? pointer : context_of(self->guard, self->where); /* used again, or after it was taken back */
}

static void handed_dealloc(Handed *self) {
    if (self->guard != NULL && self->guard->handed == self)
        self->guard->handed = NULL;
    Py_XDECREF(self->pointer);
    Py_XDECREF(self->guard);
    Py_XDECREF(self->where);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyGetSetDef handed_getset[] = {{"_as_parameter_", (getter)handed_parameter, NULL, NULL, NULL},
                                      {NULL, NULL, NULL, NULL, NULL}};

static PyTypeObject HandedType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.Handed",
    .tp_basicsize = sizeof(Handed),
    .tp_dealloc = (destructor)handed_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_getset = handed_getset,
};

/* hand(guard, where): enter a store for the time of one call into wasmtime, which what is returned is to be an argument of. */
static PyObject *hand(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (!takes(count, 2))
        return NULL;
    Guard *guard = (Guard *)arguments[0];
    if (Py_TYPE(guard) != &GuardType) {
        PyErr_SetNone(PyExc_TypeError);
        return NULL;
    }
    PyObject *context = context_of(guard, arguments[1]);
    Handed *handed = context != NULL ? (Handed *)HandedType.tp_alloc(&HandedType, 0) : NULL;
    if (handed == NULL) {
        Py_XDECREF(context);
        return NULL;
    }
    handed->pointer = context;
    handed->guard = (Guard *)Py_NewRef((PyObject *)guard);
    handed->where = Py_NewRef(arguments[1]);
    guard->handed = handed;
    return (PyObject *)handed;
}

/* -------------------------------------------------------------------------------------------- a call, and its views */

typedef struct CallMemory CallMemory;

/* A view that a call has handed out: the exporter, and the memoryview of it. */
typedef struct {
    View *view;
    PyObject *memoryview;
} Shown;

enum { INLINE = 16 };

struct Call {
    Thunk *thunk;
    void *caller;
    void *context; /* known once `located` */
    raw_t *slots;
    root_t *roots; /* of the references among the parameters */
    extern_t memory;
    bool located, moves; /* whether the memory was found, and whether it can move */
    CallMemory *object;  /* the memory as Python sees it, if a parameter needs it */
    PyObject *guest;     /* the Caller parameter */
    PyObject *guests;    /* a list of any more of them */
    Py_ssize_t entered;  /* as the thread's was when the call began */
    Call *outer;         /* in `showing`, if `shows` */
    bool shows;
    Shown few[INLINE], *shown; /* what it has handed out, `few` while that is enough */
    Py_ssize_t shown_count, shown_room;
};

struct CallMemory {
    PyObject_HEAD
    Call *call;          /* NULL once the call has ended */
    unsigned long owner; /* the thread of the call: in any other it can end between any two lines */
    PyObject *window;
    unsigned char *window_base;
    size_t window_size;
};

/* The memory of the instance that called a function last: looking an export up by its name takes as long as all else that is
   done for a pointer. An instance's exports never change, and neither the number of a store nor that of an instance in it is
   ever given again. One for each thread, so that no two write it at once. */
typedef struct {
    uint64_t number; /* the thunk's */
    extern_t memory;
    bool moves;
} Known;

enum { KNOWNS = 64 };
static THREAD_LOCAL Known knowns[KNOWNS];

static bool known_memory(Call *call) {
    const Known *known = &knowns[call->thunk->number % KNOWNS];
    const caller_t *caller = call->caller;
    if (known->number != call->thunk->number || caller->store != known->memory.of[0] ||
        caller->instance != (uint32_t)known->memory.of[1])
        return false;
    call->memory = known->memory;
    call->moves = known->moves;
    return true;
}

/* Remember the memory that was looked up, if its handle (the numbers of a store and of the instance that defines it) says
   of the caller what the caller's own words say: then they are what `caller_t` takes them for. A memory that the caller
   has imported itself is another instance's, and is looked up each time. */
static void know_memory(Call *call) {
    Known *known = &knowns[call->thunk->number % KNOWNS];
    const caller_t *caller = call->caller;
    if (caller->context == call->context && caller->store == call->memory.of[0] &&
        caller->instance == (uint32_t)call->memory.of[1]) {
        known->number = call->thunk->number;
        known->memory = call->memory;
        known->moves = call->moves;
    }
}

/* Find out whether the memory can move, which holds for good. False with an exception. */
static bool find_moves(Call *call) {
    static THREAD_LOCAL struct {
        uint64_t of[3];
        bool moves;
    } last;
    if (memcmp(last.of, call->memory.of, sizeof last.of) != 0) {
        PyObject *found = ask(MOVES, "(Ky#)", (unsigned long long)(uintptr_t)call->context, (char *)call->memory.of,
                              (Py_ssize_t)sizeof call->memory.of);
        int moves = found != NULL ? PyObject_IsTrue(found) : -1;
        Py_XDECREF(found);
        if (moves < 0)
            return false;
        memcpy(last.of, call->memory.of, sizeof last.of);
        last.moves = moves;
    }
    call->moves = last.moves;
    return true;
}

/* Find the caller's memory: its address and size now. On failure an exception is set. */
static bool locate(Call *call, unsigned char **base, size_t *size) {
    Thunk *thunk = call->thunk;
    if (!call->located) {
        if (thunk->fixed != Py_None) {
            PyObject *expected = PyObject_CallNoArgs(PyTuple_GET_ITEM(thunk->fixed, 1));
            if (expected == NULL)
                return false;
            void *context = wt.caller_context(call->caller);
            bool same = expected != Py_None && PyLong_AsVoidPtr(expected) == context;
            Py_DECREF(expected);
            if (!same) {
                refuse(ask(MISSING, "(OOi)", thunk->plan.where, thunk->name, -2));
                return false;
            }
            memcpy(&call->memory, PyBytes_AS_STRING(PyTuple_GET_ITEM(thunk->fixed, 0)), sizeof(extern_t));
            call->context = context;
            if (!find_moves(call))
                return false;
        } else if (known_memory(call)) {
            call->context = wt.caller_context(call->caller);
        } else {
            if (!wt.caller_export_get(call->caller, PyBytes_AS_STRING(thunk->name),
                                      (size_t)PyBytes_GET_SIZE(thunk->name), &call->memory)) {
                refuse(ask(MISSING, "(OOi)", thunk->plan.where, thunk->name, -1));
                return false;
            }
            if (call->memory.kind != EXTERN_MEMORY) {
                int kind = call->memory.kind;
                if (kind == EXTERN_SHAREDMEMORY)
                    wt.extern_delete(&call->memory);
                refuse(ask(MISSING, "(OOi)", thunk->plan.where, thunk->name, kind));
                return false;
            }
            call->context = wt.caller_context(call->caller);
            if (!find_moves(call))
                return false;
            know_memory(call);
        }
        call->located = true;
    }
    *base = wt.memory_data(call->context, call->memory.of);
    *size = wt.memory_data_size(call->context, call->memory.of);
    return true;
}

/* Whether nobody but us has a memoryview that we own a reference to. Where that cannot be told, somebody may. */
static inline bool is_ours_alone(PyObject *object) {
#if WITH_GIL
    return Py_REFCNT(object) == 1;
#elif PY_VERSION_HEX >= 0x030E0000
    return PyUnstable_Object_IsUniquelyReferenced(object);
#else
    (void)object;
    return false;
#endif
}

/* Make room for one more view. Those that nobody holds any more go: a guest's list of a million is looked at one by one. */
static bool make_room(Call *call) {
    Py_ssize_t count = call->shown_count, kept = 0, gone = 0;
    Shown *more = PyMem_Malloc((size_t)count * 2 * sizeof(Shown)), *old = call->shown;
    Shown *dropped = PyMem_Malloc((size_t)count * sizeof(Shown));
    if (more == NULL || dropped == NULL) {
        PyMem_Free(more);
        PyMem_Free(dropped);
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        if (old[index].memoryview != NULL && is_ours_alone(old[index].memoryview))
            dropped[gone++] = old[index];
        else
            more[kept++] = old[index];
    }
    call->shown = more;
    call->shown_count = kept;
    call->shown_room = kept < count / 2 ? count : count * 2;
    if (old != call->few)
        PyMem_Free(old);
    /* Only now: letting go can run a weak reference's callback, which can hand out more. */
    for (Py_ssize_t index = 0; index < gone; index++) {
        Py_DECREF(dropped[index].memoryview);
        Py_DECREF(dropped[index].view);
    }
    PyMem_Free(dropped);
    return true;
}

/* Hand out `length` bytes of guest memory at `offset` to Python; they were checked. Returns a new memoryview. */
static PyObject *hand_out(Call *call, unsigned char *base, size_t offset, Py_ssize_t length, char format, Py_ssize_t step) {
    if (call->moves && call->entered != entered) {
        refuse(ask(NESTED, "()")); /* its guest runs again, or is about to: what ends before that has ended */
        return NULL;
    }
    if (call->shown_count == call->shown_room && !make_room(call))
        return NULL;
    Guard *guard = guard_at(call->context);
    if (guard == NULL)
        return NULL;
    View *view = NULL;
    size_t size;
    /* All that can run Python code comes before the address is asked for, if it may be another one by now. */
    if ((guard->keeper != NULL || (guard->keeper = PyObject_CallNoArgs(keeper_class)) != NULL) &&
        (!call->moves || locate(call, &base, &size)))
        view = view_new(base + offset, length, format, step, guard->keeper);
    Py_DECREF(guard);
    if (view == NULL)
        return NULL;
    if (call->moves && !call->shows) {
        call->shows = true;
        call->outer = showing;
        showing = call;
    }
    /* On the list before its memoryview exists: making that can run the garbage collector, and so Python code that lets
       the memory move. */
    Py_ssize_t at = call->shown_count++;
    call->shown[at].view = (View *)Py_NewRef((PyObject *)view);
    call->shown[at].memoryview = NULL;
    PyObject *memoryview = PyMemoryView_FromObject((PyObject *)view);
    if (memoryview != NULL && view->ended) {
        Py_CLEAR(memoryview);
        refuse(ask(STALE, "()"));
    } else if (memoryview != NULL) {
        for (at = call->shown_count - 1; at >= 0; at--) /* the last, unless code that ran has handed out more */
            if (call->shown[at].view == view) {
                call->shown[at].memoryview = Py_NewRef(memoryview);
                break;
            }
    }
    Py_DECREF(view);
    return memoryview;
}

/* End the views that a call has handed out. Those that can still be reached stay on its list; returns how many. No
   exception may be set. */
static Py_ssize_t end_views(Call *call) {
    Py_ssize_t count = call->shown_count, kept = 0;
    Shown inlined[INLINE], *shown = call->shown;
    if (shown == call->few)
        shown = memcpy(inlined, call->few, (size_t)count * sizeof(Shown));
    /* Code may run below (a weak reference's callback), and the call hand out more: that is another list. */
    call->shown = call->few;
    call->shown_room = INLINE;
    call->shown_count = 0;
    for (Py_ssize_t index = 0; index < count; index++)
        shown[index].view->ended = true;
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *memoryview = shown[index].memoryview;
        if (memoryview == NULL)
            continue;
        if (!WITH_GIL || Py_REFCNT(memoryview) > 1) { /* one that only the call has is released by going */
            PyObject *released = PyObject_CallMethodNoArgs(memoryview, str_release);
            if (released == NULL)
                PyErr_Clear(); /* numpy has it: the view is still there below */
            Py_XDECREF(released);
        }
        Py_DECREF(memoryview);
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        View *view = shown[index].view;
        if (Py_REFCNT(view) > 1 && (call->shown_count < call->shown_room || make_room(call))) {
            Shown *still = &call->shown[call->shown_count++];
            still->view = view;
            still->memoryview = NULL;
            kept++;
        } else {
            PyErr_Clear(); /* no room: its Keeper still keeps the memory */
            Py_DECREF(view);
        }
    }
    if (shown != inlined)
        PyMem_Free(shown);
    return kept;
}

/* End the views of a store's memory, if it can move, that calls under way have handed out. False with an exception if one
   can still be reached. */
static bool end_showing(unsigned long long context, PyObject *where) {
    Py_ssize_t kept = 0;
    PyObject *error = take_error();
    for (Call *call = showing; call != NULL; call = call->outer)
        if ((uintptr_t)call->context == context) {
            if (call->object != NULL)
                Py_CLEAR(call->object->window);
            kept += end_views(call);
        }
    if (error != NULL)
        put_error(error);
    if (kept > 0)
        refuse(ask(ESCAPED, "(On)", where, kept));
    return kept == 0;
}

/* Have the store watch views that have escaped from a call, and whose memory can move. */
static void keep_watching(Call *call) {
    for (Py_ssize_t index = 0; index < call->shown_count; index++)
        for (int again = 0; again < 2; again++) { /* if a signal's exception comes in between, which is not lost */
            PyObject *done = ask(WATCH, "(KO)", (unsigned long long)(uintptr_t)call->context,
                                 (PyObject *)call->shown[index].view);
            if (done != NULL) {
                Py_DECREF(done);
                break;
            }
            if (again == 0)
                PyErr_Clear();
        }
}

/* --------------------------------------------------------------------------------- the memory, as Python code sees it */

/* The call under way that a memory is of. In another thread it could end between any two lines of ours. */
static Call *memory_call(CallMemory *self) {
    Call *call = self->call;
    if (call != NULL && self->owner == PyThread_get_thread_ident())
        return call;
    refuse(ask(call == NULL ? STALE : ELSEWHERE, "()"));
    return NULL;
}

static PyObject *memory_window(CallMemory *self, PyObject *unused) {
    (void)unused;
    Call *call = memory_call(self);
    unsigned char *base;
    size_t size;
    if (call == NULL || !locate(call, &base, &size))
        return NULL;
    if (self->window == NULL || self->window_size != size || self->window_base != base) {
        PyObject *window = hand_out(call, base, 0, (Py_ssize_t)size, 'B', 1);
        if (window == NULL)
            return NULL;
        Py_XSETREF(self->window, window);
        self->window_size = size;
        self->window_base = base;
    }
    return Py_NewRef(self->window);
}

/* Check a range of which the offset and length are Python ints, or like them; their values go to `at` and `many`. */
static bool memory_range(CallMemory *self, PyObject *offset, PyObject *length, unsigned char **base, size_t *at, size_t *many) {
    if (!PyLong_Check(offset) || !PyLong_Check(length)) { /* numpy's, say */
        PyObject *first = PyNumber_Index(offset), *second = first != NULL ? PyNumber_Index(length) : NULL;
        bool fine = second != NULL && memory_range(self, first, second, base, at, many);
        Py_XDECREF(first);
        Py_XDECREF(second);
        return fine;
    }
    Call *call = memory_call(self);
    size_t size;
    if (call == NULL || !locate(call, base, &size))
        return false;
    *many = 0;
    *at = PyLong_AsSize_t(offset);
    bool bad = *at == (size_t)-1 && PyErr_Occurred();
    if (!bad) {
        *many = PyLong_AsSize_t(length);
        bad = *many == (size_t)-1 && PyErr_Occurred();
    }
    if (bad) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return false;
        PyErr_Clear();
    }
    if (bad || *at > size || *many > size - *at) {
        refuse(ask(FAULT, "(OOn)", offset, length, (Py_ssize_t)size));
        return false;
    }
    return true;
}

/* Call a Python function with `self` before the arguments. */
static PyObject *by_python(PyObject *function, PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    Py_ssize_t total = count + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    PyObject **all = function != NULL ? PyMem_Malloc(((size_t)total + 1) * sizeof(PyObject *)) : NULL;
    if (all == NULL)
        return function != NULL ? PyErr_NoMemory() : NULL;
    all[0] = self;
    for (Py_ssize_t at = 0; at < total; at++)
        all[at + 1] = arguments[at];
    PyObject *result = PyObject_Vectorcall(function, all, (size_t)count + 1, names);
    PyMem_Free(all);
    return result;
}

/* What the methods below do with keywords, or the wrong number of arguments. */
static PyObject *memory_by_python(CallMemory *self, const char *name, PyObject *const *arguments, Py_ssize_t count,
                                  PyObject *names) {
    PyObject *method = PyObject_GetAttrString(memory_base, name);
    PyObject *result = by_python(method, (PyObject *)self, arguments, count, names);
    Py_XDECREF(method);
    return result;
}

static PyObject *memory_view(CallMemory *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    unsigned char *base;
    size_t at, many;
    if (count != 2 || names != NULL)
        return memory_by_python(self, "view", arguments, count, names);
    if (!memory_range(self, arguments[0], arguments[1], &base, &at, &many))
        return NULL;
    return hand_out(self->call, base, at, (Py_ssize_t)many, 'B', 1);
}

/* view(offset, length) as elements of a format of one letter. */
static PyObject *memory_array(CallMemory *self, PyObject *const *arguments, Py_ssize_t count) {
    unsigned char *base;
    size_t at, many;
    if (!takes(count, 3) || !memory_range(self, arguments[0], arguments[1], &base, &at, &many))
        return NULL;
    const char *format = PyUnicode_AsUTF8(arguments[2]);
    if (format == NULL)
        return NULL;
    Py_ssize_t step = strchr("bB", format[0]) ? 1 : strchr("hH", format[0]) ? 2 : strchr("iIf", format[0]) ? 4 : 8;
    return hand_out(self->call, base, at, (Py_ssize_t)many, format[0], step);
}

static PyObject *memory_read(CallMemory *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    unsigned char *base;
    size_t at, many;
    if (count != 2 || names != NULL)
        return memory_by_python(self, "read", arguments, count, names);
    if (!memory_range(self, arguments[0], arguments[1], &base, &at, &many))
        return NULL;
    return PyBytes_FromStringAndSize((char *)base + at, (Py_ssize_t)many);
}

static PyObject *memory_end(CallMemory *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    unsigned char *base;
    size_t at, many;
    if (count != 2 || names != NULL)
        return memory_by_python(self, "end", arguments, count, names);
    if (!memory_range(self, arguments[0], arguments[1], &base, &at, &many))
        return NULL;
    return PyLong_FromSize_t(at + many);
}

static PyObject *memory_size(CallMemory *self, void *unused) {
    (void)unused;
    Call *call = memory_call(self);
    unsigned char *base;
    size_t size;
    if (call == NULL || !locate(call, &base, &size))
        return NULL;
    return PyLong_FromSize_t(size);
}

static Py_ssize_t memory_length(CallMemory *self) {
    Call *call = memory_call(self);
    unsigned char *base;
    size_t size;
    if (call == NULL || !locate(call, &base, &size))
        return -1;
    return (Py_ssize_t)size;
}

static void memory_dealloc(CallMemory *self) {
    Py_XDECREF(self->window);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef memory_methods[] = {
    {"_window", (PyCFunction)memory_window, METH_NOARGS, NULL},
    {"view", (PyCFunction)(void (*)(void))memory_view, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_elements", (PyCFunction)(void (*)(void))memory_array, METH_FASTCALL, NULL},
    {"read", (PyCFunction)(void (*)(void))memory_read, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"end", (PyCFunction)(void (*)(void))memory_end, METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef memory_getset[] = {{"size", (getter)memory_size, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};
static PySequenceMethods memory_sequence = {.sq_length = (lenfunc)memory_length};

static PyTypeObject CallMemoryType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.CallMemory",
    .tp_basicsize = sizeof(CallMemory),
    .tp_dealloc = (destructor)memory_dealloc,
    .tp_as_sequence = &memory_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_methods = memory_methods,
    .tp_getset = memory_getset,
};

static CallMemory *call_memory(Call *call) {
    if (call->object == NULL) {
        CallMemory *self = NULL;
        if (WITH_GIL) {
            self = (CallMemory *)call->thunk->spare;
            call->thunk->spare = NULL;
        }
        if (self != NULL && Py_REFCNT(self) != 1)
            Py_CLEAR(self); /* somebody found it: it stays the ended call's */
        if (self == NULL && (self = (CallMemory *)memory_class->tp_alloc(memory_class, 0)) == NULL)
            return NULL;
        self->owner = PyThread_get_thread_ident();
        self->call = call;
        call->object = self;
    }
    return call->object;
}

/* ------------------------------------------------------------------------------------------------ pointers and lists */

static PyObject *pointer_new(PyObject *memory, uint64_t offset, PyObject *type, PyObject **spare) {
    PyObject *number = PyLong_FromUnsignedLongLong(offset);
    if (number == NULL)
        return NULL;
    PyObject *self = NULL;
    if (WITH_GIL) {
        self = *spare;
        *spare = NULL;
    }
    if (self != NULL && Py_REFCNT(self) != 1)
        Py_CLEAR(self); /* somebody found it: it is theirs */
    if (self != NULL) { /* it knows its type already */
        *slot_at(self, pointer_memory) = Py_NewRef(memory);
        *slot_at(self, pointer_offset) = number;
        return self;
    }
    self = pointer_class->tp_alloc(pointer_class, 0);
    if (self == NULL) {
        Py_DECREF(number);
        return NULL;
    }
    *slot_at(self, pointer_memory) = Py_NewRef(memory);
    *slot_at(self, pointer_offset) = number;
    *slot_at(self, pointer_type) = Py_NewRef(type);
    return self;
}

/* If the object that a pointer refers to can be read and written here, give its codec (a new reference), the call and the
   address. */
static Codec *pointer_codec(PyObject *self, Call **call, uint64_t *offset) {
    PyObject *memory = held_at(self, pointer_memory, str_memory), *number = held_at(self, pointer_offset, str_offset),
             *type = held_at(self, pointer_type, str_type), *codec = NULL;
    if (memory == NULL || number == NULL || type == NULL || Py_TYPE(memory) != memory_class || !PyLong_CheckExact(number))
        goto done;
    *call = ((CallMemory *)memory)->call;
    if (*call == NULL || ((CallMemory *)memory)->owner != PyThread_get_thread_ident())
        goto done;
    int64_t small;
    if (small_int(number, &small) && small >= 0) {
        *offset = (uint64_t)small;
    } else {
        *offset = PyLong_AsUnsignedLongLong(number);
        if (*offset == UINT64_MAX && PyErr_Occurred()) {
            PyErr_Clear();
            goto done;
        }
    }
    Thunk *thunk = (*call)->thunk;
    for (Py_ssize_t at = 0; codec == NULL && at < thunk->plan.param_count; at++)
        if (thunk->plan.params[at].extra == type && thunk->plan.params[at].codec != NULL)
            codec = Py_NewRef((PyObject *)thunk->plan.params[at].codec);
    if (codec == NULL) {
        codec = PyObject_GetAttr(type, str_native);
        if (codec == NULL)
            PyErr_Clear();
        else if (Py_TYPE(codec) != &CodecType)
            Py_CLEAR(codec);
        if (((CallMemory *)memory)->call != *call)
            Py_CLEAR(codec); /* a guest type of the user's ran code of its own */
    }
done:
    Py_XDECREF(memory);
    Py_XDECREF(number);
    Py_XDECREF(type);
    return (Codec *)codec;
}

enum { SMALL = 512 };

/* Read the object at an address. NULL with no exception set means that Python has to. */
static PyObject *object_load(Call *call, Codec *codec, uint64_t offset) {
    unsigned char few[SMALL], *base, *copy = few;
    size_t size, many = (size_t)codec->size;
    if (!locate(call, &base, &size))
        return NULL;
    if (offset > size || many > size - offset)
        return fault(offset, many, size);
    if (many > SMALL && (copy = PyMem_Malloc(many)) == NULL)
        return PyErr_NoMemory();
    memcpy(copy, base + offset, many);
    PyObject *result = codec_load(codec, copy);
    if (copy != few)
        PyMem_Free(copy);
    return result;
}

/* Write an object. 0: done; -1: an exception is set; 1: Python has to. */
static int object_store(Call *call, Codec *codec, uint64_t offset, PyObject *value) {
    unsigned char few[SMALL], *base, *copy = few;
    size_t size, many = (size_t)codec->size;
    if (many > SMALL && (copy = PyMem_Malloc(many)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(copy, 0, many);
    int outcome = codec_store(codec, copy, value) ? 0 : 1;
    if (outcome == 0) {
        if (!locate(call, &base, &size)) {
            outcome = -1;
        } else if (offset > size || many > size - offset) {
            fault(offset, many, size);
            outcome = -1;
        } else {
            memcpy(base + offset, copy, many);
        }
    }
    if (copy != few)
        PyMem_Free(copy);
    return outcome;
}

static PyObject *pointer_load_method(PyObject *self, PyObject *unused) {
    (void)unused;
    Call *call;
    uint64_t offset;
    Codec *codec = pointer_codec(self, &call, &offset);
    if (codec != NULL) {
        PyObject *found = object_load(call, codec, offset);
        Py_DECREF(codec);
        if (found != NULL || PyErr_Occurred())
            return found;
    }
    return PyObject_CallOneArg(pointer_load, self);
}

static PyObject *pointer_store_method(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *names) {
    if (count != 1 || names != NULL)
        return by_python(pointer_store, self, given, count, names);
    PyObject *value = given[0];
    Call *call;
    uint64_t offset;
    Codec *codec = pointer_codec(self, &call, &offset);
    if (codec != NULL) {
        int outcome = object_store(call, codec, offset, value);
        Py_DECREF(codec);
        if (outcome == 0)
            Py_RETURN_NONE;
        if (outcome < 0)
            return NULL;
    }
    PyObject *arguments[] = {self, value};
    return PyObject_Vectorcall(pointer_store, arguments, 2, NULL);
}

static PyMethodDef pointer_methods[] = {
    {"load", pointer_load_method, METH_NOARGS, NULL},
    {"store", (PyCFunction)(void (*)(void))pointer_store_method, METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject PointerMethodsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.PointerMethods",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_methods = pointer_methods,
};

static PyObject *list_getitem_method(PyObject *self, PyObject *key) {
    PyObject *pointer = held_at(self, list_pointer, str_pointer), *length = held_at(self, list_length, str_length);
    PyObject *found = NULL;
    if (PyLong_CheckExact(key) && length != NULL && PyLong_CheckExact(length) && pointer != NULL &&
        Py_TYPE(pointer) == pointer_class) {
        Call *call;
        uint64_t offset;
        int overflow, too_long;
        long long at = PyLong_AsLongLongAndOverflow(key, &overflow);
        long long count = PyLong_AsLongLongAndOverflow(length, &too_long);
        if (at < 0)
            at += count;
        bool inside = overflow == 0 && too_long == 0 && count <= UINT32_MAX && at >= 0 && at < count;
        Codec *codec = inside ? pointer_codec(pointer, &call, &offset) : NULL;
        if (codec != NULL && offset > UINT32_MAX) /* neither the sum nor the product below can overflow */
            Py_CLEAR(codec);
        if (codec != NULL) {
            found = object_load(call, codec, offset + (uint64_t)at * (uint64_t)codec->size);
            Py_DECREF(codec);
        }
    }
    Py_XDECREF(pointer);
    Py_XDECREF(length);
    if (found != NULL || PyErr_Occurred())
        return found;
    PyObject *arguments[] = {self, key};
    return PyObject_Vectorcall(list_getitem, arguments, 2, NULL);
}

static PyMappingMethods list_mapping = {.mp_subscript = list_getitem_method};

static PyTypeObject ListMethodsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.ListMethods",
    .tp_basicsize = sizeof(PyObject),
    .tp_as_mapping = &list_mapping,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
};

/* ------------------------------------------------------------------------------------------------------- parameters */

static PyObject *words_of(const Slot *slot, const raw_t *slots) {
    Py_ssize_t count = (Py_ssize_t)strlen(slot->cores);
    PyObject *words = PyTuple_New(count);
    for (Py_ssize_t at = 0; words != NULL && at < count; at++) {
        const raw_t *raw = &slots[slot->index + at];
        PyObject *word;
        switch (slot->cores[at]) {
        case 'l':
            word = PyLong_FromUnsignedLongLong(raw->u64);
            break;
        case 'f':
            word = PyFloat_FromDouble(raw->f32);
            break;
        case 'd':
            word = PyFloat_FromDouble(raw->f64);
            break;
        default:
            word = PyLong_FromUnsignedLong(raw->u32);
        }
        if (word == NULL)
            Py_CLEAR(words);
        else
            PyTuple_SET_ITEM(words, at, word);
    }
    return words;
}

static PyObject *load_by_python(Call *call, const Slot *slot) {
    CallMemory *memory = call_memory(call);
    PyObject *words = memory != NULL ? words_of(slot, call->slots) : NULL;
    if (words == NULL)
        return NULL;
    PyObject *arguments[] = {call->thunk->plan.where, slot->slot, (PyObject *)memory, words};
    PyObject *value = PyObject_Vectorcall(helpers[LOAD], arguments, 4, NULL);
    Py_DECREF(words);
    return value;
}

static PyObject *load_string(Call *call, const Slot *slot) {
    uint64_t offset = call->slots[slot->index].u32, length;
    unsigned char *base;
    size_t size;
    if (!locate(call, &base, &size))
        return NULL;
    if (slot->op == OP_STRING) {
        length = call->slots[slot->index + 1].u32;
        if (offset + length > size)
            return fault(offset, length, size);
    } else {
        const unsigned char *end = offset < size ? memchr(base + offset, 0, size - offset) : NULL;
        if (end == NULL)
            return load_by_python(call, slot); /* which faults, and says where it looked */
        length = (uint64_t)(end - (base + offset));
    }
    if (slot->errors[0] == 0) {
        PyObject *text = PyUnicode_DecodeUTF8((char *)base + offset, (Py_ssize_t)length, NULL);
        if (text != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return text;
        PyErr_Clear();
        if (!locate(call, &base, &size)) /* making that error can have run the garbage collector */
            return NULL;
    }
    /* A policy can be Python code, which could make the memory move: it gets a copy. */
    PyObject *copy = PyBytes_FromStringAndSize((char *)base + offset, (Py_ssize_t)length);
    if (copy == NULL)
        return NULL;
    PyObject *text = ask(INVALID_STRING, "(KOs)", (unsigned long long)offset, copy, slot->errors[0] ? slot->errors : "strict");
    Py_DECREF(copy);
    return text;
}

static PyObject *load_param(Call *call, Slot *slot) {
    const raw_t *raw = &call->slots[slot->index];
    switch (slot->op) {
    case OP_I32:
        return PyLong_FromLong(raw->i32);
    case OP_U32:
        return PyLong_FromUnsignedLong(raw->u32);
    case OP_I8:
    case OP_U8:
    case OP_I16:
    case OP_U16:
    case OP_I64:
    case OP_U64:
    case OP_F32:
    case OP_F64:
        return number_load(slot->op, (const unsigned char *)raw);
    case OP_BOOL:
        return PyBool_FromLong(raw->u32 != 0);
    case OP_STRING:
    case OP_CSTRING:
        return load_string(call, slot);
    case OP_VIEW: {
        uint64_t offset = raw->u32, length = (uint64_t)raw[1].u32 * (uint64_t)slot->step;
        unsigned char *base;
        size_t size;
        if (!locate(call, &base, &size))
            return NULL;
        if (offset + length > size)
            return fault(offset, length, size);
        return hand_out(call, base, (size_t)offset, (Py_ssize_t)length, slot->format, slot->step);
    }
    case OP_NULLABLE:
        if (raw->u32 == 0)
            Py_RETURN_NONE;
        /* fall through */
    case OP_POINTER: {
        CallMemory *memory = call_memory(call);
        return memory == NULL ? NULL : pointer_new((PyObject *)memory, raw->u32, slot->extra, &slot->spare);
    }
    case OP_LIST: {
        CallMemory *memory = call_memory(call);
        unsigned char *base;
        size_t size;
        uint64_t offset = raw->u32, length = (uint64_t)raw[1].u32 * (uint64_t)slot->step;
        if (memory == NULL || !locate(call, &base, &size))
            return NULL;
        if (offset + length > size)
            return fault(offset, length, size);
        PyObject *none = NULL;
        PyObject *pointer = pointer_new((PyObject *)memory, offset, slot->extra, &none);
        PyObject *count = pointer != NULL ? PyLong_FromUnsignedLong(raw[1].u32) : NULL;
        PyObject *list = count != NULL ? list_class->tp_alloc(list_class, 0) : NULL;
        if (list == NULL) {
            Py_XDECREF(pointer);
            Py_XDECREF(count);
            return NULL;
        }
        *slot_at(list, list_pointer) = pointer;
        *slot_at(list, list_length) = count;
        return list;
    }
    case OP_ENUM: {
        PyObject *number = number_load(slot->base, (const unsigned char *)raw);
        PyObject *member = number != NULL ? item_of(slot->extra, number) : NULL;
        Py_XDECREF(number);
        if (member != NULL || PyErr_Occurred())
            return member;
        return load_by_python(call, slot);
    }
    case OP_DURATION: {
        PyObject *number = PyLong_FromLongLong(raw->i64);
        PyObject *duration = number != NULL ? PyObject_CallOneArg(slot->extra, number) : NULL;
        Py_XDECREF(number);
        return duration;
    }
    case OP_EXTERNREF:
        if (raw->u32 == 0)
            Py_RETURN_NONE;
        return ask(REFERENCE, "(KK)", (unsigned long long)(uintptr_t)wt.caller_context(call->caller),
                   (unsigned long long)(uintptr_t)&call->roots[slot->root]);
    case OP_CALLER: {
        CallMemory *memory = call_memory(call);
        if (memory == NULL)
            return NULL;
        PyObject *guest = ask(CALLER, "(OK)", (PyObject *)memory, (unsigned long long)(uintptr_t)call->caller);
        if (guest != NULL && call->guest == NULL) {
            call->guest = Py_NewRef(guest);
        } else if (guest != NULL) {
            if (call->guests == NULL)
                call->guests = PyList_New(0);
            if (call->guests == NULL || PyList_Append(call->guests, guest) < 0)
                Py_CLEAR(guest);
        }
        return guest;
    }
    }
    return load_by_python(call, slot);
}

/* ---------------------------------------------------------------------------------------------------------- results */

/* Make a core value of a number's bytes: integers narrower than 32 bits are extended. */
static void widen(int op, raw_t *raw, const unsigned char *bytes) {
    switch (op) {
    case OP_I8:
        raw->i64 = (uint32_t)(int32_t)(int8_t)bytes[0];
        break;
    case OP_U8:
    case OP_BOOL:
        raw->i64 = bytes[0];
        break;
    case OP_I16: {
        int16_t narrow;
        memcpy(&narrow, bytes, 2);
        raw->i64 = (uint32_t)(int32_t)narrow;
        break;
    }
    case OP_U16: {
        uint16_t narrow;
        memcpy(&narrow, bytes, 2);
        raw->i64 = narrow;
        break;
    }
    case OP_I32:
    case OP_U32:
    case OP_F32: {
        uint32_t word;
        memcpy(&word, bytes, 4);
        raw->u64 = word;
        break;
    }
    default:
        memcpy(raw, bytes, 8);
    }
}

/* Write a number as a core value. Returns whether it was of the exact type and in range. */
static bool core_store(int op, raw_t *raw, PyObject *value) {
    unsigned char bytes[8];
    bool fits = number_store(op, bytes, value);
    if (fits)
        widen(op, raw, bytes);
    return fits;
}

/* Write the core values that a helper made: unsigned ints and floats that it has checked. */
static bool put_words(const Slot *slot, raw_t *slots, PyObject *words) {
    PyObject *items = PySequence_Fast(words, "");
    if (items == NULL)
        return false;
    bool fine = PySequence_Fast_GET_SIZE(items) == (Py_ssize_t)strlen(slot->cores);
    for (Py_ssize_t at = 0; fine && slot->cores[at] != 0; at++) {
        PyObject *word = PySequence_Fast_GET_ITEM(items, at);
        int op = slot->cores[at] == 'l' ? OP_U64 : slot->cores[at] == 'f' ? OP_F32 : slot->cores[at] == 'd' ? OP_F64 : OP_U32;
        fine = core_store(op, &slots[slot->index + at], word);
    }
    Py_DECREF(items);
    if (!fine && !PyErr_Occurred())
        PyErr_SetNone(PyExc_SystemError);
    return fine;
}

static bool store_by_python(PyObject *where, const Slot *slot, PyObject *memory, raw_t *slots, PyObject *value) {
    PyObject *arguments[] = {where, slot->slot, memory, value};
    PyObject *words = PyObject_Vectorcall(helpers[STORE], arguments, 4, NULL);
    bool fine = words != NULL && put_words(slot, slots, words);
    Py_XDECREF(words);
    return fine;
}

static bool store_result(Call *call, const Slot *slot, PyObject *value) {
    PyObject *memory = Py_None;
    switch (slot->op) {
    case OP_I8:
    case OP_U8:
    case OP_I16:
    case OP_U16:
    case OP_I32:
    case OP_U32:
    case OP_I64:
    case OP_U64:
    case OP_F32:
    case OP_F64:
    case OP_BOOL:
    case OP_DURATION:
        if (core_store(slot->op, &call->slots[slot->index], value))
            return true;
        break;
    case OP_ENUM: {
        unsigned char bytes[8];
        if (member_store(slot->base, slot->cls, bytes, value)) {
            widen(slot->base, &call->slots[slot->index], bytes);
            return true;
        }
        break;
    }
    default:
        memory = (PyObject *)call_memory(call);
        if (memory == NULL)
            return false;
    }
    return store_by_python(call->thunk->plan.where, slot, memory, call->slots, value);
}

/* Make raw references of objects, and store them. Nothing may run after this: a raw reference is no root, and what it is to
   goes when the store's collector runs. */
static bool store_references(Call *call, PyObject *objects) {
    Thunk *thunk = call->thunk;
    Py_ssize_t count = PyTuple_GET_SIZE(objects), next = 0;
    void *context = wt.caller_context(call->caller);
    root_t few[INLINE], *roots = few;
    if (count > INLINE && (roots = PyMem_Malloc((size_t)count * sizeof(root_t))) == NULL) {
        PyErr_NoMemory();
        return false;
    }
    memset(roots, 0, (size_t)count * sizeof(root_t));
    bool fine = true;
    for (Py_ssize_t at = 0; fine && at < count; at++) {
        PyObject *made = ask(MAKE_ROOT, "(KOK)", (unsigned long long)(uintptr_t)context, PyTuple_GET_ITEM(objects, at),
                             (unsigned long long)(uintptr_t)&roots[at]);
        fine = made != NULL;
        Py_XDECREF(made);
    }
    for (Py_ssize_t at = 0; fine && at < thunk->plan.result_count; at++)
        if (thunk->plan.results[at].op == OP_EXTERNREF) {
            bool null = PyTuple_GET_ITEM(objects, next) == Py_None;
            call->slots[thunk->plan.results[at].index].u64 = null ? 0 : wt.externref_to_raw(context, &roots[next]);
            next++;
        }
    for (Py_ssize_t at = 0; at < count; at++)
        unroot(context, &roots[at]);
    if (roots != few)
        PyMem_Free(roots);
    return fine;
}

/* Store what a function returned. The references among it go to `returned`, for the end of the call. */
static bool store_results(Call *call, PyObject *result, PyObject **returned) {
    Thunk *thunk = call->thunk;
    PyObject *const *values = &result;
    if (thunk->plan.is_tuple) {
        if (!PyTuple_Check(result) || PyTuple_GET_SIZE(result) != thunk->plan.result_count) {
            refuse(ask(BAD_TUPLE, "(OOn)", thunk->plan.where, result, thunk->plan.result_count));
            return false;
        }
        values = &PyTuple_GET_ITEM(result, 0);
    } else if (thunk->plan.result_count == 0 && result != Py_None) {
        refuse(ask(BAD_NONE, "(OO)", thunk->plan.where, result));
        return false;
    }
    for (Py_ssize_t at = 0; at < thunk->plan.result_count; at++)
        if (thunk->plan.results[at].op != OP_EXTERNREF && !store_result(call, &thunk->plan.results[at], values[at]))
            return false;
    if (thunk->returned == 0)
        return true;
    *returned = PyTuple_New(thunk->returned);
    for (Py_ssize_t at = 0, next = 0; *returned != NULL && at < thunk->plan.result_count; at++)
        if (thunk->plan.results[at].op == OP_EXTERNREF)
            PyTuple_SET_ITEM(*returned, next++, Py_NewRef(values[at]));
    return *returned != NULL;
}

/* If the exception that is set stands for an errno, store that and zeros. False: it is a bug, and set again. */
static bool store_errno(Call *call, PyObject **returned) {
    Thunk *thunk = call->thunk;
    PyObject *error = take_error();
    PyObject *number = ask(ERRNO, "(OO)", error, thunk->errors);
    if (number == NULL || number == Py_None) {
        if (number == NULL) { /* asking failed: that is what the caller gets */
            Py_DECREF(error);
        } else {
            Py_DECREF(number);
            put_error(error);
        }
        return false;
    }
    int success = PyObject_RichCompareBool(number, zero, Py_EQ);
    if (success != 0) { /* an exception that the module's table says is none: as if it had returned None */
        Py_DECREF(number);
        Py_DECREF(error);
        if (success < 0 || !store_results(call, Py_None, returned))
            return false;
        call->slots[thunk->plan.errno_index].u64 = 0;
        return true;
    }
    for (Py_ssize_t at = 0; at < thunk->plan.errno_index; at++)
        call->slots[at].u64 = 0;
    bool fine = core_store(OP_I32, &call->slots[thunk->plan.errno_index], number);
    if (!fine) {
        Slot slot = {.cores = "i", .index = thunk->plan.errno_index, .slot = thunk->errno_slot};
        fine = store_by_python(thunk->plan.where, &slot, Py_None, call->slots, number);
    }
    Py_DECREF(number);
    Py_DECREF(error);
    return fine;
}

/* ------------------------------------------------------------------------------------------------------ a host call */

/* End a Caller. Again if a signal's exception comes in between, which is the caller's then. */
static void end_guest(PyObject *guest, PyObject **error) {
    for (int again = 0; again < 2; again++) {
        PyObject *ended = PyObject_CallMethodNoArgs(guest, str_end);
        if (ended != NULL) {
            Py_DECREF(ended);
            break;
        }
        Py_XSETREF(*error, take_error());
    }
}

/* End the call: nothing that it handed out is of use from here on. An exception that is set stays: it is what the caller
   gets, and what its traceback still shows is kept by its Keeper. */
static bool end_call(Call *call, bool fine) {
    if (call->shown_count == 0 && call->object == NULL && call->guest == NULL && !call->shows)
        return fine;
    PyObject *error = fine ? NULL : take_error();
    CallMemory *memory = call->object;
    if (memory != NULL)
        memory->call = NULL; /* first: Python code that runs below can get no more from the call */
    call->object = NULL;
    if (call->guest != NULL) {
        end_guest(call->guest, &error);
        Py_CLEAR(call->guest);
        for (Py_ssize_t at = 0; call->guests != NULL && at < PyList_GET_SIZE(call->guests); at++)
            end_guest(PyList_GET_ITEM(call->guests, at), &error);
        Py_CLEAR(call->guests);
    }
    if (memory != NULL) {
        Py_CLEAR(memory->window);
        if (WITH_GIL && Py_REFCNT(memory) == 1 && call->thunk->spare == NULL)
            call->thunk->spare = (PyObject *)memory;
        else
            Py_DECREF(memory);
    }
    Py_ssize_t escaped = call->shown_count > 0 ? end_views(call) : 0;
    if (escaped > 0 && call->moves)
        keep_watching(call);
    if (call->shows) {
        Call **link = &showing;
        while (*link != call)
            link = &(*link)->outer;
        *link = call->outer;
    }
    for (Py_ssize_t index = 0; index < call->shown_count; index++)
        Py_DECREF(call->shown[index].view);
    if (call->shown != call->few)
        PyMem_Free(call->shown);
    if (error != NULL) {
        PyErr_Clear();
        put_error(error);
        return false;
    }
    if (PyErr_Occurred())
        return false;
    if (escaped > 0)
        refuse(ask(ESCAPED, "(On)", call->thunk->plan.where, escaped));
    return escaped == 0;
}

static bool reads_memory(const Thunk *thunk) {
    for (Py_ssize_t at = 0; at < thunk->plan.param_count; at++)
        if (thunk->plan.params[at].op == OP_STRING || thunk->plan.params[at].op == OP_VIEW)
            return true;
    return false;
}

/* What one `define_all` put into a linker. It goes when wasmtime has dropped the last of its functions, and the last call
   of one of them is over: a store that closes in the middle of a call drops its functions. */
typedef struct Linked Linked;

typedef struct {
    Linked *linked;
    PyObject *function;
    Thunk *thunk;
} Served;

struct Linked {
    long alive;          /* how many of its functions wasmtime has, and calls of them are under way */
    PyObject *receiver;  /* what the functions are methods of, or NULL */
    PyObject *functions; /* with `rows`, keeps what the items borrow */
    PyObject *rows;
    bool borrowed; /* all three are: the store keeps them */
    Served items[];
};

static void linked_free(Linked *linked) {
    if (!linked->borrowed) {
        Py_XDECREF(linked->receiver);
        Py_XDECREF(linked->functions);
        Py_XDECREF(linked->rows);
    }
    PyMem_Free(linked);
}

static bool run(Call *call, const Served *served, PyObject **returned) {
    Thunk *thunk = call->thunk;
    /* In front of the arguments, the receiver, and before it room for a bound method to put its self. */
    PyObject *few[INLINE + 2], **all = few, *receiver = served->linked->receiver;
    Py_ssize_t count = thunk->plan.param_count, loaded = 0;
    if (count > INLINE && (all = PyMem_Malloc(((size_t)count + 2) * sizeof(PyObject *))) == NULL) {
        PyErr_NoMemory();
        return false;
    }
    all[0] = NULL;
    all[1] = receiver;
    PyObject **arguments = all + (receiver != NULL ? 2 : 1);
    bool fine = true;
    root_t some[INLINE];
    void *context = NULL;
    call->roots = some;
    if (thunk->references > 0) {
        /* Before any object is made: that can run Python's collector, a finalizer, and in it the guest's collector. */
        context = wt.caller_context(call->caller);
        if (thunk->references > INLINE &&
            (call->roots = PyMem_Malloc((size_t)thunk->references * sizeof(root_t))) == NULL) {
            PyErr_NoMemory();
            if (all != few)
                PyMem_Free(all);
            return false;
        }
        for (Py_ssize_t at = 0; at < count; at++)
            if (thunk->plan.params[at].op == OP_EXTERNREF)
                wt.externref_from_raw(context, call->slots[thunk->plan.params[at].index].u32,
                                      &call->roots[thunk->plan.params[at].root]);
    }
    while (fine && loaded < count) {
        arguments[loaded] = load_param(call, &thunk->plan.params[loaded]);
        fine = arguments[loaded] != NULL;
        loaded += fine;
    }
    for (Py_ssize_t at = 0; at < thunk->references; at++)
        unroot(context, &call->roots[at]);
    if (call->roots != some)
        PyMem_Free(call->roots);
    call->roots = NULL;
    if (!fine && !call->located && reads_memory(thunk)) {
        /* A guest without the memory that a later parameter needs: that is said first. */
        PyObject *error = take_error();
        unsigned char *base;
        size_t size;
        if (locate(call, &base, &size))
            put_error(error);
        else
            Py_DECREF(error);
    }
    PyObject *result = NULL;
    if (fine)
        result = PyObject_Vectorcall(served->function, all + 1,
                                     (size_t)(arguments + count - (all + 1)) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (Py_ssize_t at = 0; at < loaded; at++) {
        PyObject *argument = arguments[at];
        Slot *slot = &thunk->plan.params[at];
        if (WITH_GIL && slot->op == OP_POINTER && Py_REFCNT(argument) == 1 && slot->spare == NULL &&
            Py_TYPE(argument) == pointer_class && *slot_at(argument, pointer_type) == slot->extra) {
            Py_CLEAR(*slot_at(argument, pointer_memory));
            Py_CLEAR(*slot_at(argument, pointer_offset));
            slot->spare = argument;
        } else {
            Py_DECREF(argument);
        }
    }
    if (all != few)
        PyMem_Free(all);
    if (result != NULL) {
        fine = store_results(call, result, returned);
        Py_DECREF(result);
        if (fine && thunk->plan.optional)
            call->slots[thunk->plan.errno_index].u64 = 0;
        return fine;
    }
    return fine && thunk->plan.optional && store_errno(call, returned);
}

static bool keep_raised(PyObject *error) {
    return PyObject_SetAttr(helpers[RAISED], str_error, error) == 0 &&
           PyObject_SetAttr(helpers[RAISED], str_message, spare_text) == 0;
}

static void *serve(const Served *served, void *caller, raw_t *slots) {
    Linked *linked = served->linked;
    count_up(&linked->alive);
    Call call;
    call.thunk = served->thunk;
    call.caller = caller;
    call.context = NULL;
    call.slots = slots;
    call.located = false;
    call.moves = false;
    call.entered = entered;
    call.object = NULL;
    call.guest = NULL;
    call.guests = NULL;
    call.shown = call.few;
    call.shown_count = 0;
    call.shown_room = INLINE;
    call.shows = false;
    call.outer = NULL;
    void *trap = NULL;
    PyObject *returned = NULL;
    bool fine = end_call(&call, run(&call, served, &returned));
    if (returned != NULL) {
        fine = fine && store_references(&call, returned);
        Py_DECREF(returned); /* the guest has them */
    }
    if (!fine) {
        PyObject *error = take_error();
        PyObject *address = NULL;
        /* Without a call of Python code first: at the end of Python's stack none works. */
        if (keep_raised(error))
            address = ask(TRAP, "(OO)", call.thunk->plan.where, error);
        if (address == NULL && !PyErr_ExceptionMatches(PyExc_Exception)) { /* a signal's: it is the caller's then */
            Py_XSETREF(error, take_error());
            keep_raised(error);
        }
        PyErr_Clear();
        Py_XDECREF(error);
        if (address != NULL) {
            trap = PyLong_AsVoidPtr(address);
            Py_DECREF(address);
        }
        if (trap == NULL) {
            PyErr_Clear();
            trap = wt.trap_new(PyBytes_AS_STRING(spare_message), (size_t)PyBytes_GET_SIZE(spare_message));
        }
    }
    if (count_down(&linked->alive) == 0)
        linked_free(linked);
    return trap;
}

static inline PyThreadState *current_thread(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

static void *callback(void *env, void *caller, raw_t *slots, size_t count) {
    (void)count;
    void *trap;
    PyThreadState *own = PyGILState_GetThisThreadState();
    if (own == NULL) { /* a thread that Python has not seen before */
        PyGILState_STATE state = PyGILState_Ensure();
        trap = serve(env, caller, slots);
        PyGILState_Release(state);
    } else if (own == current_thread()) { /* the GIL was held all along */
        trap = serve(env, caller, slots);
    } else { /* what PyGILState_Ensure would do, less its own counting */
        PyEval_RestoreThread(own);
        trap = serve(env, caller, slots);
        PyEval_SaveThread();
    }
    return trap;
}

/* wasmtime has dropped a function. */
static void forget(void *env) {
    Linked *linked = ((Served *)env)->linked;
    if (count_down(&linked->alive) > 0 || !Py_IsInitialized())
        return; /* or the interpreter is gone, and with it what it held */
    PyGILState_STATE state = PyGILState_Ensure();
    linked_free(linked);
    PyGILState_Release(state);
}

/* define_all(linker address, ((thunk, module, name, type's address), ...), (function, ...), receiver or None, keep or None)
   -> None, or (index of what the linker refused, address of its error). What has to live is added to the list `keep`, or is
   wasmtime's. */
static PyObject *define_all(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    (void)self;
    if (!takes(count, 5))
        return NULL;
    PyObject *rows = arguments[1], *functions = arguments[2], *receiver = arguments[3], *keep = arguments[4];
    void *linker = PyLong_AsVoidPtr(arguments[0]);
    if (linker == NULL && PyErr_Occurred())
        return NULL;
    if (!PyTuple_Check(rows) || !PyTuple_Check(functions) || PyTuple_GET_SIZE(rows) != PyTuple_GET_SIZE(functions)) {
        PyErr_SetNone(PyExc_TypeError);
        return NULL;
    }
    Py_ssize_t many = PyTuple_GET_SIZE(rows);
    Linked *linked = PyMem_Malloc(sizeof(Linked) + (size_t)many * sizeof(Served));
    if (linked == NULL)
        return PyErr_NoMemory();
    linked->alive = many + 1; /* one of them is ours, until all is defined */
    linked->receiver = receiver == Py_None ? NULL : receiver;
    linked->functions = functions;
    linked->rows = rows;
    linked->borrowed = keep != Py_None;
    if (linked->borrowed) {
        PyObject *kept = PyTuple_Pack(3, receiver, functions, rows);
        bool fine = kept != NULL && PyList_Append(keep, kept) == 0;
        Py_XDECREF(kept);
        if (!fine) {
            PyMem_Free(linked);
            return NULL;
        }
    } else {
        Py_XINCREF(linked->receiver);
        Py_INCREF(functions);
        Py_INCREF(rows);
    }
    PyObject *result = Py_None;
    Py_ssize_t index = 0;
    while (result == Py_None && index < many) {
        PyObject *row = PyTuple_GET_ITEM(rows, index);
        void *type = NULL;
        if (PyTuple_Check(row) && PyTuple_GET_SIZE(row) == 4 && PyObject_TypeCheck(PyTuple_GET_ITEM(row, 0), &ThunkType) &&
            PyBytes_Check(PyTuple_GET_ITEM(row, 1)) && PyBytes_Check(PyTuple_GET_ITEM(row, 2)))
            type = PyLong_AsVoidPtr(PyTuple_GET_ITEM(row, 3));
        if (type == NULL) {
            if (!PyErr_Occurred())
                PyErr_SetNone(PyExc_TypeError);
            result = NULL;
            break;
        }
        PyObject *module = PyTuple_GET_ITEM(row, 1), *name = PyTuple_GET_ITEM(row, 2);
        Served *served = &linked->items[index];
        served->linked = linked;
        served->function = PyTuple_GET_ITEM(functions, index);
        served->thunk = (Thunk *)PyTuple_GET_ITEM(row, 0);
        /* `served` is wasmtime's from here on: on an error too, it runs `forget`. */
        void *error = wt.linker_define(linker, PyBytes_AS_STRING(module), (size_t)PyBytes_GET_SIZE(module),
                                       PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name), type, (void *)callback,
                                       served, forget);
        if (error != NULL)
            result = Py_BuildValue("nK", index, (unsigned long long)(uintptr_t)error);
        index++;
    }
    /* What was not defined, and our own. */
    Served rest = {.linked = linked};
    for (; index <= many; index++)
        forget(&rest);
    return result == Py_None ? Py_NewRef(result) : result;
}

/* ------------------------------------------------------------------------------------------------------ a guest call */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Plan plan;
    PyObject *fallback; /* the same call in Python, for whatever is not done here */
    PyObject *keep;
    PyObject *dict;
    Guard *guard;
    Py_ssize_t words;
    Py_ssize_t references; /* among the parameters or the results, whichever has more */
    void *context;
    func_t function;
    bool hold;
} GuestCall;

enum { FEW_WORDS = 32, FEW_ROOTS = 8 };

/* Make roots of the references among the arguments, and their raws: the raws last, since one is no root. */
static bool pass_references(GuestCall *self, PyObject *const *arguments, raw_t *slots, root_t *roots) {
    const Plan *plan = &self->plan;
    Py_ssize_t next = 0;
    for (Py_ssize_t at = 0; at < plan->param_count; at++)
        if (plan->params[at].op == OP_EXTERNREF) {
            PyObject *made = ask(MAKE_ROOT, "(KOK)", (unsigned long long)(uintptr_t)self->context, arguments[at],
                                 (unsigned long long)(uintptr_t)&roots[next++]);
            if (made == NULL)
                return false;
            Py_DECREF(made);
        }
    next = 0;
    for (Py_ssize_t at = 0; at < plan->param_count; at++)
        if (plan->params[at].op == OP_EXTERNREF) {
            slots[at].u64 = arguments[at] == Py_None ? 0 : wt.externref_to_raw(self->context, &roots[next]);
            next++;
        }
    return true;
}

/* Make the Python object of one result. */
static PyObject *guest_result(GuestCall *self, Py_ssize_t at, const raw_t *slots, root_t *roots) {
    const Slot *slot = &self->plan.results[at];
    if (slot->op == OP_BOOL)
        return PyBool_FromLong(slots[at].u32 != 0);
    if (slot->op != OP_EXTERNREF)
        return number_load(slot->op, (const unsigned char *)&slots[at]);
    if (slots[at].u32 == 0)
        Py_RETURN_NONE;
    return ask(REFERENCE, "(KK)", (unsigned long long)(uintptr_t)self->context,
               (unsigned long long)(uintptr_t)&roots[slot->root]);
}

static PyObject *guest_call(GuestCall *self, PyObject *const *arguments, size_t flags, PyObject *names) {
    const Plan *plan = &self->plan;
    raw_t few[FEW_WORDS], *slots = few;
    root_t passed[FEW_ROOTS], returned[FEW_ROOTS];
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (count != plan->param_count || names != NULL || self->words > FEW_WORDS)
        goto python;
    for (Py_ssize_t at = 0; at < count; at++)
        if (plan->params[at].op != OP_EXTERNREF && !core_store(plan->params[at].op, &slots[at], arguments[at]))
            goto python;
    if (!guard_enter(self->guard, plan->where, true))
        return NULL;
    if (self->guard->context == 0) {
        guard_leave(self->guard);
        goto python; /* closed: it says so */
    }
    if (self->references > 0) {
        memset(passed, 0, sizeof passed);
        memset(returned, 0, sizeof returned);
        if (!pass_references(self, arguments, slots, passed)) {
            for (Py_ssize_t at = 0; at < self->references; at++)
                unroot(self->context, &passed[at]);
            guard_leave(self->guard);
            return NULL;
        }
    }
    Py_INCREF(self); /* the guest's host functions can drop what this call belongs to */
    void *trap = NULL, *error;
    if (self->hold) {
        error = wt.func_call_unchecked(self->context, &self->function, slots, (size_t)self->words, &trap);
    } else {
        Py_BEGIN_ALLOW_THREADS
        error = wt.func_call_unchecked(self->context, &self->function, slots, (size_t)self->words, &trap);
        Py_END_ALLOW_THREADS
    }
    if (self->references > 0) {
        /* Before any Python code: a raw reference is no root. */
        for (Py_ssize_t at = 0; error == NULL && trap == NULL && at < plan->result_count; at++)
            if (plan->results[at].op == OP_EXTERNREF)
                wt.externref_from_raw(self->context, slots[at].u32, &returned[plan->results[at].root]);
        for (Py_ssize_t at = 0; at < self->references; at++)
            unroot(self->context, &passed[at]);
    }
    PyObject *result = NULL;
    if (error != NULL || trap != NULL) {
        guard_leave(self->guard);
        refuse(ask(FAIL, "(KK)", (unsigned long long)(uintptr_t)error, (unsigned long long)(uintptr_t)trap));
        Py_DECREF(self);
        return NULL;
    }
    if (self->references == 0)
        guard_leave(self->guard);
    if (plan->optional && slots[plan->errno_index].i32 != 0) {
        refuse(ask(RAISE_ERRNO, "(i)", slots[plan->errno_index].i32));
    } else if (plan->is_tuple) {
        result = PyTuple_New(plan->result_count);
        for (Py_ssize_t at = 0; result != NULL && at < plan->result_count; at++) {
            PyObject *item = guest_result(self, at, slots, returned);
            if (item == NULL)
                Py_CLEAR(result);
            else
                PyTuple_SET_ITEM(result, at, item);
        }
    } else if (plan->result_count == 0) {
        result = Py_NewRef(Py_None);
    } else {
        result = guest_result(self, 0, slots, returned);
    }
    if (self->references > 0) { /* inside until here: the objects were asked of the store */
        for (Py_ssize_t at = 0; at < self->references; at++)
            unroot(self->context, &returned[at]);
        guard_leave(self->guard);
    }
    if (result != NULL && PyObject_Size(helpers[DROPPED]) > 0) {
        PyObject *dropped = ask(DROP, "()");
        if (dropped == NULL)
            Py_CLEAR(result);
        Py_XDECREF(dropped);
    }
    Py_DECREF(self);
    return result;
python:
    if (PyErr_Occurred())
        return NULL;
    return PyObject_Vectorcall(self->fallback, arguments, flags & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
}

static int guest_call_traverse(GuestCall *self, visitproc visit, void *arg) {
    int stop = plan_traverse(&self->plan, visit, arg);
    if (stop != 0)
        return stop;
    Py_VISIT(self->fallback);
    Py_VISIT(self->keep);
    Py_VISIT(self->dict);
    return 0;
}

static int guest_call_clear(GuestCall *self) {
    Py_CLEAR(self->fallback);
    Py_CLEAR(self->keep);
    Py_CLEAR(self->dict);
    return 0;
}

static void guest_call_dealloc(GuestCall *self) {
    PyObject_GC_UnTrack(self);
    guest_call_clear(self);
    plan_clear(&self->plan);
    Py_XDECREF(self->guard);
    PyObject_GC_Del(self);
}

static PyTypeObject GuestCallType;

/* GuestCall(where, fallback, keep, guard, params, results, optional, is_tuple, errno_index, words, context,
   function's bytes, hold) */
static PyObject *guest_call_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)type;
    (void)keywords;
    PyObject *where, *fallback, *keep, *guard, *params, *results;
    Py_buffer function;
    unsigned long long context;
    int optional, is_tuple, hold;
    Py_ssize_t errno_index, words;
    if (!PyArg_ParseTuple(arguments, "OOOO!O!O!ppnnKy*p", &where, &fallback, &keep, &GuardType,
                          &guard, &PyTuple_Type, &params, &PyTuple_Type, &results, &optional, &is_tuple, &errno_index,
                          &words, &context, &function, &hold))
        return NULL;
    GuestCall *self = PyObject_GC_New(GuestCall, &GuestCallType);
    if (self == NULL || function.len != (Py_ssize_t)sizeof(func_t)) {
        PyBuffer_Release(&function);
        if (self != NULL) {
            PyObject_GC_Del(self);
            PyErr_SetNone(PyExc_ValueError);
        }
        return NULL;
    }
    memcpy(&self->function, function.buf, sizeof(func_t));
    PyBuffer_Release(&function);
    self->vectorcall = (vectorcallfunc)guest_call;
    self->fallback = Py_NewRef(fallback);
    self->keep = Py_NewRef(keep);
    self->dict = NULL;
    self->guard = (Guard *)Py_NewRef(guard);
    self->hold = hold;
    self->words = words;
    self->context = (void *)(uintptr_t)context;
    memset(&self->plan, 0, sizeof(Plan));
    self->plan.optional = optional;
    self->plan.is_tuple = is_tuple;
    self->plan.errno_index = errno_index;
    bool fine = plan_of(&self->plan, where, params, results);
    PyObject_GC_Track(self);
    if (!fine) {
        Py_DECREF(self);
        return NULL;
    }
    Py_ssize_t passed = 0, returned = 0;
    for (Py_ssize_t at = 0; at < self->plan.param_count; at++)
        passed += self->plan.params[at].op == OP_EXTERNREF;
    for (Py_ssize_t at = 0; at < self->plan.result_count; at++)
        if (self->plan.results[at].op == OP_EXTERNREF)
            self->plan.results[at].root = returned++;
    self->references = passed > returned ? passed : returned;
    if (self->references > FEW_ROOTS)
        self->words = FEW_WORDS + 1; /* for Python to do */
    return (PyObject *)self;
}


static PyGetSetDef guest_call_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject GuestCallType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hostmod._backend._native.GuestCall",
    .tp_basicsize = sizeof(GuestCall),
    .tp_dealloc = (destructor)guest_call_dealloc,
    .tp_vectorcall_offset = offsetof(GuestCall, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_traverse = (traverseproc)guest_call_traverse,
    .tp_clear = (inquiry)guest_call_clear,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_getset = guest_call_getset,
    .tp_dictoffset = offsetof(GuestCall, dict),
    .tp_new = guest_call_new,
};

/* ----------------------------------------------------------------------------------------------------------- set-up */

static bool take_address(PyObject *addresses, const char *name, void *target) {
    PyObject *number = PyDict_GetItemString(addresses, name);
    void *address = number != NULL ? PyLong_AsVoidPtr(number) : NULL;
    if (address == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_KeyError, name);
        return false;
    }
    memcpy(target, &address, sizeof address);
    return true;
}

static bool member_offset(PyObject *cls, const char *name, Py_ssize_t *offset) {
    PyObject *member = PyObject_GetAttrString(cls, name);
    if (member == NULL)
        return false;
    bool plain = Py_TYPE(member) == &PyMemberDescr_Type;
    if (plain)
        *offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else
        PyErr_SetString(PyExc_TypeError, name);
    Py_DECREF(member);
    return plain;
}

/* setup(addresses, helpers, spare message, class of Keepers, class of Contexts) */
static PyObject *setup(PyObject *self, PyObject *arguments) {
    (void)self;
    PyObject *addresses, *functions, *message, *keeper, *context;
    if (!PyArg_ParseTuple(arguments, "O!O!SOO", &PyDict_Type, &addresses, &PyDict_Type, &functions, &message, &keeper,
                          &context) ||
        !member_offset(context, "entered", &context_entered))
        return NULL;
    Py_XSETREF(context_class, Py_NewRef(context));
    if (!take_address(addresses, "wasmtime_caller_context", &wt.caller_context) ||
        !take_address(addresses, "wasmtime_caller_export_get", &wt.caller_export_get) ||
        !take_address(addresses, "wasmtime_memory_data", &wt.memory_data) ||
        !take_address(addresses, "wasmtime_memory_data_size", &wt.memory_data_size) ||
        !take_address(addresses, "wasmtime_extern_delete", &wt.extern_delete) ||
        !take_address(addresses, "wasmtime_func_call_unchecked", &wt.func_call_unchecked) ||
        !take_address(addresses, "wasmtime_trap_new", &wt.trap_new) ||
        !take_address(addresses, "wasmtime_externref_from_raw", &wt.externref_from_raw) ||
        !take_address(addresses, "wasmtime_externref_to_raw", &wt.externref_to_raw) ||
        !take_address(addresses, "wasmtime_linker_define_func_unchecked", &wt.linker_define))
        return NULL;
    if (PyDict_GetItemString(addresses, "wasmtime_externref_unroot in a context") != NULL
            ? !take_address(addresses, "wasmtime_externref_unroot in a context", &wt.externref_unroot_in)
            : !take_address(addresses, "wasmtime_externref_unroot", &wt.externref_unroot))
        return NULL;
    for (int index = 0; index < HELPER_COUNT; index++) {
        PyObject *helper = PyDict_GetItemString(functions, helper_names[index]);
        if (helper == NULL) {
            PyErr_SetString(PyExc_KeyError, helper_names[index]);
            return NULL;
        }
        Py_XSETREF(helpers[index], Py_NewRef(helper));
    }
    Py_XSETREF(keeper_class, Py_NewRef(keeper));
    Py_XSETREF(spare_message, Py_NewRef(message));
    Py_XSETREF(spare_text, PyUnicode_FromEncodedObject(message, "ascii", NULL));
    if (spare_text == NULL)
        return NULL;
    Py_RETURN_NONE;
}

/* classes(CallMemory, Pointer, List, Pointer.load, Pointer.store, List.__getitem__, Memory): what objects are made of. */
static PyObject *classes(PyObject *self, PyObject *arguments) {
    (void)self;
    PyObject *memory, *pointer, *list, *load, *store, *getitem, *base;
    if (!PyArg_ParseTuple(arguments, "O!O!O!OOOO", &PyType_Type, &memory, &PyType_Type, &pointer, &PyType_Type, &list,
                          &load, &store, &getitem, &base))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)memory, &CallMemoryType) ||
        ((PyTypeObject *)memory)->tp_basicsize != (Py_ssize_t)sizeof(CallMemory)) {
        PyErr_SetNone(PyExc_TypeError);
        return NULL;
    }
    if (!member_offset(pointer, "memory", &pointer_memory) || !member_offset(pointer, "offset", &pointer_offset) ||
        !member_offset(pointer, "type", &pointer_type) || !member_offset(list, "pointer", &list_pointer) ||
        !member_offset(list, "length", &list_length))
        return NULL;
    Py_XSETREF(memory_class, (PyTypeObject *)Py_NewRef(memory));
    Py_XSETREF(pointer_class, (PyTypeObject *)Py_NewRef(pointer));
    Py_XSETREF(list_class, (PyTypeObject *)Py_NewRef(list));
    Py_XSETREF(pointer_load, Py_NewRef(load));
    Py_XSETREF(pointer_store, Py_NewRef(store));
    Py_XSETREF(list_getitem, Py_NewRef(getitem));
    Py_XSETREF(memory_base, Py_NewRef(base));
    Py_RETURN_NONE;
}

/* sizes() -> the structures' sizes and offsets as written above, to be compared with wasmtime-py's */
static PyObject *sizes(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return Py_BuildValue("{snsnsnsnsnsnsn}", "wasmtime_val_raw_t", (Py_ssize_t)sizeof(raw_t), "wasmtime_extern_t",
                         (Py_ssize_t)sizeof(extern_t), "wasmtime_extern_t.kind", (Py_ssize_t)offsetof(extern_t, kind),
                         "wasmtime_extern_t.of", (Py_ssize_t)offsetof(extern_t, of), "wasmtime_memory_t",
                         (Py_ssize_t)sizeof(((extern_t *)0)->of), "wasmtime_func_t", (Py_ssize_t)sizeof(func_t), "wasmtime_externref_t",
                         (Py_ssize_t)sizeof(root_t));
}

/* opcodes() -> the numbers of the operations by their names */
static PyObject *opcodes(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
#define OP_NAME(name) #name,
    static const char *const names[OP_COUNT] = {OPCODES(OP_NAME)};
#undef OP_NAME
    PyObject *result = PyDict_New();
    for (int op = 0; result != NULL && op < OP_COUNT; op++) {
        PyObject *number = PyLong_FromLong(op);
        if (number == NULL || PyDict_SetItemString(result, names[op], number) < 0)
            Py_CLEAR(result);
        Py_XDECREF(number);
    }
    return result;
}

static PyMethodDef module_methods[] = {
    {"classes", classes, METH_VARARGS, NULL},
    {"define_all", (PyCFunction)(void (*)(void))define_all, METH_FASTCALL, NULL},
    {"hand", (PyCFunction)(void (*)(void))hand, METH_FASTCALL, NULL},
    {"opcodes", opcodes, METH_NOARGS, NULL},
    {"setup", setup, METH_VARARGS, NULL},
    {"sizes", sizes, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) { /* PyGILState knows no other */
        PyErr_SetString(PyExc_ImportError, "subinterpreter");
        return -1;
    }
    str_native = PyUnicode_InternFromString("_native");
    str_release = PyUnicode_InternFromString("release");
    str_memory = PyUnicode_InternFromString("memory");
    str_offset = PyUnicode_InternFromString("offset");
    str_type = PyUnicode_InternFromString("type");
    str_pointer = PyUnicode_InternFromString("pointer");
    str_length = PyUnicode_InternFromString("length");
    str_end = PyUnicode_InternFromString("_end");
    str_error = PyUnicode_InternFromString("error");
    str_message = PyUnicode_InternFromString("message");
    zero = PyLong_FromLong(0);
    if (zero == NULL || str_native == NULL || str_release == NULL || str_memory == NULL || str_offset == NULL ||
        str_type == NULL || str_pointer == NULL || str_length == NULL || str_end == NULL || str_error == NULL ||
        str_message == NULL)
        return -1;
    for (int letter = 0; letter < 128; letter++)
        formats[letter][0] = (char)letter;
    PyTypeObject *types[] = {&ViewType,           &CodecType,       &ThunkType, &CallMemoryType,
                             &PointerMethodsType, &ListMethodsType, &GuardType, &GuestCallType,
                             &EnteredType,        &HandedType};
    for (size_t index = 0; index < sizeof types / sizeof *types; index++)
        if (PyModule_AddType(module, types[index]) < 0)
            return -1;
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hostmod._backend._native",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module_def); }
