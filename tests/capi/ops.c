/* The plain operations: what each answers and refuses, waiting and asynchronous. ops ADDRESS */
#include "check.h"
#include <inttypes.h>

static zkh_client client;
static char top[64];

/* A path below the one that this run has for itself. */
static const char *at(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, 128, "%s/%s", top, name);
    return path;
}

static void make(const char *path, const char *data)
{
    OK(zkh_client_create(client, path, data, strlen(data), ZKH_CREATE_PERSISTENT, 0, NULL, NULL, &err));
}

static bool is_there(const char *path)
{
    zkh_result *r = NULL;
    OK(zkh_client_exists(client, path, &r, &err));
    bool there = zkh_result_exists(r);
    zkh_result_free(r);
    return there;
}

static void every_mode(void)
{
    static const struct { int32_t mode; int64_t ttl_ms; bool ephemeral, sequential; } modes[] = {
        {ZKH_CREATE_PERSISTENT, 0, false, false},
        {ZKH_CREATE_EPHEMERAL, 0, true, false},
        {ZKH_CREATE_PERSISTENT_SEQUENTIAL, 0, false, true},
        {ZKH_CREATE_EPHEMERAL_SEQUENTIAL, 0, true, true},
        {ZKH_CREATE_CONTAINER, 0, false, false},
        {ZKH_CREATE_PERSISTENT_TTL, 600000, false, false},
        {ZKH_CREATE_PERSISTENT_SEQUENTIAL_TTL, 600000, false, true},
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char name[32];
        zkh_result *r = NULL;
        zkh_stat stat;
        snprintf(name, sizeof name, "mode-%zu-", i);
        const char *path = at(name);
        OK(zkh_client_create(client, path, "data", 4, modes[i].mode, modes[i].ttl_ms, NULL, &r, &err));
        const char *made = zkh_result_path(r);
        CHECK(strncmp(made, path, strlen(path)) == 0);
        CHECK(strlen(made) == strlen(path) + (modes[i].sequential ? 10 : 0));
        CHECK(zkh_result_stat(r, &stat) && stat.version == 0 && stat.data_length == 4 && stat.czxid > 0);
        CHECK(stat.czxid == stat.mzxid && stat.czxid == stat.pzxid && stat.ctime > 0 && stat.ctime == stat.mtime);
        CHECK(stat.cversion == 0 && stat.aversion == 0 && stat.num_children == 0);
        if (modes[i].ephemeral) {
            CHECK(stat.ephemeral_owner == zkh_client_session_id(client));
            char below[160];
            snprintf(below, sizeof below, "%s/x", made);
            FAILS(zkh_client_create(client, below, "", 0, ZKH_CREATE_PERSISTENT, 0, NULL, NULL, &err),
                  ZKH_NO_CHILDREN_FOR_EPHEMERALS, below);
        }
        if (!modes[i].sequential)
            FAILS(zkh_client_create(client, path, "", 0, modes[i].mode, modes[i].ttl_ms, NULL, NULL, &err),
                  ZKH_NODE_EXISTS, path);
        zkh_result_free(r);
        r = (zkh_result *)&r;
        if (modes[i].ttl_ms == 0)
            FAILS(zkh_client_create(client, path, "", 0, modes[i].mode, 5, NULL, &r, &err), ZKH_BAD_ARGUMENT, "ttl_ms is 5");
        else
            FAILS(zkh_client_create(client, path, "", 0, modes[i].mode, 0, NULL, &r, &err), ZKH_BAD_ARGUMENT, "ttl_ms is 0");
        CHECK(r == NULL);
    }
    FAILS(zkh_client_create(client, at("no/x"), "", 0, 0, 0, NULL, NULL, &err), ZKH_NO_NODE, "/no/x");
    FAILS(zkh_client_create(client, at("x"), "", 0, 7, 0, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "mode is 7");
    FAILS(zkh_client_create(client, at("x"), "", 0, -1, 0, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "mode is -1");
    FAILS(zkh_client_create(client, at("x"), "", 0, ZKH_CREATE_PERSISTENT_TTL, -1, NULL, NULL, &err), ZKH_BAD_ARGUMENT,
          "ttl_ms is -1");
    FAILS(zkh_client_create(client, at("x"), "", 0, ZKH_CREATE_PERSISTENT_TTL, INT64_MAX, NULL, NULL, &err),
          ZKH_BAD_ARGUMENTS, "");
    /* A name may be nothing but its number. */
    zkh_result *r = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/", top);
    OK(zkh_client_create(client, path, NULL, 0, ZKH_CREATE_PERSISTENT_SEQUENTIAL, 0, NULL, &r, &err));
    CHECK(strlen(zkh_result_path(r)) == strlen(path) + 10);
    zkh_result_free(r);
}

static void data(void)
{
    static char big[1 << 20];
    zkh_result *r = NULL;
    zkh_stat stat;
    size_t len = 77;
    const char *path = at("data");
    make(path, "one");
    OK(zkh_client_get(client, path, &r, &err));
    CHECK(strcmp(zkh_result_data(r, &len), "one") == 0 && len == 3 && zkh_result_path(r) == NULL);
    CHECK(zkh_result_count(r) == 0 && zkh_result_name(r, 0) == NULL && zkh_result_at(r, 0) == NULL);
    zkh_result_free(r);

    OK(zkh_client_set(client, path, "a\0b", 3, 0, &r, &err));
    CHECK(zkh_result_stat(r, &stat) && stat.version == 1 && stat.data_length == 3 && zkh_result_data(r, &len) == NULL);
    CHECK(len == 0);
    zkh_result_free(r);
    FAILS(zkh_client_set(client, path, "x", 1, 0, &r, &err), ZKH_BAD_VERSION, path);
    CHECK(r == NULL);
    OK(zkh_client_get(client, path, &r, &err));
    CHECK(memcmp(zkh_result_data(r, &len), "a\0b", 4) == 0 && len == 3);
    zkh_result_free(r);

    /* Nothing is data too, and there is no null in it. */
    OK(zkh_client_set(client, path, NULL, 0, -1, NULL, &err));
    OK(zkh_client_get(client, path, &r, &err));
    CHECK(strcmp(zkh_result_data(r, &len), "") == 0 && len == 0);
    zkh_result_free(r);

    memset(big, 'z', sizeof big);
    OK(zkh_client_set(client, path, big, 1000000, -1, NULL, &err));
    OK(zkh_client_get(client, path, &r, &err));
    CHECK(memcmp(zkh_result_data(r, &len), big, 1000000) == 0 && len == 1000000);
    zkh_result_free(r);
    FAILS(zkh_client_set(client, path, big, sizeof big, -1, NULL, &err), ZKH_TOO_LARGE, path);

    FAILS(zkh_client_get(client, at("none"), &r, &err), ZKH_NO_NODE, "get");
    FAILS(zkh_client_set(client, at("none"), "", 0, -1, &r, &err), ZKH_NO_NODE, "set");
    FAILS(zkh_client_delete(client, at("none"), -1, &err), ZKH_NO_NODE, "delete");
    FAILS(zkh_client_delete(client, path, 77, &err), ZKH_BAD_VERSION, path);
    CHECK(is_there(path));
    OK(zkh_client_delete(client, path, -1, &err));
    CHECK(!is_there(path));
}

static void lists(void)
{
    zkh_result *r = NULL;
    zkh_stat stat;
    int64_t number = 77;
    char name[32];
    make(at("list"), "");
    for (int i = 29; i >= 0; i--) {
        snprintf(name, sizeof name, "list/n%02d", i);
        make(at(name), "");
    }
    make(at("list/n07/deep"), "");
    OK(zkh_client_children(client, at("list"), &r, &err));
    CHECK(zkh_result_count(r) == 30 && zkh_result_stat(r, &stat) && stat.num_children == 30);
    for (size_t i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "n%02zu", i);
        CHECK(strcmp(zkh_result_name(r, i), name) == 0);
    }
    CHECK(zkh_result_name(r, 30) == NULL && zkh_result_name(r, SIZE_MAX) == NULL);
    CHECK(zkh_result_scheme(r, 0) == NULL && zkh_result_permissions(r, 0) == 0 && zkh_result_data(r, NULL) == NULL);
    zkh_result_free(r);
    OK(zkh_client_all_children_number(client, at("list"), &number, &err));
    CHECK(number == 31);
    FAILS(zkh_client_all_children_number(client, at("none"), &number, &err), ZKH_NO_NODE, "/none");
    CHECK(number == 0);
    FAILS(zkh_client_children(client, at("none"), &r, &err), ZKH_NO_NODE, "children");
    FAILS(zkh_client_delete(client, at("list"), -1, &err), ZKH_NOT_EMPTY, "/list");
    OK(zkh_client_sync(client, at("list"), &err));

    OK(zkh_client_create(client, at("mine"), "", 0, ZKH_CREATE_EPHEMERAL, 0, NULL, NULL, &err));
    OK(zkh_client_ephemerals(client, at("mine"), &r, &err));
    CHECK(zkh_result_count(r) == 1 && strcmp(zkh_result_name(r, 0), at("mine")) == 0);
    zkh_result_free(r);
    OK(zkh_client_who_am_i(client, &r, &err));
    CHECK(zkh_result_count(r) >= 1 && strcmp(zkh_result_scheme(r, 0), "ip") == 0);
    CHECK(strcmp(zkh_result_id(r, 0), "127.0.0.1") == 0 && zkh_result_id(r, 99) == NULL);
    zkh_result_free(r);
}

static void access_control(const char *address)
{
    static const struct { int32_t preset, permissions; } presets[] = {
        {ZKH_ACL_OPEN, ZKH_PERM_ALL},
        {ZKH_ACL_READ_ONLY, ZKH_PERM_READ},
        {ZKH_ACL_DIRECTORY, ZKH_PERM_ADMIN | ZKH_PERM_CREATE | ZKH_PERM_DELETE | ZKH_PERM_READ | ZKH_PERM_WRITE},
        {ZKH_ACL_FILE, ZKH_PERM_ADMIN | ZKH_PERM_READ | ZKH_PERM_WRITE},
    };
    zkh_result *r = NULL;
    zkh_stat stat;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        zkh_acl acl = {0};
        char name[32];
        snprintf(name, sizeof name, "acl-%zu", i);
        OK(zkh_acl_new(presets[i].preset, &acl, &err));
        OK(zkh_client_create(client, at(name), "", 0, ZKH_CREATE_PERSISTENT, 0, &acl, NULL, &err));
        CHECK(zkh_acl_free(acl) == ZKH_OK && zkh_acl_free(acl) == ZKH_BAD_HANDLE);
        OK(zkh_client_get_acl(client, at(name), &r, &err));
        CHECK(zkh_result_count(r) == 1 && zkh_result_permissions(r, 0) == presets[i].permissions);
        CHECK(strcmp(zkh_result_scheme(r, 0), "world") == 0 && strcmp(zkh_result_id(r, 0), "anyone") == 0);
        CHECK(zkh_result_stat(r, &stat) && stat.aversion == 0 && zkh_result_permissions(r, 1) == 0);
        zkh_result_free(r);
    }
    FAILS(zkh_client_set(client, at("acl-1"), "", 0, -1, NULL, &err), ZKH_NO_AUTH, "/acl-1");
    FAILS(zkh_client_create(client, at("acl-3/x"), "", 0, 0, 0, NULL, NULL, &err), ZKH_NO_AUTH, "/acl-3/x");

    zkh_acl acl = {0};
    OK(zkh_acl_new(ZKH_ACL_EMPTY, &acl, &err));
    FAILS(zkh_client_set_acl(client, at("acl-0"), &acl, -1, &r, &err), ZKH_INVALID_ACL, "no entry");
    FAILS(zkh_acl_add(acl, 0, "world", "anyone", &err), ZKH_BAD_ARGUMENT, "permissions is 0");
    FAILS(zkh_acl_add(acl, ZKH_PERM_ALL, NULL, "anyone", &err), ZKH_BAD_ARGUMENT, "scheme is a null pointer");
    FAILS(zkh_acl_add(acl, ZKH_PERM_ALL, "world", "\xff", &err), ZKH_BAD_UTF8, "id is wrong");
    OK(zkh_acl_add(acl, ZKH_PERM_READ | ZKH_PERM_ADMIN, "world", "anyone", &err));
    OK(zkh_acl_add(acl, ZKH_PERM_WRITE, "ip", "10.0.0.0/8", &err));
    FAILS(zkh_client_set_acl(client, at("acl-0"), &acl, 5, &r, &err), ZKH_BAD_VERSION, "/acl-0");
    OK(zkh_client_set_acl(client, at("acl-0"), &acl, 0, &r, &err));
    CHECK(zkh_result_stat(r, &stat) && stat.aversion == 1 && stat.version == 0);
    zkh_result_free(r);
    OK(zkh_client_get_acl(client, at("acl-0"), &r, &err));
    CHECK(zkh_result_count(r) == 2 && strcmp(zkh_result_id(r, 1), "10.0.0.0/8") == 0);
    zkh_result_free(r);
    FAILS(zkh_client_set(client, at("acl-0"), "", 0, -1, NULL, &err), ZKH_NO_AUTH, "/acl-0");
    /* Null is everything for everyone. */
    OK(zkh_client_set_acl(client, at("acl-0"), NULL, 1, NULL, &err));
    OK(zkh_client_set(client, at("acl-0"), "", 0, -1, NULL, &err));
    OK(zkh_acl_add(acl, ZKH_PERM_READ, "no such scheme", "x", &err));
    FAILS(zkh_client_set_acl(client, at("acl-0"), &acl, -1, NULL, &err), ZKH_INVALID_ACL, "/acl-0");
    FAILS(zkh_client_get_acl(client, at("none"), &r, &err), ZKH_NO_NODE, "getACL");
    FAILS(zkh_client_set_acl(client, at("none"), NULL, -1, &r, &err), ZKH_NO_NODE, "setACL");
    CHECK(zkh_acl_free(acl) == ZKH_OK);

    /* What a user made for itself is another one's business no more. */
    zkh_client user = {0};
    OK(zkh_client_connect(address, NULL, &user, &err));
    OK(zkh_acl_new(ZKH_ACL_CREATOR, &acl, &err));
    FAILS(zkh_client_create(user, at("own"), "", 0, 0, 0, &acl, NULL, &err), ZKH_INVALID_ACL, "/own");
    OK(zkh_client_add_auth(user, "digest", "ann:secret", 10, &err));
    OK(zkh_client_create(user, at("own"), "mine", 4, 0, 0, &acl, NULL, &err));
    FAILS(zkh_client_get(client, at("own"), &r, &err), ZKH_NO_AUTH, "/own");
    FAILS(zkh_client_children(client, at("own"), &r, &err), ZKH_NO_AUTH, "/own");
    OK(zkh_client_get(user, at("own"), &r, &err));
    zkh_result_free(r);
    OK(zkh_client_delete(user, at("own"), -1, &err));
    CHECK(zkh_acl_free(acl) == ZKH_OK && zkh_client_free(user) == ZKH_OK);
}

