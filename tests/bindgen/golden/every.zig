//! Written by `hostmod bindgen zig`; what stands here follows the Python declaration.
//!
//! How Python's annotations arrive here:
//!
//!     String            []const u8   UTF-8
//!     Bytes             []u8         a buffer that the host reads or fills
//!     Array[T] List[T]  []T
//!     Pointer[T]        *T           a T that the host reads or fills; ?*T where it may be null
//!     Duration          i64          nanoseconds
//!     Error             Error!void   last_errno has the number
//!     Optional[T]       Error!T
//!     tuple[A, B]       struct { A, B }

const std = @import("std");

/// What went wrong, by the name of its number; Unexpected for a number without one.
pub const Error = error{
    EPERM,
    ENOENT,
    ESRCH,
    EINTR,
    EIO,
    ENXIO,
    E2BIG,
    ENOEXEC,
    EBADF,
    ECHILD,
    EAGAIN,
    ENOMEM,
    EACCES,
    EFAULT,
    ENOTBLK,
    EBUSY,
    EEXIST,
    EXDEV,
    ENODEV,
    ENOTDIR,
    EISDIR,
    EINVAL,
    ENFILE,
    EMFILE,
    ENOTTY,
    ETXTBSY,
    EFBIG,
    ENOSPC,
    ESPIPE,
    EROFS,
    EMLINK,
    EPIPE,
    EDOM,
    ERANGE,
    EDEADLK,
    ENAMETOOLONG,
    ENOLCK,
    ENOSYS,
    ENOTEMPTY,
    ELOOP,
    EPROTO,
    EBADMSG,
    EOVERFLOW,
    EILSEQ,
    ENOTSOCK,
    EMSGSIZE,
    EPROTONOSUPPORT,
    EOPNOTSUPP,
    EADDRINUSE,
    EADDRNOTAVAIL,
    ENETUNREACH,
    ECONNABORTED,
    ECONNRESET,
    ENOBUFS,
    EISCONN,
    ENOTCONN,
    ETIMEDOUT,
    ECONNREFUSED,
    EHOSTUNREACH,
    EALREADY,
    EINPROGRESS,
    ESTALE,
    EDQUOT,
    ECANCELED,
    Unexpected,
};

/// The number of the last error.
pub var last_errno: i32 = 0;

fn check(number: i32) Error!void {
    if (number == 0) return;
    last_errno = number;
    return switch (number) {
        1 => error.EPERM,
        2 => error.ENOENT,
        3 => error.ESRCH,
        4 => error.EINTR,
        5 => error.EIO,
        6 => error.ENXIO,
        7 => error.E2BIG,
        8 => error.ENOEXEC,
        9 => error.EBADF,
        10 => error.ECHILD,
        11 => error.EAGAIN,
        12 => error.ENOMEM,
        13 => error.EACCES,
        14 => error.EFAULT,
        15 => error.ENOTBLK,
        16 => error.EBUSY,
        17 => error.EEXIST,
        18 => error.EXDEV,
        19 => error.ENODEV,
        20 => error.ENOTDIR,
        21 => error.EISDIR,
        22 => error.EINVAL,
        23 => error.ENFILE,
        24 => error.EMFILE,
        25 => error.ENOTTY,
        26 => error.ETXTBSY,
        27 => error.EFBIG,
        28 => error.ENOSPC,
        29 => error.ESPIPE,
        30 => error.EROFS,
        31 => error.EMLINK,
        32 => error.EPIPE,
        33 => error.EDOM,
        34 => error.ERANGE,
        35 => error.EDEADLK,
        36 => error.ENAMETOOLONG,
        37 => error.ENOLCK,
        38 => error.ENOSYS,
        39 => error.ENOTEMPTY,
        40 => error.ELOOP,
        71 => error.EPROTO,
        74 => error.EBADMSG,
        75 => error.EOVERFLOW,
        84 => error.EILSEQ,
        88 => error.ENOTSOCK,
        90 => error.EMSGSIZE,
        93 => error.EPROTONOSUPPORT,
        95 => error.EOPNOTSUPP,
        98 => error.EADDRINUSE,
        99 => error.EADDRNOTAVAIL,
        101 => error.ENETUNREACH,
        103 => error.ECONNABORTED,
        104 => error.ECONNRESET,
        105 => error.ENOBUFS,
        106 => error.EISCONN,
        107 => error.ENOTCONN,
        110 => error.ETIMEDOUT,
        111 => error.ECONNREFUSED,
        113 => error.EHOSTUNREACH,
        114 => error.EALREADY,
        115 => error.EINPROGRESS,
        116 => error.ESTALE,
        122 => error.EDQUOT,
        125 => error.ECANCELED,
        else => error.Unexpected,
    };
}

