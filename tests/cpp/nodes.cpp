// Nodes, transactions, access control lists, watches, states and the log. nodes ADDRESS
#include "check.hpp"

#include <chrono>

using namespace std::chrono_literals;

static std::string top;

static void operations(const zkh::client &client)
{
    const std::string bytes("a\0b", 3);
    const auto made = client.create(top, bytes);
    CHECK(made.path == top);
    auto node = client.get(top);
    CHECK(node.data == bytes && node.stat.version == 0 && node.stat.data_length == 3);
    CHECK(client.set(top, "new", 0).version == 1);
    THROWS(client.set(top, "late", 0), zkh::errc::bad_version, top);
    CHECK(client.exists(top)->version == 1 && !client.exists(top + "/none"));
    const auto sequential = client.create(top + "/s-", {}, zkh::create_mode::ephemeral_sequential);
    CHECK(sequential.path == top + "/s-0000000000");
    CHECK(client.children(top).names.at(0) == "s-0000000000" && client.children(top).stat.num_children == 1);
    CHECK(client.ephemerals(top).at(0) == sequential.path && client.all_children_number(top) == 1);
    THROWS(client.remove(top), zkh::errc::not_empty, top);
    THROWS(client.create(top), zkh::errc::node_exists, top);
    client.sync("/");
    client.remove(sequential.path, 0);
    CHECK(client.who_am_i().size() >= 1);

    // The same by futures.
    CHECK(client.create_future(top + "/f", "1").get().path == top + "/f");
    CHECK(client.get_future(top + "/f").get().data == "1");
    CHECK(client.set_future(top + "/f", "2").get().version == 1);
    CHECK(client.exists_future(top + "/f").get().has_value());
    CHECK(client.children_future(top).get().names.size() == 1);
    client.sync_future(top).get();
    CHECK(client.ephemerals_future(top).get().empty() && client.all_children_number_future(top).get() == 1);
    CHECK(!client.who_am_i_future().get().empty());
    client.remove_future(top + "/f", 1).get();
    THROWS(client.get_future(top + "/f").get(), zkh::errc::no_node, top + "/f");
    CHECK(client.wait_connected_future(1s).get() == client.session_id());

    // And by callbacks, one within the other.
    box<zkh::node> read;
    client.create_async(top + "/c", "deep", zkh::create_mode::persistent, {}, [&](zkh::outcome<zkh::created> ended) {
        client.get_async(ended.value().path, [&](zkh::outcome<zkh::node> got) { read.put(std::move(got).value()); });
    });
    CHECK(read.next().data == "deep");
    box<std::int32_t> counts;
    client.set_async(top + "/c", "", 0, [&](zkh::outcome<zkh::stat> ended) { counts.put(ended.value().version); });
    CHECK(counts.next() == 1);
    client.children_async(top, [&](zkh::outcome<zkh::children> ended) { counts.put(int(ended.value().names.size())); });
    CHECK(counts.next() == 1);
    client.exists_async(top, [&](zkh::outcome<std::optional<zkh::stat>> ended) { counts.put(ended.value()->num_children); });
    CHECK(counts.next() == 1);
    client.ephemerals_async("/none", [&](zkh::outcome<std::vector<std::string>> ended) { counts.put(int(ended.value().size())); });
    CHECK(counts.next() == 0);
    client.all_children_number_async(top, [&](zkh::outcome<std::int64_t> ended) { counts.put(int(ended.value())); });
    CHECK(counts.next() == 1);
    client.who_am_i_async([&](zkh::outcome<std::vector<zkh::acl_entry>> ended) { counts.put(ended.value().empty()); });
    CHECK(counts.next() == 0);
    client.sync_async("/", [&](zkh::outcome<void> ended) { counts.put(bool(ended)); });
    CHECK(counts.next() == 1);
    client.remove_async(top + "/c", 1, [&](zkh::outcome<void> ended) { counts.put(bool(ended)); });
    CHECK(counts.next() == 1);
    client.wait_connected_async(1s, [&](zkh::outcome<std::int64_t> ended) { counts.put(ended.value() != 0); });
    CHECK(counts.next() == 1);
}

