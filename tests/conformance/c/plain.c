/* Plain operations: scenarios 11 to 24. */
#include "scenario.h"

static zkh_client a;
static const char *top;

static void begin(void)
{
    a = join();
    top = home(a);
}

static zkh_multi transaction(void)
{
    zkh_multi multi = {0};
    OK(zkh_multi_new(&multi, &err));
    return multi;
}

static void creation(zkh_multi multi, const char *path)
{
    OK(zkh_multi_create(multi, path, NULL, 0, ZKH_CREATE_PERSISTENT, 0, NULL, &err));
}

void s11_create_get_set_delete(void)
{
    zkh_stat stat;
    zkh_result *r = NULL;
    begin();
    const char *at = text("%s/n", top);
    OK(zkh_client_create(a, at, "one", 3, ZKH_CREATE_PERSISTENT, 0, NULL, &r, &err));
    CHECK(strcmp(zkh_result_path(r), at) == 0 && zkh_result_stat(r, &stat) && stat.version == 0);
    zkh_result_free(r);
    OK(zkh_client_set(a, at, "two", 3, 0, NULL, &err));
    CHECK(strcmp(data_of(a, at, &stat), "two") == 0 && stat.version == 1);
    OK(zkh_client_delete(a, at, 1, &err));
    CHECK(!exists(a, at, NULL));
}

void s12_sequential_names(void)
{
    begin();
    const int32_t modes[] = {ZKH_CREATE_PERSISTENT_SEQUENTIAL, ZKH_CREATE_PERSISTENT_SEQUENTIAL,
                             ZKH_CREATE_EPHEMERAL_SEQUENTIAL};
    for (int i = 0; i < 3; i++)
        CHECK(strcmp(make(a, text("%s/job-", top), modes[i]), text("%s/job-%010d", top, i)) == 0);
    CHECK(strcmp(children(a, top, NULL), "job-0000000000 job-0000000001 job-0000000002") == 0);
}

void s13_ephemerals_have_an_owner(void)
{
    zkh_stat stat;
    begin();
    CHECK(exists(a, make(a, text("%s/p", top), ZKH_CREATE_PERSISTENT), &stat) && stat.ephemeral_owner == 0);
    const char *at = make(a, text("%s/e", top), ZKH_CREATE_EPHEMERAL);
    CHECK(exists(a, at, &stat) && stat.ephemeral_owner == zkh_client_session_id(a));
    FAILS(zkh_client_create(a, text("%s/c", at), NULL, 0, 0, 0, NULL, NULL, &err), ZKH_NO_CHILDREN_FOR_EPHEMERALS, at);
}

void s14_wrong_version_changes_nothing(void)
{
    zkh_stat stat;
    begin();
    FAILS(zkh_client_set(a, top, "new", 3, 5, NULL, &err), ZKH_BAD_VERSION, top);
    FAILS(zkh_client_delete(a, top, 5, &err), ZKH_BAD_VERSION, top);
    CHECK(*data_of(a, top, &stat) == '\0' && stat.version == 0);
}

void s15_codes_of_what_is_there_and_is_not(void)
{
    begin();
    const char *none = text("%s/none", top);
    FAILS(zkh_client_get(a, none, NULL, &err), ZKH_NO_NODE, none);
    FAILS(zkh_client_set(a, none, NULL, 0, -1, NULL, &err), ZKH_NO_NODE, none);
    FAILS(zkh_client_delete(a, none, -1, &err), ZKH_NO_NODE, none);
    FAILS(zkh_client_children(a, none, NULL, &err), ZKH_NO_NODE, none);
    FAILS(zkh_client_create(a, text("%s/c", none), NULL, 0, 0, 0, NULL, NULL, &err), ZKH_NO_NODE, none);
    CHECK(!exists(a, none, NULL));
    make(a, text("%s/c", top), ZKH_CREATE_PERSISTENT);
    FAILS(zkh_client_create(a, top, NULL, 0, 0, 0, NULL, NULL, &err), ZKH_NODE_EXISTS, top);
    FAILS(zkh_client_delete(a, top, -1, &err), ZKH_NOT_EMPTY, top);
}

void s16_list_has_its_own_version(void)
{
    zkh_result *r = NULL;
    zkh_stat stat;
    begin();
    const char *at = make(a, text("%s/n", top), ZKH_CREATE_PERSISTENT);
    zkh_acl list = list_of(ZKH_PERM_READ | ZKH_PERM_ADMIN);
    OK(zkh_client_set_acl(a, at, &list, 0, NULL, &err));
    OK(zkh_client_get_acl(a, at, &r, &err));
    CHECK(zkh_result_count(r) == 1 && zkh_result_permissions(r, 0) == (ZKH_PERM_READ | ZKH_PERM_ADMIN));
    CHECK(zkh_result_stat(r, &stat) && stat.aversion == 1 && stat.version == 0);
    zkh_result_free(r);
    FAILS(zkh_client_set_acl(a, at, &list, 0, NULL, &err), ZKH_BAD_VERSION, at);
}