static void transactions(void)
{
    enum { MANY = 2000 };
    zkh_multi multi = {0}, reads = {0};
    zkh_result *r = NULL;
    zkh_stat stat;
    char name[64];
    OK(zkh_multi_new(&multi, &err));
    /* Nothing is a transaction too. */
    OK(zkh_multi_commit(client, multi, &r, &err));
    CHECK(zkh_result_count(r) == 0 && zkh_result_at(r, 0) == NULL);
    zkh_result_free(r);

    make(at("multi"), "");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "multi/n%04d", i);
        OK(zkh_multi_create(multi, at(name), name, strlen(name), ZKH_CREATE_PERSISTENT, 0, NULL, &err));
    }
    OK(zkh_multi_create(multi, at("multi/s"), "", 0, ZKH_CREATE_EPHEMERAL_SEQUENTIAL, 0, NULL, &err));
    OK(zkh_multi_set(multi, at("multi/n0000"), "new", 3, 0, &err));
    OK(zkh_multi_check(multi, at("multi/n0000"), 1, &err));
    OK(zkh_multi_delete(multi, at("multi/n0001"), 0, &err));
    OK(zkh_multi_commit(client, multi, &r, &err));
    CHECK(zkh_result_count(r) == MANY + 4 && zkh_result_status(r) == ZKH_OK);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "multi/n%04zu", i);
        CHECK(strcmp(zkh_result_path(zkh_result_at(r, i)), at(name)) == 0);
        CHECK(zkh_result_status(zkh_result_at(r, i)) == ZKH_OK);
    }
    CHECK(strlen(zkh_result_path(zkh_result_at(r, MANY))) == strlen(at("multi/s")) + 10);
    CHECK(zkh_result_stat(zkh_result_at(r, MANY + 1), &stat) && stat.version == 1 && stat.data_length == 3);
    CHECK(!zkh_result_exists(zkh_result_at(r, MANY + 2)) && zkh_result_at(r, MANY + 4) == NULL);
    zkh_result_free(r);
    CHECK(!is_there(at("multi/n0001")) && is_there(at("multi/n1999")));

    /* One that fails undoes the others, and is named. */
    CHECK(zkh_multi_free(multi) == ZKH_OK);
    OK(zkh_multi_new(&multi, &err));
    OK(zkh_multi_delete(multi, at("multi/n0002"), -1, &err));
    OK(zkh_multi_set(multi, at("multi/n0003"), "new", 3, 9, &err));
    OK(zkh_multi_check(multi, at("none"), -1, &err));
    CHECK(zkh_multi_commit(client, multi, &r, &err) == ZKH_BAD_VERSION && r == NULL);
    CHECK(strcmp(zkh_error_path(err), at("multi/n0003")) == 0);
    FAILS(zkh_error_code(err), ZKH_BAD_VERSION, "operation 2 of 3");
    CHECK(is_there(at("multi/n0002")));

    /* Several reads: each ends by itself. */
    OK(zkh_multi_new(&reads, &err));
    OK(zkh_multi_get(reads, at("multi/n0000"), &err));
    OK(zkh_multi_get(reads, at("none"), &err));
    OK(zkh_multi_children(reads, at("multi"), &err));
    OK(zkh_multi_read(client, reads, &r, &err));
    CHECK(zkh_result_count(r) == 3);
    CHECK(strcmp(zkh_result_data(zkh_result_at(r, 0), NULL), "new") == 0);
    CHECK(zkh_result_stat(zkh_result_at(r, 0), &stat) && stat.version == 1);
    CHECK(zkh_result_status(zkh_result_at(r, 1)) == ZKH_NO_NODE && zkh_result_data(zkh_result_at(r, 1), NULL) == NULL);
    CHECK(zkh_result_count(zkh_result_at(r, 2)) == MANY && strcmp(zkh_result_name(zkh_result_at(r, 2), 0), "n0000") == 0);
    zkh_result_free(r);

    /* Never mixed. */
    FAILS(zkh_multi_commit(client, reads, &r, &err), ZKH_BAD_ARGUMENT, "operation 1 of 3 is a read");
    FAILS(zkh_multi_read(client, multi, &r, &err), ZKH_BAD_ARGUMENT, "reads only");
    OK(zkh_multi_delete(reads, at("multi/n0002"), -1, &err));
    FAILS(zkh_multi_read(client, reads, &r, &err), ZKH_BAD_ARGUMENT, "operation 4 of 4 is none");
    CHECK(zkh_multi_free(multi) == ZKH_OK && zkh_multi_free(reads) == ZKH_OK);
}

