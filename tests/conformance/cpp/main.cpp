// The conformance scenarios in C++: conformance ADDRESS NUMBER... . scenarios.inc is made from scenarios.txt by
// tests/conformance.rs: a line S(number, place, function, "name") for each.
#include "scenario.hpp"

#define S(number, place, function, name) void function();
#include "scenarios.inc"
#undef S

static const struct {
    int number;
    const char *name;
    void (*run)();
} scenarios[] = {
#define S(number, place, function, name) {number, name, function},
#include "scenarios.inc"
#undef S
};

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    server_address = argv[1];
    int ran = 0;
    for (const auto &scenario : scenarios) {
        if (std::none_of(argv + 2, argv + argc, [&](const char *word) { return std::atoi(word) == scenario.number; }))
            continue;
        std::fprintf(stderr, "runs %d %s\n", scenario.number, scenario.name);
        try {
            scenario.run();
        } catch (const std::exception &e) {
            std::fprintf(stderr, "it threw: %s\n", e.what());
            std::_Exit(1);
        }
        std::printf("ok %d %s\n", scenario.number, scenario.name);
        std::fflush(stdout);
        ran++;
    }
    CHECK(ran == argc - 2);
}
