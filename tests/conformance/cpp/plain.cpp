// Plain operations: scenarios 11 to 24.
#include "scenario.hpp"

void s11_create_get_set_delete()
{
    const peer a;
    const auto at = home(a) + "/n";
    const auto made = a.create(at, "one");
    CHECK(made.path == at && made.stat.version == 0);
    a.set(at, "two", 0);
    const auto read = a.get(at);
    CHECK(read.data == "two" && read.stat.version == 1);
    a.remove(at, 1);
    CHECK(!a.exists(at));
}

void s12_sequential_names()
{
    const peer a;
    const auto top = home(a), at = top + "/job-";
    CHECK(make(a, at, zkh::create_mode::persistent_sequential) == at + "0000000000");
    CHECK(make(a, at, zkh::create_mode::persistent_sequential) == at + "0000000001");
    CHECK(make(a, at, zkh::create_mode::ephemeral_sequential) == at + "0000000002");
    CHECK(names(a, top) == "job-0000000000 job-0000000001 job-0000000002");
}

void s13_ephemerals_have_an_owner()
{
    const peer a;
    const auto top = home(a), at = make(a, top + "/e", zkh::create_mode::ephemeral);
    CHECK(owner_of(a, make(a, top + "/p")) == 0 && owner_of(a, at) == a.session_id());
    THROWS(a.create(at + "/c"), zkh::errc::no_children_for_ephemerals, at);
}

void s14_wrong_version_changes_nothing()
{
    const peer a;
    const auto top = home(a);
    THROWS(a.set(top, "new", 5), zkh::errc::bad_version, top);
    THROWS(a.remove(top, 5), zkh::errc::bad_version, top);
    const auto read = a.get(top);
    CHECK(read.data.empty() && read.stat.version == 0);
}

void s15_codes_of_what_is_there_and_is_not()
{
    const peer a;
    const auto top = home(a), none = top + "/none";
    THROWS(a.get(none), zkh::errc::no_node, none);
    THROWS(a.set(none, {}), zkh::errc::no_node, none);
    THROWS(a.remove(none), zkh::errc::no_node, none);
    THROWS(a.children(none), zkh::errc::no_node, none);
    THROWS(a.create(none + "/c"), zkh::errc::no_node, none);
    CHECK(!a.exists(none));
    make(a, top + "/c");
    THROWS(a.create(top), zkh::errc::node_exists, top);
    THROWS(a.remove(top), zkh::errc::not_empty, top);
}

void s16_list_has_its_own_version()
{
    const peer a;
    const auto at = make(a, home(a) + "/n");
    const auto list = anyone(ZKH_PERM_READ | ZKH_PERM_ADMIN);
    a.set_acl(at, list, 0);
    const auto read = a.get_acl(at);
    CHECK(read.entries.size() == 1 && read.entries[0].permissions == (ZKH_PERM_READ | ZKH_PERM_ADMIN));
    CHECK(read.stat.aversion == 1 && read.stat.version == 0);
    THROWS(a.set_acl(at, list, 0), zkh::errc::bad_version, at);
}

void s17_multi_is_all_or_nothing()
{
    const peer a;
    const auto top = home(a), at = top + "/a";
    zkh::multi bad, good;
    bad.create(at).set(top + "/none", {});
    THROWS(a.commit(bad), zkh::errc::no_node, "none");
    CHECK(!a.exists(at));
    good.create(at);
    a.commit(good);
    CHECK(a.exists(at));
}

void s18_multi_checks_versions()
{
    const peer a;
    const auto top = home(a);
    zkh::multi right, wrong;
    right.check(top, 0).create(top + "/a");
    a.commit(right);
    wrong.check(top, 7).create(top + "/b");
    THROWS(a.commit(wrong), zkh::errc::bad_version, top);
    CHECK(names(a, top) == "a");
}

void s19_multi_read_answers_each()
{
    const peer a;
    const auto top = home(a);
    a.create(top + "/n", "data");
    zkh::multi reads;
    reads.get(top + "/n").children(top).get(top + "/none");
    const auto parts = a.read(reads);
    CHECK(parts.size() == 3 && !parts[0].code && parts[0].data == "data");
    CHECK(!parts[1].code && joined(parts[1].names) == "n");
    CHECK(parts[2].code == zkh::errc::no_node);
}

void s20_data_of_every_kind()
{
    const peer a;
    const auto top = home(a);
    std::string all(256, '\0');
    for (std::size_t i = 0; i < all.size(); i++)
        all[i] = static_cast<char>(i);
    for (const auto &data : {std::string(), all, std::string(100000, 'x')}) {
        a.set(top, data);
        CHECK(a.get(top).data == data);
    }
}

void s21_too_large_is_refused_unsent()
{
    const peer a;
    const auto top = home(a);
    const auto states = std::make_shared<box<zkh::state>>();
    a.on_state([states](const zkh::state_change &change) { states->put(change.state); });
    CHECK(states->next() == zkh::state::connected);
    const auto id = a.session_id();
    THROWS(a.set(top, std::string(2000000, 'x')), zkh::errc::too_large, top);
    a.set(top, "small");
    CHECK(a.session_id() == id && states->empty());
}

void s22_many_at_once_keep_their_order()
{
    const peer a;
    const auto top = home(a);
    std::vector<std::future<zkh::stat>> all;
    for (int i = 1; i <= 200; i++)
        all.push_back(a.set_future(top, i == 200 ? "last" : "other"));
    for (auto &one : all)
        one.get();
    const auto read = a.get(top);
    CHECK(read.data == "last" && read.stat.version == 200);
}

void s23_sync_then_read()
{
    const peer a, b;
    const auto top = home(a);
    a.set(top, "new");
    b.sync(top);
    CHECK(b.get(top).data == "new");
}

void s24_ephemerals_of_the_session()
{
    const peer a, b;
    const auto top = home(a);
    std::vector<std::string> mine;
    for (const auto *name : {"/one", "/two"})
        mine.push_back(make(a, top + name, zkh::create_mode::ephemeral));
    make(b, top + "/three", zkh::create_mode::ephemeral);
    auto found = a.ephemerals(top);
    std::sort(found.begin(), found.end());
    CHECK(found == mine);
}
