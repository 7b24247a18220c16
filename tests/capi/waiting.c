/*
 * Threads that wait in calls, which may carry what all wait for meanwhile: waiting ADDRESS ROUNDS. Whoever waits alone,
 * again and again, does; that others come, or that a signal does, or that the thread is to be cancelled, changes
 * nothing for anybody.
 */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

static const char *address;
static int rounds;

static zkh_client connected(void)
{
    zkh_client client = {0};
    OK(zkh_client_new(address, NULL, &client, &err));
    OK(zkh_client_wait_connected(client, -1, &err));
    return client;
}

static zkh_mutex lock_on(zkh_client client, const char *path)
{
    zkh_mutex mutex = {0};
    OK(zkh_mutex_new(client, path, NULL, &mutex, &err));
    return mutex;
}

/* Lock and unlock, one call close behind the other: after a few of them this thread carries. */
static void row(zkh_mutex mutex, int length)
{
    for (int i = 0; i < length; i++) {
        OK(zkh_mutex_lock(mutex, -1, NULL, &err));
        OK(zkh_mutex_unlock(mutex, &err));
    }
}

static atomic_int ticks;

static void tick(int number)
{
    (void)number;
    atomic_fetch_add(&ticks, 1);
}

/* Signals interrupt whatever this thread waits in. */
static void a_row_is_carried_through_signals(zkh_mutex mutex)
{
    struct sigaction action = {.sa_handler = tick};
    struct itimerval often = {{0, 1500}, {0, 1500}}, never = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    do
        row(mutex, 10 * rounds);
    while (atomic_load(&ticks) == 0);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

struct other {
    pthread_t thread;
    zkh_mutex mutex;
    atomic_int *left;
};

static void *run_other(void *argument)
{
    struct other *other = argument;
    /* The error is the main thread's. */
    for (int i = 0; i < 10 * rounds; i++)
        CHECK(zkh_mutex_lock(other->mutex, -1, NULL, NULL) == ZKH_OK && zkh_mutex_unlock(other->mutex, NULL) == ZKH_OK);
    atomic_fetch_sub(other->left, 1);
    return NULL;
}

/* While this thread waits for a lock that another client has, that client and others go on. */
static void others_are_served_meanwhile(zkh_client client, zkh_mutex mutex)
{
    zkh_client second = connected();
    zkh_mutex held = lock_on(second, "/zk/waiting/held"), wanted = lock_on(client, "/zk/waiting/held");
    struct outcome locked = OUTCOME, unlocked = OUTCOME;
    OK(zkh_mutex_lock_async(held, -1, NULL, done, &locked, destroy, NULL, &err));
    CHECK(await(&locked) == ZKH_OK);
    atomic_int left = 3;
    struct other others[3];
    for (int i = 0; i < 3; i++) {
        others[i].mutex = lock_on(i == 0 ? second : client, i == 2 ? "/zk/waiting/2" : "/zk/waiting/1");
        others[i].left = &left;
    }
    row(mutex, 20);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&others[i].thread, NULL, run_other, &others[i]) == 0);
    while (atomic_load(&left) > 0)
        FAILS(zkh_mutex_lock(wanted, 20, NULL, &err), ZKH_TIMEOUT, "/zk/waiting/held");
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(others[i].thread, NULL) == 0 && zkh_mutex_free(others[i].mutex) == ZKH_OK);
    row(mutex, 20);
    OK(zkh_mutex_unlock_async(held, done, &unlocked, destroy, &err));
    OK(zkh_mutex_lock(wanted, -1, NULL, &err));
    CHECK(await(&unlocked) == ZKH_OK);
    CHECK(zkh_mutex_free(held) == ZKH_OK && zkh_mutex_free(wanted) == ZKH_OK);
    OK(zkh_client_close(second, -1, &err));
    CHECK(zkh_client_free(second) == ZKH_OK);
}

/* Calls that wait, and outcomes that come by callback, in turn: the one does not hold the other up. */
static void callbacks_come_between(zkh_mutex mutex, zkh_mutex other)
{
    for (int i = 0; i < rounds; i++) {
        struct outcome locked = OUTCOME, unlocked = OUTCOME;
        row(mutex, 12);
        OK(zkh_mutex_lock_async(other, -1, NULL, done, &locked, destroy, NULL, &err));
        if (i % 2)
            row(mutex, 1);
        CHECK(await(&locked) == ZKH_OK);
        OK(zkh_mutex_unlock_async(other, done, &unlocked, destroy, &err));
        CHECK(await(&unlocked) == ZKH_OK);
    }
}

struct victim {
    zkh_mutex row, wanted;
    atomic_bool waits, got;
};

static void *run_victim(void *argument)
{
    struct victim *victim = argument;
    for (int i = 0; i < 20; i++)
        CHECK(zkh_mutex_lock(victim->row, -1, NULL, NULL) == ZKH_OK && zkh_mutex_unlock(victim->row, NULL) == ZKH_OK);
    atomic_store(&victim->waits, true);
    CHECK(zkh_mutex_lock(victim->wanted, -1, NULL, NULL) == ZKH_OK);
    atomic_store(&victim->got, true);
    /* Here it ends. */
    for (;;)
        pause();
}

/* A thread that carries is not cancelled in the middle of that, but behind the call. */
static void a_thread_that_waits_is_cancelled_behind_the_call(zkh_client client, zkh_mutex mutex)
{
    zkh_mutex held = lock_on(client, "/zk/waiting/cancel");
    struct victim victim = {lock_on(client, "/zk/waiting/victim"), lock_on(client, "/zk/waiting/cancel"), false, false};
    OK(zkh_mutex_lock(held, -1, NULL, &err));
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, run_victim, &victim) == 0);
    while (!atomic_load(&victim.waits))
        row(mutex, 1);
    row(mutex, 20);
    CHECK(pthread_cancel(thread) == 0);
    row(mutex, 20);
    CHECK(!atomic_load(&victim.got));
    OK(zkh_mutex_unlock(held, &err));
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && atomic_load(&victim.got));
    OK(zkh_mutex_unlock(victim.wanted, &err));
    CHECK(zkh_mutex_free(victim.wanted) == ZKH_OK && zkh_mutex_free(victim.row) == ZKH_OK);
    CHECK(zkh_mutex_free(held) == ZKH_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    address = argv[1];
    rounds = argc > 2 ? atoi(argv[2]) : 20;
    zkh_client client = connected();
    zkh_mutex mutex = lock_on(client, "/zk/waiting/row"), other = lock_on(client, "/zk/waiting/other");
    row(mutex, 10 * rounds);
    a_row_is_carried_through_signals(mutex);
    others_are_served_meanwhile(client, mutex);
    callbacks_come_between(mutex, other);
    a_thread_that_waits_is_cancelled_behind_the_call(client, mutex);
    CHECK(zkh_mutex_free(mutex) == ZKH_OK && zkh_mutex_free(other) == ZKH_OK);
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each wait ended as it should\n");
    return 0;
}
