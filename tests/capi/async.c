/* Asynchronous calls, callbacks, and handles that are freed while they are in use. */
#include "check.h"

static const char *address;

static zkh_mutex new_mutex(zkh_client client, const char *path)
{
    zkh_mutex m = {0};
    OK(zkh_mutex_new(client, path, NULL, &m, &err));
    return m;
}

/* A cancel that comes first leaves no node; one that comes too late changes nothing. */
static void cancels(zkh_client client)
{
    zkh_mutex holder = new_mutex(client, "/async/cancel"), waiter = new_mutex(client, "/async/cancel");
    struct outcome held = OUTCOME, cancelled = OUTCOME, granted = OUTCOME, timed_out = OUTCOME, unlocked = OUTCOME;
    zkh_op op = {0}, late = {0};

    OK(zkh_mutex_lock_async(holder, -1, NULL, done, &held, destroy, NULL, &err));
    CHECK(await(&held) == ZKH_OK && held.value > 0 && zkh_mutex_token(holder) == held.value);
    OK(zkh_mutex_lock_async(waiter, -1, NULL, done, &cancelled, destroy, &op, &err));
    OK(zkh_mutex_lock_async(waiter, 100, NULL, done, &timed_out, destroy, NULL, &err));
    OK(zkh_mutex_lock_async(waiter, -1, NULL, done, &granted, destroy, &late, &err));
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&cancelled) == ZKH_CANCELLED && strcmp(cancelled.path, "/async/cancel") == 0);
    CHECK(strstr(cancelled.message, "lock \"/async/cancel\"") != NULL);
    CHECK(await(&timed_out) == ZKH_TIMEOUT && destroyed(&granted) == 0);
    OK(zkh_mutex_unlock_async(holder, done, &unlocked, destroy, &err));
    CHECK(await(&unlocked) == ZKH_OK && await(&granted) == ZKH_OK && granted.value > held.value);
    FAILS(zkh_op_cancel(late, &err), ZKH_BAD_HANDLE, "has completed");
    CHECK(zkh_mutex_is_held(waiter));
    /* Only the next in line may have it now: no node of the cancelled ones is in the way. */
    OK(zkh_mutex_unlock(waiter, &err));
    OK(zkh_mutex_lock(holder, 0, NULL, &err));
    FAILS(zkh_mutex_lock(waiter, 0, NULL, &err), ZKH_TIMEOUT, "somebody else");

    /* An interrupt is remembered. */
    OK(zkh_mutex_interrupt(waiter, &err));
    FAILS(zkh_mutex_lock(waiter, -1, NULL, &err), ZKH_INTERRUPTED, "/async/cancel");
    CHECK(zkh_mutex_free(holder) == ZKH_OK && zkh_mutex_free(waiter) == ZKH_OK);
}

/* A race of cancels and grants: each completes once, and says what is so. */
static void cancel_races(zkh_client client, int rounds)
{
    zkh_mutex m = new_mutex(client, "/async/race");
    int granted = 0;
    for (int i = 0; i < rounds; i++) {
        struct outcome o = OUTCOME;
        zkh_op op = {0};
        OK(zkh_mutex_lock_async(m, -1, NULL, done, &o, destroy, &op, &err));
        struct timespec pause = {0, i % 20 * 100000};
        nanosleep(&pause, NULL);
        zkh_status s = zkh_op_cancel(op, NULL);
        CHECK(s == ZKH_OK || s == ZKH_BAD_HANDLE);
        CHECK(await(&o) == ZKH_OK || o.status == ZKH_CANCELLED);
        if (o.status == ZKH_OK) {
            granted++;
            OK(zkh_mutex_unlock(m, &err));
        } else {
            FAILS(zkh_mutex_unlock(m, &err), ZKH_NOT_HELD, "/async/race");
        }
    }
    printf("%d of %d cancelled locks were granted before\n", granted, rounds);
    OK(zkh_mutex_lock(m, -1, NULL, &err));
    CHECK(zkh_mutex_free(m) == ZKH_OK);
}

/* ---- free in a callback ---- */

static void frees(struct outcome *o)
{
    zkh_mutex m = *(zkh_mutex *)o->more;
    CHECK(zkh_mutex_free(m) == ZKH_OK);
    CHECK(zkh_mutex_free(m) == ZKH_BAD_HANDLE);
    FAILS(zkh_mutex_unlock(m, &err), ZKH_BAD_HANDLE, "was freed");
}

