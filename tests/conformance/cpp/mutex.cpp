// The mutex: scenarios 33 to 53, and what its contenders can be asked: 63 to 67.
#include "scenario.hpp"

// Two clients, and a lock that the first one holds.
struct holding {
    holding() : at(lock_path(a)), mine(a, at), others(b, at), guard(mine.lock(patience)) {}

    const peer a, b;
    const std::string at;
    const zkh::mutex mine, others;
    zkh::lock_guard guard;
};

void s33_lock_and_unlock()
{
    holding on;
    CHECK(names(on.b, on.at) == "lock-0000000000");
    const auto stat = on.b.exists(only(on.b, on.at)).value();
    CHECK(stat.czxid == on.guard.token() && stat.ephemeral_owner == on.a.session_id() && on.guard.is_held());
    on.guard.unlock();
    CHECK(names(on.b, on.at).empty() && !on.guard.is_held() && !on.mine.is_held() && on.guard.token() == 0);
}

void s34_contents_say_who()
{
    const peer a, b;
    const auto at = lock_path(a);
    zkh::mutex_options options;
    options.contents_json(R"({"role": "blue"})");
    const zkh::mutex mutex(a, at, options);
    const auto guard = mutex.lock(patience, "nightly");
    const auto data = b.get(only(b, at)).data;
    const auto has = [&data](const std::string &text) { return data.find(text) != std::string::npos; };
    CHECK(has(R"("desc":"nightly")") && has(R"("role":"blue")") && has(R"("hostname":")"));
    CHECK(has("\"pid\":" + std::to_string(getpid())));
    const auto id = data.find(R"("id":")");
    CHECK(id != std::string::npos && data.find('"', id + 6) == id + 6 + 36);
}

void s35_try_fails_and_writes_nothing()
{
    holding on;
    const auto before = on.b.exists(on.at).value();
    CHECK(!on.others.try_lock());
    THROWS(on.others.lock(a_try), zkh::errc::timeout, on.at);
    CHECK(on.b.exists(on.at).value().cversion == before.cversion);
    on.guard.unlock();
    CHECK(on.others.try_lock());
}

void s36_timeout_leaves_no_node()
{
    const holding on;
    THROWS(on.others.lock(shortly), zkh::errc::timeout, on.at);
    CHECK(names(on.b, on.at) == "lock-0000000000");
}

void s37_first_come_first_served()
{
    holding on;
    std::vector<zkh::mutex> all;
    std::vector<std::future<zkh::lock_guard>> granted;
    for (int i = 0; i < 4; i++) {
        all.emplace_back(on.b, on.at);
        granted.push_back(all.back().lock_future(patience));
        until(on.a, on.at, i + 2);
    }
    auto token = on.guard.token();
    on.guard.unlock();
    for (auto &next : granted) {
        auto guard = next.get();
        CHECK(guard.token() > token);
        token = guard.token();
        guard.unlock();
    }
}

void s38_interrupt_ends_a_wait()
{
    const holding on;
    auto waits = on.others.lock_future(patience);
    until(on.a, on.at, 2);
    on.others.interrupt();
    THROWS(waits.get(), zkh::errc::interrupted, on.at);
    until(on.a, on.at, 1);
}

void s39_interrupt_is_remembered_once()
{
    const peer a;
    const auto at = lock_path(a);
    const zkh::mutex mutex(a, at);
    mutex.interrupt();
    mutex.interrupt();
    THROWS(mutex.lock(patience), zkh::errc::interrupted, at);
    CHECK(mutex.lock(patience).is_held());
}

void s40_cancel_leaves_no_node()
{
    const holding on;
    zkh::operation op;
    auto waits = on.others.lock_future(patience, {}, &op);
    until(on.a, on.at, 2);
    CHECK(op.cancel());
    THROWS(waits.get(), zkh::errc::cancelled, on.at);
    until(on.a, on.at, 1);
}

// Only a guard unlocks here; one that holds no lock says so. What is asked of the mutex is asked in C.
void s41_unlock_without_a_lock()
{
    const peer a;
    const auto at = lock_path(a);
    make(a, at);
    make(a, at + "/other");
    const zkh::mutex mutex(a, at);
    CHECK(zkh_mutex_unlock(mutex.handle(), nullptr) == ZKH_NOT_HELD);
    THROWS(zkh::lock_guard().unlock(), zkh::errc::not_held, "");
    CHECK(names(a, at) == "other");
    auto guard = mutex.lock(patience);
    guard.unlock();
    THROWS(guard.unlock(), zkh::errc::not_held, "");
    CHECK(names(a, at) == "other");
}

void s42_unlock_is_for_its_own()
{
    holding on;
    CHECK(zkh_mutex_unlock(on.others.handle(), nullptr) == ZKH_NOT_HELD);
    CHECK(on.guard.is_held() && names(on.b, on.at) == "lock-0000000000");
    on.guard.unlock();
}

void s43_second_lock_on_a_handle_queues()
{
    holding on;
    const auto token = on.guard.token();
    THROWS(on.mine.lock(a_try), zkh::errc::timeout, on.at);
    auto next = on.mine.lock_future(patience);
    on.guard.unlock();
    CHECK(next.get().token() > token);
}

void s44_tokens_grow_over_a_new_parent()
{
    holding on;
    const auto token = on.guard.token();
    on.guard.unlock();
    on.b.remove(on.at);
    const auto guard = on.mine.lock(patience);
    CHECK(names(on.b, on.at) == "lock-0000000000" && guard.token() > token);
}

void s45_foreign_children_do_not_block()
{
    const peer a;
    const auto at = make(a, lock_path(a));
    make(a, at + "/config");
    make(a, at + "/zzz");
    const zkh::mutex mutex(a, at);
    CHECK(mutex.try_lock());
    CHECK(names(a, at) == "config zzz");
}

void s46_other_libraries_contend()
{
    const peer a, b;
    const auto at = make(a, lock_path(a));
    for (const auto *prefix : {"/_c_5-lock-", "/5__lock__"}) {
        const auto node = make(b, at + prefix, zkh::create_mode::ephemeral_sequential);
        const zkh::mutex mutex(a, at);
        CHECK(!mutex.try_lock());
        auto waits = mutex.lock_future(patience);
        until(b, at, 2);
        b.remove(node);
        waits.get().unlock();
    }
}

void s47_extra_patterns_contend()
{
    const peer a, b;
    const auto at = make(a, lock_path(a));
    make(b, at + "/turn-", zkh::create_mode::ephemeral_sequential);
    zkh::mutex_options options;
    options.add_extra_lock_pattern("turn-");
    CHECK(!zkh::mutex(a, at, options).try_lock());
    const zkh::mutex without(a, at);
    CHECK(without.try_lock());
}

void s48_deleted_node_is_a_loss()
{
    holding on;
    const auto losses = losses_of(on.mine);
    on.b.remove(only(on.b, on.at));
    CHECK(losses->next() == lost(on.guard.token(), zkh::loss::node_deleted));
    CHECK(!on.guard.is_held() && on.guard.lost() && !on.mine.is_held());
    THROWS(on.guard.check(), zkh::errc::lock_lost, "");
    THROWS(on.guard.unlock(), zkh::errc::lock_lost, on.at);
    CHECK(losses->empty());
}

void s49_ended_session_is_a_loss()
{
    const holding on;
    const auto losses = losses_of(on.mine);
    auto waits = on.others.lock_future(patience);
    until(on.b, on.at, 2);
    end_session(on.a);
    const auto reason = losses->next().second;
    CHECK(reason == zkh::loss::session_over || reason == zkh::loss::node_deleted);
    CHECK(waits.get().token() > on.guard.token());
}

void s50_validity_is_bounded()
{
    holding on;
    const auto valid = on.guard.valid_for();
    CHECK(valid > 0ms && valid <= session);
    on.guard.unlock();
    CHECK(on.guard.valid_for() == 0ms);
}

void s51_closing_a_handle_ends_its_wait()
{
    const holding on;
    zkh::mutex mutex(on.b, on.at);
    auto waits = mutex.lock_future(patience);
    until(on.a, on.at, 2);
    mutex = zkh::mutex();
    THROWS(waits.get(), zkh::errc::closed, on.at);
    until(on.a, on.at, 1);
    THROWS(mutex.lock(a_try), zkh::errc::bad_handle, "");
}

void s52_closing_the_client_releases()
{
    const holding on;
    const auto losses = losses_of(on.mine);
    on.a.close();
    CHECK(losses->next().second == zkh::loss::client_closed);
    CHECK(on.others.try_lock());
}

void s53_lock_node_has_the_list()
{
    const peer a, b;
    const auto at = lock_path(a);
    zkh::mutex_options options;
    options.add_acl(ZKH_PERM_ALL & ~ZKH_PERM_WRITE, "world", "anyone");
    const zkh::mutex mutex(a, at, options);
    auto guard = mutex.lock(patience);
    const auto list = b.get_acl(only(b, at)).entries;
    CHECK(list.size() == 1 && list[0].permissions == (ZKH_PERM_ALL & ~ZKH_PERM_WRITE));
    guard.unlock();
    CHECK(names(b, at).empty());
}

void s63_contenders_in_order()
{
    const peer a, b;
    const auto at = lock_path(a);
    const zkh::mutex mine(a, at), others(b, at);
    const auto guard = mine.lock(patience, "nightly");
    const auto waits = others.lock_future(patience);
    until(b, at, 2);
    const auto all = others.contenders();
    CHECK(all.size() == 2 && all[0].token == guard.token() && all[0].session_id == a.session_id());
    CHECK(all[0].pid == getpid() && all[0].description == "nightly" && all[0].owner == zkh::owner_state::living);
    CHECK(all[1].session_id == b.session_id());
}

void s64_revocation_is_told()
{
    const holding on;
    const auto asked = std::make_shared<box<std::pair<std::int64_t, std::string>>>();
    on.mine.on_revoke([asked](std::int64_t token, const std::string &why) { asked->put({token, why}); });
    on.others.request_revocation("lock-0000000000", "maintenance");
    const auto [token, why] = asked->next();
    CHECK(token == on.guard.token() && why == "maintenance" && on.guard.is_held());
    CHECK(on.others.contenders().at(0).asked == "maintenance");
}

void s65_revocation_of_nobody()
{
    const holding on;
    THROWS(on.others.request_revocation("lock-0000000099", ""), zkh::errc::no_node, on.at);
    THROWS(on.others.request_revocation("config", ""), zkh::errc::bad_argument, "config");
}

// Only a guard writes under its lock.
void s66_guarded_while_held()
{
    const peer a, b;
    const auto at = lock_path(a), target = home(b);
    const zkh::mutex mutex(a, at);
    zkh::multi write;
    write.set(target, "held");
    CHECK(zkh_mutex_guarded(mutex.handle(), write.handle(), nullptr, nullptr) == ZKH_NOT_HELD);
    THROWS(zkh::lock_guard().guarded(write), zkh::errc::not_held, "");
    auto guard = mutex.lock(patience);
    guard.guarded(write);
    guard.unlock();
    THROWS(guard.guarded(write), zkh::errc::not_held, "");
    const auto read = b.get(target);
    CHECK(read.data == "held" && read.stat.version == 1);
}

void s67_guarded_changes_nothing_once_lost()
{
    const holding on;
    const auto target = home(on.b);
    zkh::multi write;
    write.set(target, "lost");
    on.b.remove(only(on.b, on.at));
    try {
        on.guard.guarded(write);
        CHECK(false);
    } catch (const zkh::error &e) {
        CHECK(e.code() == zkh::errc::lock_lost || e.code() == zkh::errc::not_held);
    }
    CHECK(on.b.get(target).data.empty());
}