/* Every asynchronous form, and that one thread's requests keep their order. */
static void asynchronous(void)
{
    struct outcome o[14];
    zkh_multi multi = {0}, reads = {0};
    const struct outcome fresh = OUTCOME;
    for (size_t i = 0; i < sizeof o / sizeof *o; i++)
        o[i] = fresh;
    const char *p = at("async");
    OK(zkh_multi_new(&multi, &err));
    OK(zkh_multi_set(multi, p, "three", 5, 1, &err));
    OK(zkh_multi_new(&reads, &err));
    OK(zkh_multi_get(reads, p, &err));
    OK(zkh_client_create_async(client, p, "one", 3, 0, 0, NULL, answered, &o[0], destroy, NULL, &err));
    OK(zkh_client_set_async(client, p, "two", 3, 0, answered, &o[1], destroy, NULL, &err));
    OK(zkh_multi_commit_async(client, multi, answered, &o[2], destroy, NULL, &err));
    OK(zkh_multi_read_async(client, reads, answered, &o[3], destroy, NULL, &err));
    OK(zkh_client_get_async(client, p, answered, &o[4], destroy, NULL, &err));
    OK(zkh_client_exists_async(client, p, answered, &o[5], destroy, NULL, &err));
    OK(zkh_client_set_acl_async(client, p, NULL, 0, answered, &o[6], destroy, NULL, &err));
    OK(zkh_client_get_acl_async(client, p, answered, &o[7], destroy, NULL, &err));
    OK(zkh_client_children_async(client, top, answered, &o[8], destroy, NULL, &err));
    OK(zkh_client_all_children_number_async(client, p, done, &o[9], destroy, NULL, &err));
    OK(zkh_client_who_am_i_async(client, answered, &o[10], destroy, NULL, &err));
    OK(zkh_client_ephemerals_async(client, p, answered, &o[11], destroy, NULL, &err));
    OK(zkh_client_sync_async(client, p, done, &o[12], destroy, NULL, &err));
    OK(zkh_client_delete_async(client, p, 2, done, &o[13], destroy, NULL, &err));
    /* What was copied may go. */
    CHECK(zkh_multi_free(multi) == ZKH_OK && zkh_multi_free(reads) == ZKH_OK);
    for (size_t i = 0; i < sizeof o / sizeof *o; i++) {
        if (await(&o[i]) != ZKH_OK)
            fprintf(stderr, "call %zu: %s\n", i, o[i].message);
        CHECK(o[i].status == ZKH_OK);
    }
    CHECK(strcmp(o[0].node, p) == 0 && o[0].exists && o[1].stat.version == 1);
    CHECK(o[2].value == 1 && o[3].value == 1 && strcmp(o[4].data, "three") == 0 && o[4].stat.version == 2);
    CHECK(o[5].exists && o[6].stat.aversion == 1 && o[7].value == 1 && o[8].value > 1 && o[9].value == 0);
    CHECK(o[10].value >= 1 && o[11].value == 0);

    struct outcome gone = OUTCOME, none = OUTCOME, bad = OUTCOME;
    OK(zkh_client_get_async(client, p, answered, &gone, destroy, NULL, &err));
    OK(zkh_client_exists_async(client, p, answered, &none, destroy, NULL, &err));
    OK(zkh_client_get_async(client, "bad", answered, &bad, destroy, NULL, &err));
    CHECK(await(&gone) == ZKH_NO_NODE && strcmp(gone.path, p) == 0 && await(&none) == ZKH_OK && !none.exists);
    CHECK(await(&bad) == ZKH_BAD_PATH && strcmp(bad.path, "bad") == 0);

    /* In order: each write of one thread is applied, and told, before the next. */
    static struct outcome many[500];
    zkh_result *r = NULL;
    make(at("order"), "");
    for (int i = 0; i < 500; i++) {
        many[i] = fresh;
        OK(zkh_client_set_async(client, at("order"), "x", 1, i, answered, &many[i], destroy, NULL, &err));
    }
    for (int i = 0; i < 500; i++)
        CHECK(await(&many[i]) == ZKH_OK && many[i].stat.version == i + 1);
    OK(zkh_client_get(client, at("order"), &r, &err));
    zkh_result_free(r);
}

