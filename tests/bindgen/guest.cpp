// Calls every function of every.py; returns 0, or the line where the host did not answer as expected.
#include "every.hpp"

#include <cstring>

#define CHECK(condition) \
    if (!(condition)) return __LINE__

using namespace std::literals;

extern "C" __attribute__((export_name("run"))) int run() {
    every::scalars(true, INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX, INT32_MIN, UINT32_MAX, INT64_MIN, UINT64_MAX, 0.5f,
                   0.1, 1500ms, every::enobufs.number);
    CHECK(every::invert(false) && !every::invert(true));
    CHECK(every::int8(-100) == -99 && every::uint8(200) == 201);
    CHECK(every::int16(-30000) == -29999 && every::uint16(60000) == 60001);
    CHECK(every::int32(-2000000000) == -1999999999 && every::uint32(4000000000u) == 4000000001u);
    CHECK(every::int64(INT64_MIN) == INT64_MIN + 1 && every::uint64(UINT64_MAX - 1) == UINT64_MAX);
    CHECK(every::float32(0.5f) == 1.5f && every::float64(0.25) == 1.25);
    CHECK(every::later(-1ns) == 999999999ns && every::errno_(1) == every::enoent.number);
    CHECK(every::color(every::Color::red) == every::Color::blue);
    CHECK(every::access(every::Access::read | every::Access::execute) == (every::Access::read | every::Access::write));
    CHECK(every::large(every::Large::above) == every::Large::below);
    CHECK(every::celsius(200) == 215);

    CHECK(every::string("naïve"sv) == 5);
    CHECK(every::cstring("café") == 4);
    std::uint8_t data[] = {1, 2, 3};
    CHECK(every::bytes(data) == 3 && data[0] == 3 && data[2] == 1);
    std::uint32_t values[] = {1000000000, 2000000000};
    CHECK(every::array(values) == 3000000000u && values[1] == 4000000000u);
    every::Point points[] = {{1, 2}, {3, 4}};
    CHECK(every::points(points) == 10 && points[1].x == 4 && points[1].y == 3);
    hostmod::String names[] = {{"one", 3}, {"", 0}, {"three", 5}};
    CHECK(every::names(names) == 8);
    std::uint64_t number = UINT64_C(1) << 40;
    every::pointer(&number);
    CHECK(number == UINT64_C(1) << 41);
    CHECK(!every::nullable(nullptr) && every::nullable(points) && points[0].x == 1.5f && points[0].y == 2.5);

    std::uint16_t shorts[] = {10, 20};
    std::uint32_t wider[] = {100000, 200000};
    std::uint8_t bytes[] = {'d', 'a', 't', 'a'};
    number = 77;
    every::Sample sample{};
    sample.flag = true, sample.small = -5, sample.wide = -(INT64_C(1) << 40), sample.half = -300;
    sample.color = every::Color::green, sample.access = every::Access::write | every::Access::execute;
    sample.large = every::Large::above, sample.ratio = 0.25f, sample.span = 7ns, sample.point = {1, 2};
    sample.numbers[0] = 1, sample.numbers[1] = 2, sample.numbers[2] = 3;
    std::memcpy(sample.tag, "abcde", 5);
    sample.points[0] = {3, 4}, sample.points[1] = {5, 6}, sample.type = 9, sample.error = 28;
    sample.warmth = {{110, 1}}, sample.name = {"name", 4}, sample.label = "label", sample.data = {bytes, 4};
    sample.values = {shorts, 2}, sample.wider = {wider, 2}, sample.count = &number;
    every::sample(&sample);
    CHECK(!sample.flag && sample.small == 5 && sample.wide == INT64_C(1) << 40 && sample.half == 300);
    CHECK(sample.color == every::Color::blue && sample.access == every::Access::read);
    CHECK(sample.large == every::Large::below && sample.ratio == 0.75f && sample.span == 8ns);
    CHECK(sample.point.x == 10 && sample.point.y == 20 && sample.numbers[0] == 4 && sample.numbers[2] == 6);
    CHECK(std::memcmp(sample.tag, "fghij", 5) == 0 && sample.points[1].x == 50 && sample.points[1].y == 60);
    CHECK(sample.type == 10 && sample.error == 29 && sample.warmth.bytes[0] == 120 && sample.warmth.bytes[1] == 1);
    CHECK(number == 78 && std::memcmp(bytes, "DATA", 4) == 0);

    auto missing = every::find(0);
    CHECK(!missing && missing.error == every::enoent && missing.value_or(9) == 9);
    auto found = every::find(21);
    CHECK(found && *found == 42);
    CHECK(!every::attempt(0) && every::attempt(105) == every::enobufs);
    auto [quotient, remainder] = every::divide(17, 5);
    CHECK(quotient == 3 && remainder == 2);
    auto mixed = every::mix(0);
    CHECK(mixed && std::get<0>(*mixed) == 0.5f && std::get<1>(*mixed) == every::Color::green);
    CHECK(every::mix(2).error == every::edom);
    CHECK(every::pages(-1));
    CHECK(every::return_(7, 3) == 4 && every::find_me() == 11);
    CHECK(every::dereference(every::reference()));
    return 0;
}
