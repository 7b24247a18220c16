/* Watches: what each kind is told, and that freeing one ends it. watches ADDRESS ROUNDS */
#include "check.h"
#include <stdatomic.h>

static zkh_client client;
static char top[64];

static const char *at(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, 128, "%s/%s", top, name);
    return path;
}

static void make(const char *path)
{
    OK(zkh_client_create(client, path, "0", 1, ZKH_CREATE_PERSISTENT, 0, NULL, NULL, &err));
}

static void set(const char *path, const char *data)
{
    OK(zkh_client_set(client, path, data, strlen(data), -1, NULL, &err));
}

/* What one watch was told. */
struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int events, destroyed;
    int32_t event[64];
    char path[64][128];
    /* Called inside the callback, if it is not null. */
    void (*inside)(struct told *);
    zkh_watch watch;
    /* Set by the one who frees the watch: nothing may be told any more. */
    atomic_bool freed;
};

#define TOLD {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static void tell(void *user_data, int32_t event, const char *path)
{
    struct told *t = user_data;
    CHECK(!atomic_load(&t->freed));
    pthread_mutex_lock(&t->lock);
    CHECK(t->destroyed == 0);
    t->event[t->events % 64] = event;
    snprintf(t->path[t->events % 64], sizeof t->path[0], "%s", path);
    t->events++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (t->inside != NULL)
        t->inside(t);
}

