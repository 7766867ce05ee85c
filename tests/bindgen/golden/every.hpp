/* Written by `hostmod bindgen cpp`; what stands here follows the Python declaration.
 *
 * How Python's annotations arrive here:
 *
 *     String            std::string_view         UTF-8
 *     Bytes             std::span<std::uint8_t>  a buffer that the host reads or fills
 *     Array[T] List[T]  std::span<T>
 *     Pointer[T]        T *                      a T that the host reads or fills
 *     Duration          std::chrono::nanoseconds
 *     Error             hostmod::Error           true if something went wrong; its number
 *     Optional[T]       hostmod::Result<T>       true if there is a value
 *     tuple[A, B]       std::tuple<A, B>
 */
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>

#ifndef HOSTMOD_PRELUDE
#define HOSTMOD_PRELUDE
namespace hostmod {

/* A pointer and a length, as they lie in memory. */
template <class T> struct Slice {
    T *data = nullptr;
    std::uint32_t length = 0;
    constexpr operator std::span<T>() const { return {data, length}; }
};
struct String {
    const char *data = nullptr;
    std::uint32_t length = 0;
    constexpr operator std::string_view() const { return {data, length}; }
};

/* What went wrong; true if something did. */
struct [[nodiscard]] Error {
    std::int32_t number = 0;
    constexpr explicit operator bool() const { return number != 0; }
    constexpr bool operator==(const Error &) const = default;
};

/* A value, or what went wrong in its place; true if it is the value. */
template <class T> struct [[nodiscard]] Result {
    T value{};
    Error error{};
    constexpr explicit operator bool() const { return !error; }
    constexpr const T &operator*() const { return value; }
    constexpr const T *operator->() const { return &value; }
    constexpr T value_or(T other) const { return error ? other : value; }
};

} // namespace hostmod
#endif

/* The host module "every". Every guest type, both ways. */
namespace every {

/* Error numbers, and the Python exceptions that they stand for. */
inline constexpr hostmod::Error enoent{2}; /* KeyError */
inline constexpr hostmod::Error edom{33}; /* IndexError */
inline constexpr hostmod::Error enobufs{105}; /* BufferError */

/* A colour of the traffic light. */
enum class Color : std::uint8_t {
    red = 1,
    green = 2,
    blue = 200,
};

/* What may be done.
 *
 * Members can be combined.
 */
enum class Access : std::uint16_t {
    read = 1,
    write = 2,
    execute = 8,
};
constexpr Access operator|(Access a, Access b) {
    return static_cast<Access>(static_cast<std::uint16_t>(a) | static_cast<std::uint16_t>(b));
}
constexpr Access operator&(Access a, Access b) {
    return static_cast<Access>(static_cast<std::uint16_t>(a) & static_cast<std::uint16_t>(b));
}

enum class Large : std::int64_t {
    below = -1099511627776LL,
    above = 1099511627776LL,
};

/* Celsius: hostmod knows its size only. */
struct alignas(4) Celsius {
    unsigned char bytes[4];
};

/* A place; y is at offset 8, since it is aligned to 8 bytes. */
struct Point {
    float x;
    double y;
};
static_assert(sizeof(Point) == 16, "Python has 16 bytes");
static_assert(offsetof(Point, x) == 0, "Python has it at 0");
static_assert(offsetof(Point, y) == 8, "Python has it at 8");

struct Sample {
    bool flag;
    std::int8_t small;
    std::int64_t wide;
    std::int16_t half;
    Color color;
    Access access;
    Large large;
    float ratio;
    std::chrono::duration<std::int64_t, std::nano> span;
    Point point;
    std::uint32_t numbers[3];
    unsigned char tag[5];
    Point points[2];
    std::uint8_t type;
    std::int32_t error;
    Celsius warmth;
    hostmod::String name;
    const char * label;
    hostmod::Slice<std::uint8_t> data;
    hostmod::Slice<std::uint16_t> values;
    hostmod::Slice<std::uint32_t> wider;
    std::uint64_t * count;
    Point * nothing;
};
static_assert(sizeof(Sample) == 176, "Python has 176 bytes");
static_assert(offsetof(Sample, flag) == 0, "Python has it at 0");
static_assert(offsetof(Sample, small) == 1, "Python has it at 1");
static_assert(offsetof(Sample, wide) == 8, "Python has it at 8");
static_assert(offsetof(Sample, half) == 16, "Python has it at 16");
static_assert(offsetof(Sample, color) == 18, "Python has it at 18");
static_assert(offsetof(Sample, access) == 20, "Python has it at 20");
static_assert(offsetof(Sample, large) == 24, "Python has it at 24");
static_assert(offsetof(Sample, ratio) == 32, "Python has it at 32");
static_assert(offsetof(Sample, span) == 40, "Python has it at 40");
static_assert(offsetof(Sample, point) == 48, "Python has it at 48");
static_assert(offsetof(Sample, numbers) == 64, "Python has it at 64");
static_assert(offsetof(Sample, tag) == 76, "Python has it at 76");
static_assert(offsetof(Sample, points) == 88, "Python has it at 88");
static_assert(offsetof(Sample, type) == 120, "Python has it at 120");
static_assert(offsetof(Sample, error) == 124, "Python has it at 124");
static_assert(offsetof(Sample, warmth) == 128, "Python has it at 128");
static_assert(offsetof(Sample, name) == 132, "Python has it at 132");
static_assert(offsetof(Sample, label) == 140, "Python has it at 140");
static_assert(offsetof(Sample, data) == 144, "Python has it at 144");
static_assert(offsetof(Sample, values) == 152, "Python has it at 152");
static_assert(offsetof(Sample, wider) == 160, "Python has it at 160");
static_assert(offsetof(Sample, count) == 168, "Python has it at 168");
static_assert(offsetof(Sample, nothing) == 172, "Python has it at 172");

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("scalars")))
void hostmod_every_scalars(bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, float, double, std::int64_t, std::int32_t);
}
/* Expect the widest value of each. */
inline void scalars(bool a, std::int8_t b, std::uint8_t c, std::int16_t d, std::uint16_t e, std::int32_t f, std::uint32_t g, std::int64_t h, std::uint64_t i, float j, double k, std::chrono::nanoseconds m, std::int32_t n) {
    raw::hostmod_every_scalars(a, b, c, d, e, f, g, h, i, j, k, m.count(), n);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("invert")))
