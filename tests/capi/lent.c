/*
 * Locks over a connection that the program lends: lent ADDRESS. Here it is another client of this library, in a
 * program's it is that of another one.
 */
#include "lending.h"

static atomic_int losses;

static void lost(void *user_data, int64_t token, int32_t reason)
{
    (void)token;
    atomic_store((atomic_int *)user_data, reason);
}

static void await_loss(int32_t reason)
{
    while (atomic_load(&losses) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(atomic_load(&losses) == reason);
    atomic_store(&losses, 0);
}

static void await_asked(int32_t operation, int more)
{
    int enough = atomic_load(&asked[operation]) + more;
    while (atomic_load(&asked[operation]) < enough)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The answer to the creation of a lock node is lost: the node is found again, and none is left behind. */
static void lost_answer(zkh_mutex mutex, const char *path)
{
    zkh_result *r = NULL;
    atomic_store(&loses_creates, true);
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    CHECK(zkh_mutex_is_held(mutex) && !atomic_load(&loses_creates));
    OK(zkh_client_children(driver, path, &r, &err));
    CHECK(zkh_result_count(r) == 1);
    zkh_result_free(r);
    OK(zkh_mutex_unlock(mutex, &err));
    OK(zkh_client_children(driver, path, &r, &err));
    CHECK(zkh_result_count(r) == 0);
    zkh_result_free(r);
}

/* It excludes, and is excluded by, a client with a connection of its own; and its losses are told. */
static void locks(void)
{
    zkh_client own = {0};
    zkh_mutex here = {0}, there = {0}, strict = {0};
    zkh_mutex_options options = {0};
    struct outcome waiting = OUTCOME, granted = OUTCOME;
    zkh_result *r = NULL;
    char path[160];
    begin(true, 15000);
    OK(zkh_client_connect(address, NULL, &own, &err));
    OK(zkh_mutex_new(client, "/lent/lock", NULL, &here, &err));
    OK(zkh_mutex_new(own, "/lent/lock", NULL, &there, &err));
    OK(zkh_mutex_on_lost(here, lost, &losses, NULL, &err));
    /* It waits for the connection. */
    OK(zkh_mutex_lock_async(here, -1, "over a lent connection", done, &waiting, destroy, NULL, &err));
    connected();
    CHECK(await(&waiting) == ZKH_OK && waiting.value > 0 && zkh_mutex_token(here) == waiting.value);
    CHECK(zkh_client_state(client) == ZKH_STATE_CONNECTED && zkh_mutex_is_held(here));
    CHECK(zkh_mutex_valid_ms(here) > 0 && zkh_mutex_valid_ms(here) <= 10000);
    FAILS(zkh_mutex_lock(there, 0, NULL, &err), ZKH_TIMEOUT, "/lent/lock");
    await_asked(ZKH_REQUEST_MULTI, 5); /* It is renewed. */
    CHECK(zkh_mutex_is_held(here));
    OK(zkh_mutex_unlock(here, &err));
    OK(zkh_mutex_lock(there, -1, NULL, &err));
    OK(zkh_mutex_lock_async(here, -1, NULL, done, &granted, destroy, NULL, &err));
    FAILS(zkh_mutex_lock(here, 50, NULL, &err), ZKH_TIMEOUT, "");
    OK(zkh_mutex_unlock(there, &err));
    CHECK(await(&granted) == ZKH_OK && granted.value > waiting.value);

    /* Somebody deletes its node. */
    OK(zkh_client_children(own, "/lent/lock", &r, &err));
    CHECK(zkh_result_count(r) == 1);
    snprintf(path, sizeof path, "/lent/lock/%s", zkh_result_name(r, 0));
    zkh_result_free(r);
    OK(zkh_client_delete(own, path, -1, &err));
    await_loss(ZKH_LOSS_NODE_DELETED);
    FAILS(zkh_mutex_unlock(here, &err), ZKH_LOCK_LOST, "/lent/lock");

    lost_answer(here, "/lent/lock");

    /* Strict, too. */
    OK(zkh_mutex_options_new(&options, &err));
    OK(zkh_mutex_options_set_strict(options, 5000, 5000, &err));
    OK(zkh_mutex_new(client, "/lent/strict", &options, &strict, &err));
    OK(zkh_mutex_lock(strict, -1, NULL, &err));
    CHECK(zkh_mutex_is_held(strict) && zkh_mutex_valid_ms(strict) <= 5000);
    OK(zkh_mutex_unlock(strict, &err));
    CHECK(zkh_mutex_free(strict) == ZKH_OK && zkh_mutex_options_free(options) == ZKH_OK);

    /* The session goes. */
    OK(zkh_mutex_lock(here, -1, NULL, &err));
    OK(zkh_client_lent_state(client, ZKH_STATE_SUSPENDED, 0, 0, &err));
    CHECK(zkh_mutex_is_held(here) && zkh_client_state(client) == ZKH_STATE_SUSPENDED);
    OK(zkh_client_lent_state(client, ZKH_STATE_LOST, 0, 0, &err));
    await_loss(ZKH_LOSS_SESSION_OVER);
    CHECK(!zkh_mutex_is_held(here) && zkh_client_session_id(client) == 0);
    connected();
    CHECK(zkh_mutex_free(here) == ZKH_OK && zkh_mutex_free(there) == ZKH_OK);
    OK(zkh_client_close(own, -1, &err));
    CHECK(zkh_client_free(own) == ZKH_OK);
    end();
}

/* Without transactions a lock is believed until the connection goes, and that this cannot be known is said. */
static void without_transactions(void)
{
    zkh_mutex mutex = {0}, strict = {0};
    zkh_mutex_options options = {0};
    begin(false, 15000);
    connected();
    OK(zkh_mutex_new(client, "/lent/simple", NULL, &mutex, &err));
    OK(zkh_mutex_on_lost(mutex, lost, &losses, NULL, &err));
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    CHECK(zkh_mutex_is_held(mutex) && zkh_mutex_valid_ms(mutex) == -1 && zkh_mutex_token(mutex) > 0);
    OK(zkh_mutex_unlock(mutex, &err));
    CHECK(zkh_mutex_valid_ms(mutex) == 0);
    lost_answer(mutex, "/lent/simple");
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    OK(zkh_client_lent_state(client, ZKH_STATE_SUSPENDED, 0, 0, &err));
    await_loss(ZKH_LOSS_LEASE_RAN_OUT);
    CHECK(!zkh_mutex_is_held(mutex));
    connected();
    CHECK(!zkh_mutex_is_held(mutex));
    OK(zkh_mutex_options_new(&options, &err));
    OK(zkh_mutex_options_set_strict(options, 5000, 5000, &err));
    FAILS(zkh_mutex_new(client, "/lent/strict-simple", &options, &strict, &err), ZKH_UNSUPPORTED, "/lent/strict-simple");
    CHECK(strict.id == 0 && zkh_mutex_options_free(options) == ZKH_OK);
    CHECK(zkh_mutex_free(mutex) == ZKH_OK && atomic_load(&asked[ZKH_REQUEST_CHECK]) == 0);
    end();
}

/* Without transactions, but with stand-ins for them: strict and persistent locks and elections run too, and nothing but
 * single operations is asked for. */
static void step_by_step(void)
{
    zkh_client own = {0};
    zkh_mutex kinds[3] = {{0}}, there = {0};
    zkh_elector elector = {0};
    zkh_multi multi = {0};
    zkh_mutex_options options[3] = {{0}};
    zkh_result *r = NULL;
    stepwise = true;
    begin(false, 15000);
    connected();
    int transactions = atomic_load(&asked[ZKH_REQUEST_MULTI]);
    OK(zkh_client_connect(address, NULL, &own, &err));
    for (int i = 0; i < 3; i++) {
        const char *path = i == 0 ? "/lent/step" : i == 1 ? "/lent/step-strict" : "/lent/step-persistent";
        OK(zkh_mutex_options_new(&options[i], &err));
        if (i == 1)
            OK(zkh_mutex_options_set_strict(options[i], 5000, 5000, &err));
        if (i == 2)
            OK(zkh_mutex_options_set_persistent(options[i], 5000, &err));
        OK(zkh_mutex_new(client, path, &options[i], &kinds[i], &err));
        OK(zkh_mutex_new(own, path, &options[i], &there, &err));
        OK(zkh_mutex_lock(kinds[i], -1, NULL, &err));
        int64_t valid = zkh_mutex_valid_ms(kinds[i]);
        CHECK(zkh_mutex_is_held(kinds[i]) && valid > 0 && valid <= 10000);
        FAILS(zkh_mutex_lock(there, 0, NULL, &err), ZKH_TIMEOUT, path);
        OK(zkh_mutex_unlock(kinds[i], &err));
        OK(zkh_mutex_lock(there, 0, NULL, &err));
        OK(zkh_mutex_unlock(there, &err));
        CHECK(zkh_mutex_free(kinds[i]) == ZKH_OK && zkh_mutex_free(there) == ZKH_OK);
        CHECK(zkh_mutex_options_free(options[i]) == ZKH_OK);
    }
    OK(zkh_elector_new(client, "/lent/step-election", NULL, &elector, &err));
    CHECK(zkh_elector_free(elector) == ZKH_OK);

    /* A transaction of the program's own. */
    OK(zkh_multi_new(&multi, &err));
    OK(zkh_multi_create(multi, "/lent/step/first", NULL, 0, ZKH_CREATE_PERSISTENT, 0, NULL, &err));
    OK(zkh_multi_create(multi, "/lent/step/first", NULL, 0, ZKH_CREATE_PERSISTENT, 0, NULL, &err));
    FAILS(zkh_multi_commit(client, multi, &r, &err), ZKH_NODE_EXISTS, "operation 2 of 2");
    CHECK(zkh_multi_free(multi) == ZKH_OK);
    OK(zkh_client_exists(own, "/lent/step/first", &r, &err));
    CHECK(!zkh_result_exists(r));
    zkh_result_free(r);
    CHECK(atomic_load(&asked[ZKH_REQUEST_MULTI]) == transactions);
    FAILS(zkh_lend_set_stepwise((zkh_lend){0}, true, &err), ZKH_BAD_HANDLE, "is null");
    OK(zkh_client_close(own, -1, &err));
    CHECK(zkh_client_free(own) == ZKH_OK);
    stepwise = false;
    end();
}

/* What the program does not answer, or answers wrongly, twice or too late. */
static void answers(void)
{
    zkh_result *r = NULL;
    zkh_stat stat = {.czxid = 5};
    zkh_op op = {0};
    struct outcome get = OUTCOME, create = OUTCOME, children = OUTCOME, gone = OUTCOME;
    const char *names[] = {"a", "\xff"};
    begin(true, 200);
    FAILS(zkh_client_get(client, "/", &r, &err), ZKH_NOT_SENT, "no server was connected");
    connected();
    OK(zkh_client_get(client, "/", &r, &err));
    zkh_result_free(r);
    FAILS(zkh_client_get(client, "/lent/none", &r, &err), ZKH_NO_NODE, "/lent/none");
    FAILS(zkh_client_get(client, "//", &r, &err), ZKH_BAD_PATH, "");
    atomic_store(&mute, true);
    FAILS(zkh_client_get(client, "/", &r, &err), ZKH_OPERATION_TIMEOUT, "get");
    FAILS(zkh_call_data(all->call, "", 0, &stat, &err), ZKH_BAD_HANDLE, "was freed");
    FAILS(zkh_client_set(client, "/", "", 0, -1, &r, &err), ZKH_OUTCOME_UNKNOWN, "set");
    zkh_client_options long_time = {0};
    OK(zkh_client_options_new(&long_time, &err));
    OK(zkh_client_options_set_operation_timeout_ms(long_time, 600000, &err));
    zkh_client patient = {0};
    zkh_lend lend = table(true);
    OK(zkh_client_lend(lend, &long_time, &ends, is_over, &patient, &err));
    OK(zkh_client_lent_state(patient, ZKH_STATE_CONNECTED, 1, 10000, &err));
    CHECK(zkh_client_options_free(long_time) == ZKH_OK && zkh_lend_free(lend) == ZKH_OK);

    int before = atomic_load(&asked[ZKH_REQUEST_GET]);
    OK(zkh_client_get_async(patient, "/x", answered, &get, destroy, NULL, &err));
    while (atomic_load(&asked[ZKH_REQUEST_GET]) == before)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    zkh_call call = all->call;
    FAILS(zkh_call_done(call, "/x", &stat, &err), ZKH_BAD_ARGUMENT, "a get is not completed in this way");
    FAILS(zkh_call_children(call, names, 1, &stat, &err), ZKH_BAD_ARGUMENT, "a get is not");
    FAILS(zkh_call_multi(call, NULL, NULL, NULL, 0, &err), ZKH_BAD_ARGUMENT, "a get is not");
    FAILS(zkh_call_data(call, NULL, 3, &stat, &err), ZKH_BAD_ARGUMENT, "data is a null pointer");
    FAILS(zkh_call_data(call, "abc", 3, NULL, &err), ZKH_BAD_ARGUMENT, "stat is a null pointer");
    FAILS(zkh_call_fail(call, 0, &err), ZKH_BAD_ARGUMENT, "reason is 0");
    CHECK(destroyed(&get) == 0);
    OK(zkh_call_data(call, "abc", 3, &stat, &err));
    CHECK(await(&get) == ZKH_OK && strcmp(get.data, "abc") == 0 && get.stat.czxid == 5);
    FAILS(zkh_call_data(call, "abc", 3, &stat, &err), ZKH_BAD_HANDLE, "was freed");
    FAILS(zkh_call_fail((zkh_call){0}, -4, &err), ZKH_BAD_HANDLE, "is null");

    before = atomic_load(&asked[ZKH_REQUEST_CREATE]);
    OK(zkh_client_create_async(patient, "/x", "", 0, 0, 0, NULL, answered, &create, destroy, &op, &err));
    while (atomic_load(&asked[ZKH_REQUEST_CREATE]) == before)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    FAILS(zkh_call_done(all->call, NULL, &stat, &err), ZKH_BAD_ARGUMENT, "path is a null pointer");
    FAILS(zkh_call_done(all->call, "/x", NULL, &err), ZKH_BAD_ARGUMENT, "stat is a null pointer");
    OK(zkh_call_fail(all->call, ZKH_CONNECTION_LOSS, &err));
    CHECK(await(&create) == ZKH_OUTCOME_UNKNOWN && strcmp(create.path, "/x") == 0);

    before = atomic_load(&asked[ZKH_REQUEST_CHILDREN]);
    OK(zkh_client_children_async(patient, "/x", answered, &children, destroy, NULL, &err));
    OK(zkh_client_exists_async(patient, "/y", answered, &gone, destroy, NULL, &err));
    while (atomic_load(&asked[ZKH_REQUEST_CHILDREN]) == before || all->operation != ZKH_REQUEST_EXISTS)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    FAILS(zkh_call_children(all->next->call, names, 2, &stat, &err), ZKH_BAD_UTF8, "name");
    FAILS(zkh_call_children(all->next->call, NULL, 2, &stat, &err), ZKH_BAD_ARGUMENT, "names");
    OK(zkh_call_children(all->next->call, names, 1, &stat, &err));
    CHECK(await(&children) == ZKH_OK && children.value == 1);
    /* The program's connection ends: what it did not answer does too. */
    OK(zkh_client_close(patient, -1, &err));
    FAILS(zkh_client_lent_state(patient, ZKH_STATE_CONNECTED, 1, 10000, &err), ZKH_CLOSED, "");
    FAILS(zkh_client_get(patient, "/", &r, &err), ZKH_CLOSED, "");
    OK(zkh_call_fail(all->call, ZKH_CLOSED, &err));
    CHECK(await(&gone) == ZKH_CLOSED);
    CHECK(zkh_client_free(patient) == ZKH_OK);
    atomic_store(&mute, false);
    while (atomic_load(&ends) < 4)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    end();
}

static void fires_for(void *user_data, int32_t event, const char *path)
{
    CHECK(strcmp(path, "/lent/watched") == 0);
    atomic_store((atomic_int *)user_data, event);
}

static void watches_and_refusals(void)
{
    zkh_lend lend = {77}, empty = {0};
    zkh_client c = {77};
    zkh_watch watch = {0};
    atomic_int seen = 0, none = 0;
    zkh_result *r = NULL;
    begin(true, 15000);
    connected();
    OK(zkh_client_watch(client, "/lent/watched", ZKH_WATCH_EXISTS, fires_for, &seen, NULL, &watch, &r, &err));
    CHECK(!zkh_result_exists(r));
    zkh_result_free(r);
    OK(zkh_client_create(driver, "/lent/watched", "", 0, ZKH_CREATE_EPHEMERAL, 0, NULL, NULL, &err));
    while (atomic_load(&seen) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(atomic_load(&seen) == ZKH_EVENT_CREATED && zkh_watch_free(watch) == ZKH_OK);
    FAILS(zkh_client_watch(client, "/", ZKH_WATCH_PERSISTENT, fires_for, NULL, NULL, &watch, NULL, &err), ZKH_UNSUPPORTED,
          "lent");
    FAILS(zkh_client_get_acl(client, "/", &r, &err), ZKH_UNSUPPORTED, "getACL");
    FAILS(zkh_client_add_auth(client, "digest", "a:b", 3, &err), ZKH_UNSUPPORTED, "lent");
    FAILS(zkh_lent_watch_fire((zkh_lent_watch){0}, ZKH_EVENT_CREATED, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_lent_watch_fire((zkh_lent_watch){0}, 5, &err), ZKH_BAD_ARGUMENT, "what is 5");

    FAILS(zkh_client_lent_state(client, ZKH_STATE_CONNECTING, 0, 0, &err), ZKH_BAD_ARGUMENT, "state is 1");
    FAILS(zkh_client_lent_state(client, ZKH_STATE_CONNECTED, 0, 10000, &err), ZKH_BAD_ARGUMENT, "session_id is 0");
    FAILS(zkh_client_lent_state(client, ZKH_STATE_CONNECTED, 5, 0, &err), ZKH_BAD_ARGUMENT, "session_timeout_ms 0");
    FAILS(zkh_client_lent_state(driver, ZKH_STATE_LOST, 0, 0, &err), ZKH_BAD_ARGUMENT, "connection of its own");
    FAILS(zkh_lend_new(NULL, &err), ZKH_BAD_ARGUMENT, "lend is a null pointer");
    OK(zkh_lend_new(&lend, &err));
    FAILS(zkh_lend_set(lend, ZKH_REQUEST_CHECK, lends, &err), ZKH_BAD_ARGUMENT, "operation is 9");
    FAILS(zkh_lend_set(lend, 0, lends, &err), ZKH_BAD_ARGUMENT, "operation is 0");
    FAILS(zkh_client_lend(lend, NULL, &none, is_over, &c, &err), ZKH_BAD_ARGUMENT, "ZKH_REQUEST_CREATE is not set");
    CHECK(c.id == 0 && atomic_load(&none) == 1);
    FAILS(zkh_client_lend(empty, NULL, &none, is_over, &c, &err), ZKH_BAD_HANDLE, "the zkh_lend is null");
    CHECK(atomic_load(&none) == 2 && zkh_lend_free(lend) == ZKH_OK && zkh_lend_free(lend) == ZKH_BAD_HANDLE);
    CHECK(zkh_request_operation(NULL) == 0 && zkh_request_count(NULL) == 0 && zkh_request_path(NULL, 0) == NULL);
    CHECK(zkh_request_watch(NULL).id == 0 && zkh_request_data(NULL, 0, NULL) == NULL && zkh_request_part(NULL, 0) == 0);
    CHECK(zkh_request_version(NULL, 0) == -1 && zkh_request_mode(NULL, 0, NULL) == 0);
    CHECK(zkh_request_acl(NULL, 0, 0, NULL, NULL) == 0);
    end();
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    address = argv[1];
    locks();
    without_transactions();
    step_by_step();
    answers();
    watches_and_refusals();
    printf("the lent connection carried them\n");
    return 0;
}