/// Text as it lies in memory.
pub const String = extern struct {
    ptr: [*]const u8,
    len: u32,

    pub fn of(text: []const u8) String {
        return .{ .ptr = text.ptr, .len = @intCast(text.len) };
    }
    pub fn slice(self: String) []const u8 {
        return self.ptr[0..self.len];
    }
};

/// A slice as it lies in memory.
pub fn Slice(comptime T: type) type {
    return extern struct {
        ptr: [*]T,
        len: u32,

        pub fn of(items: []T) @This() {
            return .{ .ptr = items.ptr, .len = @intCast(items.len) };
        }
        pub fn slice(self: @This()) []T {
            return self.ptr[0..self.len];
        }
    };
}

// The host module "every". Every guest type, both ways.
//
// Errors, and the Python exceptions that they stand for:
//     ENOENT (2)  KeyError
//     EDOM (33)  IndexError
//     ENOBUFS (105)  BufferError

/// A colour of the traffic light.
pub const Color = enum(u8) {
    red = 1,
    green = 2,
    blue = 200,
    _,
};

/// What may be done.
///
/// Members can be combined.
pub const Access = packed struct(u16) {
    read: bool = false,
    write: bool = false,
    _bit2: bool = false,
    execute: bool = false,
    _bit4: bool = false,
    _bit5: bool = false,
    _bit6: bool = false,
    _bit7: bool = false,
    _bit8: bool = false,
    _bit9: bool = false,
    _bit10: bool = false,
    _bit11: bool = false,
    _bit12: bool = false,
    _bit13: bool = false,
    _bit14: bool = false,
    _bit15: bool = false,
};

pub const Large = enum(i64) {
    below = -1099511627776,
    above = 1099511627776,
    _,
};

/// Celsius: hostmod knows its size only.
pub const Celsius = extern struct {
    bytes: [4]u8 align(4),
};

/// A place; y is at offset 8, since it is aligned to 8 bytes.
pub const Point = extern struct {
    x: f32,
    y: f64,
};

comptime {
    if (@sizeOf(Point) != 16) @compileError("Python has 16 bytes");
    if (@offsetOf(Point, "x") != 0) @compileError("Python has x at 0");
    if (@offsetOf(Point, "y") != 8) @compileError("Python has y at 8");
}

pub const Sample = extern struct {
    flag: bool,
    small: i8,
    wide: i64,
    half: i16,
    color: Color,
    access: Access,
    large: Large,
    ratio: f32,
    span: i64,
    point: Point,
    numbers: [3]u32,
    tag: [5]u8,
    points: [2]Point,
    type_: u8,
    error_: i32,
    warmth: Celsius,
    name: String,
    label: [*:0]const u8,
    data: Slice(u8),
    values: Slice(u16),
    wider: Slice(u32),
    count: *u64,
    nothing: ?*Point,
};

