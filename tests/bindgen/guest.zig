//! Calls every function of every.py; returns 0, or the line where the host did not answer as expected.
const std = @import("std");
const every = @import("every.zig");

var failed: i32 = 0;

fn check(condition: bool, at: std.builtin.SourceLocation) void {
    if (!condition and failed == 0) failed = @intCast(at.line);
}

export fn run() i32 {
    all() catch return -1;
    return failed;
}

fn all() every.Error!void {
    every.scalars(true, -128, 255, -32768, 65535, -2147483648, 4294967295, std.math.minInt(i64), std.math.maxInt(u64), 0.5, 0.1, 1500 * std.time.ns_per_ms, 105);
    check(every.invert(false) and !every.invert(true), @src());
    check(every.int8(-100) == -99 and every.uint8(200) == 201, @src());
    check(every.int16(-30000) == -29999 and every.uint16(60000) == 60001, @src());
    check(every.int32(-2000000000) == -1999999999 and every.uint32(4000000000) == 4000000001, @src());
    check(every.int64(std.math.minInt(i64)) == std.math.minInt(i64) + 1, @src());
    check(every.uint64(std.math.maxInt(u64) - 1) == std.math.maxInt(u64), @src());
    check(every.float32(0.5) == 1.5 and every.float64(0.25) == 1.25, @src());
    check(every.later(-1) == 999999999 and every.errno(1) == 2, @src());
    check(every.color(.red) == .blue, @src());
    const access = every.access(.{ .read = true, .execute = true });
    check(access.read and access.write and !access.execute, @src());
    check(every.large(.above) == .below, @src());
    check(every.celsius(200) == 215, @src());

    check(every.string("naïve") == 5, @src());
    check(every.cstring("café") == 4, @src());
    var data = [_]u8{ 1, 2, 3 };
    check(every.bytes(&data) == 3 and data[0] == 3 and data[2] == 1, @src());
    var values = [_]u32{ 1000000000, 2000000000 };
    check(every.array(&values) == 3000000000 and values[1] == 4000000000, @src());
    var points = [_]every.Point{ .{ .x = 1, .y = 2 }, .{ .x = 3, .y = 4 } };
    check(every.points(&points) == 10 and points[1].x == 4 and points[1].y == 3, @src());
    var names = [_]every.String{ .of("one"), .of(""), .of("three") };
    check(every.names(&names) == 8, @src());
    var number: u64 = 1 << 40;
    every.pointer(&number);
    check(number == 1 << 41, @src());
    check(!every.nullable(null) and every.nullable(&points[0]), @src());
    check(points[0].x == 1.5 and points[0].y == 2.5, @src());

    var shorts = [_]u16{ 10, 20 };
    var wider = [_]u32{ 100000, 200000 };
    var bytes = "data".*;
    number = 77;
    var sample = every.Sample{
        .flag = true,
        .small = -5,
        .wide = -(1 << 40),
        .half = -300,
        .color = .green,
        .access = .{ .write = true, .execute = true },
        .large = .above,
        .ratio = 0.25,
        .span = 7,
        .point = .{ .x = 1, .y = 2 },
        .numbers = .{ 1, 2, 3 },
        .tag = "abcde".*,
        .points = .{ .{ .x = 3, .y = 4 }, .{ .x = 5, .y = 6 } },
        .type_ = 9,
        .error_ = 28,
        .warmth = .{ .bytes = .{ 110, 1, 0, 0 } },
        .name = .of("name"),
        .label = "label",
        .data = .of(&bytes),
        .values = .of(&shorts),
        .wider = .of(&wider),
        .count = &number,
        .nothing = null,
    };
    every.sample(&sample);
    check(!sample.flag and sample.small == 5 and sample.wide == 1 << 40 and sample.half == 300, @src());
    check(sample.color == .blue and sample.access.read and !sample.access.write, @src());
    check(sample.large == .below and sample.ratio == 0.75 and sample.span == 8, @src());
    check(sample.point.x == 10 and sample.point.y == 20, @src());
    check(std.mem.eql(u32, &sample.numbers, &.{ 4, 5, 6 }) and std.mem.eql(u8, &sample.tag, "fghij"), @src());
    check(sample.points[1].x == 50 and sample.points[1].y == 60 and sample.type_ == 10, @src());
    check(sample.error_ == 29 and sample.warmth.bytes[0] == 120 and sample.warmth.bytes[1] == 1, @src());
    check(number == 78 and std.mem.eql(u8, &bytes, "DATA"), @src());

    check(every.find(0) == error.ENOENT and every.last_errno == 2, @src());
    check(try every.find(21) == 42, @src());
    try every.attempt(0);
    check(every.attempt(105) == error.ENOBUFS and every.attempt(4000) == error.Unexpected, @src());
    const quotient, const remainder = every.divide(17, 5);
    check(quotient == 3 and remainder == 2, @src());
    const ratio, const color = try every.mix(0);
    check(ratio == 0.5 and color == .green, @src());
    check(if (every.mix(2)) |_| false else |problem| problem == error.EDOM, @src());
    check(every.pages(-1), @src());
    check(every.return_(7, 3) == 4 and every.findMe() == 11, @src());
}
