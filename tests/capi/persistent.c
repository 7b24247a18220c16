/*
 * Persistent locks, the list of contenders, requests to give a lock up, and guarded writes: persistent ADDRESS.
 * What is wrong is refused.
 */
#include "check.h"
#include <inttypes.h>

#define TARGET "/zk/persistent-target"

static zkh_client owner, other;
static zkh_mutex held, tool;
static char at[64];

/* What the callbacks for requests and losses were told last. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int asked, lost, destroyed;
    int64_t token;
    int32_t why;
    char reason[64];
} told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_revoke(void *user_data, int64_t token, const char *reason)
{
    CHECK(user_data == &told);
    CHECK(zkh_mutex_unlock(held, NULL) == ZKH_WOULD_DEADLOCK);
    pthread_mutex_lock(&told.lock);
    told.asked++;
    told.token = token;
    snprintf(told.reason, sizeof told.reason, "%s", reason);
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static void on_lost(void *user_data, int64_t token, int32_t reason)
{
    CHECK(user_data == &told);
    pthread_mutex_lock(&told.lock);
    told.lost++;
    told.token = token;
    told.why = reason;
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static void destroy_told(void *user_data)
{
    CHECK(user_data == &told);
    pthread_mutex_lock(&told.lock);
    told.destroyed++;
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static void until(const int *counter, int count)
{
    pthread_mutex_lock(&told.lock);
    while (*counter < count)
        pthread_cond_wait(&told.changed, &told.lock);
    CHECK(*counter == count);
    pthread_mutex_unlock(&told.lock);
}

/* The list is as wanted: so many, and the first one's owner. */
static zkh_contenders *listed(size_t count, int32_t of)
{
    zkh_contenders *all = NULL;
    OK(zkh_mutex_contenders(tool, &all, &err));
    CHECK(zkh_contenders_count(all) == count && zkh_contenders_owner(all, 0) == of);
    return all;
}

static void listed_in_callback(void *user_data, zkh_status status, const zkh_contenders *all, const zkh_error *error)
{
    CHECK(status == ZKH_OK && error == NULL && zkh_contenders_count(all) == 1);
    CHECK(strncmp(zkh_contenders_name(all, 0), "lock-", 5) == 0);
    done(user_data, status, zkh_contenders_token(all, 0), error);
}

