// Elections: tasks, terms by callbacks, observers. election ADDRESS
#include "check.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

// No leader waits for this lease: they all leave cleanly.
static zkh::elector_options options()
{
    zkh::elector_options made;
    made.lease(60s, 5s).backoff(10ms, 50ms).description("elections").contents_json("{\"zone\": \"a\"}").access({});
    return made;
}

static void tasks(const zkh::client &client)
{
    const auto path = unique("tasks", client);
    const zkh::elector elector(client, path, options());
    CHECK(!elector.is_leading() && elector.token() == 0 && elector.valid_for() == 0ms && !elector.current());
    box<std::string> reported;
    zkh::on_exception([&](std::exception_ptr, const char *where) { reported.put(where); });
    int terms = 0;
    std::int64_t last = 0;
    const auto ended = elector.run([&](zkh::term &term) {
        CHECK(term.token() > last && elector.token() == term.token() && elector.is_leading());
        CHECK(elector.valid_for() > 0ms && !term.stopping());
        last = term.token();
        const auto leader = elector.current_future().get();
        CHECK(leader->token == last && leader->standing == zkh::standing::leading);
        CHECK(leader->record.find("\"zone\"") != std::string::npos && leader->since.time_since_epoch() > 1h);
        switch (++terms) {
        case 1: throw std::runtime_error("a task that fails");
        case 2:
            elector.resign();
            CHECK(term.wait_for(60s) && term.stopping() == zkh::stop_reason::resigned);
            break;
        case 3: CHECK(!term.wait_for(1ms)); break;
        default: term.leave();
        }
    });
    CHECK(ended == zkh::errc::interrupted && terms == 4);
    CHECK(reported.next() == "the task of a leader");
    zkh::on_exception({});
    CHECK(elector.current()->token == last && elector.current()->standing == zkh::standing::gone);

    // Interrupted from another thread, while it leads.
    std::thread other([&] {
        while (!elector.is_leading())
            std::this_thread::sleep_for(1ms);
        elector.interrupt();
    });
    CHECK(elector.run([&](zkh::term &term) {
        term.wait();
        CHECK(term.stopping() == zkh::stop_reason::interrupted);
    }) == zkh::errc::interrupted);
    other.join();
    elector.close();
    CHECK(elector.run([](zkh::term &) { CHECK(false); }) == zkh::errc::closed);

    THROWS(elector.run({}), zkh::errc::bad_argument, "empty");
    THROWS(zkh::elector(client, "no-slash"), zkh::errc::bad_path, "no-slash");
    THROWS(zkh::elector_options().lease(1ms, 1s), zkh::errc::bad_argument, "100 ms");
    zkh::elector_options().abort_when_overdue().abort_when_overdue(false).add_extra_lock_pattern("my-").lease(1s, zkh::forever);
}

static void callbacks(const zkh::client &client)
{
    const auto path = unique("callbacks", client);
    zkh::elector first(client, path, options()), second(client, path, options());
    box<std::string> told;
    box<std::int64_t> leaders;
    int living = 0;
    const auto say = [&](const std::string &who) {
        zkh::election_callbacks all;
        all.elected = [&told, who, mine = counted(living)](std::int64_t, std::chrono::milliseconds valid) {
            CHECK(valid > 0ms);
            told.put(who + " elected");
        };
        all.deposed = [&told, who](std::int64_t, zkh::stop_reason reason) { told.put(who + " deposed " + std::to_string(int(reason))); };
        all.over = [&told, who](const zkh::error &why) { told.put(who + " over: " + why.code().message()); };
        return all;
    };
    second.on_leader([&](zkh::outcome<std::optional<zkh::leader>> now) {
        if (now.value() && now.value()->standing == zkh::standing::leading)
            leaders.put(now.value()->token);
    });
    second.on_overdue([](std::int64_t) { CHECK(false); });
    first.start(say("first"));
    CHECK(told.next() == "first elected");
    const auto token = first.token();
    CHECK(leaders.next() == token);
    second.start(say("second"));
    first = zkh::elector();
    CHECK(told.next() == "first deposed 7");
    // The rest of the first and the beginning of the second come in any order.
    const auto a = told.next(), b = told.next();
    CHECK((a == "first over: CLOSED" && b == "second elected") || (b == "first over: CLOSED" && a == "second elected"));
    CHECK(leaders.next() > token);
    second.resign();
    CHECK(told.next() == "second deposed 6" && told.next() == "second elected");
    second.on_overdue({});
    second.on_leader({});
    second.interrupt();
    CHECK(told.next() == "second deposed 5" && told.next() == "second over: INTERRUPTED");
    second = zkh::elector();
    CHECK(living == 0);
    THROWS(second.start(say("none")), zkh::errc::bad_handle, "");
    CHECK(living == 0);
    THROWS(second.start({}), zkh::errc::bad_argument, "empty");
}

static void terms(const zkh::client &client)
{
    const auto path = unique("terms", client);
    const zkh::elector elector(client, path, options());
    box<std::int64_t> begun;
    box<zkh::stop_reason> stops;
    box<std::error_code> over;
    box<std::string> reported;
    zkh::on_exception([&](std::exception_ptr, const char *where) { reported.put(where); });
    zkh::running_term now;
    int count = 0;
    zkh::task_callbacks all;
    all.begin = [&](zkh::running_term term, std::chrono::milliseconds valid) {
        CHECK(valid > 0ms && term.token() > 0);
        if (++count == 1)
            throw std::runtime_error("a task that cannot begin");
        now = std::move(term);
        CHECK(term.token() == 0);
        begun.put(now.token());
    };
    all.stop = [&](std::int64_t, zkh::stop_reason why) { stops.put(why); };
    all.over = [&](const zkh::error &why) { over.put(why.code()); };
    elector.run_async(all);
    // The first one failed, and was ended all the same.
    CHECK(reported.next() == "begin");
    const auto token = begun.next();
    CHECK(elector.is_leading());
    elector.resign();
    CHECK(stops.next() == zkh::stop_reason::resigned);
    now.end();
    THROWS(now.end(), zkh::errc::bad_handle, "");
    CHECK(begun.next() > token);
    now = zkh::running_term();
    CHECK(begun.next() > token);
    now.end(zkh::task_end::interrupted);
    CHECK(over.next() == zkh::errc::interrupted);
    zkh::on_exception({});
    THROWS(elector.run_async({}), zkh::errc::bad_argument, "empty");
}

static void losses()
{
    const zkh::server server(0, 200ms);
    const zkh::client client(server.address(), zkh::client_options().session_timeout(1s).max_backoff(50ms));
    const zkh::elector elector(client, "/losses", zkh::elector_options().lease(400ms, 400ms));
    zkh::stop_reason why{};
    CHECK(elector.run([&](zkh::term &term) {
        server.set_frozen(true);
        term.wait();
        why = *term.stopping();
        server.set_frozen(false);
        term.leave();
    }) == zkh::errc::interrupted);
    CHECK(why == zkh::stop_reason::lease_ran_out);
    client.close();
}

int main(int, char **argv)
{
    const zkh::client client(argv[1]);
    tasks(client);
    callbacks(client);
    terms(client);
    losses();
    client.close();
    std::puts("each election was as it says");
}
