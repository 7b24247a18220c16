/*
 * Takes a lock, holds it for a moment and passes it on, again and again:
 *
 *     handover HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]
 *
 * 0 rounds go on until the process is killed. Each line has the time in seconds, the name, the process
 * and what happens; times of processes on one machine may be compared.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zkhelper.h>

static const char *name;

static void say(const char *what, int64_t token)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%lld.%06ld %s pid=%ld %s", (long long)now.tv_sec, now.tv_nsec / 1000, name, (long)getpid(), what);
    if (token != 0)
        printf(" token=%" PRId64, token);
    printf("\n");
    fflush(stdout); /* Also what a killed process said is to be seen. */
}

static void rest(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int fail(zkh_error *err)
{
    fprintf(stderr, "%s: %s\n", name, zkh_error_message(err));
    zkh_error_free(err);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: %s HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]\n", argv[0]);
        return 2;
    }
    name = argv[2];
    long rounds = atol(argv[4]), hold_ms = atol(argv[5]);
    zkh_client_options options = {0};
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;

    if (zkh_client_options_new(&options, &err) != ZKH_OK
        || (argc > 6 && zkh_client_options_set_session_timeout_ms(options, atol(argv[6]), &err) != ZKH_OK)
        || zkh_client_connect(argv[1], &options, &client, &err) != ZKH_OK
        || zkh_mutex_new(client, argv[3], NULL, &mutex, &err) != ZKH_OK)
        return fail(err);
    zkh_client_options_free(options);

    for (long round = 0; rounds == 0 || round < rounds; round++) {
        say("waits", 0);
        if (zkh_mutex_lock(mutex, -1, name, &err) != ZKH_OK)
            return fail(err);
        say("holds", zkh_mutex_token(mutex));
        rest(hold_ms);
        /* The line comes first: once it is released, the other one may speak. */
        say("releases", zkh_mutex_token(mutex));
        if (zkh_mutex_unlock(mutex, &err) != ZKH_OK)
            return fail(err);
    }
    zkh_mutex_free(mutex);
    if (zkh_client_close(client, 5000, &err) != ZKH_OK)
        return fail(err);
    zkh_client_free(client);
    say("is done", 0);
    return 0;
}