void s17_multi_is_all_or_nothing(void)
{
    begin();
    const char *at = text("%s/a", top);
    zkh_multi bad = transaction(), good = transaction();
    creation(bad, at);
    OK(zkh_multi_set(bad, text("%s/none", top), NULL, 0, -1, &err));
    FAILS(zkh_multi_commit(a, bad, NULL, &err), ZKH_NO_NODE, "none");
    CHECK(!exists(a, at, NULL));
    creation(good, at);
    OK(zkh_multi_commit(a, good, NULL, &err));
    CHECK(exists(a, at, NULL) && zkh_multi_free(bad) == ZKH_OK && zkh_multi_free(good) == ZKH_OK);
}

void s18_multi_checks_versions(void)
{
    begin();
    zkh_multi right = transaction(), wrong = transaction();
    OK(zkh_multi_check(right, top, 0, &err));
    creation(right, text("%s/a", top));
    OK(zkh_multi_commit(a, right, NULL, &err));
    OK(zkh_multi_check(wrong, top, 7, &err));
    creation(wrong, text("%s/b", top));
    FAILS(zkh_multi_commit(a, wrong, NULL, &err), ZKH_BAD_VERSION, top);
    CHECK(strcmp(children(a, top, NULL), "a") == 0);
    CHECK(zkh_multi_free(right) == ZKH_OK && zkh_multi_free(wrong) == ZKH_OK);
}

void s19_multi_read_answers_each(void)
{
    zkh_result *r = NULL;
    begin();
    const char *at = make(a, text("%s/n", top), ZKH_CREATE_PERSISTENT);
    set(a, at, "data");
    zkh_multi reads = transaction();
    OK(zkh_multi_get(reads, at, &err));
    OK(zkh_multi_children(reads, top, &err));
    OK(zkh_multi_get(reads, text("%s/none", top), &err));
    OK(zkh_multi_read(a, reads, &r, &err));
    CHECK(zkh_result_count(r) == 3 && strcmp(zkh_result_data(zkh_result_at(r, 0), NULL), "data") == 0);
    CHECK(strcmp(zkh_result_name(zkh_result_at(r, 1), 0), "n") == 0);
    CHECK(zkh_result_status(zkh_result_at(r, 2)) == ZKH_NO_NODE);
    zkh_result_free(r);
    CHECK(zkh_multi_free(reads) == ZKH_OK);
}

void s20_data_of_every_kind(void)
{
    static unsigned char data[100000];
    const size_t lengths[] = {0, 256, sizeof data};
    begin();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)i;
    for (size_t i = 0; i < 3; i++) {
        zkh_result *r = NULL;
        size_t len = 1;
        OK(zkh_client_set(a, top, data, lengths[i], -1, NULL, &err));
        OK(zkh_client_get(a, top, &r, &err));
        const void *got = zkh_result_data(r, &len);
        CHECK(len == lengths[i] && (len == 0 || memcmp(got, data, len) == 0));
        zkh_result_free(r);
    }
}

void s21_too_large_is_refused_unsent(void)
{
    begin();
    struct notes *states = notes();
    OK(zkh_client_on_state(a, note_state, states, NULL, &err));
    next_is(states, ZKH_STATE_CONNECTED);
    int64_t session = zkh_client_session_id(a);
    void *data = calloc(1, 2000000);
    FAILS(zkh_client_set(a, top, data, 2000000, -1, NULL, &err), ZKH_TOO_LARGE, top);
    free(data);
    set(a, top, "small");
    CHECK(zkh_client_session_id(a) == session && none_left(states));
}

void s22_many_at_once_keep_their_order(void)
{
    enum { COUNT = 200 };
    static struct outcome all[COUNT];
    zkh_stat stat;
    begin();
    for (int i = 0; i < COUNT; i++) {
        const char *data = i + 1 == COUNT ? "last" : "other";
        all[i] = (struct outcome)OUTCOME;
        OK(zkh_client_set_async(a, top, data, strlen(data), -1, answered, &all[i], destroy, NULL, &err));
    }
    for (int i = 0; i < COUNT; i++)
        CHECK(await(&all[i]) == ZKH_OK);
    CHECK(strcmp(data_of(a, top, &stat), "last") == 0 && stat.version == COUNT);
}

void s23_sync_then_read(void)
{
    begin();
    zkh_client b = join();
    set(a, top, "new");
    OK(zkh_client_sync(b, top, &err));
    CHECK(strcmp(data_of(b, top, NULL), "new") == 0);
}

void s24_ephemerals_of_the_session(void)
{
    zkh_result *r = NULL;
    begin();
    const char *one = make(a, text("%s/one", top), ZKH_CREATE_EPHEMERAL);
    const char *two = make(a, text("%s/two", top), ZKH_CREATE_EPHEMERAL);
    make(join(), text("%s/three", top), ZKH_CREATE_EPHEMERAL);
    OK(zkh_client_ephemerals(a, top, &r, &err));
    CHECK(zkh_result_count(r) == 2);
    const char *first = zkh_result_name(r, 0), *second = zkh_result_name(r, 1);
    CHECK((strcmp(first, one) == 0 && strcmp(second, two) == 0) || (strcmp(first, two) == 0 && strcmp(second, one) == 0));
    zkh_result_free(r);
}
