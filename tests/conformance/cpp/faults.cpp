// The embedded server and its faults: scenarios 96 to 104, each on a server of its own.
#include "scenario.hpp"

// Two clients of a server that can be spoiled, and a lock.
struct spoiled {
    spoiled() : server(0, 200ms), a(server.address(), 1s), b(server.address(), 1s), at("/zk/lock"), mutex(a, at) {}

    // Whatever keeps the server from serving is told, and over.
    void loses_in_time(void (zkh::server::*spoil)(bool) const, bool answers_reads) const
    {
        const auto losses = losses_of(mutex);
        const auto guard = mutex.lock(patience);
        (server.*spoil)(true);
        CHECK(!answers_reads || b.exists("/"));
        CHECK(losses->next() == lost(guard.token(), zkh::loss::lease_ran_out) && guard.lost());
        (server.*spoil)(false);
    }

    const zkh::server server;
    const peer a, b;
    const std::string at;
    const zkh::mutex mutex;
};

void s96_embedded_is_one_server()
{
    const peer one("embedded", session), two("embedded", session);
    const auto at = lock_path(one);
    const zkh::mutex first(one, at), second(two, at);
    const auto guard = first.lock(patience);
    CHECK(!second.try_lock());
}

void s97_lost_answer_leaves_one_node()
{
    const spoiled on;
    on.mutex.lock(patience).unlock();
    for (const auto when : {zkh::moment::before_applying, zkh::moment::after_applying})
        for (const auto what : {zkh::request_kind::create, zkh::request_kind::remove}) {
            on.server.cut(what, 1, when);
            auto guard = on.mutex.lock(patience);
            until(on.b, on.at, 1);
            guard.unlock();
            CHECK(names(on.b, on.at).empty());
        }
}

void s98_frozen_server_is_a_loss_in_time()
{
    spoiled().loses_in_time(&zkh::server::set_frozen, false);
}

void s99_no_quorum_is_a_loss_in_time()
{
    spoiled().loses_in_time(&zkh::server::set_isolated, true);
}

void s100_expiry_serves_the_waiter()
{
    const spoiled on;
    const auto losses = losses_of(on.mutex);
    const auto guard = on.mutex.lock(patience);
    const zkh::mutex other(on.b, on.at);
    auto waits = other.lock_future(patience);
    until(on.b, on.at, 2);
    on.server.expire(on.a.session_id());
    CHECK(waits.get().token() > guard.token() && losses->next().first == guard.token());
}

void s101_end_of_the_sequence_is_refused()
{
    const spoiled on;
    on.mutex.lock(patience).unlock();
    on.server.set_sequence(on.at, INT32_MAX - 4);
    THROWS(on.mutex.lock(patience), zkh::errc::sequence_exhausted, on.at);
    const zkh::queue_lock queue(on.a, on.at);
    THROWS(queue.lock(patience), zkh::errc::sequence_exhausted, on.at);
    until(on.b, on.at, 0);
    on.mutex.reset();
    CHECK(on.mutex.lock(patience).is_held());
}

void s102_write_without_an_answer_is_unknown()
{
    const spoiled on;
    const auto at = home(on.a);
    on.server.cut(zkh::request_kind::set_data, 1, zkh::moment::after_applying);
    THROWS(on.a.set(at, "new"), zkh::errc::outcome_unknown, at);
    CHECK(on.a.get(at).data == "new");
}

void s103_read_without_an_answer_is_made_again()
{
    const spoiled on;
    const auto at = home(on.a);
    const auto id = on.a.session_id();
    on.server.cut(zkh::request_kind::get_data);
    CHECK(on.a.get(at).data.empty() && on.a.session_id() == id);
}

void s104_watches_survive_a_cut()
{
    const spoiled on;
    const auto top = home(on.a), at = make(on.b, top + "/n");
    const auto [once, on_once] = listening();
    const auto [stays, on_stays] = listening();
    const auto one = on.a.watch_data(top, on_once);
    const auto two = on.a.watch_persistent(at, on_stays);
    on.server.cut(zkh::request_kind::exists);
    CHECK(on.a.exists(top));
    CHECK(stays->next().first == zkh::event::may_have_missed);
    on.b.set(top, "1");
    on.b.set(at, "1");
    CHECK(once->next() == happened(zkh::event::data_changed, top));
    CHECK(stays->next() == happened(zkh::event::data_changed, at));
}
