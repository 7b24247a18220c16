/* Three locks are asked for at once, and none takes a thread to wait: lock_async [HOST:PORT] */
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <zkhelper.h>

struct work {
    const char *name;
    zkh_mutex mutex;
};

static sem_t done;

/* This work is over, well or not. */
static void over(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    const struct work *work = user_data;
    (void)value;
    if (status != ZKH_OK)
        fprintf(stderr, "%s: %s\n", work->name, zkh_error_message(error));
    sem_post(&done);
}

/* Runs on a thread of the library: what it asks for must not wait. */
static void granted(void *user_data, zkh_status status, int64_t token, const zkh_error *error)
{
    const struct work *work = user_data;
    if (status == ZKH_OK) {
        printf("%s holds the lock with token %" PRId64 "\n", work->name, token);
        status = zkh_mutex_unlock_async(work->mutex, over, user_data, NULL, NULL);
        error = NULL;
    }
    if (status != ZKH_OK)
        over(user_data, status, 0, error);
}

int main(int argc, char **argv)
{
    struct work all[] = {{"ann", {0}}, {"bob", {0}}, {"cid", {0}}};
    zkh_client client = {0};
    zkh_error *err = NULL;

    sem_init(&done, 0, 0);
    /* "embedded" is a server inside this process, to try things with. */
    zkh_status status = zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err);
    for (int i = 0; i < 3 && status == ZKH_OK; i++) {
        status = zkh_mutex_new(client, "/zk/demo/lock", NULL, &all[i].mutex, &err);
        if (status == ZKH_OK)
            status = zkh_mutex_lock_async(all[i].mutex, 5000, all[i].name, granted, &all[i], NULL, NULL, &err);
    }
    for (int i = 0; i < 3 && status == ZKH_OK; i++)
        while (sem_wait(&done) != 0) {
        }
    if (status != ZKH_OK)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    /* Behind this none of its callbacks runs. */
    for (int i = 0; i < 3; i++)
        zkh_mutex_free(all[i].mutex);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return status != ZKH_OK;
}
