// Locks: guards and tokens, futures and callbacks, exceptions, losses. lock ADDRESS
#include "check.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static std::vector<std::string> below(const zkh::client &client, const std::string &path)
{
    // What was released in a callback is released in the background.
    for (;;) {
        auto names = client.exists(path) ? client.children(path).names : std::vector<std::string>();
        if (names.empty())
            return names;
        std::this_thread::sleep_for(10ms);
    }
}

static void guards(const zkh::client &client)
{
    const auto path = unique("guards", client);
    const zkh::mutex mutex(client, path), other(client, path);
    CHECK(mutex.path() == path && !mutex.is_held());
    std::int64_t first;
    {
        auto guard = mutex.lock(5s, "guards");
        first = guard.token();
        CHECK(first > 0 && guard.is_held() && !guard.lost() && guard.valid_for() > 0ms && mutex.is_held());
        guard.check(1ms);
        THROWS(guard.check(24h), zkh::errc::lock_lost, std::to_string(first));
        CHECK(client.children(path).names.size() == 1);
        CHECK(client.get(path + "/" + client.children(path).names[0]).data.find("\"guards\"") != std::string::npos);
        CHECK(!other.try_lock());
        THROWS(other.lock(20ms), zkh::errc::timeout, path);
        THROWS(other.lock(20ms), std::errc::timed_out, "TIMEOUT");
        // A negative time has passed, and is not for ever.
        THROWS(other.lock(-1ms), zkh::errc::timeout, path);
        THROWS(other.lock(std::chrono::hours(-1)), zkh::errc::timeout, path);
        // It can be moved, and one that was moved from has none.
        zkh::lock_guard moved(std::move(guard));
        CHECK(guard.token() == 0 && !guard.is_held() && !guard.lost() && moved.token() == first && moved.is_held());
        THROWS(guard.unlock(), zkh::errc::not_held, "");
        guard = std::move(moved);
        CHECK(guard.is_held() && guard.token() == first);
    }
    auto guard = other.try_lock("again");
    CHECK(guard && guard->token() > first);
    guard->unlock();
    CHECK(guard->token() == 0 && !guard->lost());
    THROWS(guard->unlock(), zkh::errc::not_held, "");

    // An exception leaves no lock behind.
    try {
        const auto held = mutex.lock();
        throw std::runtime_error("work failed");
    } catch (const std::runtime_error &) {
    }
    CHECK(client.children(path).names.empty());

    mutex.interrupt();
    THROWS(mutex.lock(), zkh::errc::interrupted, path);
    mutex.reset();
    CHECK(!client.exists(path));

    // What was moved from answers so, and the lock of a mutex that is gone is released.
    zkh::mutex third(client, path);
    auto held = third.lock();
    zkh::mutex fourth(std::move(third));
    CHECK(!third && fourth && held.is_held());
    THROWS(third.lock(), zkh::errc::bad_handle, "is null");
    fourth = zkh::mutex();
    CHECK(!held.is_held() && held.lost());
    CHECK(below(client, path).empty());
}

