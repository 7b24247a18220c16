/*
 * A program that does nothing about signals, while its connections are reset: reset ADDRESS. It takes and
 * releases a lock for each line that it reads, and says how often it went well.
 */
#include "check.h"

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    char line[64];
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    OK(zkh_mutex_new(client, "/reset/lock", NULL, &mutex, &err));
    for (int n = 1; fgets(line, sizeof line, stdin) != NULL; n++) {
        OK(zkh_mutex_lock(mutex, -1, NULL, &err));
        zkh_status status = zkh_mutex_unlock(mutex, &err);
        if (status == ZKH_OK || status == ZKH_OUTCOME_UNKNOWN) {
            zkh_error_free(err);
            err = NULL;
        } else {
            FAILS(status, ZKH_OK, NULL);
        }
        printf("%d\n", n);
        fflush(stdout);
    }
    OK(zkh_client_close(client, -1, &err));
    zkh_mutex_free(mutex);
    zkh_client_free(client);
    printf("over\n");
    return 0;
}
