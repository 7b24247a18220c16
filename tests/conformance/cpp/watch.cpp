// Watches: scenarios 25 to 32.
#include "scenario.hpp"

static void sees(const notes<happened> &told, zkh::event what, const std::string &path)
{
    const auto [is, where] = told->next();
    if (is != what)
        std::fprintf(stderr, "event %d in place of %d\n", static_cast<int>(is), static_cast<int>(what));
    CHECK(is == what && where == path);
}

void s25_data_watch_fires_once()
{
    const peer a, b;
    const auto top = home(a);
    const auto [first, on_first] = listening();
    const auto one = a.watch_data(top, on_first);
    b.set(top, "1");
    sees(first, zkh::event::data_changed, top);
    const auto [second, on_second] = listening();
    const auto two = a.watch_data(top, on_second);
    CHECK(two.now.data == "1");
    b.set(top, "2");
    sees(second, zkh::event::data_changed, top);
    CHECK(first->empty() && second->empty());
}

void s26_exists_watch_sees_a_creation()
{
    const peer a, b;
    const auto at = home(a) + "/n";
    const auto [told, on_event] = listening();
    const auto watch = a.watch_exists(at, on_event);
    CHECK(!watch.now);
    make(b, at);
    sees(told, zkh::event::created, at);
}

void s27_children_watch_sees_a_child()
{
    const peer a, b;
    const auto top = home(a);
    const auto [told, on_event] = listening();
    const auto watch = a.watch_children(top, on_event);
    CHECK(watch.now.names.empty());
    make(b, top + "/c");
    sees(told, zkh::event::children_changed, top);
}

void s28_data_watch_sees_a_deletion()
{
    const peer a, b;
    const auto at = make(a, home(a) + "/n");
    const auto [told, on_event] = listening();
    const auto watch = a.watch_data(at, on_event);
    b.remove(at);
    sees(told, zkh::event::deleted, at);
    THROWS(a.watch_data(at, on_event), zkh::errc::no_node, at);
}

void s29_persistent_watch_stays()
{
    const peer a, b;
    const auto at = home(a) + "/n";
    const auto [told, on_event] = listening();
    const auto watch = a.watch_persistent(at, on_event);
    make(b, at);
    b.set(at, "1");
    b.remove(make(b, at + "/c"));
    b.remove(at);
    sees(told, zkh::event::created, at);
    sees(told, zkh::event::data_changed, at);
    sees(told, zkh::event::children_changed, at);
    sees(told, zkh::event::children_changed, at);
    sees(told, zkh::event::deleted, at);
}

void s30_recursive_watch_sees_what_is_below()
{
    const peer a, b;
    const auto top = home(a);
    const auto [told, on_event] = listening();
    const auto watch = a.watch_recursive(top, on_event);
    const auto above = make(b, top + "/a"), at = make(b, above + "/b");
    b.set(at, "1");
    b.remove(at);
    sees(told, zkh::event::created, above);
    sees(told, zkh::event::created, at);
    sees(told, zkh::event::data_changed, at);
    sees(told, zkh::event::deleted, at);
}

void s31_freed_watch_is_silent()
{
    const peer a, b;
    const auto top = home(a);
    const auto [freed, on_freed] = listening();
    const auto [kept, on_kept] = listening();
    auto one = a.watch_persistent(top + "/one", on_freed);
    const auto two = a.watch_persistent(top + "/two", on_kept);
    one = zkh::watch();
    make(b, top + "/one");
    make(b, top + "/two");
    sees(kept, zkh::event::created, top + "/two");
    CHECK(freed->empty());
}

void s32_session_end_is_told_to_watches()
{
    const peer a, b;
    const auto top = home(a), at = make(b, top + "/n");
    const auto [once, on_once] = listening();
    const auto [stays, on_stays] = listening();
    const auto one = a.watch_data(top, on_once);
    const auto two = a.watch_persistent(at, on_stays);
    end_session(a);
    CHECK(once->next().first == zkh::event::session_lost);
    CHECK(stays->next().first == zkh::event::may_have_missed);
    // The connection may have come and gone between the two clients of one session, and each time it is told.
    // Behind a read of its own client the watch is armed.
    auto told = happened(zkh::event::may_have_missed, "");
    while (told.first == zkh::event::may_have_missed) {
        (void)a.get(at);
        b.set(at, "after");
        told = stays->next();
    }
    CHECK(told == happened(zkh::event::data_changed, at));
}
