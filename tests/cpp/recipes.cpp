// Trees, wildcards, queue locks, pid nodes; persistent locks, contenders, revocation and guarded writes. recipes ADDRESS
#include "check.hpp"

#include <chrono>
#include <thread>

using namespace std::chrono_literals;

using names = std::vector<std::string>;

static void trees(const zkh::client &client)
{
    const zkh::tree tree(client);
    const auto top = unique("trees", client);
    CHECK(tree.create(top + "/a/b", "1") == top + "/a/b");
    THROWS(tree.create(top + "/a/b", "1"), zkh::errc::node_exists, top);
    CHECK(tree.create_or_update(top + "/a/b", "2") == top + "/a/b" && client.get(top + "/a/b").data == "2");
    THROWS(tree.create_or_update(top + "/x/y", "", false), zkh::errc::no_node, top);
    CHECK(tree.create_future(top + "/c").get() == top + "/c");
    CHECK(tree.create_or_update_future(top + "/c/d", "3").get() == top + "/c/d");
    box<std::string> made;
    tree.create_async(top + "/e", {}, zkh::create_mode::persistent, {}, [&](zkh::outcome<std::string> ended) { made.put(ended.value()); });
    CHECK(made.next() == top + "/e");
    tree.create_or_update_async(top + "/e", "4", true, zkh::create_mode::persistent, {}, [&](zkh::outcome<std::string> ended) { made.put(ended.value()); });
    CHECK(made.next() == top + "/e");

    const names below{"a", "a/b", "c", "c/d", "e"};
    CHECK(tree.children(top) == below && tree.children_future(top).get() == below);
    box<names> listed;
    tree.children_async(top, [&](zkh::outcome<names> ended) { listed.put(ended.value()); });
    CHECK(listed.next() == below);

    CHECK(zkh::has_wildcard("/a*") && !zkh::has_wildcard("/a\\*"));
    const auto found = tree.glob({top + "/*/[bd]", "/literal"});
    CHECK((found.paths == names{top + "/a/b", top + "/c/d", "/literal"}) && found.unreadable.empty());
    CHECK(tree.glob_future({top + "/?"}).get().paths.size() == 3);
    tree.glob_async({top + "/none/*"}, [&](zkh::outcome<zkh::matches> ended) { listed.put(ended.value().paths); });
    CHECK(listed.next().empty());
    THROWS(tree.glob({"/["}), zkh::errc::bad_argument, "/[");

    THROWS(tree.remove(top, 7), zkh::errc::bad_version, top);
    tree.remove_future(top + "/a").get();
    box<bool> gone;
    tree.remove_async(top + "/c", zkh::any_version, [&](zkh::outcome<void> ended) { gone.put(bool(ended)); });
    CHECK(gone.next());
    tree.remove(top);
    CHECK(!client.exists(top));
}

static void queues(const zkh::client &client)
{
    const auto path = unique("queue", client);
    const zkh::queue_lock lock(client, path, zkh::queue_lock_options().prefix("job-").contents_json("{\"k\": 1}").access({}));
    CHECK(lock.path() == path);
    std::int64_t first;
    {
        auto guard = lock.lock(5s, "first");
        first = guard.token();
        CHECK(guard.is_held() && first > 0);
        const auto name = client.children(path).names.at(0);
        CHECK(name == "job-0000000000" && client.get(path + "/" + name).data.find("\"k\"") != std::string::npos);
        const zkh::queue_lock other(client, path);
        THROWS(other.lock(20ms), zkh::errc::timeout, path);
        // A node that has another purpose besides.
        client.create(path + "/zzz");
        THROWS(other.obtain("zzz", 20ms), zkh::errc::timeout, path);
        auto obtained = other.obtain_future("zzz");
        box<bool> also;
        other.obtain_async("zzz", 60s, [&](zkh::outcome<void> ended) { also.put(bool(ended)); });
        guard.unlock();
        CHECK(!guard.is_held() && guard.token() == 0);
        obtained.get();
        CHECK(also.next());
        client.remove(path + "/zzz");
    }
    auto guard = lock.lock_future(5s).get();
    CHECK(guard.token() > first);
    guard.unlock_future().get();
    box<bool> held;
    lock.lock_async(5s, "", [&](zkh::outcome<zkh::queue_guard> ended) {
        const auto inside = std::move(ended).value();
        held.put(inside.is_held());
    });
    CHECK(held.next());
    guard = lock.lock();
    box<bool> left;
    guard.unlock_async([&](zkh::outcome<void> ended) { left.put(bool(ended)); });
    CHECK(left.next());
    lock.interrupt();
    THROWS(lock.lock(), zkh::errc::interrupted, path);
    CHECK(client.children(path).names.empty());
}

