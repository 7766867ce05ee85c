/* Written by `hostmod bindgen c`; what stands here follows the Python declaration.
 *
 * How Python's annotations arrive here:
 *
 *     String            const char *, uint32_t   UTF-8 bytes and how many; no NUL needed
 *     Bytes             void *, uint32_t         a buffer that the host reads or fills, and its size
 *     Array[T] List[T]  T *, uint32_t            an array, and how many elements it has
 *     Pointer[T]        T *                      a T that the host reads or fills
 *     Duration          int64_t                  nanoseconds
 *     Error             int32_t                  0, or the errno of what went wrong
 *     Optional[T]       int32_t, and a T *       the errno, and where the result is stored if that is 0
 */
#ifndef HOSTMOD_EVERY_H
#define HOSTMOD_EVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef HOSTMOD_IMPORT
#define HOSTMOD_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define HOSTMOD_CHECKED __attribute__((warn_unused_result))
#endif

/* The host module "every". Every guest type, both ways. */

/* Error numbers, and the Python exceptions that they stand for. */
enum {
    EVERY_ENOENT = 2, /* KeyError */
    EVERY_EDOM = 33, /* IndexError */
    EVERY_ENOBUFS = 105, /* BufferError */
};

/* A colour of the traffic light. */
typedef uint8_t every_color_t;
enum {
    EVERY_COLOR_RED = 1,
    EVERY_COLOR_GREEN = 2,
    EVERY_COLOR_BLUE = 200,
};

/* What may be done.
 *
 * Members can be combined.
 */
typedef uint16_t every_access_t;
enum {
    EVERY_ACCESS_READ = 1,
    EVERY_ACCESS_WRITE = 2,
    EVERY_ACCESS_EXECUTE = 8,
};

typedef int64_t every_large_t;
#define EVERY_LARGE_BELOW ((every_large_t)-1099511627776LL)
#define EVERY_LARGE_ABOVE ((every_large_t)1099511627776LL)

/* Celsius: hostmod knows its size only. */
struct every_celsius {
    _Alignas(4) unsigned char bytes[4];
};

/* String in memory. */
struct every_string {
    const char *data;
    uint32_t length;
};

/* Bytes in memory. */
struct every_bytes {
    void *data;
    uint32_t length;
};

/* Array[Uint32] in memory. */
struct every_list_of_uint32 {
    uint32_t *data;
    uint32_t length;
};

/* A place; y is at offset 8, since it is aligned to 8 bytes. */
struct every_point {
    float x;
    double y;
};
_Static_assert(sizeof(struct every_point) == 16, "Python has 16 bytes");
_Static_assert(offsetof(struct every_point, x) == 0, "Python has it at 0");
_Static_assert(offsetof(struct every_point, y) == 8, "Python has it at 8");

/* List[Uint16] in memory. */
struct every_list_of_uint16 {
    uint16_t *data;
    uint32_t length;
};

struct every_sample {
    bool flag;
    int8_t small;
    int64_t wide;
    int16_t half;
    every_color_t color;
    every_access_t access;
    every_large_t large;
    float ratio;
    int64_t span;
    struct every_point point;
    uint32_t numbers[3];
    unsigned char tag[5];
    struct every_point points[2];
    uint8_t type;
    int32_t error;
    struct every_celsius warmth;
    struct every_string name;
    const char *label;
    struct every_bytes data;
    struct every_list_of_uint16 values;
    struct every_list_of_uint32 wider;
    uint64_t *count;
    struct every_point *nothing;
};
_Static_assert(sizeof(struct every_sample) == 176, "Python has 176 bytes");
_Static_assert(offsetof(struct every_sample, flag) == 0, "Python has it at 0");
_Static_assert(offsetof(struct every_sample, small) == 1, "Python has it at 1");
_Static_assert(offsetof(struct every_sample, wide) == 8, "Python has it at 8");
_Static_assert(offsetof(struct every_sample, half) == 16, "Python has it at 16");
_Static_assert(offsetof(struct every_sample, color) == 18, "Python has it at 18");
_Static_assert(offsetof(struct every_sample, access) == 20, "Python has it at 20");
_Static_assert(offsetof(struct every_sample, large) == 24, "Python has it at 24");
_Static_assert(offsetof(struct every_sample, ratio) == 32, "Python has it at 32");
_Static_assert(offsetof(struct every_sample, span) == 40, "Python has it at 40");
_Static_assert(offsetof(struct every_sample, point) == 48, "Python has it at 48");
_Static_assert(offsetof(struct every_sample, numbers) == 64, "Python has it at 64");
_Static_assert(offsetof(struct every_sample, tag) == 76, "Python has it at 76");
_Static_assert(offsetof(struct every_sample, points) == 88, "Python has it at 88");
_Static_assert(offsetof(struct every_sample, type) == 120, "Python has it at 120");
_Static_assert(offsetof(struct every_sample, error) == 124, "Python has it at 124");
_Static_assert(offsetof(struct every_sample, warmth) == 128, "Python has it at 128");
_Static_assert(offsetof(struct every_sample, name) == 132, "Python has it at 132");
_Static_assert(offsetof(struct every_sample, label) == 140, "Python has it at 140");
_Static_assert(offsetof(struct every_sample, data) == 144, "Python has it at 144");
_Static_assert(offsetof(struct every_sample, values) == 152, "Python has it at 152");
_Static_assert(offsetof(struct every_sample, wider) == 160, "Python has it at 160");
_Static_assert(offsetof(struct every_sample, count) == 168, "Python has it at 168");
_Static_assert(offsetof(struct every_sample, nothing) == 172, "Python has it at 172");

