/*
 * Very many asynchronous locks wait at once, asked for by one thread: many ADDRESS PATH PATHS WAITERS
 *
 * On each of PATHS paths one lock is held and WAITERS wait. Steps are taken when a line is read: "status" tells the
 * threads and the memory, "go" cancels every tenth and lets the others through, "end" ends.
 */
#include "check.h"

struct waiter {
    zkh_mutex mutex;
    zkh_op op;
    int calls, destroyed;
    zkh_status status;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int over, served, cancelled;

static void released(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    (void)user_data, (void)value;
    if (status != ZKH_OK)
        fprintf(stderr, "%s\n", zkh_error_message(error));
    CHECK(status == ZKH_OK);
    pthread_mutex_lock(&lock);
    over++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void granted(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    struct waiter *w = user_data;
    w->calls++;
    w->status = status;
    if (status == ZKH_OK) {
        CHECK(value > 0);
        served++;
        CHECK(zkh_mutex_unlock_async(w->mutex, released, NULL, NULL, NULL) == ZKH_OK);
        return;
    }
    if (status != ZKH_CANCELLED)
        fprintf(stderr, "%s\n", zkh_error_message(error));
    CHECK(status == ZKH_CANCELLED);
    cancelled++;
    pthread_mutex_lock(&lock);
    over++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void waiter_destroyed(void *user_data)
{
    ((struct waiter *)user_data)->destroyed++;
}

static void status(const char *when)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    printf("%s:", when);
    while (fgets(line, sizeof line, file) != NULL)
        if (!strncmp(line, "Threads:", 8) || !strncmp(line, "VmRSS:", 6) || !strncmp(line, "VmHWM:", 6)) {
            line[strcspn(line, "\n")] = 0;
            printf(" %s", line);
        }
    fclose(file);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    CHECK(argc > 4);
    int paths = atoi(argv[3]), each = atoi(argv[4]), count = paths * each;
    struct waiter *waiters = calloc((size_t)count, sizeof *waiters);
    zkh_mutex *holders = calloc((size_t)paths, sizeof *holders);
    zkh_client_options options = {0};
    zkh_client client = {0};
    CHECK(waiters != NULL && holders != NULL);
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_session_timeout_ms(options, 60000, &err));
    OK(zkh_client_connect(argv[1], &options, &client, &err));
    status("connected");
    for (int i = 0; i < paths; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%d", argv[2], i);
        OK(zkh_mutex_new(client, path, NULL, &holders[i], &err));
        OK(zkh_mutex_lock(holders[i], -1, "holder", &err));
        for (int j = 0; j < each; j++) {
            struct waiter *w = &waiters[i * each + j];
            OK(zkh_mutex_new(client, path, NULL, &w->mutex, &err));
            OK(zkh_mutex_lock_async(w->mutex, -1, "waiter", granted, w, waiter_destroyed, &w->op, &err));
        }
    }
    printf("asked\n");
    fflush(stdout);

    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (!strcmp(line, "status\n"))
            status("waiting");
        if (!strcmp(line, "go\n")) {
            for (int i = 0; i < count; i += 10)
                OK(zkh_op_cancel(waiters[i].op, &err));
            for (int i = 0; i < paths; i++)
                OK(zkh_mutex_unlock(holders[i], &err));
            pthread_mutex_lock(&lock);
            while (over < count)
                pthread_cond_wait(&changed, &lock);
            pthread_mutex_unlock(&lock);
            status("served");
            printf("%d served, %d cancelled\n", served, cancelled);
            fflush(stdout);
        }
        if (!strcmp(line, "end\n"))
            break;
    }
    for (int i = 0; i < count; i++) {
        CHECK(zkh_mutex_free(waiters[i].mutex) == ZKH_OK);
        CHECK(waiters[i].calls == 1 && waiters[i].destroyed == 1);
    }
    for (int i = 0; i < paths; i++)
        CHECK(zkh_mutex_free(holders[i]) == ZKH_OK);
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK && zkh_client_options_free(options) == ZKH_OK);
    free(waiters);
    free(holders);
    printf("over\n");
    return 0;
}