static void frees_in_callback(zkh_client client)
{
    zkh_mutex m = new_mutex(client, "/async/free");
    struct outcome o = OUTCOME, behind = OUTCOME;
    o.inside = frees;
    o.more = &m;
    OK(zkh_mutex_lock_async(m, -1, NULL, done, &o, destroy, NULL, &err));
    zkh_status queued = zkh_mutex_lock_async(m, -1, NULL, done, &behind, destroy, NULL, NULL);
    CHECK(await(&o) == ZKH_OK);
    if (queued == ZKH_OK) /* Otherwise the callback was quicker. */
        CHECK(await(&behind) == ZKH_CLOSED);
    else
        CHECK(behind.calls == 0 && behind.destroyed == 1);
    /* The freed handle let go of the lock. */
    m = new_mutex(client, "/async/free");
    OK(zkh_mutex_lock(m, -1, NULL, &err));
    CHECK(zkh_mutex_free(m) == ZKH_OK);

    /* The client too, and everything of it. */
    zkh_client own = {0};
    OK(zkh_client_connect(address, NULL, &own, &err));
    m = new_mutex(own, "/async/free");
    struct outcome closed = OUTCOME;
    OK(zkh_client_close_async(own, -1, done, &closed, destroy, &err));
    CHECK(await(&closed) == ZKH_OK);
    FAILS(zkh_mutex_lock(m, -1, NULL, &err), ZKH_CLOSED, "/async/free");
    CHECK(zkh_mutex_free(m) == ZKH_OK && zkh_client_free(own) == ZKH_OK);
}

/* ---- free while others wait ---- */

struct waiter {
    zkh_mutex mutex;
    zkh_status status;
};

static void *waits(void *arg)
{
    struct waiter *w = arg;
    w->status = zkh_mutex_lock(w->mutex, -1, NULL, NULL);
    return NULL;
}

static void frees_under_waiters(zkh_client client, int rounds)
{
    zkh_mutex holder = new_mutex(client, "/async/under");
    OK(zkh_mutex_lock(holder, -1, NULL, &err));
    for (int i = 0; i < rounds; i++) {
        struct waiter w[3];
        pthread_t threads[3];
        struct outcome o[3] = {OUTCOME, OUTCOME, OUTCOME};
        zkh_mutex m = new_mutex(client, "/async/under");
        for (int j = 0; j < 3; j++) {
            w[j].mutex = m;
            CHECK(pthread_create(&threads[j], NULL, waits, &w[j]) == 0);
            OK(zkh_mutex_lock_async(m, -1, NULL, done, &o[j], destroy, NULL, &err));
        }
        struct timespec pause = {0, i % 10 * 1000000};
        nanosleep(&pause, NULL);
        CHECK(zkh_mutex_free(m) == ZKH_OK);
        /* After free no callback runs: all are over. */
        for (int j = 0; j < 3; j++)
            CHECK(destroyed(&o[j]) == 1 && o[j].calls == 1 && o[j].status == ZKH_CLOSED);
        for (int j = 0; j < 3; j++) {
            pthread_join(threads[j], NULL);
            /* A thread that was late found no handle. */
            CHECK(w[j].status == ZKH_CLOSED || w[j].status == ZKH_BAD_HANDLE);
        }
    }
    OK(zkh_mutex_unlock(holder, &err));
    OK(zkh_mutex_lock(holder, -1, NULL, &err));
    CHECK(zkh_mutex_free(holder) == ZKH_OK);
}

/* The same with a client that nothing answers. */
static void *waits_connected(void *client)
{
    zkh_status status = zkh_client_wait_connected(*(zkh_client *)client, -1, NULL);
    CHECK(status == ZKH_CLOSED || status == ZKH_BAD_HANDLE);
    return NULL;
}