/* Expect the widest value of each. */
HOSTMOD_IMPORT("every", "scalars")
void every_scalars(bool a, int8_t b, uint8_t c, int16_t d, uint16_t e, int32_t f, uint32_t g, int64_t h, uint64_t i, float j, double k, int64_t m, int32_t n);

HOSTMOD_IMPORT("every", "invert")
bool every_invert(bool value);

HOSTMOD_IMPORT("every", "int8")
int8_t every_int8(int8_t value);

HOSTMOD_IMPORT("every", "uint8")
uint8_t every_uint8(uint8_t value);

HOSTMOD_IMPORT("every", "int16")
int16_t every_int16(int16_t value);

HOSTMOD_IMPORT("every", "uint16")
uint16_t every_uint16(uint16_t value);

HOSTMOD_IMPORT("every", "int32")
int32_t every_int32(int32_t value);

HOSTMOD_IMPORT("every", "uint32")
uint32_t every_uint32(uint32_t value);

HOSTMOD_IMPORT("every", "int64")
int64_t every_int64(int64_t value);

HOSTMOD_IMPORT("every", "uint64")
uint64_t every_uint64(uint64_t value);

HOSTMOD_IMPORT("every", "float32")
float every_float32(float value);

HOSTMOD_IMPORT("every", "float64")
double every_float64(double value);

HOSTMOD_IMPORT("every", "later")
int64_t every_later(int64_t span);

HOSTMOD_IMPORT("every", "errno")
int32_t every_errno(int32_t number);

HOSTMOD_IMPORT("every", "color")
every_color_t every_color(every_color_t color);

HOSTMOD_IMPORT("every", "access")
every_access_t every_access(every_access_t access);

HOSTMOD_IMPORT("every", "large")
every_large_t every_large(every_large_t large);

HOSTMOD_IMPORT("every", "celsius")
uint32_t every_celsius(uint32_t warmth);

/* Return how many characters the text has.
 *
 * It is "naïve".
 */
HOSTMOD_IMPORT("every", "string")
uint32_t every_string(const char *text, uint32_t text_length);

HOSTMOD_IMPORT("every", "cstring")
uint32_t every_cstring(const char *text);

/* Turn the bytes around. */
HOSTMOD_IMPORT("every", "bytes")
uint32_t every_bytes(void *data, uint32_t data_size);

/* Add up, and double each in place. */
HOSTMOD_IMPORT("every", "array")
uint64_t every_array(uint32_t *values, uint32_t values_length);

HOSTMOD_IMPORT("every", "points")
double every_points(struct every_point *points, uint32_t points_length);

HOSTMOD_IMPORT("every", "names")
uint32_t every_names(struct every_string *names, uint32_t names_length);

HOSTMOD_IMPORT("every", "pointer")
void every_pointer(uint64_t *value);

HOSTMOD_IMPORT("every", "nullable")
bool every_nullable(struct every_point *point);

/* Expect a value in every field, and change most of them. */
HOSTMOD_IMPORT("every", "sample")
void every_sample(struct every_sample *sample);

/* Find a key. */
HOSTMOD_IMPORT("every", "find.out") HOSTMOD_CHECKED
int32_t every_find(uint32_t key, uint32_t *result);

HOSTMOD_IMPORT("every", "attempt") HOSTMOD_CHECKED
int32_t every_attempt(int32_t number);

/* Return the quotient and the remainder. */
HOSTMOD_IMPORT("every", "divide.out")
void every_divide(int64_t a, int64_t b, int64_t *result0, int32_t *result1);

HOSTMOD_IMPORT("every", "mix.out") HOSTMOD_CHECKED
int32_t every_mix(uint32_t index, float *result0, every_color_t *result1);

HOSTMOD_IMPORT("every", "pages")
bool every_pages(int32_t value);

#ifdef __wasm_reference_types__
HOSTMOD_IMPORT("every", "reference")
__externref_t every_reference(void);
#endif

#ifdef __wasm_reference_types__
HOSTMOD_IMPORT("every", "dereference")
bool every_dereference(__externref_t reference);
#endif

HOSTMOD_IMPORT("every", "return")
int32_t every_return(int32_t default_, int32_t type);

HOSTMOD_IMPORT("every", "find-me")
int32_t every_find_me(void);

#endif