static void pids(const zkh::client &client)
{
    const auto path = unique("pid", client);
    box<zkh::pid_news> news;
    {
        zkh::pid_node node(client, path, "1234", zkh::pid_node_options().access(zkh::acl(zkh::acl_preset::file)).wait(10ms));
        node.on_event([&](const zkh::pid_news &now) { news.put(now); });
        CHECK(!node.is_there() && node.path() == path);
        node.start();
        CHECK(news.next().what == zkh::pid_event::made && node.is_there() && client.get(path).data == "1234");
        const zkh::pid_node second(client, path, "5678", zkh::pid_node_options().wait(10ms));
        THROWS(second.start(), zkh::errc::node_exists, path);
        client.remove(path);
        const auto lost = news.next();
        CHECK(lost.what == zkh::pid_event::lost && lost.why == zkh::loss::node_deleted && !lost.reason);
        CHECK(news.next().what == zkh::pid_event::made);
        node.close();
        CHECK(!client.exists(path));
        node.start_future().get();
        node.close_future().get();
        box<bool> ended;
        node.start_async([&](zkh::outcome<void> o) { ended.put(bool(o)); });
        CHECK(ended.next());
        node.close_async([&](zkh::outcome<void> o) { ended.put(bool(o)); });
        CHECK(ended.next());
        node.on_event({});
    }
    const zkh::pid_node taker(client, path, "1", zkh::pid_node_options().replace(zkh::take_over::dead));
    client.create(path, "left behind");
    taker.start();
    CHECK(client.get(path).data == "1");
    taker.close();
}

static void contenders(const zkh::client &client, const std::string &address)
{
    const auto path = unique("contenders", client);
    const zkh::mutex mutex(client, path), other(client, path);
    box<std::string> asked;
    mutex.on_revoke([&](std::int64_t token, const std::string &reason) {
        CHECK(token > 0);
        asked.put(reason);
    });
    auto guard = mutex.lock(5s, "the holder");
    zkh::operation op;
    auto waiting = other.lock_future(zkh::forever, "the next one", &op);
    auto all = mutex.contenders();
    while (all.size() < 2)
        all = mutex.contenders_future().get();
    CHECK(all[0].token == guard.token() && all[0].description == "the holder" && all[1].description == "the next one");
    CHECK(all[0].owner == zkh::owner_state::living && all[0].session_id == client.session_id() && !all[0].asked);
    CHECK(all[0].pid > 0 && !all[0].hostname.empty() && all[0].data.find("the holder") != std::string::npos);
    mutex.request_revocation(all[0].name, "maintenance");
    CHECK(asked.next() == "maintenance");
    CHECK(mutex.contenders()[0].asked == "maintenance");
    mutex.request_revocation_future(all[0].name, "again").get();
    CHECK(asked.next() == "again");
    box<std::error_code> answered;
    mutex.request_revocation_async("lock-0000000099", "nobody", [&](zkh::outcome<void> o) { answered.put(o.failure()->code()); });
    CHECK(answered.next() == zkh::errc::no_node);
    mutex.on_revoke({});
    op.cancel();
    THROWS(waiting.get(), zkh::errc::cancelled, path);

    // Writes that are done only under the lock.
    const auto result = path + "-result";
    zkh::multi writes;
    writes.create(result, "1");
    CHECK(guard.guarded(writes).at(0).path == result);
    THROWS(guard.guarded_future(writes).get(), zkh::errc::node_exists, result);
    client.remove(path + "/" + all[0].name);
    client.remove(result);
    guard.guarded_async(writes, [&](zkh::outcome<std::vector<zkh::part>> o) { answered.put(o.failure()->code()); });
    const auto code = answered.next();
    CHECK(code == zkh::errc::lock_lost);
    CHECK(!client.exists(result));
    guard = {};

    // A persistent lock whose owner is gone.
    const auto dead = path + "-dead";
    {
        const zkh::client owner(address);
        const zkh::mutex kept(owner, dead, zkh::mutex_options().persistent(100ms));
        (void)kept.lock(5s, "dies").token();
        auto dies = kept.lock();
        owner.close();
        CHECK(dies.lost());
    }
    const zkh::mutex heir(client, dead, zkh::mutex_options().persistent(100ms));
    box<std::size_t> count;
    heir.contenders_async([&](zkh::outcome<std::vector<zkh::contender>> o) { count.put(o.value().size()); });
    CHECK(count.next() == 1);
    const auto left = heir.contenders().at(0);
    CHECK(left.owner == zkh::owner_state::gone && left.session_id == 0);
    THROWS(heir.release_by_force(left.name, left.token + 1), zkh::errc::bad_version, dead);
    THROWS(heir.lock(20ms), zkh::errc::timeout, dead);
    heir.release_dead(left.name);
    auto inherited = heir.lock(5s);
    const auto mine = heir.contenders().at(0);
    CHECK(mine.owner == zkh::owner_state::living);
    THROWS(heir.release_dead_future(mine.name).get(), zkh::errc::node_exists, dead);
    heir.release_dead_async("lock-0000000009", [&](zkh::outcome<void> o) { answered.put(o.failure()->code()); });
    CHECK(answered.next() == zkh::errc::no_node);
    THROWS(heir.release_by_force_future(mine.name, mine.token + 1).get(), zkh::errc::bad_version, dead);
    heir.release_by_force_async(mine.name, mine.token, [&](zkh::outcome<void> o) { answered.put(o ? std::error_code() : o.failure()->code()); });
    CHECK(!answered.next());
    while (!inherited.lost())
        std::this_thread::sleep_for(1ms);
}

int main(int, char **argv)
{
    const zkh::client client(argv[1]);
    trees(client);
    queues(client);
    pids(client);
    contenders(client, argv[1]);
    client.close();
    std::puts("each recipe was as it says");
}
