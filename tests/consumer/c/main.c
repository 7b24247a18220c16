/* Takes a lock on a server inside this process. */
#include <inttypes.h>
#include <stdio.h>
#include <zkhelper.h>

int main(void)
{
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;

    if (zkh_client_connect("embedded", NULL, &client, &err) == ZKH_OK
        && zkh_mutex_new(client, "/consumer/c", NULL, &mutex, &err) == ZKH_OK
        && zkh_mutex_lock(mutex, -1, NULL, &err) == ZKH_OK) {
        printf("zkhelper %s: held in C, token %" PRId64 "\n", zkh_version(), zkh_mutex_token(mutex));
        zkh_mutex_unlock(mutex, &err);
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    zkh_mutex_free(mutex);
    zkh_client_free(client);
    return err != NULL;
}