static void refused(const zkh::client &client)
{
    THROWS(zkh::mutex(client, "no-slash"), zkh::errc::bad_path, "no-slash");
    THROWS(zkh::mutex(client, "no-slash"), std::errc::invalid_argument, "BAD_PATH");
    // The C ABI would see "/a" only.
    THROWS(zkh::mutex(client, std::string("/a\0b", 4)), zkh::errc::bad_argument, "position 2");
    THROWS(zkh::mutex(client, "/a\xff"), zkh::errc::bad_utf8, "");
    THROWS(zkh::mutex_options().strict(2s, 1s), zkh::errc::bad_argument, "shorter than the lease");
    THROWS(zkh::mutex_options().contents_json("[]"), zkh::errc::bad_argument, "JSON object");
    THROWS(zkh::client_options().session_timeout(0ms), zkh::errc::bad_argument, "");
    THROWS(zkh::client("", {}), zkh::errc::bad_address, "");
    THROWS(zkh::client("127.0.0.1:1", zkh::client_options().connect_timeout(200ms)), zkh::errc::connection_loss, "127.0.0.1:1");
    const zkh::mutex mutex(client, unique("refused", client));
    THROWS(mutex.lock_async(1s, "", {}), zkh::errc::bad_argument, "empty");
    THROWS(client.get_async("/", {}), zkh::errc::bad_argument, "empty");
    try {
        (void)client.get("/no/such/node");
        CHECK(false);
    } catch (const std::system_error &e) {
        CHECK(e.code() == zkh::errc::no_node && e.code().category() == zkh::category());
        CHECK(e.code().message() == "NO_NODE" && std::string(e.code().category().name()) == "zkhelper");
        const auto &ours = dynamic_cast<const zkh::error &>(e);
        CHECK(ours.path() == "/no/such/node" && !ours.retriable());
    }
}

static void futures(const zkh::client &client)
{
    const auto path = unique("futures", client);
    const zkh::mutex mutex(client, path), other(client, path);
    auto guard = mutex.lock_future(5s).get();
    CHECK(guard.is_held());

    // Cancelled: the future throws, and nothing stays behind.
    zkh::operation op;
    auto cancelled = other.lock_future(zkh::forever, "cancelled", &op);
    CHECK(op.cancel());
    THROWS(cancelled.get(), zkh::errc::cancelled, path);
    CHECK(!op.cancel());

    // Dropped: whoever is granted the lock and is not there any more releases it.
    {
        auto dropped = other.lock_future(zkh::forever, "dropped");
    }
    guard.unlock_future().get();
    CHECK(below(client, path).empty());

    box<std::pair<bool, std::int64_t>> granted;
    int living = 0;
    const counted mine(living);
    other.lock_async(5s, "callback", [&granted, mine](zkh::outcome<zkh::lock_guard> ended) {
        zkh::lock_guard inside = std::move(ended).value();
        // What waits is refused here; the guard's end does not wait.
        THROWS(inside.unlock(), zkh::errc::would_deadlock, "");
        granted.put({inside.is_held(), inside.token()});
    });
    CHECK(granted.next().first);
    CHECK(below(client, path).empty());

    box<std::error_code> failed;
    guard = mutex.lock();
    other.lock_async(10ms, "", [&](zkh::outcome<zkh::lock_guard> ended) {
        CHECK(!ended);
        THROWS(ended.value(), zkh::errc::timeout, path);
        failed.put(ended.failure()->code());
    });
    CHECK(failed.next() == zkh::errc::timeout);
    box<bool> unlocked;
    guard.unlock_async([&](zkh::outcome<void> ended) {
        ended.value();
        unlocked.put(ended.failure() == nullptr);
    });
    CHECK(unlocked.next());
    mutex.reset_future().get();
    while (living != 1)
        std::this_thread::sleep_for(1ms);

    // Waiters of a mutex that is freed.
    guard = mutex.lock();
    zkh::mutex freed(client, path);
    auto waiting = freed.lock_future();
    freed = zkh::mutex();
    THROWS(waiting.get(), zkh::errc::closed, path);
}

static void exceptions(const zkh::client &client)
{
    box<std::string> reported;
    zkh::on_exception([&](std::exception_ptr what, const char *where) {
        try {
            std::rethrow_exception(what);
        } catch (const std::exception &e) {
            reported.put(std::string(where) + ": " + e.what());
        }
    });
    client.get_async("/", [](zkh::outcome<zkh::node>) { throw std::runtime_error("oops"); });
    CHECK(reported.next() == "a completion: oops");
    {
        const zkh::mutex mutex(client, unique("exceptions", client));
        mutex.lock_async(5s, "", [](zkh::outcome<zkh::lock_guard> ended) {
            const auto guard = std::move(ended).value();
            throw std::runtime_error("with a lock");
        });
        CHECK(reported.next() == "a completion: with a lock");
        // It was released all the same.
        mutex.lock().unlock();
    }
    // A handler that throws, and something that is no std::exception: a line each on standard error.
    zkh::on_exception([&](std::exception_ptr, const char *where) {
        reported.put(where);
        throw 2;
    });
    client.exists_async("/", [](zkh::outcome<std::optional<zkh::stat>>) { throw 1; });
    CHECK(reported.next() == "a completion");
    zkh::on_exception({});
    client.exists_async("/", [](zkh::outcome<std::optional<zkh::stat>>) { throw std::runtime_error("on standard error"); });
    client.exists_future("/").get();
}