static void transactions(const zkh::client &client)
{
    zkh::multi all;
    all.check(top).create(top + "/a", "1").create(top + "/b", "2").set(top + "/a", "3").remove(top + "/b");
    const auto parts = client.commit(all);
    CHECK(parts.size() == 5 && parts[1].path == top + "/a" && parts[3].stat->version == 1 && !parts[4].code);
    THROWS(client.commit(all), zkh::errc::node_exists, top + "/a");
    THROWS(client.commit_future(all).get(), zkh::errc::node_exists, top + "/a");
    box<std::error_code> ended;
    client.commit_async(all, [&](zkh::outcome<std::vector<zkh::part>> o) { ended.put(o.failure()->code()); });
    CHECK(ended.next() == zkh::errc::node_exists);

    zkh::multi reads;
    reads.get(top + "/a").children(top).get(top + "/none");
    const auto read = client.read(reads);
    CHECK(read.size() == 3 && read[0].data == "3" && read[1].names.at(0) == "a" && read[2].code == zkh::errc::no_node);
    CHECK(client.read_future(reads).get()[0].data == "3");
    client.read_async(reads, [&](zkh::outcome<std::vector<zkh::part>> o) { ended.put(o.value()[2].code); });
    CHECK(ended.next() == zkh::errc::no_node);
    THROWS(client.commit(reads), zkh::errc::bad_argument, "");
    client.remove(top + "/a");
}

static void access(const zkh::client &client)
{
    client.add_auth("digest", "ann:secret");
    client.add_auth_future("digest", "bob:secret").get();
    box<bool> added;
    client.add_auth_async("digest", "cid:secret", [&](zkh::outcome<void> ended) { added.put(bool(ended)); });
    CHECK(added.next());
    const auto path = top + "/acl";
    client.create(path, {}, zkh::create_mode::persistent, zkh::acl(zkh::acl_preset::creator));
    CHECK(client.get_acl(path).entries.at(0).permissions == ZKH_PERM_ALL);
    client.set_acl(path, zkh::acl({{ZKH_PERM_READ, "world", "anyone"}, {ZKH_PERM_ALL, "auth", ""}}), 0);
    const auto list = client.get_acl_future(path).get();
    CHECK(list.stat.aversion == 1 && list.entries.size() >= 2 && list.entries[0].id == "anyone");
    zkh::acl open;
    open.add(ZKH_PERM_READ, "ip", "127.0.0.1");
    CHECK(client.set_acl_future(path, open).get().aversion == 2);
    box<std::size_t> entries;
    client.set_acl_async(path, {}, 2, [&](zkh::outcome<zkh::stat> ended) { entries.put(std::size_t(ended.value().aversion)); });
    CHECK(entries.next() == 3);
    client.get_acl_async(path, [&](zkh::outcome<zkh::access_list> ended) { entries.put(ended.value().entries.size()); });
    CHECK(entries.next() == 1);
    THROWS(zkh::acl().add(99, "world", "anyone"), zkh::errc::bad_argument, "99");
    client.remove(path);
}