/* ---- what becomes of an operation when it is cancelled, freed, late or cut off ---- */

static void outcomes(void)
{
    zkh_server server = {0};
    zkh_client c = {0};
    zkh_client_options options = {0};
    char own[64];
    struct outcome create = OUTCOME, read = OUTCOME, unsent = OUTCOME, freed = OUTCOME, late = OUTCOME;
    zkh_op op = {0};
    zkh_result *r = NULL;

    /* Never sent: a cancelled write has no effect, and one whose time ran out says so. */
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_new("127.0.0.1:1", options.id ? &options : NULL, &c, &err));
    OK(zkh_client_create_async(c, "/x", "", 0, 0, 0, NULL, answered, &unsent, destroy, &op, &err));
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&unsent) == ZKH_CANCELLED && strcmp(unsent.path, "/x") == 0);
    FAILS(zkh_op_cancel(op, &err), ZKH_BAD_HANDLE, "has completed");
    OK(zkh_client_get_async(c, "/x", answered, &freed, destroy, &op, &err));
    CHECK(zkh_client_free(c) == ZKH_OK && freed.destroyed == 1 && freed.status == ZKH_CLOSED);
    OK(zkh_client_options_set_operation_timeout_ms(options, 50, &err));
    OK(zkh_client_new("127.0.0.1:1", &options, &c, &err));
    FAILS(zkh_client_create(c, "/x", "", 0, 0, 0, NULL, &r, &err), ZKH_NOT_SENT, "/x");
    FAILS(zkh_client_get(c, "/x", &r, &err), ZKH_NOT_SENT, "/x");
    CHECK(zkh_client_free(c) == ZKH_OK && zkh_client_options_free(options) == ZKH_OK);

    /* Sent: a cancelled read ends at once, a write runs to its end. */
    OK(zkh_server_start(0, 0, &server, &err));
    zkh_server_address(server, own, sizeof own);
    OK(zkh_client_connect(own, NULL, &c, &err));
    OK(zkh_server_set_frozen(server, true, &err));
    zkh_op ops[2];
    OK(zkh_client_create_async(c, "/x", "", 0, 0, 0, NULL, answered, &create, destroy, &ops[0], &err));
    OK(zkh_client_get_async(c, "/x", answered, &read, destroy, &ops[1], &err));
    struct timespec pause = {0, 50000000};
    nanosleep(&pause, NULL); /* Time for the bytes to leave; were they not sent yet, both would be cancelled. */
    OK(zkh_op_cancel(ops[0], &err));
    OK(zkh_op_cancel(ops[1], &err));
    CHECK(await(&read) == ZKH_CANCELLED);
    OK(zkh_server_set_frozen(server, false, &err));
    CHECK(await(&create) == ZKH_OK || create.status == ZKH_CANCELLED);
    OK(zkh_client_exists(c, "/x", &r, &err));
    CHECK(zkh_result_exists(r) == (create.status == ZKH_OK));
    zkh_result_free(r);

    /* The answer is lost: a write may have had its effect, a read is made again. */
    OK(zkh_server_cut(server, ZKH_OPERATION_CREATE, 1, ZKH_MOMENT_AFTER_APPLYING, &err));
    FAILS(zkh_client_create(c, "/y", "", 0, 0, 0, NULL, &r, &err), ZKH_OUTCOME_UNKNOWN, "/y");
    OK(zkh_server_cut(server, ZKH_OPERATION_EXISTS, 1, ZKH_MOMENT_AFTER_APPLYING, &err));
    OK(zkh_client_exists(c, "/y", &r, &err));
    CHECK(zkh_result_exists(r));
    zkh_result_free(r);

    OK(zkh_client_close(c, -1, &err));
    FAILS(zkh_client_get(c, "/y", &r, &err), ZKH_CLOSED, "/y");
    OK(zkh_client_get_async(c, "/y", answered, &late, destroy, NULL, &err));
    CHECK(await(&late) == ZKH_CLOSED);
    CHECK(zkh_client_free(c) == ZKH_OK && zkh_server_free(server) == ZKH_OK);
}

