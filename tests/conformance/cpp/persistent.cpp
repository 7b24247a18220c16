// The persistent mutex: scenarios 58 to 62.
#include "scenario.hpp"

static const std::string first_node = "lock-0000000000";

// The only contender.
static zkh::contender contender_of(const zkh::mutex &mutex)
{
    const auto all = mutex.contenders();
    CHECK(all.size() == 1 && all[0].name == first_node);
    return all[0];
}

void s58_persistent_node_and_companion()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto mutex = persistent(a, at, minute);
    auto guard = mutex.lock(patience);
    const auto all = b.children(at).names;
    CHECK(all.size() == 2 && all[0] == first_node && all[1].rfind("owner-", 0) == 0);
    CHECK(owner_of(b, at + "/" + all[0]) == 0 && owner_of(b, at + "/" + all[1]) == a.session_id());
    guard.unlock();
    until(b, at, 0);
}

void s59_persistent_lock_outlives_its_session()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto mutex = persistent(a, at, 300ms);
    const zkh::mutex other(b, at);
    const auto guard = mutex.lock(patience);
    a.close();
    CHECK(!other.try_lock());
    CHECK(contender_of(other).owner == zkh::owner_state::gone);
    other.release_dead(first_node);
    CHECK(other.try_lock());
}

void s60_live_owner_is_not_released()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto mutex = persistent(a, at, minute);
    auto guard = mutex.lock(patience);
    THROWS(zkh::mutex(b, at).release_dead(first_node), zkh::errc::node_exists, at);
    CHECK(guard.is_held());
    guard.unlock();
}

void s61_force_needs_the_czxid()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto mutex = persistent(a, at, minute);
    const zkh::mutex other(b, at);
    const auto guard = mutex.lock(patience);
    const auto losses = losses_of(mutex);
    THROWS(other.release_by_force(first_node, guard.token() + 1), zkh::errc::bad_version, at);
    CHECK(guard.is_held());
    other.release_by_force(first_node, guard.token());
    CHECK(losses->next().first == guard.token());
}

void s62_old_lock_is_unknown()
{
    const peer a, b;
    const auto at = make(b, lock_path(b));
    make(b, at + "/lock-", zkh::create_mode::persistent_sequential);
    const zkh::mutex mutex(a, at);
    const auto old = contender_of(mutex);
    CHECK(old.owner == zkh::owner_state::unknown);
    THROWS(mutex.release_dead(first_node), zkh::errc::unsupported, at);
    CHECK(!mutex.try_lock());
    mutex.release_by_force(first_node, old.token);
    CHECK(mutex.try_lock());
}
