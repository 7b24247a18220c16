/*
 * A connection that a program lends: here another client of this library, in a program's it is that of another
 * one. begin() lends it, end() takes it back.
 */
#ifndef LENDING_H
#define LENDING_H

#include "check.h"
#include <stdatomic.h>

/* What a request under way needs when it is answered. */
struct under_way {
    zkh_call call;
    zkh_lent_watch wanted;
    zkh_watch armed;
    int32_t operation;
    size_t parts;
    struct under_way *next;
};

static zkh_client driver, client;
static const char *address;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct under_way *all;
static atomic_int asked[ZKH_REQUEST_CHECK + 1], ends;
static atomic_bool mute, loses_creates;
static bool stepwise;

static inline void answered_here(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    struct under_way *u = user_data;
    zkh_stat stat;
    size_t len;
    zkh_result_stat(result, &stat);
    zkh_status done;
    if (u->operation == ZKH_REQUEST_EXISTS && status == ZKH_OK && !zkh_result_exists(result))
        status = ZKH_NO_NODE;
    const char *place = strstr(zkh_error_message(error), "operation ");
    if (status != ZKH_OK && u->operation == ZKH_REQUEST_MULTI && place != NULL) {
        zkh_status statuses[64] = {0};
        int failed = atoi(place + strlen("operation ")) - 1;
        CHECK(u->parts <= 64);
        for (size_t i = 0; i < u->parts; i++)
            statuses[i] = (int)i < failed ? ZKH_OK : (int)i == failed ? status : ZKH_RUNTIME_INCONSISTENCY;
        done = zkh_call_multi(u->call, statuses, NULL, NULL, u->parts, NULL);
    } else if (u->operation == ZKH_REQUEST_CREATE && atomic_exchange(&loses_creates, false)) {
        CHECK(status == ZKH_OK);
        done = zkh_call_fail(u->call, ZKH_CONNECTION_LOSS, NULL);
    } else if (status != ZKH_OK) {
        done = zkh_call_fail(u->call, status, NULL);
    } else if (u->operation == ZKH_REQUEST_GET) {
        const void *data = zkh_result_data(result, &len);
        done = zkh_call_data(u->call, data, len, &stat, NULL);
    } else if (u->operation == ZKH_REQUEST_CHILDREN) {
        const char *names[512];
        CHECK(zkh_result_count(result) <= 512);
        for (size_t i = 0; i < zkh_result_count(result); i++)
            names[i] = zkh_result_name(result, i);
        done = zkh_call_children(u->call, names, zkh_result_count(result), &stat, NULL);
    } else if (u->operation == ZKH_REQUEST_MULTI) {
        zkh_status statuses[64] = {0};
        const char *paths[64] = {0};
        zkh_stat stats[64];
        CHECK(u->parts <= 64 && zkh_result_count(result) == u->parts);
        for (size_t i = 0; i < u->parts; i++) {
            paths[i] = zkh_result_path(zkh_result_at(result, i));
            zkh_result_stat(zkh_result_at(result, i), &stats[i]);
        }
        done = zkh_call_multi(u->call, statuses, paths, stats, u->parts, NULL);
    } else {
        done = zkh_call_done(u->call, zkh_result_path(result), &stat, NULL);
    }
    CHECK(done == ZKH_OK || done == ZKH_BAD_HANDLE);
}

static inline void done_here(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    struct under_way *u = user_data;
    (void)value, (void)error;
    zkh_status done = status == ZKH_OK ? zkh_call_done(u->call, NULL, NULL, NULL) : zkh_call_fail(u->call, status, NULL);
    CHECK(done == ZKH_OK || done == ZKH_BAD_HANDLE);
}

static inline void fires(void *user_data, int32_t event, const char *path)
{
    struct under_way *u = user_data;
    (void)path;
    zkh_status fired = zkh_lent_watch_fire(u->wanted, event, NULL);
    CHECK(fired == ZKH_OK || fired == ZKH_BAD_HANDLE);
}

static inline zkh_acl acl_of(const zkh_request *q, size_t part)
{
    zkh_acl acl = {0};
    const char *scheme, *id;
    CHECK(zkh_acl_new(ZKH_ACL_EMPTY, &acl, NULL) == ZKH_OK);
    for (size_t i = 0; zkh_request_acl(q, part, i, &scheme, &id) != 0; i++)
        CHECK(zkh_acl_add(acl, zkh_request_acl(q, part, i, NULL, NULL), scheme, id, NULL) == ZKH_OK);
    return acl;
}

static inline zkh_status transaction(const zkh_request *q, struct under_way *u)
{
    zkh_multi multi = {0};
    CHECK(zkh_multi_new(&multi, NULL) == ZKH_OK);
    u->parts = zkh_request_count(q);
    for (size_t i = 0; i < u->parts; i++) {
        const char *path = zkh_request_path(q, i);
        size_t len;
        const void *data = zkh_request_data(q, i, &len);
        int64_t ttl_ms;
        zkh_status s = ZKH_OK;
        switch (zkh_request_part(q, i)) {
        case ZKH_REQUEST_CREATE: {
            zkh_acl acl = acl_of(q, i);
            s = zkh_multi_create(multi, path, data, len, zkh_request_mode(q, i, &ttl_ms), 0, &acl, NULL);
            zkh_acl_free(acl);
            break;
        }
        case ZKH_REQUEST_DELETE: s = zkh_multi_delete(multi, path, zkh_request_version(q, i), NULL); break;
        case ZKH_REQUEST_SET: s = zkh_multi_set(multi, path, data, len, zkh_request_version(q, i), NULL); break;
        case ZKH_REQUEST_CHECK: s = zkh_multi_check(multi, path, zkh_request_version(q, i), NULL); break;
        default: CHECK(!"a part of a transaction");
        }
        CHECK(s == ZKH_OK);
    }
    zkh_status s = zkh_multi_commit_async(driver, multi, answered_here, u, NULL, NULL, NULL);
    zkh_multi_free(multi);
    return s;
}

