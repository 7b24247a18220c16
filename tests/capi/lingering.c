/*
 * Threads whose asynchronous calls linger: lingering ADDRESS ROUNDS. Each callback comes once, in the thread that made the
 * call or on the library's, and never while another one of its client runs; whatever is late, cancelled, freed or forked
 * meanwhile.
 */
#include "check.h"
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

static const char *address;
static int rounds;

static zkh_client connected(void)
{
    zkh_client client = {0};
    OK(zkh_client_connect(address, NULL, &client, &err));
    return client;
}

static zkh_mutex lock_on(zkh_client client, const char *path)
{
    zkh_mutex mutex = {0};
    OK(zkh_mutex_new(client, path, NULL, &mutex, &err));
    return mutex;
}

static void linger(int64_t ms)
{
    CHECK(zkh_thread_set_linger(ms, NULL) == ZKH_OK);
}

static bool here(const struct outcome *o)
{
    return pthread_equal(o->thread, pthread_self());
}

static void pause_us(long us)
{
    struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

static void comes_there(zkh_mutex mutex)
{
    struct outcome locked = OUTCOME;
    OK(zkh_mutex_lock_async(mutex, -1, NULL, done, &locked, destroy, NULL, &err));
    CHECK(await(&locked) == ZKH_OK && !here(&locked));
    OK(zkh_mutex_unlock(mutex, &err));
}

/*
 * In a thread without a linger every callback comes on the library's; with one, if it may wait long enough and nothing else is
 * called back for its client, none does.
 */
static void callbacks_come_here(zkh_client client)
{
    zkh_client second = connected();
    zkh_mutex mutex = lock_on(client, "/zk/lingering/here"), there = lock_on(second, "/zk/lingering/there");
    struct outcome read = OUTCOME;
    comes_there(there);
    OK(zkh_thread_set_linger(-1, &err));
    /* After a few of them this thread carries, too. */
    for (int i = 0; i < 10 * rounds; i++) {
        struct outcome locked = OUTCOME, unlocked = OUTCOME;
        zkh_op op = {0};
        OK(zkh_mutex_lock_async(mutex, -1, NULL, done, &locked, destroy, &op, &err));
        CHECK(locked.calls == 1 && locked.destroyed == 1 && locked.status == ZKH_OK && here(&locked));
        CHECK(locked.value == zkh_mutex_token(mutex));
        FAILS(zkh_op_cancel(op, &err), ZKH_BAD_HANDLE, "has completed");
        OK(zkh_mutex_unlock_async(mutex, done, &unlocked, destroy, &err));
        CHECK(unlocked.calls == 1 && unlocked.destroyed == 1 && unlocked.status == ZKH_OK && here(&unlocked));
    }
    /* What fails does so in the same way, and what is refused is. */
    struct outcome not_held = OUTCOME, refused = OUTCOME;
    OK(zkh_mutex_unlock_async(mutex, done, &not_held, destroy, &err));
    CHECK(not_held.calls == 1 && not_held.destroyed == 1 && not_held.status == ZKH_NOT_HELD && here(&not_held));
    FAILS(zkh_mutex_lock_async(mutex, -2, NULL, done, &refused, destroy, NULL, &err), ZKH_BAD_ARGUMENT, "timeout_ms");
    CHECK(refused.calls == 0 && refused.destroyed == 1);
    /* Other operations are no different, the arming of a watch among them. */
    OK(zkh_client_get_async(client, "/zk/lingering/here", answered, &read, destroy, NULL, &err));
    CHECK(read.calls == 1 && read.destroyed == 1 && read.status == ZKH_OK && here(&read));
    FAILS(zkh_thread_set_linger(-2, &err), ZKH_BAD_ARGUMENT, "timeout_ms");
    OK(zkh_thread_set_linger(0, &err));
    comes_there(there);
    CHECK(zkh_mutex_free(mutex) == ZKH_OK && zkh_mutex_free(there) == ZKH_OK);
    OK(zkh_client_close(second, -1, &err));
    CHECK(zkh_client_free(second) == ZKH_OK);
}

struct inner {
    zkh_client client;
    zkh_mutex mutex;
    struct outcome behind;
};

/* Nothing waits inside a callback, and nothing lingers. */
static void calls_inside(struct outcome *o)
{
    struct inner *inner = o->more;
    CHECK(zkh_thread_set_linger(-1, NULL) == ZKH_WOULD_DEADLOCK && zkh_thread_set_linger(0, NULL) == ZKH_WOULD_DEADLOCK);
    CHECK(zkh_mutex_unlock(inner->mutex, NULL) == ZKH_WOULD_DEADLOCK);
    CHECK(zkh_mutex_unlock_async(inner->mutex, done, &inner->behind, destroy, NULL) == ZKH_OK);
    CHECK(destroyed(&inner->behind) == 0);
}

static void callbacks_do_not_linger(zkh_client client)
{
    for (int ms = -1; ms <= 0; ms++) {
        struct inner inner = {.client = client, .behind = OUTCOME};
        struct outcome o = OUTCOME;
        inner.mutex = lock_on(client, "/zk/lingering/inside");
        o.inside = calls_inside;
        o.more = &inner;
        linger(ms);
        OK(zkh_mutex_lock_async(inner.mutex, -1, NULL, done, &o, destroy, NULL, &err));
        CHECK(await(&o) == ZKH_OK && here(&o) == (ms != 0));
        CHECK(await(&inner.behind) == ZKH_OK && !here(&inner.behind));
        CHECK(zkh_mutex_free(inner.mutex) == ZKH_OK);
    }
    linger(0);
}

struct helper {
    pthread_t thread;
    zkh_mutex mutex;
    zkh_client client;
    zkh_op *op;
    long us;
    struct outcome *seen;
    int over;
};

static void *unlocks(void *argument)
{
    struct helper *helper = argument;
    pause_us(helper->us);
    CHECK(zkh_mutex_unlock(helper->mutex, NULL) == ZKH_OK);
    return NULL;
}

/* The lock is granted before, at and after the end of the linger: the callback comes here or there, once. */
static void races_with_the_limit(zkh_client client)
{
    zkh_client second = connected();
    zkh_mutex held = lock_on(second, "/zk/lingering/limit"), wanted = lock_on(client, "/zk/lingering/limit");
    int there = 0;
    for (int i = 0; i < rounds; i++) {
        struct helper helper = {.mutex = held, .us = 1000 + i % 20 * 100};
        struct outcome o = OUTCOME;
        OK(zkh_mutex_lock(held, -1, NULL, &err));
        CHECK(pthread_create(&helper.thread, NULL, unlocks, &helper) == 0);
        linger(3);
        OK(zkh_mutex_lock_async(wanted, -1, NULL, done, &o, destroy, NULL, &err));
        linger(0);
        CHECK(await(&o) == ZKH_OK);
        there += !here(&o);
        CHECK(pthread_join(helper.thread, NULL) == 0);
        OK(zkh_mutex_unlock(wanted, &err));
    }
    printf("%d of %d callbacks came behind the limit\n", there, rounds);
    /* One that is much too late. */
    struct outcome late = OUTCOME;
    OK(zkh_mutex_lock(held, -1, NULL, &err));
    linger(5);
    OK(zkh_mutex_lock_async(wanted, -1, NULL, done, &late, destroy, NULL, &err));
    linger(0);
    CHECK(destroyed(&late) == 0);
    OK(zkh_mutex_unlock(held, &err));
    CHECK(await(&late) == ZKH_OK && !here(&late));
    OK(zkh_mutex_unlock(wanted, &err));
    CHECK(zkh_mutex_free(held) == ZKH_OK && zkh_mutex_free(wanted) == ZKH_OK);
    OK(zkh_client_close(second, -1, &err));
    CHECK(zkh_client_free(second) == ZKH_OK);
}

static void *cancels(void *argument)
{
    struct helper *helper = argument;
    zkh_op op;
    while ((op.id = __atomic_load_n(&helper->op->id, __ATOMIC_ACQUIRE)) == 0)
        pause_us(50);
    pause_us(helper->us);
    zkh_status status = zkh_op_cancel(op, NULL);
    CHECK(status == ZKH_OK || status == ZKH_BAD_HANDLE);
    return NULL;
}

/* Somebody else cancels the call while it lingers, and just behind that. */
static void is_cancelled_meanwhile(zkh_client client)
{
    zkh_mutex held = lock_on(client, "/zk/lingering/cancel"), wanted = lock_on(client, "/zk/lingering/cancel");
    int waited = 0, came = 0;
    OK(zkh_mutex_lock(held, -1, NULL, &err));
    for (int i = 0; i < rounds; i++) {
        struct outcome o = OUTCOME;
        zkh_op op = {0};
        struct helper helper = {.op = &op, .us = i % 20 * 200};
        CHECK(pthread_create(&helper.thread, NULL, cancels, &helper) == 0);
        linger(i % 2 ? 2 : -1);
        OK(zkh_mutex_lock_async(wanted, -1, NULL, done, &o, destroy, &op, &err));
        linger(0);
        CHECK(await(&o) == ZKH_CANCELLED);
        waited += i % 2 == 0;
        came += i % 2 == 0 && here(&o);
        CHECK(pthread_join(helper.thread, NULL) == 0);
    }
    /* Some may have met the library's thread at the end of the callback before. */
    CHECK(came > waited / 2);
    OK(zkh_mutex_unlock(held, &err));
    OK(zkh_mutex_lock(wanted, 0, NULL, &err));
    CHECK(zkh_mutex_free(held) == ZKH_OK && zkh_mutex_free(wanted) == ZKH_OK);
}

static void *frees(void *argument)
{
    struct helper *helper = argument;
    pause_us(helper->us);
    if (helper->mutex.id != 0)
        CHECK(zkh_mutex_free(helper->mutex) == ZKH_OK);
    else if (helper->us % 200 == 0)
        CHECK(zkh_client_close(helper->client, -1, NULL) == ZKH_OK);
    else
        CHECK(zkh_client_free(helper->client) == ZKH_OK);
    helper->over = destroyed(helper->seen);
    return NULL;
}

/* Somebody else frees the handle, or closes or frees the client, while a call on it lingers. */
static void is_freed_meanwhile(zkh_client client)
{
    zkh_mutex held = lock_on(client, "/zk/lingering/free");
    OK(zkh_mutex_lock(held, -1, NULL, &err));
    for (int i = 0; i < rounds; i++) {
        struct outcome o = OUTCOME;
        zkh_mutex wanted = lock_on(client, "/zk/lingering/free");
        struct helper helper = {.mutex = wanted, .us = i % 20 * 200, .seen = &o};
        CHECK(pthread_create(&helper.thread, NULL, frees, &helper) == 0);
        linger(i % 2 ? 2 : -1);
        /* A thread that was late found no handle. */
        zkh_status begun = zkh_mutex_lock_async(wanted, -1, NULL, done, &o, destroy, NULL, NULL);
        linger(0);
        CHECK(begun == ZKH_OK || begun == ZKH_BAD_HANDLE || begun == ZKH_CLOSED);
        if (begun == ZKH_OK)
            CHECK(await(&o) == ZKH_CLOSED);
        else
            CHECK(o.calls == 0 && o.destroyed == 1);
        /* Whoever frees waits for the callback. */
        CHECK(pthread_join(helper.thread, NULL) == 0 && (begun != ZKH_OK || helper.over == 1));
    }
    OK(zkh_mutex_unlock(held, &err));
    CHECK(zkh_mutex_free(held) == ZKH_OK);
    for (int i = 0; i < 10; i++) {
        struct outcome o = OUTCOME;
        zkh_client nowhere = {0};
        OK(zkh_client_new("127.0.0.1:1", NULL, &nowhere, &err));
        struct helper helper = {.client = nowhere, .us = 2000 + i * 100, .seen = &o};
        CHECK(pthread_create(&helper.thread, NULL, frees, &helper) == 0);
        linger(-1);
        zkh_status begun = zkh_client_wait_connected_async(nowhere, -1, done, &o, destroy, NULL, NULL);
        linger(0);
        CHECK(begun == ZKH_OK || begun == ZKH_BAD_HANDLE || begun == ZKH_CLOSED);
        if (begun == ZKH_OK)
            CHECK(await(&o) == ZKH_CLOSED && here(&o));
        /* Whoever only closes does not. */
        CHECK(pthread_join(helper.thread, NULL) == 0);
        CHECK(begun != ZKH_OK || helper.us % 200 == 0 || helper.over == 1);
        zkh_status freed = zkh_client_free(nowhere);
        CHECK(freed == (helper.us % 200 == 0 ? ZKH_OK : ZKH_BAD_HANDLE));
    }
}

static pthread_mutex_t barred = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool at_bar;

static void waits_at_the_bar(struct outcome *o)
{
    (void)o;
    atomic_store(&at_bar, true);
    pthread_mutex_lock(&barred);
    pthread_mutex_unlock(&barred);
}

/* While the library's thread runs a callback, none of that client comes here: they keep their order. */
static void keeps_its_place(zkh_client client)
{
    zkh_mutex first = lock_on(client, "/zk/lingering/first"), second = lock_on(client, "/zk/lingering/second");
    struct outcome slow = OUTCOME, behind = OUTCOME, unlocked = OUTCOME;
    slow.inside = waits_at_the_bar;
    pthread_mutex_lock(&barred);
    OK(zkh_mutex_lock_async(first, -1, NULL, done, &slow, destroy, NULL, &err));
    while (!atomic_load(&at_bar))
        pause_us(100);
    linger(-1);
    OK(zkh_mutex_lock_async(second, -1, NULL, done, &behind, destroy, NULL, &err));
    CHECK(zkh_mutex_is_held(second) && destroyed(&behind) == 0);
    pthread_mutex_unlock(&barred);
    CHECK(await(&slow) == ZKH_OK && await(&behind) == ZKH_OK && !here(&behind));
    OK(zkh_mutex_unlock_async(second, done, &unlocked, destroy, &err));
    CHECK(await(&unlocked) == ZKH_OK);
    linger(0);
    CHECK(zkh_mutex_free(first) == ZKH_OK && zkh_mutex_free(second) == ZKH_OK);
}

static atomic_int running, in_own_thread;

static void alone(struct outcome *o)
{
    CHECK(atomic_fetch_add(&running, 1) == 0);
    if (o->more != NULL && pthread_equal(*(pthread_t *)o->more, o->thread))
        atomic_fetch_add(&in_own_thread, 1);
    if (o->value % 5 == 0)
        pause_us(20);
    CHECK(atomic_fetch_sub(&running, 1) == 1);
}

struct worker {
    pthread_t thread;
    zkh_mutex mutex;
    int number;
};

static void *works(void *argument)
{
    struct worker *worker = argument;
    pthread_t self = pthread_self();
    for (int i = 0; i < 5 * rounds; i++) {
        struct outcome locked = OUTCOME, unlocked = OUTCOME;
        zkh_op op = {0};
        locked.inside = unlocked.inside = alone;
        locked.more = unlocked.more = &self;
        linger((int64_t[]){1, 0, -1, 5}[(worker->number + i / 10) % 4]);
        CHECK(zkh_mutex_lock_async(worker->mutex, -1, NULL, done, &locked, destroy, &op, NULL) == ZKH_OK);
        if (i % 7 == 0)
            (void)zkh_op_cancel(op, NULL);
        if (await(&locked) == ZKH_CANCELLED)
            continue;
        CHECK(locked.status == ZKH_OK);
        CHECK(zkh_mutex_unlock_async(worker->mutex, done, &unlocked, destroy, NULL) == ZKH_OK);
        CHECK(await(&unlocked) == ZKH_OK);
    }
    return NULL;
}

/* Many threads that linger, and do not, with one client: callbacks run one at a time. */
static void callbacks_come_one_at_a_time(zkh_client client)
{
    struct worker workers[6];
    for (int i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "/zk/lingering/worker-%d", i / 2);
        workers[i].mutex = lock_on(client, path);
        workers[i].number = i;
        CHECK(pthread_create(&workers[i].thread, NULL, works, &workers[i]) == 0);
    }
    for (int i = 0; i < 6; i++)
        CHECK(pthread_join(workers[i].thread, NULL) == 0 && zkh_mutex_free(workers[i].mutex) == ZKH_OK);
    CHECK(atomic_load(&in_own_thread) > 0);
    printf("%d callbacks came in the thread of the call\n", atomic_load(&in_own_thread));
}