bool hostmod_every_invert(bool);
}
inline bool invert(bool value) {
    return raw::hostmod_every_invert(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("int8")))
std::int8_t hostmod_every_int8(std::int8_t);
}
inline std::int8_t int8(std::int8_t value) {
    return raw::hostmod_every_int8(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("uint8")))
std::uint8_t hostmod_every_uint8(std::uint8_t);
}
inline std::uint8_t uint8(std::uint8_t value) {
    return raw::hostmod_every_uint8(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("int16")))
std::int16_t hostmod_every_int16(std::int16_t);
}
inline std::int16_t int16(std::int16_t value) {
    return raw::hostmod_every_int16(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("uint16")))
std::uint16_t hostmod_every_uint16(std::uint16_t);
}
inline std::uint16_t uint16(std::uint16_t value) {
    return raw::hostmod_every_uint16(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("int32")))
std::int32_t hostmod_every_int32(std::int32_t);
}
inline std::int32_t int32(std::int32_t value) {
    return raw::hostmod_every_int32(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("uint32")))
std::uint32_t hostmod_every_uint32(std::uint32_t);
}
inline std::uint32_t uint32(std::uint32_t value) {
    return raw::hostmod_every_uint32(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("int64")))
std::int64_t hostmod_every_int64(std::int64_t);
}
inline std::int64_t int64(std::int64_t value) {
    return raw::hostmod_every_int64(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("uint64")))
std::uint64_t hostmod_every_uint64(std::uint64_t);
}
inline std::uint64_t uint64(std::uint64_t value) {
    return raw::hostmod_every_uint64(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("float32")))
float hostmod_every_float32(float);
}
inline float float32(float value) {
    return raw::hostmod_every_float32(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("float64")))
double hostmod_every_float64(double);
}
inline double float64(double value) {
    return raw::hostmod_every_float64(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("later")))
std::int64_t hostmod_every_later(std::int64_t);
}
inline std::chrono::nanoseconds later(std::chrono::nanoseconds span) {
    return std::chrono::nanoseconds(raw::hostmod_every_later(span.count()));
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("errno")))
std::int32_t hostmod_every_errno_(std::int32_t);
}
inline std::int32_t errno_(std::int32_t number) {
    return raw::hostmod_every_errno_(number);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("color")))
Color hostmod_every_color(Color);
}
inline Color color(Color color) {
    return raw::hostmod_every_color(color);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("access")))
Access hostmod_every_access(Access);
}
inline Access access(Access access) {
    return raw::hostmod_every_access(access);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("large")))
Large hostmod_every_large(Large);
}
inline Large large(Large large) {
    return raw::hostmod_every_large(large);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("celsius")))
std::uint32_t hostmod_every_celsius(std::uint32_t);
}
inline std::uint32_t celsius(std::uint32_t warmth) {
    return raw::hostmod_every_celsius(warmth);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("string")))
