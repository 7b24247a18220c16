/* Changes a node only while a lock is held, by one transaction with a check of the lock: guarded [HOST:PORT] */
#include <stdio.h>
#include <string.h>
#include <zkhelper.h>

#define TOP "/zk/demo/guarded"
#define REPORT TOP "/report"
#define LOCK TOP "/lock"

static zkh_error *err;

/* One write, which is made only while the mutex holds its lock. */
static zkh_status write_report(zkh_mutex mutex, const char *text)
{
    zkh_multi write = {0};
    zkh_status status = zkh_multi_new(&write, &err);
    if (status == ZKH_OK)
        status = zkh_multi_set(write, REPORT, text, strlen(text), -1, &err);
    if (status == ZKH_OK)
        status = zkh_mutex_guarded(mutex, write, NULL, &err);
    zkh_multi_free(write);
    return status;
}

static int run(zkh_client client, zkh_mutex mutex)
{
    zkh_result *result = NULL;
    char node[128] = "";
    if (zkh_tree_create_or_update(client, REPORT, NULL, 0, ZKH_CREATE_PERSISTENT, NULL, true, NULL, &err) != ZKH_OK
        || zkh_mutex_lock(mutex, 5000, "the report", &err) != ZKH_OK || write_report(mutex, "in time") != ZKH_OK)
        return 0;
    /* Somebody deletes the lock node, and has the lock next. */
    if (zkh_client_children(client, LOCK, &result, &err) != ZKH_OK)
        return 0;
    snprintf(node, sizeof node, "%s/%s", LOCK, zkh_result_name(result, 0));
    zkh_result_free(result);
    if (zkh_client_delete(client, node, -1, &err) != ZKH_OK)
        return 0;
    zkh_status status = write_report(mutex, "too late");
    /* NOT_HELD where the loss was told already. */
    if (status != ZKH_LOCK_LOST && status != ZKH_NOT_HELD)
        return 0;
    printf("the late write is refused\n");
    zkh_error_free(err);
    err = NULL;
    if (zkh_client_get(client, REPORT, &result, &err) != ZKH_OK)
        return 0;
    printf("the report says \"%s\"\n", (const char *)zkh_result_data(result, NULL));
    zkh_result_free(result);
    return zkh_tree_delete(client, TOP, -1, &err) == ZKH_OK;
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    /* "embedded" is a server inside this process, to try things with. */
    int well = zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
               && zkh_mutex_new(client, LOCK, NULL, &mutex, &err) == ZKH_OK && run(client, mutex);
    if (!well)
        fprintf(stderr, "%s\n", err != NULL ? zkh_error_message(err) : "a write without the lock");
    zkh_mutex_free(mutex);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return !well;
}