static void refused(void)
{
    zkh_mutex none = {0};
    zkh_multi no_multi = {0};
    zkh_mutex_options options = {0};
    zkh_contenders *all = (void *)&none;
    FAILS(zkh_mutex_contenders(none, &all, &err), ZKH_BAD_HANDLE, "is null");
    CHECK(all == NULL);
    FAILS(zkh_mutex_contenders(tool, NULL, &err), ZKH_BAD_ARGUMENT, "contenders is a null pointer");
    FAILS(zkh_mutex_contenders_async(tool, NULL, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "callback is a null pointer");
    FAILS(zkh_mutex_release_dead(none, "lock-0000000000", &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_release_dead(tool, NULL, &err), ZKH_BAD_ARGUMENT, "name is a null pointer");
    FAILS(zkh_mutex_release_dead(tool, "a/lock-0000000000", &err), ZKH_BAD_ARGUMENT, "not a contender's name");
    FAILS(zkh_mutex_release_dead(tool, "\xff", &err), ZKH_BAD_UTF8, "name");
    FAILS(zkh_mutex_release_by_force(none, "lock-0000000000", 1, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_release_by_force(tool, "lock", 1, &err), ZKH_BAD_ARGUMENT, "not a contender's name");
    FAILS(zkh_mutex_request_revocation(none, "lock-0000000000", "", &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_request_revocation(tool, NULL, "", &err), ZKH_BAD_ARGUMENT, "name");
    FAILS(zkh_mutex_request_revocation(tool, "lock-0000000000", "\xff", &err), ZKH_BAD_UTF8, "reason");
    FAILS(zkh_mutex_on_revoke(none, NULL, NULL, NULL, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_guarded(none, no_multi, NULL, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_guarded(tool, no_multi, NULL, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_release_dead(tool, "lock-0000000099", &err), ZKH_NO_NODE, at);

    CHECK(zkh_contenders_count(NULL) == 0 && zkh_contenders_name(NULL, 0) == NULL && zkh_contenders_pid(NULL, 0) == 0);
    CHECK(zkh_contenders_token(NULL, 0) == 0 && zkh_contenders_session_id(NULL, 0) == 0);
    CHECK(zkh_contenders_since_ms(NULL, 0) == 0 && zkh_contenders_owner(NULL, 0) == 0);
    CHECK(zkh_contenders_hostname(NULL, 0) == NULL && zkh_contenders_description(NULL, 0) == NULL);
    size_t len = 7;
    CHECK(zkh_contenders_asked(NULL, 0) == NULL && zkh_contenders_data(NULL, 0, &len) == NULL && len == 0);
    zkh_contenders_free(NULL);

    OK(zkh_mutex_options_new(&options, &err));
    FAILS(zkh_mutex_options_set_persistent(options, 99, &err), ZKH_BAD_ARGUMENT, "100 ms");
    FAILS(zkh_mutex_options_set_persistent(options, -1, &err), ZKH_BAD_ARGUMENT, "negative");
    OK(zkh_mutex_options_set_strict(options, 1000, 1000, &err));
    FAILS(zkh_mutex_options_set_persistent(options, 1000, &err), ZKH_BAD_ARGUMENT, "either strict or persistent");
    CHECK(zkh_mutex_options_free(options) == ZKH_OK);
}

/* A write that is committed only while the lock is held. */
static zkh_multi write_of(const char *text)
{
    zkh_multi multi = {0};
    OK(zkh_multi_new(&multi, &err));
    OK(zkh_multi_set(multi, TARGET, text, strlen(text), -1, &err));
    return multi;
}

static void target_is(const char *text)
{
    zkh_result *result = NULL;
    OK(zkh_client_get(other, TARGET, &result, &err));
    CHECK(strcmp(zkh_result_data(result, NULL), text) == 0);
    zkh_result_free(result);
}

static void guarded_done(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    CHECK(zkh_result_count(result) == (status == ZKH_OK ? 1u : 0u));
    done(user_data, status, 0, error);
}

static zkh_status guarded_async(zkh_multi multi)
{
    struct outcome o = OUTCOME;
    OK(zkh_mutex_guarded_async(held, multi, guarded_done, &o, destroy, &err));
    return await(&o);
}

int main(int argc, char **argv)
{
    zkh_mutex_options options = {0};
    zkh_contenders *all = NULL;
    zkh_result *result = NULL;
    CHECK(argc > 1);
    snprintf(at, sizeof at, "/zk/persistent-%ld", (long)getpid());
    OK(zkh_client_connect(argv[1], NULL, &owner, &err));
    OK(zkh_client_connect(argv[1], NULL, &other, &err));
    OK(zkh_mutex_options_new(&options, &err));
    OK(zkh_mutex_options_set_persistent(options, 500, &err));
    OK(zkh_mutex_new(owner, at, &options, &held, &err));
    OK(zkh_mutex_new(other, at, NULL, &tool, &err));
    refused();

    zkh_multi before = write_of("before"), during = write_of("during"), after = write_of("after");
    FAILS(zkh_mutex_guarded(held, before, NULL, &err), ZKH_NOT_HELD, at);
    OK(zkh_mutex_on_revoke(held, on_revoke, &told, destroy_told, &err));
    OK(zkh_mutex_on_lost(held, on_lost, &told, destroy_told, &err));
    OK(zkh_mutex_lock(held, -1, "a \"job\"", &err));
    int64_t token = zkh_mutex_token(held);
    CHECK(token > 0 && zkh_mutex_valid_ms(held) > 0 && zkh_mutex_valid_ms(held) <= 500);

    /* Who has it. */
    all = listed(1, ZKH_OWNER_LIVING);
    char name[32];
    snprintf(name, sizeof name, "%s", zkh_contenders_name(all, 0));
    CHECK(zkh_contenders_token(all, 0) == token && zkh_contenders_session_id(all, 0) == 0);
    CHECK(zkh_contenders_pid(all, 0) == getpid() && zkh_contenders_since_ms(all, 0) > 1600000000000);
    CHECK(strcmp(zkh_contenders_description(all, 0), "a \"job\"") == 0 && zkh_contenders_hostname(all, 0) != NULL);
    CHECK(zkh_contenders_asked(all, 0) == NULL && zkh_contenders_name(all, 1) == NULL);
    size_t len = 0;
    CHECK(memchr(zkh_contenders_data(all, 0, &len), '{', 1) != NULL && len > 50);
    zkh_contenders_free(all);
    struct outcome list = OUTCOME;
    OK(zkh_mutex_contenders_async(tool, listed_in_callback, &list, destroy, &err));
    CHECK(await(&list) == ZKH_OK && list.value == token);

    /* Writes while it is held. */
    zkh_status made = zkh_client_create(other, TARGET, "", 0, ZKH_CREATE_PERSISTENT, 0, NULL, NULL, NULL);
    CHECK(made == ZKH_OK || made == ZKH_NODE_EXISTS);
    OK(zkh_mutex_guarded(held, during, &result, &err));
    zkh_stat stat;
    CHECK(zkh_result_count(result) == 1 && zkh_result_stat(zkh_result_at(result, 0), &stat) && stat.data_length == 6);
    zkh_result_free(result);
    CHECK(guarded_async(during) == ZKH_OK);
    zkh_multi checks = {0};
    OK(zkh_multi_new(&checks, &err));
    OK(zkh_multi_check(checks, TARGET, 1000000, &err));
    result = (void *)&checks;
    FAILS(zkh_mutex_guarded(held, checks, &result, &err), ZKH_BAD_VERSION, TARGET);
    CHECK(result == NULL);

    /* Somebody asks for it; nothing is forced. */
    OK(zkh_mutex_request_revocation(tool, name, "maintenance", &err));
    until(&told.asked, 1);
    CHECK(told.token == token && strcmp(told.reason, "maintenance") == 0);
    struct outcome ask = OUTCOME;
    OK(zkh_mutex_request_revocation_async(tool, name, NULL, done, &ask, destroy, &err));
    CHECK(await(&ask) == ZKH_OK);
    until(&told.asked, 2);
    CHECK(told.reason[0] == 0 && zkh_mutex_is_held(held));
    all = listed(1, ZKH_OWNER_LIVING);
    CHECK(strcmp(zkh_contenders_asked(all, 0), "") == 0);
    zkh_contenders_free(all);

    /* Nobody takes it from an owner that lives, unless a human says which one. */
    FAILS(zkh_mutex_release_dead(tool, name, &err), ZKH_NODE_EXISTS, "lives");
    FAILS(zkh_mutex_release_by_force(tool, name, token + 1, &err), ZKH_BAD_VERSION, "not");
    struct outcome force = OUTCOME;
    OK(zkh_mutex_release_by_force_async(tool, name, token, done, &force, destroy, &err));
    CHECK(await(&force) == ZKH_OK);
    FAILS(zkh_mutex_guarded(held, after, NULL, &err), ZKH_LOCK_LOST, at);
    CHECK(guarded_async(after) == ZKH_LOCK_LOST);
    target_is("during");
    until(&told.lost, 1);
    CHECK(told.token == token && told.why == ZKH_LOSS_NODE_DELETED);
    FAILS(zkh_mutex_unlock(held, &err), ZKH_LOCK_LOST, at);

    /* The owner ends without a release: the lock stays, until it is released. */
    OK(zkh_mutex_lock(held, -1, NULL, &err));
    token = zkh_mutex_token(held);
    OK(zkh_client_close(owner, -1, &err));
    until(&told.lost, 2);
    CHECK(told.token == token && told.why == ZKH_LOSS_CLIENT_CLOSED);
    FAILS(zkh_mutex_lock(tool, 50, NULL, &err), ZKH_TIMEOUT, at);
    all = listed(1, ZKH_OWNER_GONE);
    snprintf(name, sizeof name, "%s", zkh_contenders_name(all, 0));
    CHECK(zkh_contenders_token(all, 0) == token);
    zkh_contenders_free(all);
    struct outcome gone = OUTCOME, next = OUTCOME;
    zkh_op op = {0};
    OK(zkh_mutex_release_dead_async(tool, name, done, &gone, destroy, &op, &err));
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&gone) == ZKH_CANCELLED);
    zkh_contenders_free(listed(1, ZKH_OWNER_GONE));
    OK(zkh_mutex_lock_async(tool, -1, NULL, done, &next, destroy, NULL, &err));
    /* The release that was cancelled may still be cleaning up behind itself. */
    zkh_status status;
    do {
        zkh_error_free(err);
        err = NULL;
        status = zkh_mutex_release_dead(tool, name, &err);
    } while (status == ZKH_NODE_EXISTS);
    ended(__FILE__, __LINE__, "release", status, ZKH_OK, NULL);
    CHECK(await(&next) == ZKH_OK && next.value > token);
    all = listed(1, ZKH_OWNER_LIVING);
    CHECK(zkh_contenders_session_id(all, 0) == zkh_client_session_id(other));
    zkh_contenders_free(all);
    OK(zkh_mutex_unlock(tool, &err));
    OK(zkh_mutex_reset(tool, &err));

    CHECK(zkh_multi_free(before) == ZKH_OK && zkh_multi_free(during) == ZKH_OK && zkh_multi_free(after) == ZKH_OK);
    CHECK(zkh_multi_free(checks) == ZKH_OK && zkh_mutex_options_free(options) == ZKH_OK);
    CHECK(zkh_mutex_free(held) == ZKH_OK && zkh_mutex_free(tool) == ZKH_OK);
    until(&told.destroyed, 2);
    FAILS(zkh_mutex_on_revoke(held, on_revoke, &told, destroy_told, &err), ZKH_BAD_HANDLE, "freed");
    until(&told.destroyed, 3);
    OK(zkh_client_close(other, -1, &err));
    CHECK(zkh_client_free(owner) == ZKH_OK && zkh_client_free(other) == ZKH_OK);
    printf("nobody had it twice\n");
    return 0;
}
