/* Puts a job into a queue, waits for its turn, and works on it: queue_lock [HOST:PORT] */
#include <stdio.h>
#include <string.h>
#include <zkhelper.h>

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_queue_lock queue = {0};
    zkh_result *job = NULL;
    zkh_error *err = NULL;

    /* The job is a node of our own; it is the caller's turn while no node of the queue has a lower name. */
    if (zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
        && zkh_tree_create(client, "/zk/queue/job-", "report", 6, ZKH_CREATE_EPHEMERAL_SEQUENTIAL, NULL, &job, &err) == ZKH_OK
        && zkh_queue_lock_new(client, "/zk/queue", NULL, &queue, &err) == ZKH_OK) {
        const char *name = strrchr(zkh_result_path(job), '/') + 1;
        if (zkh_queue_lock_obtain(queue, name, 5000, &err) == ZKH_OK) { /* waits 5 seconds at most */
            printf("working on %s\n", name);
            /* Deleting the node lets the next one in. */
            if (zkh_client_delete(client, zkh_result_path(job), -1, &err) == ZKH_OK)
                printf("done\n");
        }
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_result_free(job);
    zkh_queue_lock_free(queue);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
