/* Works under a lock only while the lock is certain to be held: watchful [HOST:PORT] */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <zkhelper.h>

static atomic_bool lost;

/* Runs on a thread of the library, by the end of zkh_mutex_valid_ms at the latest. */
static void on_lost(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data;
    atomic_store(&lost, true);
    fprintf(stderr, "the lock with token %" PRId64 " is lost, for reason %" PRId32 "\n", token, reason);
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;

    /* "embedded" is a server inside this process, to try things with. */
    if (zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
        && zkh_mutex_new(client, "/zk/demo/watchful", NULL, &mutex, &err) == ZKH_OK
        && zkh_mutex_on_lost(mutex, on_lost, NULL, NULL, &err) == ZKH_OK
        && zkh_mutex_lock(mutex, 5000, "careful work", &err) == ZKH_OK) {
        for (int step = 1; step <= 3 && !atomic_load(&lost); step++) {
            /* A step that takes a second at most is begun only if a second is left. */
            if (zkh_mutex_valid_ms(mutex) < 1000)
                break;
            printf("step %d under token %" PRId64 "\n", step, zkh_mutex_token(mutex));
        }
        zkh_mutex_unlock(mutex, &err); /* says so if the lock was lost meanwhile */
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_mutex_free(mutex);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