static void over(void *user_data)
{
    struct told *t = user_data;
    pthread_mutex_lock(&t->lock);
    CHECK(++t->destroyed == 1);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void await_events(struct told *t, int events)
{
    pthread_mutex_lock(&t->lock);
    while (t->events < events)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void await_destroyed(struct told *t)
{
    pthread_mutex_lock(&t->lock);
    while (t->destroyed == 0)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* The next event is this one, in its place. */
static void expect(struct told *t, int number, int32_t event, const char *path)
{
    await_events(t, number);
    if (t->event[number - 1] != event || strcmp(t->path[number - 1], path) != 0)
        fprintf(stderr, "event %d: %d of %s, not %d of %s\n", number, (int)t->event[number - 1], t->path[number - 1],
                (int)event, path);
    CHECK(t->event[number - 1] == event && strcmp(t->path[number - 1], path) == 0);
}

static void frees(struct told *t, int destroyed)
{
    CHECK(zkh_watch_free(t->watch) == ZKH_OK);
    CHECK(t->destroyed == destroyed);
    CHECK(zkh_watch_free(t->watch) == ZKH_BAD_HANDLE);
}

static void once(int32_t kind, const char *path, void (*change)(const char *), int32_t event)
{
    struct told t = TOLD;
    zkh_result *r = NULL;
    OK(zkh_client_watch(client, path, kind, tell, &t, over, &t.watch, &r, &err));
    if (kind == ZKH_WATCH_DATA)
        CHECK(zkh_result_data(r, NULL) != NULL && zkh_result_exists(r));
    if (kind == ZKH_WATCH_CHILDREN)
        CHECK(zkh_result_exists(r) && zkh_result_data(r, NULL) == NULL);
    if (kind == ZKH_WATCH_EXISTS)
        CHECK(zkh_result_exists(r) == (event != ZKH_EVENT_CREATED));
    zkh_result_free(r);
    change(path);
    expect(&t, 1, event, path);
    await_destroyed(&t); /* It is over by itself; the handle is still to be freed. */
    frees(&t, 1);
    CHECK(t.events == 1);
}

static void sets(const char *path) { set(path, "1"); }
static void deletes(const char *path) { OK(zkh_client_delete(client, path, -1, &err)); }
static void creates(const char *path) { make(path); }
static char child[160];
static void adds(const char *path)
{
    snprintf(child, sizeof child, "%s/c", path);
    make(child);
}
static void removes(const char *path)
{
    (void)path;
    deletes(child);
}

static void each_kind(void)
{
    const char *p = at("kinds");
    make(p);
    once(ZKH_WATCH_DATA, p, sets, ZKH_EVENT_DATA_CHANGED);
    once(ZKH_WATCH_DATA, p, deletes, ZKH_EVENT_DELETED);
    once(ZKH_WATCH_EXISTS, p, creates, ZKH_EVENT_CREATED);
    once(ZKH_WATCH_EXISTS, p, sets, ZKH_EVENT_DATA_CHANGED);
    once(ZKH_WATCH_CHILDREN, p, adds, ZKH_EVENT_CHILDREN_CHANGED);
    once(ZKH_WATCH_CHILDREN, p, removes, ZKH_EVENT_CHILDREN_CHANGED);
    once(ZKH_WATCH_CHILDREN, p, deletes, ZKH_EVENT_DELETED);

    /* Those that stay need no node. */
    struct told node = TOLD, below = TOLD;
    zkh_result *r = (zkh_result *)&r;
    const char *stays = at("stays"), *deep = at("deep");
    OK(zkh_client_watch(client, stays, ZKH_WATCH_PERSISTENT, tell, &node, over, &node.watch, &r, &err));
    CHECK(r != NULL && !zkh_result_exists(r));
    zkh_result_free(r);
    make(stays);
    set(stays, "1");
    adds(stays);
    set(child, "not its own");
    removes(stays);
    deletes(stays);
    expect(&node, 1, ZKH_EVENT_CREATED, stays);
    expect(&node, 2, ZKH_EVENT_DATA_CHANGED, stays);
    expect(&node, 3, ZKH_EVENT_CHILDREN_CHANGED, stays);
    expect(&node, 4, ZKH_EVENT_CHILDREN_CHANGED, stays);
    expect(&node, 5, ZKH_EVENT_DELETED, stays);
    OK(zkh_client_watch(client, deep, ZKH_WATCH_RECURSIVE, tell, &below, over, &below.watch, NULL, &err));
    make(deep);
    adds(deep);
    set(child, "also its own");
    removes(deep);
    deletes(deep);
    expect(&below, 1, ZKH_EVENT_CREATED, deep);
    expect(&below, 2, ZKH_EVENT_CREATED, child);
    expect(&below, 3, ZKH_EVENT_DATA_CHANGED, child);
    expect(&below, 4, ZKH_EVENT_DELETED, child);
    expect(&below, 5, ZKH_EVENT_DELETED, deep);
    CHECK(node.destroyed == 0 && below.destroyed == 0);
    frees(&node, 1);
    frees(&below, 1);
    make(stays);
    make(deep);
    CHECK(node.events == 5 && below.events == 5);
}

/* ---- value and watch in one request: whoever reads again at each event misses no last value ---- */

struct follower {
    const char *path;
    int rounds, last;
};

static void *follows(void *arg)
{
    struct follower *f = arg;
    while (f->last < f->rounds) {
        struct told t = TOLD;
        zkh_result *r = NULL;
        zkh_error *e = NULL;
        CHECK(zkh_client_watch(client, f->path, ZKH_WATCH_DATA, tell, &t, over, &t.watch, &r, &e) == ZKH_OK);
        int now = atoi(zkh_result_data(r, NULL));
        CHECK(now >= f->last);
        f->last = now;
        zkh_result_free(r);
        if (now < f->rounds)
            await_destroyed(&t);
        frees(&t, 1);
    }
    return NULL;
}

static void without_gap(int rounds)
{
    struct follower f = {at("gap"), rounds, 0};
    pthread_t thread;
    make(f.path);
    CHECK(pthread_create(&thread, NULL, follows, &f) == 0);
    for (int i = 1; i <= rounds; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        set(f.path, number);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(f.last == rounds);
}

/* ---- freeing ---- */

static atomic_bool more_came;

static void frees_itself(struct told *t)
{
    while (!atomic_load(&more_came)) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
    CHECK(zkh_watch_free(t->watch) == ZKH_OK);
    CHECK(t->destroyed == 0); /* Not while it is in use. */
    atomic_store(&t->freed, true);
}

static void freed_in_callback(void)
{
    static const int32_t kinds[] = {ZKH_WATCH_DATA, ZKH_WATCH_PERSISTENT, ZKH_WATCH_RECURSIVE};
    make(at("inside"));
    for (size_t i = 0; i < 3; i++) {
        struct told t = TOLD, behind = TOLD;
        t.inside = frees_itself;
        OK(zkh_client_watch(client, at("inside"), kinds[i], tell, &t, over, &t.watch, NULL, &err));
        atomic_store(&more_came, false);
        for (int n = 0; n < 20; n++)
            set(at("inside"), "1");
        atomic_store(&more_came, true); /* Several are due by now. */
        await_destroyed(&t);
        /* What came behind it is not told; a later watch tells that it came. */
        OK(zkh_client_watch(client, at("inside"), ZKH_WATCH_DATA, tell, &behind, over, &behind.watch, NULL, &err));
        set(at("inside"), "3");
        await_destroyed(&behind);
        frees(&behind, 1);
        CHECK(t.events == 1 && t.destroyed == 1 && zkh_watch_free(t.watch) == ZKH_BAD_HANDLE);
    }
}

static void is_slow(struct told *t)
{
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    CHECK(!atomic_load(&t->freed)); /* The free waits for it. */
}

static atomic_bool changing;

static void *changes(void *path)
{
    while (atomic_load(&changing)) {
        zkh_error *e = NULL;
        CHECK(zkh_client_set(client, path, "x", 1, -1, NULL, &e) == ZKH_OK);
    }
    return NULL;
}

/* Nothing is told once the free has returned, however fast the node changes. */
static void freed_under_changes(int rounds)
{
    char path[128];
    pthread_t thread;
    snprintf(path, sizeof path, "%s", at("storm"));
    make(path);
    atomic_store(&changing, true);
    CHECK(pthread_create(&thread, NULL, changes, path) == 0);
    int events = 0;
    for (int i = 0; i < rounds; i++) {
        struct told t = TOLD;
        if (i % 10 == 0)
            t.inside = is_slow;
        OK(zkh_client_watch(client, path, ZKH_WATCH_DATA + i % 5, tell, &t, over, &t.watch, NULL, &err));
        if (i % 3)
            await_events(&t, i % 5 == 2 ? 0 : 1);
        CHECK(zkh_watch_free(t.watch) == ZKH_OK);
        atomic_store(&t.freed, true);
        CHECK(t.destroyed == 1);
        events += t.events;
    }
    atomic_store(&changing, false);
    CHECK(pthread_join(thread, NULL) == 0);
    printf("%d watches were told %d events before they were freed\n", rounds, events);
}

/* ---- the asynchronous form ---- */

static void saw_none(struct outcome *o)
{
    struct told *t = o->more;
    CHECK(t->events == 0); /* What it is told comes behind. */
}

static void asynchronous(int rounds)
{
    struct outcome o = OUTCOME, none = OUTCOME;
    struct told t = TOLD, unarmed = TOLD;
    const char *path = at("async");
    make(path);
    o.inside = saw_none;
    o.more = &t;
    OK(zkh_client_watch_async(client, path, ZKH_WATCH_DATA, tell, &t, over, &t.watch, answered, &o, destroy, NULL, &err));
    CHECK(t.watch.id != 0);
    /* It was submitted before this change, so it sees it. */
    set(path, "1");
    CHECK(await(&o) == ZKH_OK && strcmp(o.data, "0") == 0);
    expect(&t, 1, ZKH_EVENT_DATA_CHANGED, path);
    await_destroyed(&t);
    frees(&t, 1);

    /* It could not be armed: the handle is there all the same. */
    OK(zkh_client_watch_async(client, at("none"), ZKH_WATCH_CHILDREN, tell, &unarmed, over, &unarmed.watch, answered,
                              &none, destroy, NULL, &err));
    CHECK(await(&none) == ZKH_NO_NODE && strcmp(none.path, at("none")) == 0);
    frees(&unarmed, 1);
    CHECK(unarmed.events == 0);

    /* Freed or cancelled while it is being armed. */
    for (int i = 0; i < rounds; i++) {
        struct outcome armed = OUTCOME;
        struct told watch = TOLD;
        zkh_op op = {0};
        OK(zkh_client_watch_async(client, path, ZKH_WATCH_DATA + i % 5, tell, &watch, over, &watch.watch, answered, &armed,
                                  destroy, &op, &err));
        if (i % 4 == 3) {
            struct timespec pause = {0, i % 20 * 50000};
            nanosleep(&pause, NULL);
        }
        if (i % 2) {
            zkh_status s = zkh_op_cancel(op, NULL);
            CHECK(s == ZKH_OK || s == ZKH_BAD_HANDLE);
            CHECK(await(&armed) == ZKH_OK || armed.status == ZKH_CANCELLED);
            CHECK(zkh_watch_free(watch.watch) == ZKH_OK);
        } else {
            CHECK(zkh_watch_free(watch.watch) == ZKH_OK);
            /* All is over: both callbacks, both pointers. */
            CHECK(armed.calls == 1 && armed.destroyed == 1 && watch.destroyed == 1);
            CHECK(armed.status == ZKH_OK || armed.status == ZKH_CLOSED);
        }
        atomic_store(&watch.freed, true);
        CHECK(watch.destroyed == 1);
    }
}

/* ---- refused ---- */

static void refused(void)
{
    struct told t = TOLD;
    struct outcome o = OUTCOME;
    zkh_result *r = NULL;
    zkh_watch watch = {77};
    zkh_client dead = {0};
    int n = 0;
#define REFUSED(client, path, kind, callback, code, text) \
    do { \
        watch.id = 77; \
        FAILS(zkh_client_watch(client, path, kind, callback, &t, over, &watch, &r, &err), code, text); \
        CHECK(watch.id == 0 && r == NULL && t.destroyed == 1 && t.events == 0); \
        t.destroyed = 0; \
    } while (0)
#define REFUSED_ASYNC(client, path, kind, callback, armed, code, text) \
    do { \
        watch.id = 77; \
        FAILS(zkh_client_watch_async(client, path, kind, callback, &t, over, &watch, armed, &o, destroy, NULL, &err), \
              code, text); \
        CHECK(watch.id == 0 && t.destroyed == 1 && o.destroyed == ++n && o.calls == 0); \
        t.destroyed = 0; \
    } while (0)
    REFUSED(client, at("none"), ZKH_WATCH_DATA, tell, ZKH_NO_NODE, "/none");
    REFUSED(client, at("none"), ZKH_WATCH_CHILDREN, tell, ZKH_NO_NODE, "/none");
    REFUSED(client, "a", ZKH_WATCH_DATA, tell, ZKH_BAD_PATH, "must begin with");
    REFUSED(client, "/a/", ZKH_WATCH_RECURSIVE, tell, ZKH_BAD_PATH, "must not end with");
    REFUSED(client, NULL, ZKH_WATCH_DATA, tell, ZKH_BAD_ARGUMENT, "path is a null pointer");
    REFUSED(client, "/\xff", ZKH_WATCH_DATA, tell, ZKH_BAD_UTF8, "path");
    REFUSED(client, "/", 0, tell, ZKH_BAD_ARGUMENT, "kind is 0");
    REFUSED(client, "/", 6, tell, ZKH_BAD_ARGUMENT, "kind is 6");
    REFUSED(client, "/", ZKH_WATCH_DATA, NULL, ZKH_BAD_ARGUMENT, "callback is a null pointer");
    REFUSED(dead, "/", ZKH_WATCH_DATA, tell, ZKH_BAD_HANDLE, "the zkh_client is null");
    REFUSED_ASYNC(client, "/", 6, tell, answered, ZKH_BAD_ARGUMENT, "kind is 6");
    REFUSED_ASYNC(client, NULL, ZKH_WATCH_DATA, tell, answered, ZKH_BAD_ARGUMENT, "path is a null pointer");
    REFUSED_ASYNC(client, "/", ZKH_WATCH_DATA, NULL, answered, ZKH_BAD_ARGUMENT, "callback is a null pointer");
    REFUSED_ASYNC(client, "/", ZKH_WATCH_DATA, tell, NULL, ZKH_BAD_ARGUMENT, "callback is a null pointer");
    REFUSED_ASYNC(dead, "/", ZKH_WATCH_DATA, tell, answered, ZKH_BAD_HANDLE, "the zkh_client is null");
    FAILS(zkh_client_watch(client, "/", ZKH_WATCH_DATA, tell, &t, over, NULL, &r, &err), ZKH_BAD_ARGUMENT,
          "watch is a null pointer");
    CHECK(t.destroyed == 1);
    CHECK(zkh_watch_free((zkh_watch){0}) == ZKH_OK && zkh_watch_free((zkh_watch){client.id}) == ZKH_BAD_HANDLE);
    CHECK(zkh_client_free((zkh_client){42}) == ZKH_BAD_HANDLE);
}

static void waits(struct told *t)
{
    zkh_watch watch = {77};
    FAILS(zkh_client_watch(client, t->path[0], ZKH_WATCH_DATA, tell, NULL, NULL, &watch, NULL, &err), ZKH_WOULD_DEADLOCK,
          "asynchronous form");
    CHECK(watch.id == 0);
}

static void no_waiting_inside(void)
{
    struct told t = TOLD;
    t.inside = waits;
    make(at("deadlock"));
    OK(zkh_client_watch(client, at("deadlock"), ZKH_WATCH_DATA, tell, &t, over, &t.watch, NULL, &err));
    set(at("deadlock"), "1");
    await_destroyed(&t);
    frees(&t, 1);
}

/* ---- the ends of connections, sessions and clients ---- */

static void through_losses(void)
{
    zkh_server server = {0};
    zkh_client watcher = {0}, other = {0}, outer = client;
    zkh_client_options options = {0};
    char address[64];
    struct told data = TOLD, children = TOLD, stays = TOLD, below = TOLD, closed = TOLD;
    OK(zkh_server_start(0, 0, &server, &err));
    zkh_server_address(server, address, sizeof address);
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_max_backoff_ms(options, 10, &err));
    OK(zkh_client_connect(address, &options, &watcher, &err));
    OK(zkh_client_connect(address, &options, &other, &err));
    client = other;
    make("/a");
    make("/b");
    OK(zkh_client_watch(watcher, "/a", ZKH_WATCH_DATA, tell, &data, over, &data.watch, NULL, &err));
    OK(zkh_client_watch(watcher, "/b", ZKH_WATCH_CHILDREN, tell, &children, over, &children.watch, NULL, &err));
    OK(zkh_client_watch(watcher, "/c", ZKH_WATCH_PERSISTENT, tell, &stays, over, &stays.watch, NULL, &err));
    OK(zkh_client_watch(watcher, "/d", ZKH_WATCH_RECURSIVE, tell, &below, over, &below.watch, NULL, &err));

    /* A connection: those for one event live on, those that stay tell that they may have missed some. */
    OK(zkh_server_cut(server, ZKH_OPERATION_SYNC, 1, ZKH_MOMENT_BEFORE_APPLYING, &err));
    OK(zkh_client_sync(watcher, "/", &err));
    expect(&stays, 1, ZKH_EVENT_MAY_HAVE_MISSED, "/c");
    expect(&below, 1, ZKH_EVENT_MAY_HAVE_MISSED, "/d");
    make("/c");
    make("/d");
    make("/d/e");
    set("/a", "1");
    expect(&stays, 2, ZKH_EVENT_CREATED, "/c");
    expect(&below, 2, ZKH_EVENT_CREATED, "/d");
    expect(&below, 3, ZKH_EVENT_CREATED, "/d/e");
    expect(&data, 1, ZKH_EVENT_DATA_CHANGED, "/a");
    await_destroyed(&data);
    CHECK(children.events == 0);

    /* A session: those for one event end with it, those that stay are armed on the next one. */
    OK(zkh_server_expire(server, zkh_client_session_id(watcher), &err));
    expect(&children, 1, ZKH_EVENT_SESSION_LOST, "/b");
    await_destroyed(&children);
    expect(&stays, 3, ZKH_EVENT_MAY_HAVE_MISSED, "/c");
    expect(&below, 4, ZKH_EVENT_MAY_HAVE_MISSED, "/d");
    set("/c", "2");
    deletes("/d/e");
    expect(&stays, 4, ZKH_EVENT_DATA_CHANGED, "/c");
    expect(&below, 5, ZKH_EVENT_DELETED, "/d/e");

    /* The client's handle: its watches live on until they are freed. */
    OK(zkh_client_watch(other, "/a", ZKH_WATCH_DATA, tell, &closed, over, &closed.watch, NULL, &err));
    CHECK(zkh_client_free(watcher) == ZKH_OK);
    set("/c", "3");
    expect(&stays, 5, ZKH_EVENT_DATA_CHANGED, "/c");
    frees(&stays, 1);
    frees(&below, 1);

    /* The client: those for one event are told. */
    OK(zkh_client_watch(other, "/a", ZKH_WATCH_PERSISTENT, tell, &below, NULL, &below.watch, NULL, &err));
    OK(zkh_client_close(other, -1, &err));
    expect(&closed, 1, ZKH_EVENT_SESSION_LOST, "/a");
    await_destroyed(&closed);
    CHECK(zkh_watch_free(closed.watch) == ZKH_OK && zkh_watch_free(below.watch) == ZKH_OK);
    CHECK(zkh_client_free(other) == ZKH_OK && below.events == 5);
    CHECK(zkh_watch_free(data.watch) == ZKH_OK && zkh_watch_free(children.watch) == ZKH_OK);
    CHECK(zkh_client_options_free(options) == ZKH_OK && zkh_server_free(server) == ZKH_OK);
    client = outer;
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    snprintf(top, sizeof top, "/watches-%ld", (long)getpid());
    make(top);
    each_kind();
    without_gap(rounds);
    freed_in_callback();
    freed_under_changes(rounds);
    asynchronous(rounds);
    refused();
    no_waiting_inside();
    through_losses();
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each watch told what it saw\n");
    return 0;
}