static void watches(const zkh::client &client)
{
    using told = std::pair<zkh::event, std::string>;
    box<told> events;
    const auto tell = [&](zkh::event what, const std::string &path) { events.put({what, path}); };
    const auto path = top + "/w";
    {
        const auto exists = client.watch_exists(path, tell);
        CHECK(!exists.now && exists.watch);
        client.create(path, "1");
        CHECK(events.next() == told(zkh::event::created, path));
        const auto data = client.watch_data(path, tell);
        CHECK(data.now.data == "1");
        const auto children = client.watch_children(path, tell);
        CHECK(children.now.names.empty());
        client.set(path, "2");
        CHECK(events.next() == told(zkh::event::data_changed, path));
        client.create(path + "/x");
        CHECK(events.next() == told(zkh::event::children_changed, path));
    }
    THROWS(client.watch_data(top + "/none", tell), zkh::errc::no_node, top + "/none");
    THROWS(client.watch_data(top, {}), zkh::errc::bad_argument, "empty");
    int living = 0;
    {
        const counted mine(living);
        auto recursive = client.watch_recursive(path, [&events, mine](zkh::event what, const std::string &where) { events.put({what, where}); });
        client.set(path + "/x", "1");
        CHECK(events.next() == told(zkh::event::data_changed, path + "/x"));
        recursive = zkh::watch();
        CHECK(living == 1);
        client.set(path + "/x", "2");
        auto persistent = client.watch_persistent(path, tell);
        client.remove(path + "/x");
        CHECK(events.next() == told(zkh::event::children_changed, path));
    }
    CHECK(living == 0);

    box<std::string> armed;
    zkh::operation op;
    const auto data = client.watch_data_async(path, tell, [&](zkh::outcome<zkh::node> ended) { armed.put(ended.value().data); }, &op);
    CHECK(armed.next() == "2");
    const auto exists = client.watch_exists_async(path, tell, [&](zkh::outcome<std::optional<zkh::stat>> ended) { armed.put(ended.value() ? "there" : ""); });
    CHECK(armed.next() == "there");
    const auto children = client.watch_children_async(path + "/none", tell, [&](zkh::outcome<zkh::children> ended) { armed.put(ended.failure()->path()); });
    CHECK(armed.next() == path + "/none");
    {
        const auto persistent = client.watch_persistent_async(top + "/p", tell, [&](zkh::outcome<void> ended) { armed.put(ended ? "persistent" : ""); });
        CHECK(armed.next() == "persistent");
        const auto recursive = client.watch_recursive_async(top + "/r", tell, [&](zkh::outcome<void> ended) { armed.put(ended ? "recursive" : ""); });
        CHECK(armed.next() == "recursive");
    }
    client.remove(path);
    CHECK(events.next() == told(zkh::event::deleted, path) && events.next() == told(zkh::event::deleted, path));
    CHECK(events.empty());
}

static void states(const std::string &address)
{
    box<zkh::state_change> changes;
    const auto client = zkh::client::begin(address);
    client.on_state([&](const zkh::state_change &change) { changes.put(change); });
    client.wait_connected(10s);
    auto change = changes.next();
    if (change.state == zkh::state::connecting)
        change = changes.next();
    CHECK(change.state == zkh::state::connected && change.session_id == client.session_id() && change.session_id != 0);
    CHECK(client.state() == zkh::state::connected && zkh::client().state() == zkh::state::none);
    client.on_state({});

    // The session goes on with another client.
    const auto credentials = client.credentials();
    CHECK(credentials.session_id == client.session_id() && credentials.password.size() == 16);
    const zkh::client next(address, zkh::client_options().reattach(credentials).max_backoff(5s));
    CHECK(next.session_id() == credentials.session_id);
    CHECK(next.session_timeout() > 0ms);
    box<bool> closed;
    next.close_async(5s, [&](zkh::outcome<void> ended) { closed.put(bool(ended)); });
    CHECK(closed.next());
    THROWS(next.get("/"), zkh::errc::closed, "");
}

int main(int, char **argv)
{
    box<std::string> lines;
    zkh::set_log(zkh::log_level::debug, [&](zkh::log_level, const char *target, const char *message) {
        lines.put(std::string(target) + ": " + message);
    });
    const zkh::client client(argv[1], zkh::client_options()
                                          .session_timeout(10s)
                                          .connect_timeout(20s)
                                          .operation_timeout(20s)
                                          .max_frame_bytes(1000000)
                                          .renew_interval(1s)
                                          .max_silence(5s)
                                          .when_suspended(zkh::while_suspended::wait)
                                          .add_auth("digest", "first:secret"));
    top = unique("nodes", client);
    CHECK(lines.next().find("zkhelper") == 0 && zkh::log_dropped() == 0 && zkh::version() == zkh_version());
    zkh::set_log(zkh::log_level::off, {});
    operations(client);
    transactions(client);
    access(client);
    watches(client);
    states(argv[1]);
    client.remove(top);
    client.close_future(5s).get();
    // Again it does nothing.
    client.close();
    std::puts("each operation was as it says");
}