comptime {
    if (@sizeOf(Sample) != 176) @compileError("Python has 176 bytes");
    if (@offsetOf(Sample, "flag") != 0) @compileError("Python has flag at 0");
    if (@offsetOf(Sample, "small") != 1) @compileError("Python has small at 1");
    if (@offsetOf(Sample, "wide") != 8) @compileError("Python has wide at 8");
    if (@offsetOf(Sample, "half") != 16) @compileError("Python has half at 16");
    if (@offsetOf(Sample, "color") != 18) @compileError("Python has color at 18");
    if (@offsetOf(Sample, "access") != 20) @compileError("Python has access at 20");
    if (@offsetOf(Sample, "large") != 24) @compileError("Python has large at 24");
    if (@offsetOf(Sample, "ratio") != 32) @compileError("Python has ratio at 32");
    if (@offsetOf(Sample, "span") != 40) @compileError("Python has span at 40");
    if (@offsetOf(Sample, "point") != 48) @compileError("Python has point at 48");
    if (@offsetOf(Sample, "numbers") != 64) @compileError("Python has numbers at 64");
    if (@offsetOf(Sample, "tag") != 76) @compileError("Python has tag at 76");
    if (@offsetOf(Sample, "points") != 88) @compileError("Python has points at 88");
    if (@offsetOf(Sample, "type_") != 120) @compileError("Python has type_ at 120");
    if (@offsetOf(Sample, "error_") != 124) @compileError("Python has error_ at 124");
    if (@offsetOf(Sample, "warmth") != 128) @compileError("Python has warmth at 128");
    if (@offsetOf(Sample, "name") != 132) @compileError("Python has name at 132");
    if (@offsetOf(Sample, "label") != 140) @compileError("Python has label at 140");
    if (@offsetOf(Sample, "data") != 144) @compileError("Python has data at 144");
    if (@offsetOf(Sample, "values") != 152) @compileError("Python has values at 152");
    if (@offsetOf(Sample, "wider") != 160) @compileError("Python has wider at 160");
    if (@offsetOf(Sample, "count") != 168) @compileError("Python has count at 168");
    if (@offsetOf(Sample, "nothing") != 172) @compileError("Python has nothing at 172");
}

const raw = struct {
    extern "every" fn scalars(a0: bool, a1: i8, a2: u8, a3: i16, a4: u16, a5: i32, a6: u32, a7: i64, a8: u64, a9: f32, a10: f64, a11: i64, a12: i32) void;
    extern "every" fn invert(a0: bool) bool;
    extern "every" fn int8(a0: i8) i8;
    extern "every" fn uint8(a0: u8) u8;
    extern "every" fn int16(a0: i16) i16;
    extern "every" fn uint16(a0: u16) u16;
    extern "every" fn int32(a0: i32) i32;
    extern "every" fn uint32(a0: u32) u32;
    extern "every" fn int64(a0: i64) i64;
    extern "every" fn uint64(a0: u64) u64;
    extern "every" fn float32(a0: f32) f32;
    extern "every" fn float64(a0: f64) f64;
    extern "every" fn later(a0: i64) i64;
    extern "every" fn errno(a0: i32) i32;
    extern "every" fn color(a0: u8) u8;
    extern "every" fn access(a0: u16) u16;
    extern "every" fn large(a0: i64) i64;
    extern "every" fn celsius(a0: u32) u32;
    extern "every" fn string(a0: [*]const u8, a1: u32) u32;
    extern "every" fn cstring(a0: [*:0]const u8) u32;
    extern "every" fn bytes(a0: [*]u8, a1: u32) u32;
    extern "every" fn array(a0: [*]u32, a1: u32) u64;
    extern "every" fn points(a0: [*]Point, a1: u32) f64;
    extern "every" fn names(a0: [*]String, a1: u32) u32;
    extern "every" fn pointer(a0: *u64) void;
    extern "every" fn nullable(a0: ?*Point) bool;
    extern "every" fn sample(a0: *Sample) void;
    extern "every" fn @"find.out"(a0: u32, a1: *u32) i32;
    extern "every" fn attempt(a0: i32) i32;
    extern "every" fn @"divide.out"(a0: i64, a1: i64, a2: *i64, a3: *i32) void;
    extern "every" fn @"mix.out"(a0: u32, a1: *f32, a2: *Color) i32;
    extern "every" fn pages(a0: i32) bool;
    extern "every" fn @"return"(a0: i32, a1: i32) i32;
    extern "every" fn @"find-me"() i32;
};

