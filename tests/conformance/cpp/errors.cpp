// Errors and bad input: scenarios 93 to 95.
#include "scenario.hpp"

void s93_bad_paths_are_refused_unsent()
{
    const auto a = zkh::client::begin(nobody);
    for (const std::string bad : {"", "a", "/a/", "/a//b", "/a/../b"}) {
        THROWS(a.create(bad), zkh::errc::bad_path, bad);
        THROWS(zkh::tree(a).create(bad), zkh::errc::bad_path, bad);
        THROWS(zkh::mutex(a, bad), zkh::errc::bad_path, bad);
    }
}

void s94_errors_say_what_and_where()
{
    const peer a;
    const auto none = home(a) + "/none";
    try {
        (void)a.get(none);
        CHECK(false);
    } catch (const zkh::error &e) {
        const std::string text = e.what();
        CHECK(e.code() == zkh::errc::no_node && e.code().value() == -101 && e.code().message() == "NO_NODE");
        CHECK(text.find("NO_NODE") != std::string::npos && text.find(none) != std::string::npos);
        CHECK(e.path() == none && !e.retriable());
    }
    const zkh::mutex mutex(a, none), other(a, none);
    const auto guard = mutex.lock(patience);
    THROWS(other.lock(a_try), std::error_code(-1009, zkh::category()), none);
}

void s95_bad_options_are_refused()
{
    zkh::mutex_options options;
    THROWS(options.strict(60s, 1s), zkh::errc::bad_argument, "delay");
    options.strict(60s, 60s);
    THROWS(options.persistent(60s), zkh::errc::bad_argument, "persistent");
    THROWS(options.add_extra_lock_pattern(""), zkh::errc::bad_argument, "pattern");
    THROWS(options.contents_json("[]"), zkh::errc::bad_argument, "object");
    THROWS(zkh::pid_node_options().wait(-1ms), zkh::errc::bad_argument, "");
    THROWS(zkh::client_options().session_timeout(0ms), zkh::errc::bad_argument, "");
}
