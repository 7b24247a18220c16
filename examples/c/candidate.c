/*
 * Stands in an election, and leads whenever it is elected, until it is killed:
 *
 *     candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]
 *
 * After a leader that is killed the next one leads once that one's session and lease are over. Each line has the time
 * in seconds, the name, the process and what happens.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zkhelper.h>

static const char *name;
static atomic_bool stopping;

static void say(const char *what, int64_t token)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("%lld.%03ld %s pid=%ld %s", (long long)now.tv_sec, now.tv_nsec / 1000000, name, (long)getpid(), what);
    if (token != 0)
        printf(" token=%" PRId64, token);
    printf("\n");
    fflush(stdout); /* Also what a killed process said is to be seen. */
}

/* The task of a term: the work of a leader, which it does until it is told to stop. */
static int32_t lead(void *user_data, int64_t token)
{
    (void)user_data;
    say("leads", token);
    while (!atomic_load(&stopping))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store(&stopping, false);
    say("stops", token);
    return ZKH_TASK_DONE;
}

static void stop(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data;
    (void)token;
    (void)reason;
    atomic_store(&stopping, true);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]\n", argv[0]);
        return 2;
    }
    name = argv[2];
    int64_t session_ms = argc > 4 ? atol(argv[4]) : 10000, lease_ms = argc > 5 ? atol(argv[5]) : 10000;
    zkh_client_options options = {0};
    zkh_elector_options elector_options = {0};
    zkh_client client = {0};
    zkh_elector elector = {0};
    zkh_error *err = NULL;

    /* The grace, in which the work of a leader has to end, is half of the lease. */
    if (zkh_client_options_new(&options, &err) == ZKH_OK
        && zkh_client_options_set_session_timeout_ms(options, session_ms, &err) == ZKH_OK
        && zkh_client_connect(argv[1], &options, &client, &err) == ZKH_OK
        && zkh_elector_options_new(&elector_options, &err) == ZKH_OK
        && zkh_elector_options_set_description(elector_options, name, &err) == ZKH_OK
        && zkh_elector_options_set_lease_ms(elector_options, lease_ms, lease_ms / 2, &err) == ZKH_OK
        && zkh_elector_new(client, argv[3], &elector_options, &elector, &err) == ZKH_OK) {
        say("stands", 0);
        zkh_elector_run(elector, lead, stop, NULL, NULL, &err);
    }
    /* There is no way here but by an error. */
    fprintf(stderr, "%s: %s\n", name, zkh_error_message(err));
    zkh_error_free(err);
    zkh_elector_free(elector);
    zkh_client_free(client);
    zkh_elector_options_free(elector_options);
    zkh_client_options_free(options);
    return 1;
}
