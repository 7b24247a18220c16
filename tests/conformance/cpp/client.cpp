// Client and session: scenarios 1 to 10.
#include "scenario.hpp"

void s01_connect_and_close()
{
    const peer a;
    CHECK(a.state() == zkh::state::connected && a.session_id() != 0);
    a.close();
    CHECK(a.state() == zkh::state::closed);
    THROWS(a.get("/"), zkh::errc::closed, "");
}

void s02_close_removes_ephemerals()
{
    const peer a, b;
    const auto at = make(a, home(a) + "/e", zkh::create_mode::ephemeral);
    CHECK(b.exists(at));
    a.close();
    CHECK(!b.exists(at));
}

void s03_chroot_is_below()
{
    const peer b;
    const auto top = home(b);
    const peer a(server_address + top, session);
    CHECK(a.create("/n", "x").path == "/n");
    CHECK(b.get(top + "/n").data == "x");
}

void s04_bad_addresses_are_refused()
{
    for (const auto *bad : {"", ":2181", "127.0.0.1:port", "127.0.0.1:2181/a/"})
        THROWS(zkh::client::begin(bad), zkh::errc::bad_address, "");
}

void s05_no_server_in_time()
{
    zkh::client_options options;
    options.connect_timeout(200ms);
    THROWS(zkh::client(nobody, options), zkh::errc::connection_loss, nobody);
}

void s06_nothing_is_sent_without_a_server()
{
    zkh::client_options options;
    options.operation_timeout(100ms);
    const auto a = zkh::client::begin(nobody, options);
    THROWS(a.get("/"), zkh::errc::not_sent, "");
    THROWS(a.create("/a"), zkh::errc::not_sent, "/a");
}

void s07_lost_session_is_told_and_replaced()
{
    const peer a;
    const auto top = home(a);
    const auto old = a.session_id();
    const auto states = std::make_shared<box<zkh::state_change>>();
    a.on_state([states](const zkh::state_change &change) { states->put(change); });
    end_session(a);
    bool was_lost = false;
    auto told = states->next();
    for (; told.state != zkh::state::connected || told.session_id == old; told = states->next())
        was_lost = was_lost || (told.state == zkh::state::lost && told.previous_session_id == old);
    CHECK(was_lost && told.previous_session_id == old && a.session_id() == told.session_id);
    a.set(top, "new");
}

void s08_reattach_takes_the_session()
{
    const peer a, b;
    const auto at = make(a, home(a) + "/e", zkh::create_mode::ephemeral);
    const peer thief(server_address, taking(a));
    CHECK(owner_of(b, at) == thief.session_id() && thief.session_id() != 0);
    thief.close();
    CHECK(!b.exists(at));
}

void s09_credentials_open_what_a_list_closes()
{
    const peer a, b;
    const auto at = home(a) + "/mine";
    a.add_auth("digest", "me:secret");
    a.create(at, "x", zkh::create_mode::persistent, zkh::acl(zkh::acl_preset::creator));
    THROWS(b.get(at), zkh::errc::no_auth, at);
    b.add_auth("digest", "me:secret");
    CHECK(b.get(at).data == "x");
    auto options = lasting(session);
    options.add_auth("digest", "me:secret");
    const peer c(server_address, options);
    CHECK(c.get(at).data == "x");
}

void s10_who_am_i()
{
    const peer a;
    a.add_auth("digest", "me:secret");
    const auto all = a.who_am_i();
    CHECK(std::any_of(all.begin(), all.end(), [](const auto &is) { return is.scheme == "digest" && is.id == "me"; }));
}
