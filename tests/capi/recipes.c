/* Trees, globs, queue locks and pid nodes: what each answers and refuses, waiting and asynchronous. recipes ADDRESS */
#include "check.h"

static zkh_client client;
static char top[64];

/* A path below the one that this run has for itself. */
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
    OK(zkh_tree_create(client, path, "data", 4, ZKH_CREATE_PERSISTENT, NULL, NULL, &err));
}

static bool is_there(const char *path)
{
    zkh_result *r = NULL;
    OK(zkh_client_exists(client, path, &r, &err));
    bool there = zkh_result_exists(r);
    zkh_result_free(r);
    return there;
}

static void names(const zkh_result *r, size_t count, const char *const *expected)
{
    CHECK(zkh_result_count(r) == count);
    for (size_t i = 0; i < count; i++)
        CHECK(strcmp(zkh_result_name(r, i), expected[i]) == 0);
    CHECK(zkh_result_name(r, count) == NULL);
}

static void presets(void)
{
    static const struct { int32_t preset; bool directory; } all[] = {
        {ZKH_ACL_OPEN, true}, {ZKH_ACL_DIRECTORY, true}, {ZKH_ACL_FILE, false}, {ZKH_ACL_READ_ONLY, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        zkh_acl acl = {0};
        OK(zkh_acl_new(all[i].preset, &acl, &err));
        CHECK(zkh_acl_is_directory(acl) == all[i].directory);
        CHECK(zkh_acl_free(acl) == ZKH_OK && !zkh_acl_is_directory(acl));
    }
    CHECK(zkh_path_has_wildcard("/a/*") && zkh_path_has_wildcard("[") && zkh_path_has_wildcard("a\\"));
    CHECK(!zkh_path_has_wildcard("/a/\\*") && !zkh_path_has_wildcard("") && !zkh_path_has_wildcard(NULL));
    CHECK(!zkh_path_has_wildcard("*\xff"));
}

static void trees(void)
{
    zkh_result *r = NULL;
    zkh_acl file = {0};
    zkh_stat stat;
    OK(zkh_acl_new(ZKH_ACL_FILE, &file, &err));
    OK(zkh_tree_create(client, at("a/b/c"), "data", 4, ZKH_CREATE_EPHEMERAL, &file, &r, &err));
    CHECK(strcmp(zkh_result_path(r), at("a/b/c")) == 0);
    zkh_result_free(r);
    OK(zkh_client_get_acl(client, at("a/b"), &r, &err));
    CHECK(zkh_result_count(r) == 1 && zkh_result_permissions(r, 0) == ZKH_PERM_ALL);
    CHECK(zkh_result_stat(r, &stat) && stat.ephemeral_owner == 0 && stat.data_length == 0);
    zkh_result_free(r);
    OK(zkh_client_get_acl(client, at("a/b/c"), &r, &err));
    CHECK(zkh_result_permissions(r, 0) == (ZKH_PERM_ADMIN | ZKH_PERM_READ | ZKH_PERM_WRITE));
    zkh_result_free(r);
    FAILS(zkh_tree_create(client, at("a/b/c"), "", 0, ZKH_CREATE_PERSISTENT, NULL, &r, &err), ZKH_NODE_EXISTS, "a/b/c");
    CHECK(r == NULL);

    FAILS(zkh_tree_create_or_update(client, at("u/v"), "1", 1, 0, NULL, false, NULL, &err), ZKH_NO_NODE, "u/v");
    for (int i = 0; i < 2; i++) {
        OK(zkh_tree_create_or_update(client, at("u/v"), i ? "two" : "one", 3, 0, NULL, true, &r, &err));
        CHECK(strcmp(zkh_result_path(r), at("u/v")) == 0);
        zkh_result_free(r);
    }
    OK(zkh_client_get(client, at("u/v"), &r, &err));
    CHECK(strcmp(zkh_result_data(r, NULL), "two") == 0 && zkh_result_stat(r, &stat) && stat.version == 1);
    zkh_result_free(r);

    make(at("a/b-/d"));
    OK(zkh_tree_children(client, at("a"), &r, &err));
    names(r, 4, (const char *const[]){"b", "b-", "b-/d", "b/c"});
    zkh_result_free(r);
    FAILS(zkh_tree_children(client, at("none"), &r, &err), ZKH_NO_NODE, "none");

    FAILS(zkh_tree_delete(client, at("a"), 5, &err), ZKH_BAD_VERSION, "/a");
    CHECK(is_there(at("a/b/c")));
    OK(zkh_tree_delete(client, at("a"), 0, &err));
    CHECK(!is_there(at("a")));
    FAILS(zkh_tree_delete(client, at("a"), -1, &err), ZKH_NO_NODE, "/a");
    CHECK(zkh_acl_free(file) == ZKH_OK);
}

static void globs(void)
{
    zkh_result *r = NULL;
    make(at("g/nyc/1"));
    make(at("g/nyc/0"));
    make(at("g/sfo/7"));
    const char *patterns[] = {at("g/*/[0-5]"), at("g/none"), at("g/[^n]??")};
    OK(zkh_tree_glob(client, patterns, 3, &r, &err));
    names(r, 4, (const char *const[]){at("g/nyc/0"), at("g/nyc/1"), at("g/none"), at("g/sfo")});
    CHECK(zkh_result_unreadable(r, 0) == NULL && zkh_result_unreadable(NULL, 0) == NULL);
    zkh_result_free(r);
    OK(zkh_tree_glob(client, NULL, 0, &r, &err));
    CHECK(zkh_result_count(r) == 0);
    zkh_result_free(r);
    /* What may not be listed is told, and the rest is not lost. */
    zkh_acl no_reader = {0};
    OK(zkh_acl_new(ZKH_ACL_EMPTY, &no_reader, &err));
    OK(zkh_acl_add(no_reader, ZKH_PERM_ALL & ~ZKH_PERM_READ, "world", "anyone", &err));
    OK(zkh_tree_create(client, at("g/shut"), "", 0, ZKH_CREATE_PERSISTENT, &no_reader, NULL, &err));
    CHECK(zkh_acl_free(no_reader) == ZKH_OK);
    OK(zkh_tree_glob(client, (const char *const[]){at("g/*/*")}, 1, &r, &err));
    CHECK(zkh_result_count(r) == 3 && strcmp(zkh_result_unreadable(r, 0), at("g/shut")) == 0);
    CHECK(zkh_result_unreadable(r, 1) == NULL);
    zkh_result_free(r);
    r = NULL;
    FAILS(zkh_tree_glob(client, (const char *const[]){"/a/*", "/b/["}, 2, &r, &err), ZKH_BAD_ARGUMENT, "/b/[");
    FAILS(zkh_tree_glob(client, (const char *const[]){"a/*"}, 1, &r, &err), ZKH_BAD_PATH, "begin with");
    FAILS(zkh_tree_glob(client, (const char *const[]){NULL}, 1, &r, &err), ZKH_BAD_ARGUMENT, "null");
    FAILS(zkh_tree_glob(client, (const char *const[]){"/\xff"}, 1, &r, &err), ZKH_BAD_UTF8, "patterns");
    FAILS(zkh_tree_glob(client, NULL, 1, &r, &err), ZKH_BAD_ARGUMENT, "null");
    CHECK(r == NULL);
}

static void trees_without_waiting(void)
{
    struct outcome made = OUTCOME, updated = OUTCOME, listed = OUTCOME, found = OUTCOME, deleted = OUTCOME;
    const char *path = at("async/a/b");
    zkh_op op = {0};
    OK(zkh_tree_create_async(client, path, "x", 1, ZKH_CREATE_PERSISTENT, NULL, answered, &made, destroy, &op, &err));
    CHECK(await(&made) == ZKH_OK && strcmp(made.node, path) == 0 && op.id != 0);
    OK(zkh_tree_create_or_update_async(client, path, "y", 1, 0, NULL, true, answered, &updated, destroy, NULL, &err));
    CHECK(await(&updated) == ZKH_OK && strcmp(updated.node, path) == 0);
    OK(zkh_tree_children_async(client, at("async"), answered, &listed, destroy, NULL, &err));
    CHECK(await(&listed) == ZKH_OK && listed.value == 2);
    const char *pattern = at("async/*/?");
    OK(zkh_tree_glob_async(client, &pattern, 1, answered, &found, destroy, NULL, &err));
    CHECK(await(&found) == ZKH_OK && found.value == 1);
    OK(zkh_tree_delete_async(client, at("async"), -1, done, &deleted, destroy, NULL, &err));
    CHECK(await(&deleted) == ZKH_OK && !is_there(at("async")));
    struct outcome missing = OUTCOME, refused = OUTCOME, null = OUTCOME;
    OK(zkh_tree_children_async(client, at("async"), answered, &missing, destroy, NULL, &err));
    CHECK(await(&missing) == ZKH_NO_NODE && strstr(missing.message, "async") != NULL);
    OK(zkh_tree_create_async(client, "a", "", 0, 0, NULL, answered, &refused, destroy, NULL, &err));
    CHECK(await(&refused) == ZKH_BAD_PATH);
    FAILS(zkh_tree_delete_async(client, "/a", -1, NULL, &null, destroy, NULL, &err), ZKH_BAD_ARGUMENT, "callback");
    CHECK(destroyed(&null) == 1 && null.calls == 0);
    /* One that is cancelled ends at once. */
    struct outcome cancelled = OUTCOME;
    OK(zkh_tree_children_async(client, "/", answered, &cancelled, destroy, &op, &err));
    zkh_op_cancel(op, NULL);
    await(&cancelled);
    CHECK(cancelled.status == ZKH_CANCELLED || cancelled.status == ZKH_OK || cancelled.status == ZKH_NO_AUTH);
}

static void queue_locks(void)
{
    zkh_queue_lock first = {0}, second = {0};
    zkh_queue_lock_options options = {0};
    OK(zkh_queue_lock_options_new(&options, &err));
    OK(zkh_queue_lock_options_set_prefix(options, "job-", &err));
    OK(zkh_queue_lock_options_set_contents_json(options, "{\"role\": \"blue\"}", &err));
    OK(zkh_queue_lock_options_set_acl(options, NULL, &err));
    FAILS(zkh_queue_lock_options_set_prefix(options, "", &err), ZKH_BAD_ARGUMENT, "prefix");
    FAILS(zkh_queue_lock_options_set_prefix(options, "a/b", &err), ZKH_BAD_ARGUMENT, "prefix");
    FAILS(zkh_queue_lock_options_set_contents_json(options, "[]", &err), ZKH_BAD_ARGUMENT, "object");
    OK(zkh_queue_lock_new(client, at("queue"), &options, &first, &err));
    OK(zkh_queue_lock_new(client, at("queue"), &options, &second, &err));
    CHECK(zkh_queue_lock_options_free(options) == ZKH_OK && zkh_queue_lock_options_free(options) == ZKH_BAD_HANDLE);
    char path[128];
    CHECK(zkh_queue_lock_path(first, path, sizeof path) == strlen(at("queue")) && strcmp(path, at("queue")) == 0);

    OK(zkh_queue_lock_lock(first, 30000, "the first", &err));
    int64_t token = zkh_queue_lock_token(first);
    CHECK(token > 0 && is_there(at("queue/job-0000000000")));
    FAILS(zkh_queue_lock_lock(second, 0, NULL, &err), ZKH_TIMEOUT, "job-0000000000");
    FAILS(zkh_queue_lock_lock(second, 50, NULL, &err), ZKH_TIMEOUT, "queue lock");
    OK(zkh_queue_lock_interrupt(second, &err));
    FAILS(zkh_queue_lock_lock(second, -1, NULL, &err), ZKH_INTERRUPTED, "queue lock");
    FAILS(zkh_queue_lock_unlock(second, &err), ZKH_NOT_HELD, "queue unlock");

    /* A node of the caller's own, which waits for its turn and stays. */
    make(at("queue/zzz"));
    FAILS(zkh_queue_lock_obtain(second, "zzz", 0, &err), ZKH_TIMEOUT, "before it");
    FAILS(zkh_queue_lock_obtain(second, "none", 100, &err), ZKH_NO_NODE, "none");
    FAILS(zkh_queue_lock_obtain(second, "a/b", 100, &err), ZKH_BAD_ARGUMENT, "a/b");
    struct outcome turn = OUTCOME, cancelled = OUTCOME, dropped = OUTCOME, granted = OUTCOME, unlocked = OUTCOME;
    zkh_op op = {0};
    OK(zkh_queue_lock_obtain_async(second, "zzz", -1, done, &turn, destroy, NULL, &err));
    OK(zkh_queue_lock_obtain_async(second, "zzz", -1, done, &cancelled, destroy, &op, &err));
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&cancelled) == ZKH_CANCELLED);
    OK(zkh_queue_lock_unlock(first, &err));
    CHECK(await(&turn) == ZKH_OK && is_there(at("queue/zzz")) && zkh_queue_lock_token(first) == 0);
    OK(zkh_client_delete(client, at("queue/zzz"), -1, &err));

    OK(zkh_queue_lock_lock_async(first, 30000, NULL, done, &granted, destroy, NULL, &err));
    CHECK(await(&granted) == ZKH_OK && granted.value > token && granted.value == zkh_queue_lock_token(first));
    OK(zkh_queue_lock_unlock_async(first, done, &unlocked, destroy, &err));
    CHECK(await(&unlocked) == ZKH_OK);
    OK(zkh_queue_lock_lock(first, 30000, NULL, &err));
    OK(zkh_queue_lock_lock_async(second, -1, NULL, done, &dropped, destroy, NULL, &err));
    CHECK(zkh_queue_lock_free(second) == ZKH_OK && await(&dropped) == ZKH_CLOSED);
    CHECK(zkh_queue_lock_free(second) == ZKH_BAD_HANDLE && zkh_queue_lock_free((zkh_queue_lock){0}) == ZKH_OK);
    /* Freed, it lets go. */
    CHECK(zkh_queue_lock_free(first) == ZKH_OK);
    for (;;) {
        zkh_result *r = NULL;
        OK(zkh_client_children(client, at("queue"), &r, &err));
        size_t left = zkh_result_count(r);
        zkh_result_free(r);
        if (left == 0)
            break;
    }
    FAILS(zkh_queue_lock_lock(first, 0, NULL, &err), ZKH_BAD_HANDLE, "freed");
    FAILS(zkh_queue_lock_obtain(first, "a", 0, &err), ZKH_BAD_HANDLE, "freed");
    FAILS(zkh_queue_lock_unlock(first, &err), ZKH_BAD_HANDLE, "freed");
    FAILS(zkh_queue_lock_interrupt(first, &err), ZKH_BAD_HANDLE, "freed");
    CHECK(zkh_queue_lock_token(first) == 0 && zkh_queue_lock_path(first, path, sizeof path) == 0 && path[0] == '\0');
    FAILS(zkh_queue_lock_new(client, "a", NULL, &first, &err), ZKH_BAD_PATH, "begin with");
    CHECK(first.id == 0);
    FAILS(zkh_queue_lock_new(client, "/a", &options, &first, &err), ZKH_BAD_HANDLE, "freed");
    FAILS(zkh_queue_lock_new(client, "/a", NULL, NULL, &err), ZKH_BAD_ARGUMENT, "lock");
    FAILS(zkh_queue_lock_new((zkh_client){first.id}, "/a", NULL, &first, &err), ZKH_BAD_HANDLE, "null");
}

