/* The rows of the comparison for workers in C: what they share. */
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATHS = 64, SESSIONS = 16, PATH = 200 };

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static int earlier(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Answers; `each` is null where single cycles were not timed. */
static void answer(int cycles, double seconds, double *each)
{
    char median[40] = "null";
    if (each != NULL) {
        qsort(each, (size_t)cycles, sizeof *each, earlier);
        snprintf(median, sizeof median, "%.2f", each[cycles / 2] * 1e6);
    }
    printf("{\"cycles\": %d, \"seconds\": %.6f, \"median_us\": %s}\n", cycles, seconds, median);
    fflush(stdout);
}

/* One worker of a row: it goes through so many cycles, by callbacks, and then posts. */
struct worker {
    void *client;
    char path[PATH];
    char node[PATH];
    uint64_t lock;
    int left;
    sem_t *done;
};

/* What a client has to have. */
void *client_connect(const char *address);
void client_close(void *client);
void client_make(void *client, const char *path);
int client_count(void *client, const char *path);
void worker_init(struct worker *worker);
void worker_start(struct worker *worker);
void worker_free(struct worker *worker);
/* In this thread. */
void lock_take(struct worker *worker);
void lock_release(struct worker *worker);
/* Two candidates, each with its session; `led` is called when one leads, which gives up the lead when that returns. */
void *candidate_start(void *client, const char *path, void (*led)(void));
void candidate_stop(void *candidate);

static struct worker *workers_new(int count)
{
    struct worker *workers = calloc((size_t)count, sizeof *workers);
    check(workers != NULL, "calloc");
    return workers;
}

static void worker_set(struct worker *worker, void *client, const char *path, int left, sem_t *done)
{
    worker->client = client;
    snprintf(worker->path, sizeof worker->path, "%s", path);
    worker->left = left;
    worker->done = done;
    worker_init(worker);
}

static double run_all(struct worker *workers, int count, sem_t *done)
{
    double begin = now();
    for (int i = 0; i < count; i++)
        worker_start(&workers[i]);
    for (int i = 0; i < count; i++)
        sem_wait(done);
    double seconds = now() - begin;
    for (int i = 0; i < count; i++)
        worker_free(&workers[i]);
    free(workers);
    return seconds;
}

static void row_alone(const char *address, const char *path, int count)
{
    void *client = client_connect(address);
    client_make(client, path);
    struct worker *worker = workers_new(1);
    worker_set(worker, client, path, 0, NULL);
    double *each = calloc((size_t)count, sizeof *each);
    check(each != NULL, "calloc");
    double begin = now();
    for (int i = 0; i < count; i++) {
        double since = now();
        lock_take(worker);
        lock_release(worker);
        each[i] = now() - since;
    }
    answer(count, now() - begin, each);
    free(each);
    worker_free(worker);
    free(worker);
    client_close(client);
}

static void row_paths(const char *address, const char *path, int count)
{
    void *client = client_connect(address);
    struct worker *workers = workers_new(PATHS);
    sem_t done;
    sem_init(&done, 0, 0);
    for (int i = 0; i < PATHS; i++) {
        char at[PATH];
        int length = snprintf(at, sizeof at, "%s/%d", path, i);
        check(length > 0 && (size_t)length < sizeof at, "a shorter path");
        client_make(client, at);
        worker_set(&workers[i], client, at, count, &done);
    }
    answer(PATHS * count, run_all(workers, PATHS, &done), NULL);
    client_close(client);
}

static void row_handoff(const char *address, const char *path, int count)
{
    struct worker *workers = workers_new(SESSIONS);
    void *clients[SESSIONS];
    sem_t done;
    sem_init(&done, 0, 0);
    for (int i = 0; i < SESSIONS; i++) {
        clients[i] = client_connect(address);
        client_make(clients[i], path);
        worker_set(&workers[i], clients[i], path, count, &done);
    }
    answer(SESSIONS * count, run_all(workers, SESSIONS, &done), NULL);
    for (int i = 0; i < SESSIONS; i++)
        client_close(clients[i]);
}

static void row_drain(const char *address, const char *path, int count)
{
    void *client = client_connect(address);
    client_make(client, path);
    struct worker *first = workers_new(1), *workers = workers_new(count);
    sem_t done;
    sem_init(&done, 0, 0);
    worker_set(first, client, path, 0, NULL);
    lock_take(first);
    for (int i = 0; i < count; i++) {
        worker_set(&workers[i], client, path, 1, &done);
        worker_start(&workers[i]);
    }
    while (client_count(client, path) <= count)
        pause_ms(50);
    /* So that the last ones watch, too. */
    pause_ms(500);
    double begin = now();
    lock_release(first);
    for (int i = 0; i < count; i++)
        sem_wait(&done);
    answer(count, now() - begin, NULL);
    for (int i = 0; i < count; i++)
        worker_free(&workers[i]);
    free(workers);
    worker_free(first);
    free(first);
    client_close(client);
}

static sem_t leads, resign;
static double since;
static volatile bool over_with;

static void led(void)
{
    since = now();
    sem_post(&leads);
    if (!over_with)
        sem_wait(&resign);
}

/* A fail-over counts from when the leader is told to give up. */
static void row_election(const char *address, const char *path, int count)
{
    void *clients[2], *candidates[2];
    double *each = calloc((size_t)count, sizeof *each);
    check(each != NULL, "calloc");
    sem_init(&leads, 0, 0);
    sem_init(&resign, 0, 0);
    for (int i = 0; i < 2; i++) {
        clients[i] = client_connect(address);
        client_make(clients[i], path);
        candidates[i] = candidate_start(clients[i], path, led);
    }
    sem_wait(&leads);
    double begin = now();
    for (int i = 0; i < count; i++) {
        /* The other candidate stands ready by now. */
        pause_ms(20);
        double told = now();
        sem_post(&resign);
        sem_wait(&leads);
        each[i] = since - told;
    }
    answer(count, now() - begin, each);
    over_with = true;
    sem_post(&resign);
    for (int i = 0; i < 2; i++)
        candidate_stop(candidates[i]);
    over_with = false;
    for (int i = 0; i < 2; i++)
        client_close(clients[i]);
    free(each);
}

int main(int argc, char **argv)
{
    check(argc == 2, "usage: worker ADDRESS");
    char line[PATH * 2], row[PATH], path[PATH];
    int count;
    while (fgets(line, sizeof line, stdin) != NULL) {
        check(sscanf(line, "%199s %199s %d", row, path, &count) == 3, line);
        if (strcmp(row, "alone") == 0)
            row_alone(argv[1], path, count);
        else if (strcmp(row, "paths") == 0)
            row_paths(argv[1], path, count);
        else if (strcmp(row, "handoff") == 0)
            row_handoff(argv[1], path, count);
        else if (strcmp(row, "drain") == 0)
            row_drain(argv[1], path, count);
        else if (strcmp(row, "election") == 0)
            row_election(argv[1], path, count);
        else
            check(false, row);
    }
    return 0;
}