/* Another client goes on with the session. */
static void reattached(const char *address)
{
    zkh_client first = {0}, second = {0};
    zkh_client_options options = {0};
    unsigned char password[64];
    int64_t id = 77, zxid = 77;
    size_t len = 77;
    zkh_result *r = NULL;
    OK(zkh_client_connect(address, NULL, &first, &err));
    OK(zkh_client_create(first, at("attached"), "", 0, ZKH_CREATE_EPHEMERAL, 0, NULL, NULL, &err));
    FAILS(zkh_client_credentials(first, &id, password, 15, &len, &zxid, &err), ZKH_BAD_ARGUMENT, "takes 16 bytes");
    CHECK(id == 0 && len == 0 && zxid == 0);
    FAILS(zkh_client_credentials(first, &id, NULL, 64, &len, &zxid, &err), ZKH_BAD_ARGUMENT, "password is a null");
    FAILS(zkh_client_credentials(first, NULL, password, 64, &len, &zxid, &err), ZKH_BAD_ARGUMENT, "session_id");
    OK(zkh_client_credentials(first, &id, password, sizeof password, &len, &zxid, &err));
    CHECK(id == zkh_client_session_id(first) && len == 16 && zxid > 0);
    OK(zkh_client_options_new(&options, &err));
    FAILS(zkh_client_options_set_reattach(options, 0, password, len, 0, &err), ZKH_BAD_ARGUMENT, "session_id is 0");
    FAILS(zkh_client_options_set_reattach(options, id, password, len, -1, &err), ZKH_BAD_ARGUMENT, "last_zxid -1");
    OK(zkh_client_options_set_reattach(options, id, password, len, zxid, &err));
    OK(zkh_client_connect(address, &options, &second, &err));
    CHECK(zkh_client_session_id(second) == id);
    CHECK(zkh_client_session_timeout_ms(second) > 0);
    OK(zkh_client_get(second, at("attached"), &r, &err));
    zkh_stat stat;
    CHECK(zkh_result_stat(r, &stat) && stat.ephemeral_owner == id);
    zkh_result_free(r);
    OK(zkh_client_close(second, -1, &err));
    CHECK(!is_there(at("attached")));
    CHECK(zkh_client_free(second) == ZKH_OK && zkh_client_free(first) == ZKH_OK);
    CHECK(zkh_client_options_free(options) == ZKH_OK);
}

