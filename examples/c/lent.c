/*
 * A lock over a connection that the program has already, here one of the Apache C client: lent HOST:PORT
 * Compile with -lzookeeper_mt beside zkhelper.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zkhelper.h>
#include <zookeeper/zookeeper.h>

static zhandle_t *zoo;
static zkh_client client;

/* What a request under way needs when it is answered. */
struct under_way {
    zkh_call call;
    size_t parts;
    zoo_op_t *ops;
    zoo_op_result_t *results;
    struct Stat *stats;
    struct ACL_vector *acls;
    char (*paths)[1024];
};

/* ---- what is asked ---- */

static struct ACL_vector acl_of(const zkh_request *request, size_t part)
{
    struct ACL_vector all = {0};
    const char *scheme, *id;
    while (zkh_request_acl(request, part, (size_t)all.count, NULL, NULL) != 0)
        all.count++;
    all.data = calloc((size_t)all.count, sizeof *all.data);
    for (int i = 0; all.data != NULL && i < all.count; i++) {
        all.data[i].perms = zkh_request_acl(request, part, (size_t)i, &scheme, &id);
        all.data[i].id = (struct Id){strdup(scheme), strdup(id)};
    }
    return all;
}

static int mode_of(const zkh_request *request, size_t part)
{
    switch (zkh_request_mode(request, part, NULL)) {
    case ZKH_CREATE_EPHEMERAL: return ZOO_EPHEMERAL;
    case ZKH_CREATE_PERSISTENT_SEQUENTIAL: return ZOO_PERSISTENT_SEQUENTIAL;
    case ZKH_CREATE_EPHEMERAL_SEQUENTIAL: return ZOO_EPHEMERAL_SEQUENTIAL;
    default: return ZOO_PERSISTENT;
    }
}

static struct under_way *begin(zkh_call call, size_t parts)
{
    struct under_way *u = calloc(1, sizeof *u);
    if (u == NULL)
        abort();
    u->call = call;
    u->parts = parts;
    u->ops = calloc(parts, sizeof *u->ops);
    u->results = calloc(parts, sizeof *u->results);
    u->stats = calloc(parts, sizeof *u->stats);
    u->acls = calloc(parts, sizeof *u->acls);
    u->paths = calloc(parts, sizeof *u->paths);
    if (u->ops == NULL || u->results == NULL || u->stats == NULL || u->acls == NULL || u->paths == NULL)
        abort();
    return u;
}

static void end(struct under_way *u)
{
    for (size_t i = 0; i < u->parts; i++)
        deallocate_ACL_vector(&u->acls[i]);
    free(u->ops);
    free(u->results);
    free(u->stats);
    free(u->acls);
    free(u->paths);
    free(u);
}

/* ---- what is answered ---- */

static zkh_stat stat_of(const struct Stat *s)
{
    if (s == NULL)
        return (zkh_stat){0};
    return (zkh_stat){
        .czxid = s->czxid,
        .mzxid = s->mzxid,
        .ctime = s->ctime,
        .mtime = s->mtime,
        .version = s->version,
        .cversion = s->cversion,
        .aversion = s->aversion,
        .ephemeral_owner = s->ephemeralOwner,
        .data_length = s->dataLength,
        .num_children = s->numChildren,
        .pzxid = s->pzxid,
    };
}

static void done(int rc, const char *path, const struct Stat *stat, struct under_way *u)
{
    zkh_stat status = stat_of(stat);
    if (rc == ZOK)
        zkh_call_done(u->call, path, stat == NULL ? NULL : &status, NULL);
    else
        zkh_call_fail(u->call, rc, NULL);
    end(u);
}

static void on_created(int rc, const char *path, const struct Stat *stat, const void *data)
{
    done(rc, path, stat, (struct under_way *)data);
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
    done(rc, NULL, stat, (struct under_way *)data);
}

static void on_void(int rc, const void *data)
{
    done(rc, NULL, NULL, (struct under_way *)data);
}

static void on_synced(int rc, const char *path, const void *data)
{
    done(rc, path, NULL, (struct under_way *)data);
}

static void on_data(int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
    struct under_way *u = (struct under_way *)data;
    zkh_stat status = stat_of(stat);
    if (rc == ZOK)
        zkh_call_data(u->call, value, len < 0 ? 0 : (size_t)len, &status, NULL);
    else
        zkh_call_fail(u->call, rc, NULL);
    end(u);
}

static void on_children(int rc, const struct String_vector *names, const struct Stat *stat, const void *data)
{
    struct under_way *u = (struct under_way *)data;
    zkh_stat status = stat_of(stat);
    if (rc == ZOK)
        zkh_call_children(u->call, (const char *const *)names->data, (size_t)names->count, &status, NULL);
    else
        zkh_call_fail(u->call, rc, NULL);
    end(u);
}

static void on_multi(int rc, const void *data)
{
    struct under_way *u = (struct under_way *)data;
    zkh_status *statuses = calloc(u->parts, sizeof *statuses);
    const char **paths = calloc(u->parts, sizeof *paths);
    zkh_stat *stats = calloc(u->parts, sizeof *stats);
    /* Without a result for each part nothing is known of them. */
    bool known = rc == ZOK;
    for (size_t i = 0; i < u->parts; i++) {
        statuses[i] = u->results[i].err;
        paths[i] = u->paths[i];
        stats[i] = stat_of(&u->stats[i]);
        known |= u->results[i].err == rc;
    }
    if (known)
        zkh_call_multi(u->call, statuses, paths, stats, u->parts, NULL);
    else
        zkh_call_fail(u->call, rc, NULL);
    free(statuses);
    free(paths);
    free(stats);
    end(u);
}

