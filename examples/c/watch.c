/*
 * Keeps a copy of a node's data up to date, and says what changes below it: watch [HOST:PORT [PATH]]
 *
 * Without arguments it changes a node of its own three times, on a server inside this process.
 */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <zkhelper.h>

static zkh_client client;
static const char *path = "/watched";
static sem_t deleted;

static const char *const events[] = {"", "created", "deleted", "changed", "has other children"};

static void complain(const zkh_error *error)
{
    fprintf(stderr, "%s\n", zkh_error_message(error));
}

/* The newest data; requests of one client are answered in order, so no older ones come behind them. */
static void on_data(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    (void)user_data;
    if (status == ZKH_OK)
        printf("the data are \"%s\"\n", (const char *)zkh_result_data(result, NULL));
    else if (status == ZKH_NO_NODE)
        printf("there is no node\n");
    else
        complain(error);
    fflush(stdout);
}

/* Runs on a thread of the library: what it asks for must not wait. */
static void on_event(void *user_data, int32_t event, const char *where)
{
    (void)user_data;
    if (event == ZKH_EVENT_MAY_HAVE_MISSED)
        printf("the connection was away; reading again\n");
    else if (event <= ZKH_EVENT_CHILDREN_CHANGED)
        printf("%s %s\n", where, events[event]);
    fflush(stdout);
    if (event == ZKH_EVENT_MAY_HAVE_MISSED || strcmp(where, path) == 0)
        zkh_client_get_async(client, path, on_data, NULL, NULL, NULL, NULL);
    if (event == ZKH_EVENT_DELETED && strcmp(where, path) == 0)
        sem_post(&deleted);
}

int main(int argc, char **argv)
{
    zkh_watch watch = {0};
    zkh_error *err = NULL;

    sem_init(&deleted, 0, 0);
    if (argc > 2)
        path = argv[2];
    if (zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
        && zkh_client_watch(client, path, ZKH_WATCH_RECURSIVE, on_event, NULL, NULL, &watch, NULL, &err) == ZKH_OK) {
        if (argc > 2) {
            printf("watching %s until a line is read\n", path);
            fflush(stdout);
            getchar();
        } else if (zkh_client_create(client, path, "one", 3, ZKH_CREATE_PERSISTENT, 0, NULL, NULL, &err) == ZKH_OK
                   && zkh_client_set(client, path, "two", 3, -1, NULL, &err) == ZKH_OK
                   && zkh_client_delete(client, path, -1, &err) == ZKH_OK) {
            sem_wait(&deleted); /* it is told on the other thread */
        }
    }
    if (err != NULL)
        complain(err);
    int failed = err != NULL;
    zkh_watch_free(watch); /* on_event is not called any more */
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client); /* nor is on_data */
    sem_destroy(&deleted);
    zkh_error_free(err);
    return failed;
}
