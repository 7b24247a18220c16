/* Takes a lock and releases it: lock HOST:PORT */
#include <inttypes.h>
#include <stdio.h>
#include <zkhelper.h>

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;

    if (zkh_client_connect(argc > 1 ? argv[1] : "127.0.0.1:2181", NULL, &client, &err) == ZKH_OK
        && zkh_mutex_new(client, "/zk/demo/lock", NULL, &mutex, &err) == ZKH_OK
        && zkh_mutex_lock(mutex, 5000, "nightly report", &err) == ZKH_OK) { /* waits 5 seconds at most */
        printf("held; the fencing token is %" PRId64 "\n", zkh_mutex_token(mutex));
        zkh_mutex_unlock(mutex, &err);
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
