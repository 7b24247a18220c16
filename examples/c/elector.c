/*
 * One leads among all who run this: elector [HOST:PORT [SECONDS]]. Its task works until it is told to stop,
 * or for so many seconds; then another one's turn comes. A second interrupt from the keyboard kills it.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zkhelper.h>

static zkh_elector elector;
static atomic_bool stopping;
static volatile sig_atomic_t interrupted;
static int seconds;

static void on_signal(int number)
{
    signal(number, SIG_DFL);
    interrupted = 1;
}

/* The task: runs in the thread that called zkh_elector_run. */
static int32_t lead(void *user_data, int64_t token)
{
    (void)user_data;
    printf("leads with token %" PRId64 "\n", token);
    fflush(stdout);
    atomic_store(&stopping, false);
    for (int tenths = 0; tenths < 10 * seconds && !atomic_load(&stopping) && !interrupted; tenths++) {
        /* A step of the work; whatever it writes carries the token, so that a late one is refused. */
        if (!zkh_elector_is_leading(elector))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    printf("ended\n");
    fflush(stdout);
    return ZKH_TASK_DONE;
}

/* Runs on a thread of the library: by the end of the lease at the latest. */
static void stop(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data;
    fprintf(stderr, "the term with token %" PRId64 " has to stop, for reason %" PRId32 "\n", token, reason);
    atomic_store(&stopping, true);
}

static bool is_interrupted(void *user_data)
{
    (void)user_data;
    return interrupted || seconds < 3600;
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_error *err = NULL;

    seconds = argc > 2 ? atoi(argv[2]) : 3600;
    signal(SIGINT, on_signal);
    /* "embedded" is a server inside this process, to try things with. */
    if (zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
        && zkh_elector_new(client, "/zk/demo/election", NULL, &elector, &err) == ZKH_OK)
        zkh_elector_run(elector, lead, stop, is_interrupted, NULL, &err);
    int failed = zkh_error_code(err) != ZKH_INTERRUPTED;
    if (failed)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    zkh_elector_free(elector);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
