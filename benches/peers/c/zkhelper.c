/* zkhelper from C: callbacks where many wait, one thread where one does. */
#define _POSIX_C_SOURCE 200809L
#include "rows.h"

#include <zkhelper.h>

static void good(zkh_status status, zkh_error *err)
{
    if (status != ZKH_OK)
        check(false, zkh_error_message(err));
}

static zkh_client of(void *client)
{
    return *(zkh_client *)client;
}

void *client_connect(const char *address)
{
    zkh_client *client = calloc(1, sizeof *client);
    zkh_client_options options = {0};
    zkh_error *err = NULL;
    check(client != NULL, "calloc");
    good(zkh_client_options_new(&options, &err), err);
    good(zkh_client_options_set_session_timeout_ms(options, 30000, &err), err);
    good(zkh_client_connect(address, &options, client, &err), err);
    zkh_client_options_free(options);
    return client;
}

void client_close(void *client)
{
    zkh_error *err = NULL;
    good(zkh_client_close(of(client), 30000, &err), err);
    zkh_client_free(of(client));
    free(client);
}

void client_make(void *client, const char *path)
{
    zkh_error *err = NULL;
    zkh_status status = zkh_tree_create(of(client), path, NULL, 0, ZKH_CREATE_PERSISTENT, NULL, NULL, &err);
    if (status != ZKH_NODE_EXISTS)
        good(status, err);
    zkh_error_free(err);
}

int client_count(void *client, const char *path)
{
    zkh_result *result = NULL;
    zkh_error *err = NULL;
    good(zkh_client_children(of(client), path, &result, &err), err);
    int count = (int)zkh_result_count(result);
    zkh_result_free(result);
    return count;
}

void worker_init(struct worker *worker)
{
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;
    good(zkh_mutex_new(of(worker->client), worker->path, NULL, &mutex, &err), err);
    worker->lock = mutex.id;
}

void worker_free(struct worker *worker)
{
    zkh_mutex_free((zkh_mutex){worker->lock});
}

static void locked(void *user, zkh_status status, int64_t value, const zkh_error *error);

static void unlocked(void *user, zkh_status status, int64_t value, const zkh_error *error)
{
    struct worker *worker = user;
    (void)value, (void)error;
    check(status == ZKH_OK, "unlock");
    if (--worker->left > 0)
        worker_start(worker);
    else
        sem_post(worker->done);
}

static void locked(void *user, zkh_status status, int64_t value, const zkh_error *error)
{
    struct worker *worker = user;
    zkh_error *err = NULL;
    (void)value, (void)error;
    check(status == ZKH_OK, "lock");
    good(zkh_mutex_unlock_async((zkh_mutex){worker->lock}, unlocked, worker, NULL, &err), err);
}

void worker_start(struct worker *worker)
{
    zkh_error *err = NULL;
    good(zkh_mutex_lock_async((zkh_mutex){worker->lock}, -1, NULL, locked, worker, NULL, NULL, &err), err);
}

void lock_take(struct worker *worker)
{
    zkh_error *err = NULL;
    good(zkh_mutex_lock((zkh_mutex){worker->lock}, -1, NULL, &err), err);
}

void lock_release(struct worker *worker)
{
    zkh_error *err = NULL;
    good(zkh_mutex_unlock((zkh_mutex){worker->lock}, &err), err);
}

struct candidate {
    zkh_elector elector;
    void (*led)(void);
};

static void elected(void *user, int64_t token, int64_t valid_ms)
{
    struct candidate *candidate = user;
    (void)token, (void)valid_ms;
    candidate->led();
    zkh_elector_resign(candidate->elector, NULL);
}

static void over(void *user, zkh_status status, int64_t value, const zkh_error *error)
{
    (void)user, (void)status, (void)value, (void)error;
}

void *candidate_start(void *client, const char *path, void (*led)(void))
{
    struct candidate *candidate = calloc(1, sizeof *candidate);
    zkh_error *err = NULL;
    check(candidate != NULL, "calloc");
    candidate->led = led;
    good(zkh_elector_new(of(client), path, NULL, &candidate->elector, &err), err);
    good(zkh_elector_start(candidate->elector, elected, NULL, over, candidate, NULL, &err), err);
    return candidate;
}

void candidate_stop(void *candidate)
{
    zkh_elector_free(((struct candidate *)candidate)->elector);
    free(candidate);
}