static void threads(const zkh::client &client)
{
    const auto path = unique("threads", client);
    const zkh::mutex mutex(client, path);
    int inside = 0;
    std::int64_t last = 0;
    std::vector<std::thread> all;
    for (int i = 0; i < 4; i++)
        all.emplace_back([&, own = zkh::mutex(client, path), i] {
            for (int round = 0; round < 5; round++) {
                const auto guard = (i % 2 == 0 ? mutex : own).lock();
                CHECK(++inside == 1 && guard.token() > last && guard.is_held());
                last = guard.token();
                inside--;
            }
        });
    for (auto &thread : all)
        thread.join();
}

static void losses()
{
    const zkh::server server(0, 200ms);
    const zkh::client client(server.address(), zkh::client_options().session_timeout(1s).max_backoff(50ms));
    zkh::mutex mutex(client, "/losses");
    box<std::pair<std::int64_t, zkh::loss>> told;
    int living = 0;
    {
        const counted mine(living);
        mutex.on_lost([&told, mine](std::int64_t token, zkh::loss why) { told.put({token, why}); });
    }
    CHECK(living == 1);
    auto guard = mutex.lock();
    const auto token = guard.token();
    CHECK(guard.valid_for() <= 1s);
    server.set_frozen(true);
    CHECK(told.next() == std::pair(token, zkh::loss::lease_ran_out));
    CHECK(guard.lost() && !guard.is_held() && guard.token() == token && guard.valid_for() == 0ms);
    THROWS(guard.check(), zkh::errc::lock_lost, std::to_string(token));
    server.set_frozen(false);
    THROWS(guard.unlock(), zkh::errc::lock_lost, "/losses");
    CHECK(guard.token() == 0);

    guard = mutex.lock();
    CHECK(guard.token() > token);
    client.remove("/losses/" + client.children("/losses").names.at(0));
    CHECK(told.next() == std::pair(guard.token(), zkh::loss::node_deleted));
    // The next one on this object is nothing that the old guard could release.
    guard = {};
    auto next = mutex.lock();
    CHECK(next.is_held());
    server.expire(client.session_id());
    CHECK(told.next().first == next.token());
    mutex.on_lost({});
    CHECK(living == 0);

    // A lost answer is no loss.
    next = {};
    server.cut(zkh::request_kind::create, 1, zkh::moment::after_applying);
    next = mutex.lock();
    next.unlock();

    server.set_sequence("/losses", 2147483647 - 5);
    THROWS(mutex.lock(), zkh::errc::sequence_exhausted, "reset the lock");
    mutex.reset();
    mutex.lock().unlock();

    const zkh::mutex strict(client, "/strict", zkh::mutex_options().strict(400ms, 400ms));
    auto held = strict.lock(zkh::forever, "strict");
    CHECK(held.valid_for() <= 400ms);
    held.unlock();
    server.set_delay(1ms);
    server.set_lenient(true);
    server.set_isolated(false);
    client.close();
    CHECK(client.state() == zkh::state::closed);
    THROWS(strict.lock(), zkh::errc::closed, "/strict");
}

int main(int, char **argv)
{
    const zkh::client client(argv[1]);
    guards(client);
    refused(client);
    futures(client);
    exceptions(client);
    threads(client);
    losses();
    client.close();
    std::puts("each lock was as it says");
}
