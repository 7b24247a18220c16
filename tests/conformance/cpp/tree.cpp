// Trees and globs: scenarios 87 to 92.
#include "scenario.hpp"

void s87_parents_are_plain()
{
    const peer a;
    const auto top = home(a);
    zkh::tree(a).create(top + "/t/a/b", "x", zkh::create_mode::ephemeral, zkh::acl(zkh::acl_preset::file));
    CHECK(owner_of(a, top + "/t/a/b") == a.session_id());
    for (const auto &parent : {top + "/t", top + "/t/a"}) {
        const auto list = a.get_acl(parent);
        CHECK(list.entries.size() == 1 && list.entries[0].permissions == ZKH_PERM_ALL);
        CHECK(list.stat.ephemeral_owner == 0 && list.stat.data_length == 0);
    }
}

void s88_create_or_update()
{
    const peer a;
    const auto at = home(a) + "/u/v";
    const zkh::tree tree(a);
    THROWS(tree.create_or_update(at, "0", false), zkh::errc::no_node, at);
    CHECK(tree.create_or_update(at, "1") == at);
    CHECK(tree.create_or_update(at, "2") == at);
    const auto read = a.get(at);
    CHECK(read.data == "2" && read.stat.version == 1);
}

void s89_children_are_sorted_and_relative()
{
    const peer a;
    const auto top = home(a);
    const zkh::tree tree(a);
    for (const auto *name : {"/b", "/a/x", "/a-b"})
        tree.create(top + name);
    CHECK(joined(tree.children(top)) == "a a-b a/x b");
    THROWS(tree.children(top + "/none"), zkh::errc::no_node, "none");
}

void s90_delete_is_guarded_by_the_version()
{
    const peer a;
    const auto top = home(a);
    const zkh::tree tree(a);
    tree.create(top + "/a/b");
    tree.create(top + "/c");
    THROWS(tree.remove(top, 5), zkh::errc::bad_version, top);
    CHECK(joined(tree.children(top)) == "a a/b c");
    tree.remove(top, 0);
    CHECK(!a.exists(top));
    THROWS(tree.remove(top), zkh::errc::no_node, top);
}

void s91_glob_matches()
{
    const peer a;
    const auto top = home(a);
    const zkh::tree tree(a);
    for (const auto *name : {"/nyc/7", "/nyc/1", "/nyc/0", "/sfo/5"})
        tree.create(top + name);
    const auto found = [&](const std::string &pattern) {
        auto all = tree.glob({top + pattern}).paths;
        for (auto &path : all)
            path = path.substr(top.size());
        return joined(all);
    };
    CHECK(found("/*/[0-5]") == "/nyc/0 /nyc/1 /sfo/5");
    CHECK(found("/s?o") == "/sfo");
    CHECK(found("/[^n]*") == "/sfo");
    CHECK(found("/none") == "/none");
}

void s92_glob_refuses_bad_patterns()
{
    const peer a;
    const zkh::tree tree(a);
    THROWS(tree.glob({"/a/["}), zkh::errc::bad_argument, "/a/[");
    THROWS(tree.glob({"a/*"}), zkh::errc::bad_path, "");
    CHECK(tree.glob({home(a) + "/none/*"}).paths.empty());
}