static pid_t child = -1;

static void forks(struct outcome *o)
{
    (void)o;
    child = fork();
    CHECK(child >= 0);
}

/* A callback forks in the thread that made the call: there are two of it then, and the child can only connect anew. */
static void a_callback_forks(void)
{
    zkh_client client = connected();
    zkh_mutex mutex = lock_on(client, "/zk/lingering/fork");
    for (int i = 0; i < 3; i++) {
        struct outcome o = OUTCOME;
        o.inside = forks;
        linger(-1);
        OK(zkh_mutex_lock_async(mutex, -1, NULL, done, &o, destroy, NULL, &err));
        CHECK(o.calls == 1 && o.destroyed == 1 && o.status == ZKH_OK && here(&o));
        if (child == 0) {
            FAILS(zkh_mutex_unlock(mutex, &err), ZKH_FORKED, "before the fork");
            if (i == 0) {
                /* The thread lingers on. */
                zkh_client own = connected();
                zkh_mutex anew = lock_on(own, "/zk/lingering/forked");
                struct outcome locked = OUTCOME;
                OK(zkh_mutex_lock_async(anew, -1, NULL, done, &locked, destroy, NULL, &err));
                CHECK(locked.calls == 1 && locked.destroyed == 1 && locked.status == ZKH_OK && here(&locked));
                OK(zkh_client_close(own, -1, &err));
            }
            leave();
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        linger(0);
        OK(zkh_mutex_unlock(mutex, &err));
    }
    CHECK(zkh_mutex_free(mutex) == ZKH_OK);
    /* The last callback of all comes here, too. */
    struct outcome closed = OUTCOME;
    linger(-1);
    OK(zkh_client_close_async(client, -1, done, &closed, destroy, &err));
    CHECK(closed.calls == 1 && closed.destroyed == 1 && closed.status == ZKH_OK && here(&closed));
    linger(0);
    CHECK(zkh_client_free(client) == ZKH_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    address = argv[1];
    rounds = argc > 2 ? atoi(argv[2]) : 20;
    zkh_client client = connected();
    callbacks_come_here(client);
    callbacks_do_not_linger(client);
    races_with_the_limit(client);
    is_cancelled_meanwhile(client);
    is_freed_meanwhile(client);
    keeps_its_place(client);
    callbacks_come_one_at_a_time(client);
    a_callback_forks();
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each callback came once, and alone\n");
    return 0;
}