/* What a pid node's callback was told. */
struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count[4], loss, destroyed;
    zkh_status refused;
};

static void tell(void *user_data, int32_t event, int32_t loss, const zkh_error *error)
{
    struct told *t = user_data;
    CHECK(event >= ZKH_PID_MADE && event <= ZKH_PID_REFUSED);
    CHECK((event == ZKH_PID_LOST) == (loss != 0) && (event == ZKH_PID_REFUSED) == (error != NULL));
    pthread_mutex_lock(&t->lock);
    CHECK(t->destroyed == 0);
    t->count[event]++;
    if (loss != 0)
        t->loss = loss;
    if (error != NULL)
        t->refused = zkh_error_code(error);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void untell(void *user_data)
{
    struct told *t = user_data;
    pthread_mutex_lock(&t->lock);
    t->destroyed++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void until_told(struct told *t, int event, int count)
{
    pthread_mutex_lock(&t->lock);
    while (t->count[event] < count)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void pid_nodes(const char *address)
{
    zkh_pid_node node = {0}, other = {0};
    zkh_pid_node_options options = {0};
    zkh_client rival = {0};
    struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    OK(zkh_client_connect(address, NULL, &rival, &err));
    make(at("pids"));
    OK(zkh_pid_node_new(client, at("pids/one"), "4711", 4, NULL, &node, &err));
    char path[128];
    CHECK(zkh_pid_node_path(node, path, sizeof path) == strlen(at("pids/one")) && strcmp(path, at("pids/one")) == 0);
    OK(zkh_pid_node_on_event(node, tell, &told, untell, &err));
    CHECK(!zkh_pid_node_is_there(node));
    OK(zkh_pid_node_close(node, &err));
    OK(zkh_pid_node_start(node, &err));
    CHECK(zkh_pid_node_is_there(node) && is_there(at("pids/one")));
    FAILS(zkh_pid_node_start(node, &err), ZKH_BAD_ARGUMENT, "started already");
    until_told(&told, ZKH_PID_MADE, 1);
    OK(zkh_client_delete(rival, at("pids/one"), -1, &err));
    until_told(&told, ZKH_PID_LOST, 1);
    CHECK(told.loss == ZKH_LOSS_NODE_DELETED);
    until_told(&told, ZKH_PID_MADE, 2);

    /* A live owner's node is in the way, and is taken only if that is asked for. */
    OK(zkh_pid_node_options_new(&options, &err));
    OK(zkh_pid_node_options_set_wait_ms(options, 100, &err));
    OK(zkh_pid_node_options_set_acl(options, NULL, &err));
    FAILS(zkh_pid_node_options_set_wait_ms(options, -1, &err), ZKH_BAD_ARGUMENT, "negative");
    FAILS(zkh_pid_node_options_set_take_over(options, 3, &err), ZKH_BAD_ARGUMENT, "take_over is 3");
    OK(zkh_pid_node_new(rival, at("pids/one"), NULL, 0, &options, &other, &err));
    FAILS(zkh_pid_node_start(other, &err), ZKH_NODE_EXISTS, "session");
    CHECK(zkh_pid_node_free(other) == ZKH_OK);
    OK(zkh_pid_node_options_set_take_over(options, ZKH_TAKE_OVER_DEAD, &err));
    OK(zkh_pid_node_new(rival, at("pids/one"), NULL, 0, &options, &other, &err));
    FAILS(zkh_pid_node_start(other, &err), ZKH_NODE_EXISTS, "session");
    CHECK(zkh_pid_node_free(other) == ZKH_OK);
    OK(zkh_pid_node_options_set_take_over(options, ZKH_TAKE_OVER_LIVE, &err));
    OK(zkh_pid_node_new(rival, at("pids/one"), NULL, 0, &options, &other, &err));
    CHECK(zkh_pid_node_options_free(options) == ZKH_OK && zkh_pid_node_options_free(options) == ZKH_BAD_HANDLE);
    struct outcome started = OUTCOME, closed = OUTCOME;
    OK(zkh_pid_node_start_async(other, done, &started, destroy, NULL, &err));
    CHECK(await(&started) == ZKH_OK && zkh_pid_node_is_there(other));
    until_told(&told, ZKH_PID_LOST, 2);
    CHECK(!zkh_pid_node_is_there(node));
    OK(zkh_pid_node_close_async(other, done, &closed, destroy, &err));
    CHECK(await(&closed) == ZKH_OK && !zkh_pid_node_is_there(other));
    until_told(&told, ZKH_PID_MADE, 3);
    CHECK(zkh_pid_node_is_there(node) && zkh_pid_node_free(other) == ZKH_OK);

    /* Closed, it may be started again; a callback that comes late is told how it stands. */
    OK(zkh_pid_node_close(node, &err));
    CHECK(!is_there(at("pids/one")));
    OK(zkh_pid_node_start(node, &err));
    struct told late = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    OK(zkh_pid_node_on_event(node, tell, &late, untell, &err));
    until_told(&late, ZKH_PID_MADE, 1);
    until_told(&told, ZKH_PID_MADE, 3);
    OK(zkh_pid_node_on_event(node, NULL, NULL, NULL, &err));

    /* A start that is cancelled, or whose handle is freed, leaves nothing. */
    for (int i = 0; i < 10; i++) {
        struct outcome o = OUTCOME;
        zkh_op op = {0};
        OK(zkh_pid_node_new(rival, at("pids/two"), NULL, 0, NULL, &other, &err));
        OK(zkh_pid_node_start_async(other, done, &o, destroy, &op, &err));
        if (i % 2)
            zkh_op_cancel(op, NULL);
        CHECK(zkh_pid_node_free(other) == ZKH_OK);
        await(&o);
        CHECK(o.status == ZKH_OK || o.status == ZKH_CLOSED || o.status == ZKH_CANCELLED);
        while (is_there(at("pids/two")))
            continue;
    }
    CHECK(zkh_pid_node_free(node) == ZKH_OK && zkh_pid_node_free(node) == ZKH_BAD_HANDLE);
    CHECK(zkh_pid_node_free((zkh_pid_node){0}) == ZKH_OK && !zkh_pid_node_is_there(node));
    while (is_there(at("pids/one")))
        continue;
    FAILS(zkh_pid_node_start(node, &err), ZKH_BAD_HANDLE, "freed");
    FAILS(zkh_pid_node_close(node, &err), ZKH_BAD_HANDLE, "freed");
    FAILS(zkh_pid_node_on_event(node, tell, NULL, NULL, &err), ZKH_BAD_HANDLE, "freed");
    CHECK(zkh_pid_node_path(node, path, sizeof path) == 0);
    FAILS(zkh_pid_node_new(client, "/a/", NULL, 0, NULL, &node, &err), ZKH_BAD_PATH, "end with");
    FAILS(zkh_pid_node_new(client, "/a", NULL, 1, NULL, &node, &err), ZKH_BAD_ARGUMENT, "data");
    FAILS(zkh_pid_node_new(client, "/a", NULL, 0, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "node");
    OK(zkh_pid_node_new(client, at("none/pid"), NULL, 0, NULL, &node, &err));
    FAILS(zkh_pid_node_start(node, &err), ZKH_NO_NODE, "none/pid");
    /* A handle may outlive its client's session. */
    OK(zkh_pid_node_new(rival, at("pids/three"), NULL, 0, NULL, &other, &err));
    OK(zkh_pid_node_start(other, &err));
    OK(zkh_client_close(rival, -1, &err));
    OK(zkh_pid_node_close(other, &err));
    FAILS(zkh_pid_node_start(other, &err), ZKH_CLOSED, "pids/three");
    CHECK(zkh_client_free(rival) == ZKH_OK);
    CHECK(zkh_pid_node_free(node) == ZKH_OK && zkh_pid_node_free(other) == ZKH_OK);
    CHECK(told.destroyed == 1 && late.destroyed == 1);
}

/* What waits is refused inside a callback, and a handle of another type everywhere. */
static void inside(struct outcome *o)
{
    zkh_queue_lock lock = {0};
    zkh_pid_node node = {0};
    const char *pattern = "/*";
    (void)o;
    FAILS(zkh_tree_create(client, "/a", "", 0, 0, NULL, NULL, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_tree_create_or_update(client, "/a", "", 0, 0, NULL, true, NULL, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_tree_children(client, "/a", NULL, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_tree_delete(client, "/a", -1, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_tree_glob(client, &pattern, 1, NULL, &err), ZKH_WOULD_DEADLOCK, "callback");
    OK(zkh_queue_lock_new(client, "/a", NULL, &lock, &err));
    OK(zkh_pid_node_new(client, "/a", NULL, 0, NULL, &node, &err));
    FAILS(zkh_queue_lock_lock(lock, 0, NULL, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_queue_lock_obtain(lock, "a", 0, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_queue_lock_unlock(lock, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_pid_node_start(node, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_pid_node_close(node, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_queue_lock_lock((zkh_queue_lock){node.id}, 0, NULL, &err), ZKH_BAD_HANDLE, "is a zkh_pid_node");
    FAILS(zkh_pid_node_start((zkh_pid_node){lock.id}, &err), ZKH_BAD_HANDLE, "is a zkh_queue_lock");
    FAILS(zkh_tree_delete((zkh_client){lock.id}, "/a", -1, &err), ZKH_BAD_HANDLE, "is a zkh_queue_lock");
    CHECK(zkh_queue_lock_free(lock) == ZKH_OK && zkh_pid_node_free(node) == ZKH_OK);
}

static void refused(void)
{
    FAILS(zkh_tree_create(client, NULL, "", 0, 0, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "path");
    FAILS(zkh_tree_create(client, "/a/", "", 0, 0, NULL, NULL, &err), ZKH_BAD_PATH, "end with");
    FAILS(zkh_tree_create(client, "/a", NULL, 1, 0, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "data");
    FAILS(zkh_tree_create(client, "/a", "", 0, 7, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "mode is 7");
    FAILS(zkh_tree_create(client, "/a", "", 0, ZKH_CREATE_PERSISTENT_TTL, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "time to live");
    FAILS(zkh_tree_create(client, "/a", "", 0, 0, &(zkh_acl){client.id}, NULL, &err), ZKH_BAD_HANDLE, "is a zkh_client");
    FAILS(zkh_tree_create_or_update(client, "", "", 0, 0, NULL, true, NULL, &err), ZKH_BAD_PATH, "empty");
    FAILS(zkh_tree_children(client, "/\xff", NULL, &err), ZKH_BAD_UTF8, "path");
    FAILS(zkh_tree_children(client, "a", NULL, &err), ZKH_BAD_PATH, "begin with");
    FAILS(zkh_tree_delete(client, "/", -1, &err), ZKH_BAD_PATH, "root");
    FAILS(zkh_tree_delete(client, "/a", -2, &err), ZKH_BAD_ARGUMENT, "version");
    FAILS(zkh_tree_delete((zkh_client){0}, "/a", -1, &err), ZKH_BAD_HANDLE, "null");
    struct outcome o = OUTCOME;
    o.inside = inside;
    OK(zkh_client_exists_async(client, "/", answered, &o, destroy, NULL, &err));
    CHECK(await(&o) == ZKH_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    snprintf(top, sizeof top, "/recipes-%ld", (long)getpid());
    presets();
    trees();
    globs();
    trees_without_waiting();
    queue_locks();
    pid_nodes(argv[1]);
    refused();
    OK(zkh_tree_delete(client, top, -1, &err));
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each recipe was as it says\n");
    return 0;
}
