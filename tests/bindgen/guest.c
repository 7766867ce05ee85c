/* Calls every function of every.py; returns 0, or the line where the host did not answer as expected. */
#include "every.h"

#define CHECK(condition) \
    if (!(condition)) return __LINE__

static int same(const void *a, const void *b, unsigned size) {
    return __builtin_memcmp(a, b, size) == 0;
}
int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}
void *memset(void *to, int byte, size_t size) {
    for (size_t i = 0; i < size; i++) ((volatile unsigned char *)to)[i] = (unsigned char)byte;
    return to;
}
void *memcpy(void *to, const void *from, size_t size) {
    for (size_t i = 0; i < size; i++) ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

__attribute__((export_name("run"))) int run(void) {
    every_scalars(true, INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX, INT32_MIN, UINT32_MAX, INT64_MIN, UINT64_MAX, 0.5f,
                  0.1, 1500000000, EVERY_ENOBUFS);
    CHECK(every_invert(false) && !every_invert(true));
    CHECK(every_int8(-100) == -99 && every_uint8(200) == 201);
    CHECK(every_int16(-30000) == -29999 && every_uint16(60000) == 60001);
    CHECK(every_int32(-2000000000) == -1999999999 && every_uint32(4000000000u) == 4000000001u);
    CHECK(every_int64(INT64_MIN) == INT64_MIN + 1 && every_uint64(UINT64_MAX - 1) == UINT64_MAX);
    CHECK(every_float32(0.5f) == 1.5f && every_float64(0.25) == 1.25);
    CHECK(every_later(-1) == 999999999 && every_errno(1) == EVERY_ENOENT);
    CHECK(every_color(EVERY_COLOR_RED) == EVERY_COLOR_BLUE);
    CHECK(every_access(EVERY_ACCESS_READ | EVERY_ACCESS_EXECUTE) == (EVERY_ACCESS_READ | EVERY_ACCESS_WRITE));
    CHECK(every_large(EVERY_LARGE_ABOVE) == EVERY_LARGE_BELOW);
    CHECK(every_celsius(200) == 215);

    CHECK(every_string("naïve", 6) == 5);
    CHECK(every_cstring("café") == 4);
    char data[] = {1, 2, 3};
    CHECK(every_bytes(data, 3) == 3 && data[0] == 3 && data[2] == 1);
    uint32_t values[] = {1000000000, 2000000000};
    CHECK(every_array(values, 2) == 3000000000u && values[1] == 4000000000u);
    struct every_point points[] = {{1, 2}, {3, 4}};
    CHECK(every_points(points, 2) == 10 && points[1].x == 4 && points[1].y == 3);
    struct every_string names[] = {{"one", 3}, {"", 0}, {"three", 5}};
    CHECK(every_names(names, 3) == 8);
    uint64_t number = UINT64_C(1) << 40;
    every_pointer(&number);
    CHECK(number == UINT64_C(1) << 41);
    CHECK(!every_nullable(NULL) && every_nullable(points) && points[0].x == 1.5f && points[0].y == 2.5);

    uint16_t shorts[] = {10, 20};
    uint32_t wider[] = {100000, 200000};
    char bytes[] = {'d', 'a', 't', 'a'};
    number = 77;
    struct every_sample sample = {
        true, -5, -(INT64_C(1) << 40), -300, EVERY_COLOR_GREEN, EVERY_ACCESS_WRITE | EVERY_ACCESS_EXECUTE,
        EVERY_LARGE_ABOVE, 0.25f, 7, {1, 2}, {1, 2, 3}, "abcde", {{3, 4}, {5, 6}}, 9, EVERY_ENOBUFS - 77, {{110, 1}},
        {"name", 4}, "label", {bytes, 4}, {shorts, 2}, {wider, 2}, &number, NULL,
    };
    every_sample(&sample);
    CHECK(!sample.flag && sample.small == 5 && sample.wide == INT64_C(1) << 40 && sample.half == 300);
    CHECK(sample.color == EVERY_COLOR_BLUE && sample.access == EVERY_ACCESS_READ && sample.large == EVERY_LARGE_BELOW);
    CHECK(sample.ratio == 0.75f && sample.span == 8 && sample.point.x == 10 && sample.point.y == 20);
    CHECK(sample.numbers[0] == 4 && sample.numbers[2] == 6 && same(sample.tag, "fghij", 5));
    CHECK(sample.points[1].x == 50 && sample.points[1].y == 60 && sample.type == 10);
    CHECK(sample.error == 29 && sample.warmth.bytes[0] == 120 && sample.warmth.bytes[1] == 1);
    CHECK(number == 78 && same(bytes, "DATA", 4));

    uint32_t found = 5;
    CHECK(every_find(0, &found) == EVERY_ENOENT && found == 5);
    CHECK(every_find(21, &found) == 0 && found == 42);
    CHECK(every_attempt(0) == 0 && every_attempt(EVERY_ENOBUFS) == 105);
    int64_t quotient;
    int32_t remainder;
    every_divide(17, 5, &quotient, &remainder);
    CHECK(quotient == 3 && remainder == 2);
    float ratio;
    every_color_t color;
    CHECK(every_mix(0, &ratio, &color) == 0 && ratio == 0.5f && color == EVERY_COLOR_GREEN);
    CHECK(every_mix(2, &ratio, &color) == EVERY_EDOM);
    CHECK(every_pages(-1));
    CHECK(every_return(7, 3) == 4 && every_find_me() == 11);
    CHECK(every_dereference(every_reference()));
    return 0;
}
