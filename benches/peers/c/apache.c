/* A lock by hand on the Apache C client: the usual recipe, with create and list in one flight. */
#define _POSIX_C_SOURCE 200809L
#define THREADED
#include "rows.h"

#include <zookeeper/zookeeper.h>

static void connected(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle, (void)path;
    if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE)
        sem_post(context);
}

void *client_connect(const char *address)
{
    sem_t up;
    sem_init(&up, 0, 0);
    zoo_set_debug_level(0);
    zhandle_t *handle = zookeeper_init(address, connected, 30000, NULL, &up, 0);
    check(handle != NULL, "zookeeper_init");
    sem_wait(&up);
    zoo_set_context(handle, NULL);
    zoo_set_watcher(handle, NULL);
    return handle;
}

void client_close(void *client)
{
    zookeeper_close(client);
}

void client_make(void *client, const char *path)
{
    char part[PATH];
    for (size_t i = 1; i <= strlen(path); i++)
        if (path[i] == '/' || path[i] == 0) {
            snprintf(part, sizeof part, "%.*s", (int)i, path);
            int code = zoo_create(client, part, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
            check(code == ZOK || code == ZNODEEXISTS, "create");
        }
}

int client_count(void *client, const char *path)
{
    struct String_vector names;
    check(zoo_get_children(client, path, 0, &names) == ZOK, "list");
    int count = names.count;
    deallocate_String_vector(&names);
    return count;
}

void worker_init(struct worker *worker)
{
    (void)worker;
}

void worker_free(struct worker *worker)
{
    (void)worker;
}

static void deleted(int code, const void *data)
{
    struct worker *worker = (struct worker *)data;
    check(code == ZOK, "delete");
    if (worker->left > 0 && --worker->left > 0)
        worker_start(worker);
    else
        sem_post(worker->done);
}

/* It holds the lock: in a row of callbacks it lets go at once. */
static void granted(struct worker *worker)
{
    if (worker->left > 0)
        check(zoo_adelete(worker->client, worker->node, -1, deleted, worker) == ZOK, "delete");
    else
        sem_post(worker->done);
}

static void list(struct worker *worker);

static void gone(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle, (void)state, (void)path;
    if (type == ZOO_DELETED_EVENT)
        list(context);
}

static void watched(int code, const char *value, int length, const struct Stat *stat, const void *data)
{
    (void)value, (void)length, (void)stat;
    if (code == ZNONODE)
        list((struct worker *)data);
    else
        check(code == ZOK, "get");
}

static void listed(int code, const struct String_vector *names, const void *data)
{
    struct worker *worker = (struct worker *)data;
    check(code == ZOK, "list");
    const char *own = strrchr(worker->node, '/') + 1, *before = NULL;
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->data[i], own) < 0 && (before == NULL || strcmp(names->data[i], before) > 0))
            before = names->data[i];
    if (before == NULL) {
        granted(worker);
        return;
    }
    char at[2 * PATH];
    snprintf(at, sizeof at, "%s/%s", worker->path, before);
    check(zoo_awget(worker->client, at, gone, worker, watched, worker) == ZOK, "get");
}

static void list(struct worker *worker)
{
    check(zoo_aget_children(worker->client, worker->path, 0, listed, worker) == ZOK, "list");
}

static void created(int code, const char *name, const void *data)
{
    struct worker *worker = (struct worker *)data;
    check(code == ZOK, "create");
    snprintf(worker->node, sizeof worker->node, "%s", name);
}

void worker_start(struct worker *worker)
{
    char at[PATH + 10];
    snprintf(at, sizeof at, "%s/lock-", worker->path);
    int code = zoo_acreate(worker->client, at, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE, created,
        worker);
    check(code == ZOK, "create");
    list(worker);
}

void lock_take(struct worker *worker)
{
    sem_t done;
    sem_init(&done, 0, 0);
    worker->done = &done;
    worker_start(worker);
    sem_wait(&done);
}

void lock_release(struct worker *worker)
{
    check(zoo_delete(worker->client, worker->node, -1) == ZOK, "delete");
}

/* It has no election: a bare lock stands in. */
struct candidate {
    struct worker worker;
    void (*led)(void);
    pthread_t thread;
    volatile bool over;
};

static void *stand(void *data)
{
    struct candidate *candidate = data;
    while (!candidate->over) {
        lock_take(&candidate->worker);
        candidate->led();
        lock_release(&candidate->worker);
    }
    return NULL;
}

void *candidate_start(void *client, const char *path, void (*led)(void))
{
    struct candidate *candidate = calloc(1, sizeof *candidate);
    check(candidate != NULL, "calloc");
    worker_set(&candidate->worker, client, path, 0, NULL);
    candidate->led = led;
    check(pthread_create(&candidate->thread, NULL, stand, candidate) == 0, "thread");
    return candidate;
}

void candidate_stop(void *data)
{
    struct candidate *candidate = data;
    candidate->over = true;
    pthread_join(candidate->thread, NULL);
    free(candidate);
}
