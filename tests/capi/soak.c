/*
 * Everything again and again: soak ADDRESS SECONDS
 *
 * Each round connects, locks and unlocks, waits in vain, watches, leads, queues, makes a pid node, closes and frees.
 * In between, when nothing is left open, a line tells what the process has: descriptors, threads, memory, and the
 * greatest slot of a handle, which is the most that were alive at once.
 */
#include "check.h"
#include <dirent.h>
#include <inttypes.h>
#include <time.h>

static uint64_t greatest;

/* Keeps the greatest slot: the middle three bytes of an id. */
static void seen(uint64_t id)
{
    uint64_t slot = id >> 24 & 0xffffff;
    if (slot > greatest)
        greatest = slot;
}

static int descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* A line of the process's status, by its format. A list of /proc/self/task misses threads while others end. */
static long status(const char *format)
{
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, format, &value) != 1)
        ;
    fclose(file);
    return value;
}

static long threads(void)
{
    return status("Threads: %ld");
}

static time_t seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec;
}

struct term {
    struct outcome over;
    zkh_elector elector;
    int elected;
};

static void elected(void *user_data, int64_t token, int64_t valid_ms)
{
    struct term *t = user_data;
    (void)token, (void)valid_ms;
    t->elected++;
    CHECK(zkh_elector_interrupt(t->elector, NULL) == ZKH_OK);
}

static void over(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    struct term *t = user_data;
    done(&t->over, status, value, error);
}

static void gone(void *user_data)
{
    destroy(&((struct term *)user_data)->over);
}

static void told(void *user_data, int32_t event, const char *path)
{
    (void)event, (void)path;
    ++*(int *)user_data;
}

static void changed(void *user_data, int32_t state, int64_t session, int64_t before, const zkh_error *reason)
{
    (void)user_data, (void)state, (void)session, (void)before, (void)reason;
}

static void lock_and_unlock(zkh_client client, zkh_client other)
{
    zkh_mutex_options options = {0};
    zkh_mutex one = {0}, two = {0};
    zkh_op op = {0};
    OK(zkh_mutex_options_new(&options, &err));
    OK(zkh_mutex_options_set_strict(options, 10000, 10000, &err));
    OK(zkh_mutex_new(client, "/soak/lock", &options, &one, &err));
    OK(zkh_mutex_new(other, "/soak/lock", &options, &two, &err));
    seen(one.id), seen(two.id);
    OK(zkh_mutex_lock(one, -1, "soak", &err));
    FAILS(zkh_mutex_lock(two, 3, "soak", &err), ZKH_TIMEOUT, NULL);
    struct outcome cancelled = OUTCOME, granted = OUTCOME;
    OK(zkh_mutex_lock_async(two, -1, "soak", done, &cancelled, destroy, &op, &err));
    seen(op.id);
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&cancelled) == ZKH_CANCELLED);
    OK(zkh_mutex_lock_async(two, -1, "soak", done, &granted, destroy, NULL, &err));
    OK(zkh_mutex_unlock(one, &err));
    CHECK(await(&granted) == ZKH_OK);
    OK(zkh_mutex_unlock(two, &err));
    CHECK(zkh_mutex_free(one) == ZKH_OK && zkh_mutex_free(two) == ZKH_OK);
    CHECK(zkh_mutex_options_free(options) == ZKH_OK);
}

static void watch(zkh_client client, zkh_client other)
{
    zkh_watch watch = {0}, once = {0};
    zkh_result *result = NULL;
    int events = 0, more = 0;
    OK(zkh_client_watch(client, "/soak/watched", ZKH_WATCH_PERSISTENT, told, &events, NULL, &watch, NULL, &err));
    OK(zkh_client_watch(client, "/soak/watched", ZKH_WATCH_EXISTS, told, &more, NULL, &once, NULL, &err));
    seen(watch.id), seen(once.id);
    OK(zkh_client_create(other, "/soak/watched", "x", 1, ZKH_CREATE_PERSISTENT, 0, NULL, &result, &err));
    zkh_result_free(result);
    OK(zkh_client_delete(other, "/soak/watched", -1, &err));
    CHECK(zkh_watch_free(watch) == ZKH_OK && zkh_watch_free(once) == ZKH_OK);
}

static void lead(zkh_client client)
{
    struct term term = {.over = OUTCOME};
    OK(zkh_elector_new(client, "/soak/election", NULL, &term.elector, &err));
    seen(term.elector.id);
    OK(zkh_elector_start(term.elector, elected, NULL, over, &term, gone, &err));
    CHECK(await(&term.over) == ZKH_INTERRUPTED && term.elected == 1);
    CHECK(zkh_elector_free(term.elector) == ZKH_OK);
}

static void queue_and_pid_node(zkh_client client)
{
    zkh_queue_lock queue = {0};
    zkh_pid_node node = {0};
    OK(zkh_queue_lock_new(client, "/soak/queue", NULL, &queue, &err));
    OK(zkh_queue_lock_lock(queue, -1, "soak", &err));
    OK(zkh_queue_lock_unlock(queue, &err));
    OK(zkh_pid_node_new(client, "/soak/pid", "1", 1, NULL, &node, &err));
    seen(queue.id), seen(node.id);
    OK(zkh_pid_node_start(node, &err));
    OK(zkh_pid_node_close(node, &err));
    CHECK(zkh_queue_lock_free(queue) == ZKH_OK && zkh_pid_node_free(node) == ZKH_OK);
}

static void one_round(const char *address, int number)
{
    zkh_client clients[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        OK(zkh_client_connect(address, NULL, &clients[i], &err));
        OK(zkh_client_on_state(clients[i], changed, NULL, NULL, &err));
        seen(clients[i].id);
    }
    for (int i = 0; i < 5; i++) {
        lock_and_unlock(clients[0], clients[1]);
        watch(clients[0], clients[1]);
        lead(clients[i % 2]);
        queue_and_pid_node(clients[1]);
    }
    /* Closed by the caller, or by the free. */
    if (number % 2 == 0)
        for (int i = 0; i < 2; i++)
            OK(zkh_client_close(clients[i], -1, &err));
    for (int i = 0; i < 2; i++)
        CHECK(zkh_client_free(clients[i]) == ZKH_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    zkh_client client = {0};
    zkh_result *result = NULL;
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    OK(zkh_tree_create(client, "/soak", NULL, 0, ZKH_CREATE_PERSISTENT, NULL, &result, &err));
    zkh_result_free(result);
    time_t end = seconds() + atoi(argv[2]), next = 0;
    /* What is there with one client: the first round closes what it opened. */
    int most_descriptors = 0;
    long most_threads = 0;
    for (int rounds = 0; seconds() < end; rounds++) {
        one_round(argv[1], rounds);
        if (seconds() >= next) {
            for (int i = 0; rounds == 0 && i < 100; i++) {
                nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
                if (i == 0 || threads() < most_threads)
                    most_descriptors = descriptors(), most_threads = threads();
            }
            /* What a free left behind goes by itself, soon. */
            for (int i = 0; i < 6000 && (descriptors() > most_descriptors || threads() > most_threads); i++)
                nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
            printf("round %d fds %d threads %ld rss %ld slots %" PRIu64 "\n", rounds, descriptors(), threads(),
                   status("VmRSS: %ld"), greatest);
            fflush(stdout);
            next = seconds() + 1 + atoi(argv[2]) / 200;
        }
    }
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    puts("over");
    return 0;
}