static void frees_client_under_waiters(void)
{
    zkh_client nowhere = {0};
    struct outcome o = OUTCOME, cancelled = OUTCOME;
    zkh_op op = {0};
    pthread_t thread;
    OK(zkh_client_new("127.0.0.1:1", NULL, &nowhere, &err));
    CHECK(pthread_create(&thread, NULL, waits_connected, &nowhere) == 0);
    OK(zkh_client_wait_connected_async(nowhere, -1, done, &o, destroy, NULL, &err));
    OK(zkh_client_wait_connected_async(nowhere, -1, done, &cancelled, destroy, &op, &err));
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&cancelled) == ZKH_CANCELLED && destroyed(&o) == 0);
    CHECK(zkh_client_free(nowhere) == ZKH_OK);
    CHECK(destroyed(&o) == 1 && o.calls == 1 && o.status == ZKH_CLOSED);
    CHECK(strstr(o.message, "the handle was freed meanwhile") != NULL);
    pthread_join(thread, NULL);
}

/* ---- order ---- */

static int next_in_order;

static void in_order(struct outcome *o)
{
    CHECK(*(int *)o->more == next_in_order);
    next_in_order++;
}

static void keeps_order(zkh_client client)
{
    enum { COUNT = 100 };
    static struct outcome o[COUNT];
    static int number[COUNT];
    zkh_mutex m = new_mutex(client, "/async/order");
    for (int i = 0; i < COUNT; i++) {
        o[i] = (struct outcome)OUTCOME;
        number[i] = i;
        o[i].inside = in_order;
        o[i].more = &number[i];
        if (i % 2 == 0)
            OK(zkh_mutex_lock_async(m, -1, NULL, done, &o[i], destroy, NULL, &err));
        else {
            CHECK(await(&o[i - 1]) == ZKH_OK);
            OK(zkh_mutex_unlock_async(m, done, &o[i], destroy, &err));
            CHECK(await(&o[i]) == ZKH_OK);
        }
        CHECK(i == 0 || pthread_equal(o[i].thread, o[0].thread) || o[i].calls == 0);
    }
    CHECK(next_in_order == COUNT);
    CHECK(zkh_mutex_free(m) == ZKH_OK);
}

/* ---- states ---- */

struct states {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count, destroyed;
    int32_t state[16];
    int64_t session[16];
};