/* A watch of the Apache client also hears of its session. */
static void on_watch(zhandle_t *zh, int type, int state, const char *path, void *context)
{
    (void)zh, (void)path;
    zkh_lent_watch watch = {(uint64_t)(uintptr_t)context};
    if (type != ZOO_SESSION_EVENT)
        zkh_lent_watch_fire(watch, type, NULL);
    else if (state == ZOO_EXPIRED_SESSION_STATE)
        zkh_lent_watch_fire(watch, ZKH_EVENT_SESSION_LOST, NULL);
}

static void part(struct under_way *u, const zkh_request *request, size_t i)
{
    const char *path = zkh_request_path(request, i);
    size_t len = 0;
    const void *data = zkh_request_data(request, i, &len);
    int version = zkh_request_version(request, i);
    switch (zkh_request_part(request, i)) {
    case ZKH_REQUEST_CREATE:
        u->acls[i] = acl_of(request, i);
        zoo_create_op_init(&u->ops[i], path, data, (int)len, &u->acls[i], mode_of(request, i), u->paths[i],
                           sizeof u->paths[i]);
        break;
    case ZKH_REQUEST_DELETE: zoo_delete_op_init(&u->ops[i], path, version); break;
    case ZKH_REQUEST_SET: zoo_set_op_init(&u->ops[i], path, data, (int)len, version, &u->stats[i]); break;
    default: zoo_check_op_init(&u->ops[i], path, version);
    }
}

/* Begins each request and returns; the Apache client's thread completes it. */
static void on_request(void *user_data, zkh_call call, const zkh_request *request)
{
    (void)user_data;
    const char *path = zkh_request_path(request, 0);
    size_t len = 0, parts = zkh_request_count(request);
    const void *data = zkh_request_data(request, 0, &len);
    int version = zkh_request_version(request, 0), rc = ZUNIMPLEMENTED;
    void *context = (void *)(uintptr_t)zkh_request_watch(request).id;
    watcher_fn watch = context == NULL ? NULL : on_watch;
    struct under_way *u = begin(call, parts);
    switch (zkh_request_operation(request)) {
    case ZKH_REQUEST_CREATE:
        u->acls[0] = acl_of(request, 0);
        rc = zoo_acreate2(zoo, path, data, (int)len, &u->acls[0], mode_of(request, 0), on_created, u);
        break;
    case ZKH_REQUEST_DELETE: rc = zoo_adelete(zoo, path, version, on_void, u); break;
    case ZKH_REQUEST_EXISTS: rc = zoo_awexists(zoo, path, watch, context, on_stat, u); break;
    case ZKH_REQUEST_GET: rc = zoo_awget(zoo, path, watch, context, on_data, u); break;
    case ZKH_REQUEST_SET: rc = zoo_aset(zoo, path, data, (int)len, version, on_stat, u); break;
    case ZKH_REQUEST_CHILDREN: rc = zoo_awget_children2(zoo, path, watch, context, on_children, u); break;
    case ZKH_REQUEST_SYNC: rc = zoo_async(zoo, path, on_synced, u); break;
    case ZKH_REQUEST_MULTI:
        for (size_t i = 0; i < parts; i++)
            part(u, request, i);
        rc = zoo_amulti(zoo, (int)parts, u->ops, u->results, on_multi, u);
    }
    if (rc != ZOK) {
        zkh_call_fail(call, rc, NULL);
        end(u);
    }
}

static void on_session(zhandle_t *zh, int type, int state, const char *path, void *context)
{
    (void)path, (void)context;
    if (type != ZOO_SESSION_EVENT)
        return;
    if (state == ZOO_CONNECTED_STATE)
        zkh_client_lent_state(client, ZKH_STATE_CONNECTED, zoo_client_id(zh)->client_id, zoo_recv_timeout(zh), NULL);
    else if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE)
        zkh_client_lent_state(client, ZKH_STATE_CLOSED, 0, 0, NULL);
    else
        zkh_client_lent_state(client, ZKH_STATE_SUSPENDED, 0, 0, NULL);
}

int main(int argc, char **argv)
{
    zkh_lend lend = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;

    if (argc < 2) {
        fprintf(stderr, "usage: lent HOST:PORT\n");
        return 2;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
    zkh_status status = zkh_lend_new(&lend, &err);
    for (int32_t operation = ZKH_REQUEST_CREATE; status == ZKH_OK && operation <= ZKH_REQUEST_SYNC; operation++)
        status = zkh_lend_set(lend, operation, on_request, &err);
    if (status == ZKH_OK)
        status = zkh_client_lend(lend, NULL, NULL, NULL, &client, &err);
    if (status == ZKH_OK && (zoo = zookeeper_init(argv[1], on_session, 10000, NULL, NULL, 0)) != NULL
        && zkh_client_wait_connected(client, 10000, &err) == ZKH_OK
        && zkh_mutex_new(client, "/zk/demo/lent", NULL, &mutex, &err) == ZKH_OK
        && zkh_mutex_lock(mutex, 10000, "over the Apache client's connection", &err) == ZKH_OK) {
        printf("held over session %" PRIx64 " with token %" PRId64 ", for at least %" PRId64 " ms\n",
               (uint64_t)zkh_client_session_id(client), zkh_mutex_token(mutex), zkh_mutex_valid_ms(mutex));
        zkh_mutex_unlock(mutex, &err);
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL || zoo == NULL;
    zkh_error_free(err);
    /* The lock first, then what is lent, then the connection. */
    zkh_mutex_free(mutex);
    zkh_client_close(client, 2000, NULL);
    if (zoo != NULL)
        zookeeper_close(zoo);
    zkh_client_free(client);
    zkh_lend_free(lend);
    return failed;
}
