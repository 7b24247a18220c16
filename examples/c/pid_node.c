/* Says by a node that this program runs, and hears what becomes of it: pid_node [HOST:PORT] */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zkhelper.h>

static void heard(void *user_data, int32_t event, int32_t loss, const zkh_error *error)
{
    (void)user_data;
    if (event == ZKH_PID_MADE)
        printf("the node is there\n");
    else if (event == ZKH_PID_LOST)
        printf("the node is lost (%d), and is made again\n", (int)loss);
    else
        printf("the node cannot be made for now: %s\n", zkh_error_message(error));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_pid_node node = {0};
    zkh_error *err = NULL;
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());

    /* Another program's node is waited for, and never taken while that program lives. */
    if (zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
        && zkh_tree_create_or_update(client, "/zk/pids", NULL, 0, ZKH_CREATE_PERSISTENT, NULL, true, NULL, &err) == ZKH_OK
        && zkh_pid_node_new(client, "/zk/pids/example", pid, strlen(pid), NULL, &node, &err) == ZKH_OK
        && zkh_pid_node_on_event(node, heard, NULL, NULL, &err) == ZKH_OK
        && zkh_pid_node_start(node, &err) == ZKH_OK) {
        /* The program does its work here. Somebody deletes the node, say. */
        sleep(1);
        zkh_client_delete(client, "/zk/pids/example", -1, NULL);
        sleep(1);
        if (zkh_pid_node_close(node, &err) == ZKH_OK)
            printf("the node is gone\n");
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_pid_node_free(node);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
