/* Trees and globs: scenarios 87 to 92. */
#include "scenario.h"

static zkh_client a;
static const char *top;

static void begin(void)
{
    a = join();
    top = home(a);
}

static void grow(const char *name)
{
    OK(zkh_tree_create(a, text("%s/%s", top, name), NULL, 0, ZKH_CREATE_PERSISTENT, NULL, NULL, &err));
}

/* Whether the names of a result, without so many characters before each, are these, joined by spaces. */
static bool names_are(zkh_result *r, size_t skip, const char *names)
{
    char all[256] = "";
    for (size_t i = 0; i < zkh_result_count(r); i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), i == 0 ? "%s" : " %s", zkh_result_name(r, i) + skip);
    zkh_result_free(r);
    return strcmp(all, names) == 0;
}

static bool tree_is(const char *names)
{
    zkh_result *r = NULL;
    OK(zkh_tree_children(a, top, &r, &err));
    return names_are(r, 0, names);
}

static bool glob_is(const char *pattern, const char *names)
{
    zkh_result *r = NULL;
    const char *whole = text("%s/%s", top, pattern);
    OK(zkh_tree_glob(a, &whole, 1, &r, &err));
    return names_are(r, strlen(top) + 1, names);
}

void s87_parents_are_plain(void)
{
    zkh_stat stat;
    zkh_acl file = {0};
    begin();
    OK(zkh_acl_new(ZKH_ACL_FILE, &file, &err));
    OK(zkh_tree_create(a, text("%s/t/a/b", top), "x", 1, ZKH_CREATE_EPHEMERAL, &file, NULL, &err));
    CHECK(zkh_acl_free(file) == ZKH_OK);
    CHECK(exists(a, text("%s/t/a/b", top), &stat) && stat.ephemeral_owner == zkh_client_session_id(a));
    const char *parents[] = {text("%s/t", top), text("%s/t/a", top)};
    for (size_t i = 0; i < 2; i++) {
        zkh_result *r = NULL;
        OK(zkh_client_get_acl(a, parents[i], &r, &err));
        CHECK(zkh_result_count(r) == 1 && zkh_result_permissions(r, 0) == ZKH_PERM_ALL);
        CHECK(zkh_result_stat(r, &stat) && stat.ephemeral_owner == 0 && stat.data_length == 0);
        zkh_result_free(r);
    }
}

void s88_create_or_update(void)
{
    zkh_stat stat;
    begin();
    const char *at = text("%s/u/v", top), *data[] = {"1", "2"};
    FAILS(zkh_tree_create_or_update(a, at, "0", 1, 0, NULL, false, NULL, &err), ZKH_NO_NODE, at);
    for (size_t i = 0; i < 2; i++) {
        zkh_result *r = NULL;
        OK(zkh_tree_create_or_update(a, at, data[i], 1, 0, NULL, true, &r, &err));
        CHECK(strcmp(zkh_result_path(r), at) == 0);
        zkh_result_free(r);
    }
    CHECK(strcmp(data_of(a, at, &stat), "2") == 0 && stat.version == 1);
}

void s89_children_are_sorted_and_relative(void)
{
    begin();
    grow("b");
    grow("a/x");
    grow("a-b");
    CHECK(tree_is("a a-b a/x b"));
    FAILS(zkh_tree_children(a, text("%s/none", top), NULL, &err), ZKH_NO_NODE, "none");
}

void s90_delete_is_guarded_by_the_version(void)
{
    begin();
    grow("a/b");
    grow("c");
    FAILS(zkh_tree_delete(a, top, 5, &err), ZKH_BAD_VERSION, top);
    CHECK(tree_is("a a/b c"));
    OK(zkh_tree_delete(a, top, 0, &err));
    FAILS(zkh_tree_delete(a, top, -1, &err), ZKH_NO_NODE, top);
}

void s91_glob_matches(void)
{
    begin();
    grow("nyc/7");
    grow("nyc/1");
    grow("nyc/0");
    grow("sfo/5");
    CHECK(glob_is("*/[0-5]", "nyc/0 nyc/1 sfo/5"));
    CHECK(glob_is("s?o", "sfo"));
    CHECK(glob_is("[^n]*", "sfo"));
    CHECK(glob_is("none", "none"));
}

void s92_glob_refuses_bad_patterns(void)
{
    zkh_result *r = NULL;
    begin();
    FAILS(zkh_tree_glob(a, (const char *const[]){"/a/["}, 1, &r, &err), ZKH_BAD_ARGUMENT, "/a/[");
    FAILS(zkh_tree_glob(a, (const char *const[]){"a/*"}, 1, &r, &err), ZKH_BAD_PATH, "");
    CHECK(r == NULL && glob_is("none/*", ""));
}
