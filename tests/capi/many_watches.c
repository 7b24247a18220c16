/*
 * Very many watches that stay, while what they watch changes and the servers go and come:
 *
 *     many_watches WATCHER_ADDRESS CHANGER_ADDRESS EACH
 *
 * EACH nodes have a persistent watch, and as many a recursive one, whose child changes. One client watches, another
 * one sets data. Steps are taken when a line is read: "one" changes every node once, "go" changes them in turn until
 * "stop", "go on" waits for some of these changes, "missed" until every watch was told of a loss, "end" ends. Each change that a server confirmed is counted, and each event: what a watch was not told, it
 * was told that it may have missed.
 */
#include "check.h"
#include <stdatomic.h>

enum { WINDOW = 100, BATCH = 500 };

struct node {
    char path[48]; /* What changes. */
    char watched[48];
    /* Changes that were confirmed, and such that may or may not have been made; there is one at a time. */
    int confirmed, unknown;
    bool changing;
    /* Events; how often it was told that some may have been missed; and since that was told last: events, and
       confirmed changes that were begun after it. */
    int events, missed, events_since, confirmed_since;
    bool begun_since;
    /* As read after the last event, and as it is. */
    int32_t known, real;
    zkh_watch watch;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct node *nodes;
static size_t count, armed, next;
static int in_flight, reads, destroyed_watches;
static bool stopped, single;
static zkh_client watcher, changer;

static void is_armed(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    (void)user_data, (void)result;
    if (status != ZKH_OK)
        fprintf(stderr, "%s\n", zkh_error_message(error));
    CHECK(status == ZKH_OK);
    pthread_mutex_lock(&lock);
    armed++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void has_read(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    struct node *n = user_data;
    zkh_stat stat;
    if (status != ZKH_OK)
        fprintf(stderr, "%s\n", zkh_error_message(error));
    CHECK(status == ZKH_OK && zkh_result_stat(result, &stat));
    pthread_mutex_lock(&lock);
    CHECK(stat.version >= n->known);
    n->known = stat.version;
    reads--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* As the header says: read again what you rely on. */
static void tell(void *user_data, int32_t event, const char *path)
{
    struct node *n = user_data;
    pthread_mutex_lock(&lock);
    if (event == ZKH_EVENT_MAY_HAVE_MISSED) {
        CHECK(strcmp(path, n->watched) == 0);
        n->missed++;
        n->events_since = n->confirmed_since = 0;
        n->begun_since = false;
    } else {
        CHECK(event == ZKH_EVENT_DATA_CHANGED && strcmp(path, n->path) == 0);
        n->events++;
        n->events_since++;
    }
    reads++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    CHECK(zkh_client_get_async(watcher, n->path, has_read, n, NULL, NULL, NULL) == ZKH_OK);
}

static void is_over(void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&lock);
    destroyed_watches++;
    pthread_mutex_unlock(&lock);
}

static void change(struct node *n);

/* The next in turn; the lock is held. */
static struct node *chosen(void)
{
    struct node *n = &nodes[next++ % count];
    CHECK(!n->changing);
    n->changing = n->begun_since = true;
    return n;
}

static void was_changed(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    struct node *n = user_data, *other = NULL;
    (void)result, (void)error;
    pthread_mutex_lock(&lock);
    n->changing = false;
    n->confirmed += status == ZKH_OK;
    n->confirmed_since += status == ZKH_OK && n->begun_since;
    n->unknown += status != ZKH_OK;
    if (!stopped && (!single || next < count))
        other = chosen();
    else
        in_flight--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (other != NULL)
        change(other);
}

static void change(struct node *n)
{
    CHECK(zkh_client_set_async(changer, n->path, "x", 1, -1, was_changed, n, NULL, NULL, NULL) == ZKH_OK);
}

/* Changes all nodes in turn: each once, or until they are told to stop. */
static void begin(bool once)
{
    pthread_mutex_lock(&lock);
    single = once;
    stopped = false;
    next = 0;
    in_flight = WINDOW;
    struct node *first[WINDOW];
    for (int i = 0; i < WINDOW; i++)
        first[i] = chosen();
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < WINDOW; i++)
        change(first[i]);
}

static bool is_known(const struct node *n)
{
    return n->known == n->real && (n->missed > 0 ? n->events_since >= n->confirmed_since : n->events == n->real);
}

/* Waits until no change is under way and everybody knows the last one, which an event that is lost without a word
   would prevent. */
static void settle(void)
{
    pthread_mutex_lock(&lock);
    while (in_flight > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    OK(zkh_client_sync(changer, "/many", &err));
    for (size_t i = 0; i < count; i++) {
        zkh_result *r = NULL;
        zkh_stat stat;
        OK(zkh_client_exists(changer, nodes[i].path, &r, &err));
        CHECK(zkh_result_stat(r, &stat));
        nodes[i].real = stat.version;
        zkh_result_free(r);
    }
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 300;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++) {
        struct node *n = &nodes[i];
        while (!is_known(n))
            if (pthread_cond_timedwait(&changed, &lock, &limit) != 0) {
                fprintf(stderr, "%s: known %d, really %d, %d changes confirmed, %d events, %d times missed, %d of %d since\n",
                        n->path, (int)n->known, (int)n->real, n->confirmed, n->events, n->missed, n->events_since,
                        n->confirmed_since);
                CHECK(is_known(n));
            }
    }
    while (reads > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* What was told is what was done, or a loss was told. */
static void compare(const char *when)
{
    long confirmed = 0, unknown = 0, events = 0, missed = 0, told = 0, real = 0;
    for (size_t i = 0; i < count; i++) {
        struct node *n = &nodes[i];
        CHECK(n->real >= n->confirmed && n->real <= n->confirmed + n->unknown);
        CHECK(n->events <= n->real && is_known(n));
        confirmed += n->confirmed, unknown += n->unknown, events += n->events, real += n->real;
        missed += n->real - n->events, told += n->missed;
    }
    printf("%s: %ld changes confirmed, %ld unknown, %ld made; %ld events; %ld missed, %ld times told so\n", when, confirmed,
           unknown, real, events, missed, told);
    fflush(stdout);
}

static zkh_client connect(const char *address)
{
    zkh_client_options options = {0};
    zkh_client c = {0};
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_session_timeout_ms(options, 60000, &err));
    OK(zkh_client_options_set_connect_timeout_ms(options, 60000, &err));
    OK(zkh_client_options_set_operation_timeout_ms(options, 300000, &err));
    OK(zkh_client_connect(address, &options, &c, &err));
    CHECK(zkh_client_options_free(options) == ZKH_OK);
    return c;
}

static void make_nodes(void)
{
    OK(zkh_client_create(changer, "/many", "", 0, 0, 0, NULL, NULL, &err));
    for (size_t i = 0; i < count;) {
        zkh_multi multi = {0};
        OK(zkh_multi_new(&multi, &err));
        for (size_t in_batch = 0; i < count && in_batch < BATCH; i++, in_batch++) {
            struct node *n = &nodes[i];
            bool recursive = i % 2;
            snprintf(n->watched, sizeof n->watched, "/many/n%05zu", i);
            snprintf(n->path, sizeof n->path, "/many/n%05zu%s", i, recursive ? "/child" : "");
            OK(zkh_multi_create(multi, n->watched, "", 0, 0, 0, NULL, &err));
            if (recursive)
                OK(zkh_multi_create(multi, n->path, "", 0, 0, 0, NULL, &err));
        }
        OK(zkh_multi_commit(changer, multi, NULL, &err));
        CHECK(zkh_multi_free(multi) == ZKH_OK);
    }
}

static void status(void)
{
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Threads:", 8) == 0 || strncmp(line, "VmRSS:", 6) == 0)
            printf("%s", line);
    fclose(file);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    CHECK(argc > 3);
    char line[64];
    count = 2 * strtoul(argv[3], NULL, 10);
    CHECK(count >= WINDOW);
    nodes = calloc(count, sizeof *nodes);
    CHECK(nodes != NULL);
    watcher = connect(argv[1]);
    changer = connect(argv[2]);
    make_nodes();
    for (size_t i = 0; i < count; i++)
        OK(zkh_client_watch_async(watcher, nodes[i].watched, i % 2 ? ZKH_WATCH_RECURSIVE : ZKH_WATCH_PERSISTENT, tell,
                                  &nodes[i], is_over, &nodes[i].watch, is_armed, NULL, NULL, NULL, &err));
    pthread_mutex_lock(&lock);
    while (armed < count)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    printf("armed\n");
    status();
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "end\n") != 0) {
        if (strcmp(line, "one\n") == 0) {
            begin(true);
            settle();
            compare("each once");
        } else if (strcmp(line, "go\n") == 0) {
            begin(false);
            pthread_mutex_lock(&lock);
            size_t enough = next + 500;
            while (next < enough)
                pthread_cond_wait(&changed, &lock);
            pthread_mutex_unlock(&lock);
            printf("going\n");
            fflush(stdout);
        } else if (strcmp(line, "go on\n") == 0) {
            /* As many changes as there are nodes, at least. */
            pthread_mutex_lock(&lock);
            size_t enough = next + count;
            while (next < enough)
                pthread_cond_wait(&changed, &lock);
            pthread_mutex_unlock(&lock);
            printf("went on\n");
            fflush(stdout);
        } else if (strcmp(line, "missed\n") == 0) {
            /* Until every watch was told; after it changes go on for a while, and are told. */
            pthread_mutex_lock(&lock);
            for (size_t i = 0; i < count; i++)
                while (nodes[i].missed == 0)
                    pthread_cond_wait(&changed, &lock);
            size_t enough = next + 500;
            while (next < enough)
                pthread_cond_wait(&changed, &lock);
            pthread_mutex_unlock(&lock);
            printf("every watch was told\n");
            fflush(stdout);
        } else if (strcmp(line, "stop\n") == 0) {
            pthread_mutex_lock(&lock);
            stopped = true;
            pthread_mutex_unlock(&lock);
            settle();
            compare("under changes");
        }
    }
    status();
    for (size_t i = 0; i < count; i++)
        CHECK(zkh_watch_free(nodes[i].watch) == ZKH_OK);
    CHECK(destroyed_watches == (int)count);
    OK(zkh_client_close(watcher, -1, &err));
    OK(zkh_client_close(changer, -1, &err));
    CHECK(zkh_client_free(watcher) == ZKH_OK && zkh_client_free(changer) == ZKH_OK);
    free(nodes);
    printf("over\n");
    return 0;
}
