/*
 * A client of the nemesis in C: worker SERVERS LOCK COUNTER ELECTION TIMEOUT_MS GRACE_MS
 *
 * Takes the lock in strict mode again and again, counts under it, and leads in turn, until its input ends. Each line
 * has the time in nanoseconds of CLOCK_BOOTTIME, and what happened.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zkhelper.h>

static zkh_client client;
static zkh_mutex mutex;
static zkh_elector elector;
static const char *counter;
static int64_t grace_ms;
static atomic_bool stopping;

/* The loss of the hold with this token: when, and why; and the term that has to stop. */
static _Atomic int64_t lost_token, lost_at, stopped_token;
static atomic_int lost_reason;

static const char *const reasons[] = {"?", "LeaseRanOut", "SessionOver", "NodeDeleted", "ClientClosed"};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void say(int64_t at, const char *format, ...)
{
    char line[512];
    va_list rest;
    va_start(rest, format);
    vsnprintf(line, sizeof line, format, rest);
    va_end(rest);
    flockfile(stdout);
    printf("@ %" PRId64 " %s\n", at, line);
    fflush(stdout);
    funlockfile(stdout);
}

static void wait_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int64_t chance(unsigned *seed, int64_t below)
{
    return rand_r(seed) % below;
}

/* Ends with what must not be, and frees the error. */
static void bad(zkh_error *err)
{
    say(now(), "bad %s", zkh_error_message(err));
    zkh_error_free(err);
}

static void on_lost(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data;
    atomic_store(&lost_at, now());
    atomic_store(&lost_reason, reason);
    atomic_store(&lost_token, token);
}

/* Writes the counter under the lock. */
static void count(int64_t token, int64_t value)
{
    zkh_multi multi = {0};
    zkh_error *err = NULL;
    char text[32];
    int length = snprintf(text, sizeof text, "%" PRId64, value);
    if (zkh_multi_new(&multi, &err) != ZKH_OK
        || zkh_multi_set(multi, counter, text, (size_t)length, -1, &err) != ZKH_OK) {
        bad(err);
        zkh_multi_free(multi);
        return;
    }
    say(now(), "write %" PRId64 " %" PRId64, token, value);
    zkh_status status = zkh_mutex_guarded(mutex, multi, NULL, &err);
    if (status == ZKH_OK)
        say(now(), "wrote %" PRId64 " %" PRId64, token, value);
    else if (status == ZKH_LOCK_LOST || status == ZKH_NOT_HELD || status == ZKH_NOT_SENT)
        say(now(), "refused %" PRId64 " %" PRId64, token, value);
    /* Anything else: the write may have been applied. */
    zkh_error_free(err);
    zkh_multi_free(multi);
}

/* Until when the hold is promised from now on; 0 where it is none any more. */
static int64_t look(int64_t token, int64_t *promised)
{
    int64_t at = now(), valid = zkh_mutex_valid_ms(mutex);
    if (valid <= 0 || atomic_load(&lost_token) == token)
        return 0;
    /* Less than a renewal adds is not worth a line. */
    if (at + valid * 1000000 > *promised + 20000000) {
        *promised = at + valid * 1000000;
        say(now(), "until %" PRId64 " %" PRId64, token, *promised);
    }
    return *promised;
}

/* One hold: counts, looks until when it may trust in the lock, and gives it back. */
static void hold(unsigned *seed, int64_t asked, int64_t last_lost)
{
    int64_t granted = now(), token = zkh_mutex_token(mutex);
    int64_t promised = granted + zkh_mutex_valid_ms(mutex) * 1000000;
    if (token == 0) {
        /* Lost before it was looked at: which one it was, the callback says. */
        while ((token = atomic_load(&lost_token)) == last_lost)
            wait_ms(1);
        promised = granted;
    }
    say(granted, "granted %" PRId64 " %" PRId64 " %" PRId64, token, asked, promised);
    int64_t time_ms = chance(seed, 50) == 0 ? 500 + chance(seed, 3500) : chance(seed, 6);
    int64_t end = granted + 1000000 * time_ms;
    if (time_ms >= 500)
        say(now(), "stays %" PRId64, token);
    int64_t next = granted, value = 0;
    do {
        if (now() >= next) {
            zkh_result *result = NULL;
            if (zkh_client_get(client, counter, &result, NULL) == ZKH_OK && zkh_mutex_token(mutex) == token) {
                size_t length = 0;
                char text[32] = {0};
                const void *data = zkh_result_data(result, &length);
                if (length < sizeof text)
                    memcpy(text, data, length);
                value = atoll(text);
                say(now(), "read %" PRId64 " %" PRId64, token, value);
                count(token, ++value);
            }
            zkh_result_free(result);
            next = now() + 50000000;
        }
        wait_ms(2);
    } while (look(token, &promised) != 0 && now() < end);

    if (look(token, &promised) == 0) {
        /* The news come by themselves; a process that was paused may see the loss before them. */
        for (int i = 0; i < 5000 && atomic_load(&lost_token) != token; i++)
            wait_ms(1);
        if (atomic_load(&lost_token) == token)
            say(atomic_load(&lost_at), "ended %" PRId64 " %s", token, reasons[atomic_load(&lost_reason) % 5]);
        else
            say(now(), "bad the hold with token %" PRId64 " was lost and nobody told", token);
        /* Whoever lost the lock must not get a write through. */
        if (value != 0)
            count(token, value);
        zkh_mutex_unlock(mutex, NULL);
        return;
    }
    zkh_error *err = NULL;
    int64_t given = now();
    zkh_status status = zkh_mutex_unlock(mutex, &err);
    if (status == ZKH_OK || status == ZKH_OUTCOME_UNKNOWN)
        say(given, "ended %" PRId64 " released", token);
    else if (status == ZKH_LOCK_LOST)
        say(given, "ended %" PRId64 " LockLost", token);
    else {
        bad(err);
        err = NULL;
    }
    zkh_error_free(err);
}

