// The strict mutex: scenarios 54 to 57.
#include "scenario.hpp"

void s54_strict_clean_hand_over_is_at_once()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto began = steady_clock::now();
    const auto first = strict(a, at, minute), second = strict(b, at, minute);
    first.lock(patience).unlock();
    auto guard = second.lock(patience);
    auto waits = first.lock_future(patience);
    until(b, at, 2);
    guard.unlock();
    const auto next = waits.get();
    CHECK(steady_clock::now() - began < minute);
    CHECK(next.valid_for() > 0ms && next.valid_for() <= minute);
}

void s55_strict_waits_after_an_unclean_end()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto first = strict(a, at, 1s), second = strict(b, at, 1s);
    const auto guard = first.lock(patience);
    auto waits = second.lock_future(patience);
    until(b, at, 2);
    const auto gone = steady_clock::now();
    a.close();
    CHECK(waits.get().is_held() && steady_clock::now() - gone >= 999ms);
}

void s56_strict_refuses_another_delay()
{
    const peer a, b;
    const auto at = lock_path(a);
    const auto first = strict(a, at, minute), second = strict(b, at, 50s);
    first.lock(patience).unlock();
    THROWS(second.lock(patience), zkh::errc::bad_argument, "60000");
    until(b, at, 0);
}

void s57_strict_keeps_foreign_data()
{
    const peer a;
    const auto at = a.create(lock_path(a), "mine").path;
    THROWS(strict(a, at, minute).lock(patience), zkh::errc::bad_argument, at);
    CHECK(a.get(at).data == "mine");
    until(a, at, 0);
}
