// The queue lock: scenarios 77 to 81.
#include "scenario.hpp"

void s77_queue_lock_and_unlock()
{
    const peer a, b;
    const auto at = home(a);
    const zkh::queue_lock first(a, at), second(b, at);
    auto guard = first.lock(patience);
    const auto token = guard.token();
    CHECK(b.exists(at + "/lock-0000000000").value().czxid == token);
    THROWS(second.lock(a_try), zkh::errc::timeout, at);
    CHECK(names(b, at) == "lock-0000000000");
    auto waits = second.lock_future(patience);
    until(a, at, 2);
    guard.unlock();
    CHECK(waits.get().token() > token);
}

void s78_obtain_waits_for_lower_names()
{
    const peer a, b;
    const auto at = home(a);
    make(a, at + "/a");
    make(a, at + "/b");
    const zkh::queue_lock queue(a, at);
    queue.obtain("a", patience);
    THROWS(queue.obtain("b", a_try), zkh::errc::timeout, at);
    auto waits = queue.obtain_future("b", patience);
    b.remove(at + "/a");
    waits.get();
    CHECK(names(b, at) == "b");
}

void s79_queue_timeout_removes_its_own_node_alone()
{
    const peer a, b;
    const auto at = home(a);
    const zkh::queue_lock first(a, at), second(b, at);
    const auto guard = first.lock(patience);
    THROWS(second.lock(shortly), zkh::errc::timeout, at);
    CHECK(names(b, at) == "lock-0000000000");
    make(b, at + "/zzz");
    THROWS(second.obtain("zzz", shortly), zkh::errc::timeout, at);
    CHECK(names(b, at) == "lock-0000000000 zzz");
}

void s80_queue_interrupt()
{
    const peer a, b;
    const auto at = home(a);
    const zkh::queue_lock first(a, at), second(b, at);
    const auto guard = first.lock(patience);
    auto waits = second.lock_future(patience);
    until(a, at, 2);
    second.interrupt();
    THROWS(waits.get(), zkh::errc::interrupted, at);
    until(a, at, 1);
    second.interrupt();
    THROWS(second.lock(patience), zkh::errc::interrupted, at);
}

void s81_obtain_of_a_missing_node()
{
    const peer a;
    const auto at = home(a);
    const zkh::queue_lock queue(a, at);
    THROWS(queue.obtain("none", patience), zkh::errc::no_node, "none");
    THROWS(queue.obtain("a/b", patience), zkh::errc::bad_argument, "a/b");
    THROWS(zkh::queue_guard().unlock(), zkh::errc::not_held, "");
    CHECK(zkh_queue_lock_unlock(queue.handle(), nullptr) == ZKH_NOT_HELD);
}