static void on_state(void *user_data, int32_t state, int64_t session, int64_t previous, const zkh_error *reason)
{
    struct states *s = user_data;
    (void)previous;
    (void)reason;
    pthread_mutex_lock(&s->lock);
    CHECK(s->destroyed == 0 && s->count < 16);
    s->state[s->count] = state;
    s->session[s->count] = session;
    s->count++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void states_destroyed(void *user_data)
{
    struct states *s = user_data;
    pthread_mutex_lock(&s->lock);
    s->destroyed++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static int count_of(struct states *s)
{
    pthread_mutex_lock(&s->lock);
    int count = s->count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

#define STATES {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static void tells_states(void)
{
    struct states first = STATES, second = STATES;
    struct outcome connected = OUTCOME, closed = OUTCOME;
    zkh_client client = {0};
    OK(zkh_client_new(address, NULL, &client, &err));
    OK(zkh_client_on_state(client, on_state, &first, states_destroyed, &err));
    OK(zkh_client_wait_connected_async(client, -1, done, &connected, destroy, NULL, &err));
    CHECK(await(&connected) == ZKH_OK && connected.value == zkh_client_session_id(client));
    pthread_mutex_lock(&first.lock);
    while (first.count == 0 || first.state[first.count - 1] != ZKH_STATE_CONNECTED)
        pthread_cond_wait(&first.changed, &first.lock);
    CHECK(first.session[first.count - 1] == connected.value);
    pthread_mutex_unlock(&first.lock);

    /* The new one takes the place of the first, which is done with when this returns. */
    int count = count_of(&first);
    OK(zkh_client_on_state(client, on_state, &second, states_destroyed, &err));
    CHECK(first.destroyed == 1 && first.count == count);
    OK(zkh_client_close_async(client, -1, done, &closed, destroy, &err));
    CHECK(await(&closed) == ZKH_OK);
    pthread_mutex_lock(&second.lock);
    while (second.destroyed == 0)
        pthread_cond_wait(&second.changed, &second.lock);
    CHECK(second.count == 2 && second.state[0] == ZKH_STATE_CONNECTED && second.state[1] == ZKH_STATE_CLOSED);
    pthread_mutex_unlock(&second.lock);
    CHECK(zkh_client_free(client) == ZKH_OK && first.destroyed == 1 && second.destroyed == 1);

    /* Freed without being closed. */
    struct states third = STATES;
    OK(zkh_client_new(address, NULL, &client, &err));
    OK(zkh_client_on_state(client, on_state, &third, states_destroyed, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    CHECK(third.destroyed == 1);
}

/* ---- log ---- */

struct journal {
    pthread_mutex_t lock;
    int records, told_of_free, destroyed;
};

static void on_log(void *user_data, int32_t level, const char *target, const char *message)
{
    struct journal *j = user_data;
    pthread_mutex_lock(&j->lock);
    CHECK(j->destroyed == 0 && level >= ZKH_LOG_ERROR && level <= ZKH_LOG_INFO);
    CHECK(strncmp(target, "zkhelper", 8) == 0 && strchr(message, '\n') == NULL);
    j->records++;
    if (level == ZKH_LOG_WARN && strstr(message, "zkh_mutex_free: ") && strstr(message, "was freed"))
        j->told_of_free++;
    pthread_mutex_unlock(&j->lock);
    /* Waiting is not for callbacks, of this kind either. */
    zkh_client c = {0};
    CHECK(zkh_client_connect(address, NULL, &c, NULL) == ZKH_WOULD_DEADLOCK);
}

static void journal_destroyed(void *user_data)
{
    struct journal *j = user_data;
    pthread_mutex_lock(&j->lock);
    j->destroyed++;
    pthread_mutex_unlock(&j->lock);
}

static void logs(zkh_client client)
{
    struct journal first = {.lock = PTHREAD_MUTEX_INITIALIZER}, second = {.lock = PTHREAD_MUTEX_INITIALIZER};
    zkh_mutex m = new_mutex(client, "/async/log");
    OK(zkh_log_set_callback(ZKH_LOG_INFO, on_log, &first, journal_destroyed, &err));
    CHECK(zkh_mutex_free(m) == ZKH_OK && zkh_mutex_free(m) == ZKH_BAD_HANDLE);
    for (int told = 0; told == 0;) {
        pthread_mutex_lock(&first.lock);
        told = first.told_of_free;
        pthread_mutex_unlock(&first.lock);
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
    OK(zkh_log_set_callback(ZKH_LOG_ERROR, on_log, &second, journal_destroyed, &err));
    CHECK(first.destroyed == 1 && first.told_of_free == 1);
    OK(zkh_log_set_callback(ZKH_LOG_OFF, NULL, NULL, NULL, &err));
    CHECK(second.destroyed == 1 && second.records == 0 && zkh_log_dropped() == 0);
}

/* A callback that is too slow loses records, and is told how many. */

static pthread_mutex_t held_up = PTHREAD_MUTEX_INITIALIZER;
static int told_of_dropped;

static void slow_log(void *user_data, int32_t level, const char *target, const char *message)
{
    (void)user_data, (void)target;
    pthread_mutex_lock(&held_up);
    if (level == ZKH_LOG_WARN && strstr(message, "log records were dropped") != NULL)
        told_of_dropped += atoi(message);
    pthread_mutex_unlock(&held_up);
}

static void drops_log_records(void)
{
    OK(zkh_log_set_callback(ZKH_LOG_WARN, slow_log, NULL, NULL, &err));
    pthread_mutex_lock(&held_up);
    for (int i = 0; i < 6000; i++)
        CHECK(zkh_mutex_free((zkh_mutex){42}) == ZKH_BAD_HANDLE);
    int dropped = (int)zkh_log_dropped();
    CHECK(dropped > 0 && dropped < 6000);
    pthread_mutex_unlock(&held_up);
    for (int told = 0; told < dropped;) {
        pthread_mutex_lock(&held_up);
        told = told_of_dropped;
        pthread_mutex_unlock(&held_up);
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
    OK(zkh_log_set_callback(ZKH_LOG_OFF, NULL, NULL, NULL, &err));
    CHECK(told_of_dropped == dropped);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    address = argv[1];
    int rounds = argc > 2 ? atoi(argv[2]) : 50;
    zkh_client client = {0};
    OK(zkh_client_connect(address, NULL, &client, &err));
    cancels(client);
    cancel_races(client, rounds);
    frees_in_callback(client);
    frees_under_waiters(client, rounds);
    frees_client_under_waiters();
    keeps_order(client);
    tells_states();
    logs(client);
    drops_log_records();
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each callback came once\n");
    return 0;
}