/// Expect the widest value of each.
pub fn scalars(a: bool, b: i8, c: u8, d: i16, e: u16, f: i32, g: u32, h: i64, i: u64, j: f32, k: f64, m: i64, n: i32) void {
    raw.scalars(a, b, c, d, e, f, g, h, i, j, k, m, n);
}

pub fn invert(value: bool) bool {
    return raw.invert(value);
}

pub fn int8(value: i8) i8 {
    return raw.int8(value);
}

pub fn uint8(value: u8) u8 {
    return raw.uint8(value);
}

pub fn int16(value: i16) i16 {
    return raw.int16(value);
}

pub fn uint16(value: u16) u16 {
    return raw.uint16(value);
}

pub fn int32(value: i32) i32 {
    return raw.int32(value);
}

pub fn uint32(value: u32) u32 {
    return raw.uint32(value);
}

pub fn int64(value: i64) i64 {
    return raw.int64(value);
}

pub fn uint64(value: u64) u64 {
    return raw.uint64(value);
}

pub fn float32(value: f32) f32 {
    return raw.float32(value);
}

pub fn float64(value: f64) f64 {
    return raw.float64(value);
}

pub fn later(span: i64) i64 {
    return raw.later(span);
}

pub fn errno(number: i32) i32 {
    return raw.errno(number);
}

pub fn color(color_: Color) Color {
    return @enumFromInt(raw.color(@intFromEnum(color_)));
}

pub fn access(access_: Access) Access {
    return @bitCast(raw.access(@bitCast(access_)));
}

pub fn large(large_: Large) Large {
    return @enumFromInt(raw.large(@intFromEnum(large_)));
}

pub fn celsius(warmth: u32) u32 {
    return raw.celsius(warmth);
}

/// Return how many characters the text has.
///
/// It is "naïve".
pub fn string(text: []const u8) u32 {
    return raw.string(text.ptr, @intCast(text.len));
}

pub fn cstring(text: [*:0]const u8) u32 {
    return raw.cstring(text);
}

/// Turn the bytes around.
pub fn bytes(data: []u8) u32 {
    return raw.bytes(data.ptr, @intCast(data.len));
}

/// Add up, and double each in place.
pub fn array(values: []u32) u64 {
    return raw.array(values.ptr, @intCast(values.len));
}

pub fn points(points_: []Point) f64 {
    return raw.points(points_.ptr, @intCast(points_.len));
}

pub fn names(names_: []String) u32 {
    return raw.names(names_.ptr, @intCast(names_.len));
}

pub fn pointer(value: *u64) void {
    raw.pointer(value);
}

pub fn nullable(point: ?*Point) bool {
    return raw.nullable(point);
}

/// Expect a value in every field, and change most of them.
pub fn sample(sample_: *Sample) void {
    raw.sample(sample_);
}

/// Find a key.
pub fn find(key: u32) Error!u32 {
    var result: u32 = undefined;
    try check(raw.@"find.out"(key, &result));
    return result;
}

pub fn attempt(number: i32) Error!void {
    return check(raw.attempt(number));
}

/// Return the quotient and the remainder.
pub fn divide(a: i64, b: i64) struct { i64, i32 } {
    var result0: i64 = undefined;
    var result1: i32 = undefined;
    raw.@"divide.out"(a, b, &result0, &result1);
    return .{ result0, result1 };
}

pub fn mix(index: u32) Error!struct { f32, Color } {
    var result0: f32 = undefined;
    var result1: Color = undefined;
    try check(raw.@"mix.out"(index, &result0, &result1));
    return .{ result0, result1 };
}

pub fn pages(value: i32) bool {
    return raw.pages(value);
}

// reference cannot be declared: Zig has no references to host objects.

// dereference cannot be declared: Zig has no references to host objects.

pub fn return_(default: i32, type_: i32) i32 {
    return raw.@"return"(default, type_);
}

pub fn findMe() i32 {
    return raw.@"find-me"();
}