static inline void lends(void *user_data, zkh_call call, const zkh_request *q)
{
    CHECK(user_data == &ends);
    struct under_way *u = calloc(1, sizeof *u);
    CHECK(u != NULL);
    u->call = call;
    u->operation = zkh_request_operation(q);
    u->wanted = zkh_request_watch(q);
    pthread_mutex_lock(&lock);
    u->next = all;
    all = u;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&asked[u->operation], 1);
    if (atomic_load(&mute))
        return;
    const char *path = zkh_request_path(q, 0);
    int32_t version = zkh_request_version(q, 0), kind = 0;
    size_t len;
    const void *data = zkh_request_data(q, 0, &len);
    int64_t ttl_ms;
    zkh_status s;
    switch (u->operation) {
    case ZKH_REQUEST_CREATE: {
        zkh_acl acl = acl_of(q, 0);
        int32_t mode = zkh_request_mode(q, 0, &ttl_ms);
        s = zkh_client_create_async(driver, path, data, len, mode, ttl_ms, &acl, answered_here, u, NULL, NULL, NULL);
        zkh_acl_free(acl);
        break;
    }
    case ZKH_REQUEST_DELETE: s = zkh_client_delete_async(driver, path, version, done_here, u, NULL, NULL, NULL); break;
    case ZKH_REQUEST_SET:
        s = zkh_client_set_async(driver, path, data, len, version, answered_here, u, NULL, NULL, NULL);
        break;
    case ZKH_REQUEST_SYNC: s = zkh_client_sync_async(driver, path, done_here, u, NULL, NULL, NULL); break;
    case ZKH_REQUEST_MULTI: s = transaction(q, u); break;
    default:
        kind = u->operation == ZKH_REQUEST_GET      ? ZKH_WATCH_DATA
               : u->operation == ZKH_REQUEST_EXISTS ? ZKH_WATCH_EXISTS
                                                    : ZKH_WATCH_CHILDREN;
        if (u->wanted.id != 0)
            s = zkh_client_watch_async(driver, path, kind, fires, u, NULL, &u->armed, answered_here, u, NULL, NULL, NULL);
        else if (kind == ZKH_WATCH_DATA)
            s = zkh_client_get_async(driver, path, answered_here, u, NULL, NULL, NULL);
        else if (kind == ZKH_WATCH_EXISTS)
            s = zkh_client_exists_async(driver, path, answered_here, u, NULL, NULL, NULL);
        else
            s = zkh_client_children_async(driver, path, answered_here, u, NULL, NULL, NULL);
    }
    CHECK(s == ZKH_OK);
}

static inline void is_over(void *user_data)
{
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static inline zkh_lend table(bool with_multi)
{
    zkh_lend lend = {0};
    OK(zkh_lend_new(&lend, &err));
    for (int32_t operation = ZKH_REQUEST_CREATE; operation <= ZKH_REQUEST_SYNC; operation++)
        if (with_multi || operation != ZKH_REQUEST_MULTI)
            OK(zkh_lend_set(lend, operation, lends, &err));
    OK(zkh_lend_set_stepwise(lend, stepwise, &err));
    return lend;
}

static inline void connected(void)
{
    OK(zkh_client_lent_state(client, ZKH_STATE_CONNECTED, zkh_client_session_id(driver), 10000, &err));
}

static inline void begin(bool with_multi, int64_t operation_timeout_ms)
{
    zkh_client_options options = {0};
    zkh_lend lend = table(with_multi);
    OK(zkh_client_connect(address, NULL, &driver, &err));
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_operation_timeout_ms(options, operation_timeout_ms, &err));
    OK(zkh_client_options_set_renew_interval_ms(options, 50, &err));
    OK(zkh_client_lend(lend, &options, &ends, is_over, &client, &err));
    CHECK(zkh_client_options_free(options) == ZKH_OK && zkh_lend_free(lend) == ZKH_OK);
    CHECK(zkh_client_state(client) == ZKH_STATE_CONNECTING && zkh_client_session_id(client) == 0);
}

/* The lent connection is the driver's: it goes last. */
static inline void end(void)
{
    int before = atomic_load(&ends);
    CHECK(zkh_client_free(client) == ZKH_OK);
    while (atomic_load(&ends) == before)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    OK(zkh_client_close(driver, -1, &err));
    CHECK(zkh_client_free(driver) == ZKH_OK);
    while (all != NULL) {
        struct under_way *u = all;
        all = u->next;
        if (u->armed.id != 0)
            CHECK(zkh_watch_free(u->armed) == ZKH_OK);
        free(u);
    }
    CHECK(atomic_load(&ends) == before + 1);
}

#endif
