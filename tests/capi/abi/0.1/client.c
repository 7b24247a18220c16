/*
 * A program of the time of version 0.1: compiled against the header of then, linked to the library of now. It knows
 * nothing that came later, and must run for as long as the soname stays. It is not changed when things are added:
 * the next version gets a program of its own.
 */
#include "zkhelper.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "%s:%d: not true: %s: %s\n", __FILE__, __LINE__, #what, zkh_error_message(err)); \
            exit(1); \
        } \
    } while (0)

static zkh_error *err;
static atomic_int calls, destroyed;

static void done(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    CHECK(user_data == &calls && zkh_error_code(error) == status);
    if (status == ZKH_OK)
        CHECK(value > 0);
    atomic_fetch_add(&calls, 1);
}

static void destroy(void *user_data)
{
    CHECK(user_data == &calls);
    atomic_fetch_add(&destroyed, 1);
}

static void await(atomic_int *counter, int number)
{
    while (atomic_load(counter) < number)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void on_event(void *user_data, int32_t event, const char *path)
{
    (void)path;
    if (event == ZKH_EVENT_CREATED)
        atomic_fetch_add((atomic_int *)user_data, 1);
}

static void on_lost(void *user_data, int64_t token, int32_t reason)
{
    CHECK(token > 0 && reason == ZKH_LOSS_NODE_DELETED);
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void on_state(void *user_data, int32_t state, int64_t session, int64_t previous, const zkh_error *reason)
{
    (void)session, (void)previous, (void)reason;
    if (state == ZKH_STATE_CLOSED)
        atomic_fetch_add((atomic_int *)user_data, 1);
}

static int32_t lead(void *user_data, int64_t token)
{
    CHECK(token > 0);
    atomic_fetch_add((atomic_int *)user_data, 1);
    return ZKH_TASK_DONE;
}

static void stop(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data, (void)token, (void)reason;
}

static bool interrupted(void *user_data)
{
    (void)user_data;
    return true;
}

int main(void)
{
    char address[64];
    zkh_server server = {0};
    zkh_client_options options = {0};
    zkh_client client = {0};
    CHECK(zkh_version_number() >= ZKH_VERSION_NUMBER);
    CHECK(zkh_server_start(0, 500, &server, &err) == ZKH_OK);
    CHECK(zkh_server_address(server, address, sizeof address) < sizeof address);
    CHECK(zkh_client_options_new(&options, &err) == ZKH_OK);
    CHECK(zkh_client_options_set_session_timeout_ms(options, 5000, &err) == ZKH_OK);
    CHECK(zkh_client_connect(address, &options, &client, &err) == ZKH_OK);
    CHECK(zkh_client_options_free(options) == ZKH_OK);
    atomic_int closed = 0;
    CHECK(zkh_client_on_state(client, on_state, &closed, NULL, &err) == ZKH_OK);

    /* Nodes: the layout of the status, presets of lists, modes, codes. */
    zkh_result *result = NULL;
    zkh_stat stat;
    zkh_acl file = {0};
    CHECK(zkh_acl_new(ZKH_ACL_FILE, &file, &err) == ZKH_OK);
    CHECK(zkh_client_create(client, "/a", "one", 3, ZKH_CREATE_PERSISTENT, 0, &file, &result, &err) == ZKH_OK);
    CHECK(strcmp(zkh_result_path(result), "/a") == 0);
    zkh_result_free(result);
    CHECK(zkh_client_get(client, "/a", &result, &err) == ZKH_OK && zkh_result_stat(result, &stat));
    size_t length = 0;
    CHECK(memcmp(zkh_result_data(result, &length), "one", 4) == 0 && length == 3);
    CHECK(stat.czxid > 0 && stat.mzxid == stat.czxid && stat.version == 0 && stat.data_length == 3);
    CHECK(stat.ctime > 0 && stat.mtime == stat.ctime && stat.num_children == 0 && stat.ephemeral_owner == 0);
    CHECK(stat.pzxid == stat.czxid && stat.cversion == 0 && stat.aversion == 0);
    zkh_result_free(result);
    CHECK(zkh_client_delete(client, "/none", -1, &err) == ZKH_NO_NODE && zkh_error_code(err) == -101);
    CHECK(strcmp(zkh_error_name(err), "NO_NODE") == 0 && strcmp(zkh_error_path(err), "/none") == 0);
    zkh_error_free(err);
    err = NULL;
    zkh_multi multi = {0};
    CHECK(zkh_multi_new(&multi, &err) == ZKH_OK && zkh_multi_check(multi, "/a", 0, &err) == ZKH_OK);
    CHECK(zkh_multi_set(multi, "/a", "two", 3, -1, &err) == ZKH_OK);
    CHECK(zkh_multi_commit(client, multi, &result, &err) == ZKH_OK && zkh_result_count(result) == 2);
    zkh_result_free(result);
    CHECK(zkh_multi_free(multi) == ZKH_OK && zkh_acl_free(file) == ZKH_OK);
    CHECK(zkh_tree_create(client, "/t/u/v", NULL, 0, ZKH_CREATE_PERSISTENT, NULL, NULL, &err) == ZKH_OK);

    zkh_watch watch = {0};
    atomic_int created = 0;
    CHECK(zkh_client_watch(client, "/b", ZKH_WATCH_PERSISTENT, on_event, &created, NULL, &watch, NULL, &err) == ZKH_OK);
    CHECK(zkh_client_create(client, "/b", NULL, 0, ZKH_CREATE_EPHEMERAL, 0, NULL, NULL, &err) == ZKH_OK);
    await(&created, 1);
    CHECK(zkh_watch_free(watch) == ZKH_OK && zkh_watch_free(watch) == ZKH_BAD_HANDLE);

    /* A lock, waiting and not, and its loss. */
    zkh_mutex mutex = {0}, other = {0};
    atomic_int lost = 0;
    CHECK(zkh_mutex_new(client, "/lock", NULL, &mutex, &err) == ZKH_OK);
    CHECK(zkh_mutex_new(client, "/lock", NULL, &other, &err) == ZKH_OK);
    CHECK(zkh_mutex_on_lost(mutex, on_lost, &lost, NULL, &err) == ZKH_OK);
    CHECK(zkh_mutex_lock(mutex, -1, "old", &err) == ZKH_OK);
    int64_t token = zkh_mutex_token(mutex);
    CHECK(token > 0 && zkh_mutex_is_held(mutex) && zkh_mutex_valid_ms(mutex) > 0);
    CHECK(zkh_mutex_lock(other, 0, NULL, NULL) == ZKH_TIMEOUT);
    zkh_op op = {0};
    CHECK(zkh_mutex_lock_async(other, -1, NULL, done, &calls, destroy, &op, &err) == ZKH_OK);
    CHECK(zkh_op_cancel(op, &err) == ZKH_OK);
    await(&destroyed, 1);
    CHECK(atomic_load(&calls) == 1);
    CHECK(zkh_mutex_unlock(mutex, &err) == ZKH_OK && zkh_mutex_unlock(mutex, NULL) == ZKH_NOT_HELD);
    CHECK(zkh_mutex_lock_async(other, -1, NULL, done, &calls, destroy, NULL, &err) == ZKH_OK);
    await(&destroyed, 2);
    CHECK(atomic_load(&calls) == 2 && zkh_mutex_token(other) > token);
    CHECK(zkh_mutex_free(other) == ZKH_OK);
    CHECK(zkh_mutex_lock(mutex, -1, NULL, &err) == ZKH_OK);
    zkh_contenders *contenders = NULL;
    CHECK(zkh_mutex_contenders(mutex, &contenders, &err) == ZKH_OK && zkh_contenders_count(contenders) >= 1);
    char path[64];
    snprintf(path, sizeof path, "/lock/%s", zkh_contenders_name(contenders, 0));
    zkh_contenders_free(contenders);
    CHECK(zkh_client_delete(client, path, -1, &err) == ZKH_OK);
    await(&lost, 1);
    CHECK(zkh_mutex_unlock(mutex, NULL) == ZKH_LOCK_LOST && zkh_mutex_free(mutex) == ZKH_OK);

    zkh_elector elector = {0};
    zkh_leader *leader = NULL;
    atomic_int led = 0;
    CHECK(zkh_elector_new(client, "/election", NULL, &elector, &err) == ZKH_OK);
    CHECK(zkh_elector_run(elector, lead, stop, interrupted, &led, NULL) == ZKH_INTERRUPTED && led == 1);
    CHECK(zkh_elector_leader(elector, &leader, &err) == ZKH_OK && zkh_leader_standing(leader) == ZKH_STANDING_GONE);
    zkh_leader_free(leader);
    CHECK(zkh_elector_free(elector) == ZKH_OK);

    CHECK(zkh_client_close(client, 5000, &err) == ZKH_OK);
    await(&closed, 1);
    CHECK(zkh_client_free(client) == ZKH_OK && zkh_client_free(client) == ZKH_BAD_HANDLE);
    CHECK(zkh_server_free(server) == ZKH_OK);
    printf("a program of version 0.1 on library %s\n", zkh_version());
    return 0;
}