/* ---- what is refused, by every operation ---- */

#define EACH_ON_PATH(client, path, result, code, text) \
    do { \
        FAILS(zkh_client_create(client, path, "", 0, 0, 0, NULL, result, &err), code, text); \
        FAILS(zkh_client_get(client, path, result, &err), code, text); \
        FAILS(zkh_client_set(client, path, "", 0, -1, result, &err), code, text); \
        FAILS(zkh_client_delete(client, path, -1, &err), code, text); \
        FAILS(zkh_client_exists(client, path, result, &err), code, text); \
        FAILS(zkh_client_children(client, path, result, &err), code, text); \
        FAILS(zkh_client_get_acl(client, path, result, &err), code, text); \
        FAILS(zkh_client_set_acl(client, path, NULL, -1, result, &err), code, text); \
        FAILS(zkh_client_sync(client, path, &err), code, text); \
        FAILS(zkh_client_ephemerals(client, path, result, &err), code, text); \
        FAILS(zkh_client_all_children_number(client, path, &number, &err), code, text); \
    } while (0)

#define EACH_ASYNC(client, path, done, answered, code, text) \
    do { \
        FAILS(zkh_client_create_async(client, path, "", 0, 0, 0, NULL, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_get_async(client, path, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_set_async(client, path, "", 0, -1, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_delete_async(client, path, -1, done, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_exists_async(client, path, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_children_async(client, path, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_get_acl_async(client, path, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_set_acl_async(client, path, NULL, -1, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_sync_async(client, path, done, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_ephemerals_async(client, path, answered, o, destroy, NULL, &err), code, text); \
        FAILS(zkh_client_all_children_number_async(client, path, done, o, destroy, NULL, &err), code, text); \
    } while (0)

static void refused(void)
{
    zkh_result *r = NULL;
    zkh_multi multi = {0};
    zkh_acl acl = {0};
    int64_t number = 77;
    struct outcome destroyed_only = OUTCOME, *o = &destroyed_only;
    zkh_client dead = {0}, wrong = {client.id ^ 1};
    zkh_op op = {77};

    EACH_ON_PATH(client, NULL, &r, ZKH_BAD_ARGUMENT, "is a null pointer");
    EACH_ON_PATH(client, "/a\xff", &r, ZKH_BAD_UTF8, "is wrong from byte 2");
    EACH_ON_PATH(client, "/a//b", &r, ZKH_BAD_PATH, "empty part");
    EACH_ON_PATH(client, "a", NULL, ZKH_BAD_PATH, "must begin with");
    EACH_ON_PATH(dead, "/a", &r, ZKH_BAD_HANDLE, "is null");
    EACH_ON_PATH(wrong, "/a", &r, ZKH_BAD_HANDLE, "");
    EACH_ASYNC(client, "/a", NULL, NULL, ZKH_BAD_ARGUMENT, "callback is a null pointer");
    EACH_ASYNC(client, NULL, done, answered, ZKH_BAD_ARGUMENT, "is a null pointer");
    EACH_ASYNC(dead, "/a", done, answered, ZKH_BAD_HANDLE, "is null");
    CHECK(o->calls == 0 && o->destroyed == 33);
    FAILS(zkh_client_who_am_i(dead, &r, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_client_who_am_i_async(client, NULL, NULL, NULL, &op, &err), ZKH_BAD_ARGUMENT, "callback");
    CHECK(op.id == 0);
    FAILS(zkh_client_all_children_number(client, "/", NULL, &err), ZKH_BAD_ARGUMENT, "number is a null pointer");
    FAILS(zkh_client_create(client, "/a", NULL, 1, 0, 0, NULL, &r, &err), ZKH_BAD_ARGUMENT, "data is a null pointer");
    FAILS(zkh_client_set(client, "/a", "", SIZE_MAX, 0, &r, &err), ZKH_BAD_ARGUMENT, "the length of data");
    FAILS(zkh_client_create(client, "/a", "", 0, 0, 0, &acl, &r, &err), ZKH_BAD_HANDLE, "the zkh_acl is null");
    acl.id = client.id;
    FAILS(zkh_client_set_acl(client, "/a", &acl, 0, &r, &err), ZKH_BAD_HANDLE, "is a zkh_client, where a zkh_acl");
    FAILS(zkh_acl_new(6, &acl, &err), ZKH_BAD_ARGUMENT, "preset is 6");
    CHECK(acl.id == 0);
    FAILS(zkh_acl_new(0, NULL, &err), ZKH_BAD_ARGUMENT, "acl is a null pointer");
    FAILS(zkh_acl_add(acl, 1, "world", "anyone", &err), ZKH_BAD_HANDLE, "is null");
    CHECK(zkh_acl_free(acl) == ZKH_OK);

    FAILS(zkh_multi_new(NULL, &err), ZKH_BAD_ARGUMENT, "multi is a null pointer");
    FAILS(zkh_multi_commit(client, multi, &r, &err), ZKH_BAD_HANDLE, "the zkh_multi is null");
    FAILS(zkh_multi_read(client, multi, &r, &err), ZKH_BAD_HANDLE, "the zkh_multi is null");
    FAILS(zkh_multi_commit_async(client, multi, answered, o, destroy, NULL, &err), ZKH_BAD_HANDLE, "is null");
    OK(zkh_multi_new(&multi, &err));
    FAILS(zkh_multi_commit(dead, multi, &r, &err), ZKH_BAD_HANDLE, "the zkh_client is null");
    FAILS(zkh_multi_read_async(dead, multi, answered, o, destroy, NULL, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_multi_commit_async(client, multi, NULL, o, destroy, NULL, &err), ZKH_BAD_ARGUMENT, "callback");
    FAILS(zkh_multi_create(multi, "a", "", 0, 0, 0, NULL, &err), ZKH_BAD_PATH, "must begin with");
    FAILS(zkh_multi_create(multi, "/a/", "", 0, 0, 0, NULL, &err), ZKH_BAD_PATH, "must not end with");
    FAILS(zkh_multi_create(multi, "/a", "", 0, 9, 0, NULL, &err), ZKH_BAD_ARGUMENT, "mode is 9");
    FAILS(zkh_multi_create(multi, "/a", NULL, 9, 0, 0, NULL, &err), ZKH_BAD_ARGUMENT, "data");
    FAILS(zkh_multi_delete(multi, NULL, 0, &err), ZKH_BAD_ARGUMENT, "path is a null pointer");
    FAILS(zkh_multi_set(multi, "/\x01", "", 0, 0, &err), ZKH_BAD_PATH, "U+0001");
    FAILS(zkh_multi_check(multi, "/\xff", 0, &err), ZKH_BAD_UTF8, "path");
    FAILS(zkh_multi_get(multi, "", &err), ZKH_BAD_PATH, "empty");
    FAILS(zkh_multi_children(multi, "/a/", &err), ZKH_BAD_PATH, "end with");
    /* What was refused is not in it. */
    OK(zkh_multi_commit(client, multi, &r, &err));
    CHECK(zkh_result_count(r) == 0);
    zkh_result_free(r);
    CHECK(zkh_multi_free(multi) == ZKH_OK && zkh_multi_free(multi) == ZKH_BAD_HANDLE);
    FAILS(zkh_multi_delete(multi, "/a", 0, &err), ZKH_BAD_HANDLE, "this zkh_multi was freed");

    /* A null result has nothing in it. */
    zkh_stat stat = {.czxid = 7};
    size_t len = 7;
    CHECK(zkh_result_status(NULL) == ZKH_OK && zkh_result_path(NULL) == NULL && zkh_result_data(NULL, &len) == NULL);
    CHECK(len == 0 && !zkh_result_stat(NULL, &stat) && stat.czxid == 0 && !zkh_result_exists(NULL));
    CHECK(zkh_result_count(NULL) == 0 && zkh_result_name(NULL, 0) == NULL && zkh_result_at(NULL, 0) == NULL);
    CHECK(zkh_result_permissions(NULL, 0) == 0 && zkh_result_scheme(NULL, 0) == NULL && zkh_result_id(NULL, 0) == NULL);
    zkh_result_free(NULL);
}

static void inside(struct outcome *o)
{
    zkh_result *r = NULL;
    zkh_multi multi = {0};
    int64_t number = 77;
    OK(zkh_multi_new(&multi, &err));
    EACH_ON_PATH(client, "/a", &r, ZKH_WOULD_DEADLOCK, "asynchronous form");
    FAILS(zkh_client_who_am_i(client, &r, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_multi_commit(client, multi, &r, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_multi_read(client, multi, &r, &err), ZKH_WOULD_DEADLOCK, "callback");
    OK(zkh_multi_commit_async(client, multi, answered, o->more, destroy, NULL, &err));
    CHECK(zkh_multi_free(multi) == ZKH_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    snprintf(top, sizeof top, "/ops-%ld", (long)getpid());
    make(top, "");
    every_mode();
    data();
    lists();
    access_control(argv[1]);
    transactions();
    asynchronous();
    outcomes();
    reattached(argv[1]);
    refused();
    struct outcome first = OUTCOME, second = OUTCOME;
    first.inside = inside;
    first.more = &second;
    OK(zkh_client_exists_async(client, "/", answered, &first, destroy, NULL, &err));
    CHECK(await(&first) == ZKH_OK && await(&second) == ZKH_OK);
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each operation was as it says\n");
    return 0;
}