std::uint32_t hostmod_every_string(const char *, std::uint32_t);
}
/* Return how many characters the text has.
 *
 * It is "naïve".
 */
inline std::uint32_t string(std::string_view text) {
    return raw::hostmod_every_string(text.data(), static_cast<std::uint32_t>(text.size()));
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("cstring")))
std::uint32_t hostmod_every_cstring(const char *);
}
inline std::uint32_t cstring(const char * text) {
    return raw::hostmod_every_cstring(text);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("bytes")))
std::uint32_t hostmod_every_bytes(std::uint8_t *, std::uint32_t);
}
/* Turn the bytes around. */
inline std::uint32_t bytes(std::span<std::uint8_t> data) {
    return raw::hostmod_every_bytes(data.data(), static_cast<std::uint32_t>(data.size()));
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("array")))
std::uint64_t hostmod_every_array(std::uint32_t *, std::uint32_t);
}
/* Add up, and double each in place. */
inline std::uint64_t array(std::span<std::uint32_t> values) {
    return raw::hostmod_every_array(values.data(), static_cast<std::uint32_t>(values.size()));
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("points")))
double hostmod_every_points(Point *, std::uint32_t);
}
inline double points(std::span<Point> points) {
    return raw::hostmod_every_points(points.data(), static_cast<std::uint32_t>(points.size()));
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("names")))
std::uint32_t hostmod_every_names(hostmod::String *, std::uint32_t);
}
inline std::uint32_t names(std::span<hostmod::String> names) {
    return raw::hostmod_every_names(names.data(), static_cast<std::uint32_t>(names.size()));
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("pointer")))
void hostmod_every_pointer(std::uint64_t *);
}
inline void pointer(std::uint64_t * value) {
    raw::hostmod_every_pointer(value);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("nullable")))
bool hostmod_every_nullable(Point *);
}
inline bool nullable(Point * point) {
    return raw::hostmod_every_nullable(point);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("sample")))
void hostmod_every_sample(Sample *);
}
/* Expect a value in every field, and change most of them. */
inline void sample(Sample * sample) {
    raw::hostmod_every_sample(sample);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("find.out")))
std::int32_t hostmod_every_find(std::uint32_t, std::uint32_t *);
}
/* Find a key. */
inline hostmod::Result<std::uint32_t> find(std::uint32_t key) {
    hostmod::Result<std::uint32_t> result;
    result.error = {raw::hostmod_every_find(key, &result.value)};
    return result;
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("attempt")))
std::int32_t hostmod_every_attempt(std::int32_t);
}
inline hostmod::Error attempt(std::int32_t number) {
    return {raw::hostmod_every_attempt(number)};
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("divide.out")))
void hostmod_every_divide(std::int64_t, std::int64_t, std::int64_t *, std::int32_t *);
}
/* Return the quotient and the remainder. */
inline std::tuple<std::int64_t, std::int32_t> divide(std::int64_t a, std::int64_t b) {
    std::tuple<std::int64_t, std::int32_t> result{};
    raw::hostmod_every_divide(a, b, &std::get<0>(result), &std::get<1>(result));
    return result;
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("mix.out")))
std::int32_t hostmod_every_mix(std::uint32_t, float *, Color *);
}
inline hostmod::Result<std::tuple<float, Color>> mix(std::uint32_t index) {
    hostmod::Result<std::tuple<float, Color>> result;
    result.error = {raw::hostmod_every_mix(index, &std::get<0>(result.value), &std::get<1>(result.value))};
    return result;
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("pages")))
bool hostmod_every_pages(std::int32_t);
}
inline bool pages(std::int32_t value) {
    return raw::hostmod_every_pages(value);
}

#ifdef __wasm_reference_types__
namespace raw {
extern "C" __attribute__((import_module("every"), import_name("reference")))
__externref_t hostmod_every_reference();
}
inline __externref_t reference() {
    return raw::hostmod_every_reference();
}
#endif

#ifdef __wasm_reference_types__
namespace raw {
extern "C" __attribute__((import_module("every"), import_name("dereference")))
bool hostmod_every_dereference(__externref_t);
}
inline bool dereference(__externref_t reference) {
    return raw::hostmod_every_dereference(reference);
}
#endif

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("return")))
std::int32_t hostmod_every_return_(std::int32_t, std::int32_t);
}
inline std::int32_t return_(std::int32_t default_, std::int32_t type) {
    return raw::hostmod_every_return_(default_, type);
}

namespace raw {
extern "C" __attribute__((import_module("every"), import_name("find-me")))
std::int32_t hostmod_every_find_me();
}
inline std::int32_t find_me() {
    return raw::hostmod_every_find_me();
}

} // namespace every