static void *lock_again_and_again(void *unused)
{
    (void)unused;
    unsigned seed = (unsigned)now();
    while (!atomic_load(&stopping)) {
        int64_t last_lost = atomic_load(&lost_token);
        int64_t asked = now(), patience = chance(&seed, 10) == 0 ? 1 + chance(&seed, 500) : -1;
        zkh_error *err = NULL;
        zkh_status status = zkh_mutex_lock(mutex, patience, "nemesis", &err);
        if (status == ZKH_OK) {
            hold(&seed, asked, last_lost);
        } else if (status == ZKH_TIMEOUT || status == ZKH_INTERRUPTED) {
            say(now(), "gave-up %" PRId64 " %s", asked, zkh_error_name(err));
            zkh_error_free(err);
        } else {
            bad(err);
            wait_ms(50);
        }
        wait_ms(chance(&seed, 10));
    }
    return NULL;
}

static void stop(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data, (void)reason;
    atomic_store(&stopped_token, token);
}

/* The task of one term. */
static int32_t lead(void *user_data, int64_t token)
{
    unsigned *seed = user_data;
    int64_t began = now(), promised = began + zkh_elector_valid_ms(elector) * 1000000;
    int64_t end = began + 1000000 * (chance(seed, 10) == 0 ? 500 + chance(seed, 3500) : 1 + chance(seed, 60));
    say(began, "leads %" PRId64 " %" PRId64, token, promised);
    bool told;
    while (!(told = atomic_load(&stopped_token) == token) && now() < end && !atomic_load(&stopping)) {
        int64_t at = now(), valid = zkh_elector_valid_ms(elector);
        if (at + valid * 1000000 > promised + 20000000) {
            promised = at + valid * 1000000;
            say(now(), "leads-until %" PRId64 " %" PRId64, token, promised);
        }
        wait_ms(2);
    }
    if (told)
        wait_ms(grace_ms * 3 / 10);
    say(now(), "resigned %" PRId64 " %s", token, told ? "stopped" : "done");
    return ZKH_TASK_DONE;
}

static bool interrupted(void *user_data)
{
    (void)user_data;
    return atomic_load(&stopping);
}

static void *stand(void *unused)
{
    (void)unused;
    unsigned seed = (unsigned)now() + 1;
    zkh_error *err = NULL;
    zkh_status status = zkh_elector_run(elector, lead, stop, interrupted, &seed, &err);
    if (status != ZKH_INTERRUPTED)
        bad(err);
    else
        zkh_error_free(err);
    return NULL;
}

/* Tells of the times in which this process did not run. */
static void *watch_the_clock(void *unused)
{
    (void)unused;
    for (int64_t last = now();;) {
        wait_ms(50);
        int64_t at = now();
        if (at - last > 250000000)
            say(at, "gap %" PRId64, last);
        last = at;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    zkh_client_options client_options = {0};
    zkh_mutex_options mutex_options = {0};
    zkh_elector_options elector_options = {0};
    zkh_error *err = NULL;
    pthread_t locking, standing, watching;

    if (argc != 7)
        return 2;
    counter = argv[3];
    int64_t timeout_ms = atoll(argv[5]);
    grace_ms = atoll(argv[6]);
    if (zkh_client_options_new(&client_options, &err) != ZKH_OK
        || zkh_client_options_set_session_timeout_ms(client_options, timeout_ms, &err) != ZKH_OK
        || zkh_client_new(argv[1], &client_options, &client, &err) != ZKH_OK
        || zkh_mutex_options_new(&mutex_options, &err) != ZKH_OK
        || zkh_mutex_options_set_strict(mutex_options, timeout_ms, timeout_ms, &err) != ZKH_OK
        || zkh_mutex_new(client, argv[2], &mutex_options, &mutex, &err) != ZKH_OK
        || zkh_mutex_on_lost(mutex, on_lost, NULL, NULL, &err) != ZKH_OK
        || zkh_elector_options_new(&elector_options, &err) != ZKH_OK
        || zkh_elector_options_set_lease_ms(elector_options, timeout_ms, grace_ms, &err) != ZKH_OK
        || zkh_elector_options_set_backoff_ms(elector_options, 1, 1, &err) != ZKH_OK
        || zkh_elector_new(client, argv[4], &elector_options, &elector, &err) != ZKH_OK) {
        bad(err);
        return 1;
    }
    pthread_create(&watching, NULL, watch_the_clock, NULL);
    pthread_create(&locking, NULL, lock_again_and_again, NULL);
    pthread_create(&standing, NULL, stand, NULL);

    while (getchar() != EOF)
        ;
    atomic_store(&stopping, true);
    zkh_mutex_interrupt(mutex, NULL);
    zkh_elector_interrupt(elector, NULL);
    pthread_join(locking, NULL);
    pthread_join(standing, NULL);
    zkh_mutex_free(mutex);
    zkh_elector_free(elector);
    zkh_client_close(client, 30000, NULL);
    zkh_client_free(client);
    zkh_client_options_free(client_options);
    zkh_mutex_options_free(mutex_options);
    zkh_elector_options_free(elector_options);
    say(now(), "over");
    return 0;
}
