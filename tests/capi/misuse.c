/* Everything that can be done wrong, but for bad pointers: each gets a status and a message that say so. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

/* AddressSanitizer's own allocator is not safe to fork beside threads that use it (gcc 12, clang 14): the
 * child may find it locked for ever. There the process is quiet when it forks; elsewhere it is busy. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static pid_t forks(void)
{
    if (SANITIZED)
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    return fork();
}

static const char *address;
static const zkh_client no_client;
static const zkh_mutex no_mutex;

static void refused_handles(zkh_client client, zkh_mutex mutex)
{
    /* Zero. */
    FAILS(zkh_mutex_lock(no_mutex, 0, NULL, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_unlock(no_mutex, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_mutex_interrupt(no_mutex, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_client_close(no_client, 0, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_client_wait_connected(no_client, 0, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_op_cancel((zkh_op){0}, &err), ZKH_BAD_HANDLE, "is null");
    zkh_mutex out = {77};
    FAILS(zkh_mutex_new(no_client, "/a", NULL, &out, &err), ZKH_BAD_HANDLE, "is null");
    CHECK(out.id == 0);
    CHECK(zkh_mutex_token(no_mutex) == 0 && !zkh_mutex_is_held(no_mutex) && zkh_client_state(no_client) == 0);
    CHECK(zkh_client_session_timeout_ms(no_client) == 0);
    CHECK(zkh_client_session_id(no_client) == 0 && zkh_mutex_path(no_mutex, NULL, 0) == 0);
    char buffer[8] = "unused";
    CHECK(zkh_mutex_path(no_mutex, buffer, sizeof buffer) == 0 && buffer[0] == 0);
    /* As with free(). */
    CHECK(zkh_mutex_free(no_mutex) == ZKH_OK && zkh_client_free(no_client) == ZKH_OK);
    CHECK(zkh_client_options_free((zkh_client_options){0}) == ZKH_OK);
    zkh_error_free(NULL);
    CHECK(zkh_error_code(NULL) == ZKH_OK && zkh_error_path(NULL) == NULL && !zkh_error_is_retriable(NULL));

    /* Of another type. */
    FAILS(zkh_mutex_unlock((zkh_mutex){client.id}, &err), ZKH_BAD_HANDLE, "is a zkh_client, where a zkh_mutex");
    FAILS(zkh_client_close((zkh_client){mutex.id}, 0, &err), ZKH_BAD_HANDLE, "is a zkh_mutex, where a zkh_client");
    FAILS(zkh_op_cancel((zkh_op){mutex.id}, &err), ZKH_BAD_HANDLE, "is a zkh_mutex");
    CHECK(zkh_mutex_free((zkh_mutex){client.id}) == ZKH_BAD_HANDLE);
    CHECK(zkh_client_free((zkh_client){mutex.id}) == ZKH_BAD_HANDLE);

    /* Freed, and freed twice; the next mutex takes its place and is not taken for it. */
    zkh_mutex old = {0}, new = {0};
    OK(zkh_mutex_new(client, "/misuse/freed", NULL, &old, &err));
    CHECK(zkh_mutex_free(old) == ZKH_OK);
    OK(zkh_mutex_new(client, "/misuse/freed", NULL, &new, &err));
    CHECK(zkh_mutex_free(old) == ZKH_BAD_HANDLE);
    FAILS(zkh_mutex_lock(old, 0, NULL, &err), ZKH_BAD_HANDLE, "was freed");
    OK(zkh_mutex_lock(new, -1, NULL, &err));
    CHECK(zkh_mutex_free(new) == ZKH_OK);
    zkh_client_options options = {0};
    OK(zkh_client_options_new(&options, &err));
    CHECK(zkh_client_options_free(options) == ZKH_OK && zkh_client_options_free(options) == ZKH_BAD_HANDLE);
    zkh_client other = {77};
    FAILS(zkh_client_new(address, &options, &other, &err), ZKH_BAD_HANDLE, "was freed");
    CHECK(other.id == 0);

    /* Invented. */
    FAILS(zkh_mutex_lock((zkh_mutex){mutex.id + 1}, 0, NULL, &err), ZKH_BAD_HANDLE, "never given out");
    FAILS(zkh_mutex_lock((zkh_mutex){42}, 0, NULL, &err), ZKH_BAD_HANDLE, "never given out");
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        /* Also such that look nearly right. */
        uint64_t id = i % 2 ? random : mutex.id ^ (UINT64_C(1) << random % 64) ^ (random >> 40);
        if (id == client.id || id == mutex.id)
            continue;
        zkh_mutex m = {id};
        zkh_client c = {id};
        CHECK(zkh_mutex_lock(m, 0, NULL, NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_mutex_unlock(m, NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_mutex_free(m) == (id ? ZKH_BAD_HANDLE : ZKH_OK));
        CHECK(zkh_client_close(c, 0, NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_client_free(c) == (id ? ZKH_BAD_HANDLE : ZKH_OK));
        CHECK(zkh_client_options_free((zkh_client_options){id}) == (id ? ZKH_BAD_HANDLE : ZKH_OK));
        CHECK(zkh_op_cancel((zkh_op){id}, NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_client_get(c, "/", NULL, NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_multi_check((zkh_multi){id}, "/", -1, NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_acl_add((zkh_acl){id}, ZKH_PERM_ALL, "world", "anyone", NULL) == ZKH_BAD_HANDLE);
        CHECK(zkh_watch_free((zkh_watch){id}) == (id ? ZKH_BAD_HANDLE : ZKH_OK));
        CHECK(zkh_mutex_token(m) == 0 && zkh_client_state(c) == 0);
    }
}

static void refused_arguments(zkh_client client, zkh_mutex mutex)
{
    zkh_client c = {77};
    zkh_mutex m = {77};
    struct outcome o = OUTCOME;

    /* Null pointers. */
    FAILS(zkh_client_connect(NULL, NULL, &c, &err), ZKH_BAD_ARGUMENT, "address is a null pointer");
    CHECK(c.id == 0);
    FAILS(zkh_client_connect(address, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "client is a null pointer");
    FAILS(zkh_client_new(address, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "client is a null pointer");
    FAILS(zkh_mutex_new(client, NULL, NULL, &m, &err), ZKH_BAD_ARGUMENT, "path is a null pointer");
    CHECK(m.id == 0);
    FAILS(zkh_mutex_new(client, "/a", NULL, NULL, &err), ZKH_BAD_ARGUMENT, "mutex is a null pointer");
    FAILS(zkh_client_add_auth(client, NULL, "", 0, &err), ZKH_BAD_ARGUMENT, "scheme is a null pointer");
    FAILS(zkh_client_add_auth(client, "digest", NULL, 3, &err), ZKH_BAD_ARGUMENT, "data is a null pointer");
    FAILS(zkh_client_options_new(NULL, &err), ZKH_BAD_ARGUMENT, "options is a null pointer");
    CHECK(zkh_mutex_new(client, NULL, NULL, NULL, NULL) == ZKH_BAD_ARGUMENT);
    CHECK(zkh_mutex_path(mutex, NULL, 5) == 0);
    char path[6];
    CHECK(zkh_mutex_path(mutex, path, sizeof path) == strlen("/misuse/lock") && strcmp(path, "/misu") == 0);
    FAILS(zkh_mutex_lock_async(mutex, -1, NULL, NULL, &o, destroy, NULL, &err), ZKH_BAD_ARGUMENT,
          "callback is a null pointer");
    CHECK(o.calls == 0 && o.destroyed == 1);

    /* Bad UTF-8. */
    FAILS(zkh_mutex_new(client, "/a\xff", NULL, &m, &err), ZKH_BAD_UTF8, "path is wrong from byte 2");
    FAILS(zkh_client_new("\xc3(", NULL, &c, &err), ZKH_BAD_UTF8, "address is wrong from byte 0");
    FAILS(zkh_mutex_lock(mutex, 0, "\xed\xa0\x80", &err), ZKH_BAD_UTF8, "description");

    /* Numbers. */
    zkh_client_options options = {0};
    zkh_mutex_options mutex_options = {0};
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_mutex_options_new(&mutex_options, &err));
    FAILS(zkh_mutex_lock(mutex, -2, NULL, &err), ZKH_BAD_ARGUMENT, "timeout_ms is -2");
    FAILS(zkh_mutex_lock(mutex, INT64_MIN, NULL, &err), ZKH_BAD_ARGUMENT, "timeout_ms");
    FAILS(zkh_client_options_set_while_suspended(options, 3, &err), ZKH_BAD_ARGUMENT, "while_suspended is 3");
    FAILS(zkh_client_options_set_while_suspended(options, INT32_MIN, &err), ZKH_BAD_ARGUMENT, "while_suspended");
    FAILS(zkh_client_options_set_session_timeout_ms(options, 0, &err), ZKH_BAD_ARGUMENT, "session_timeout");
    FAILS(zkh_client_options_set_connect_timeout_ms(options, -1, &err), ZKH_BAD_ARGUMENT, "negative");
    FAILS(zkh_client_options_set_operation_timeout_ms(options, INT64_MAX, &err), ZKH_BAD_ARGUMENT,
          "operation_timeout");
    FAILS(zkh_client_options_set_max_backoff_ms(options, 0, &err), ZKH_BAD_ARGUMENT, "max_backoff");
    FAILS(zkh_client_options_set_max_frame_bytes(options, 1, &err), ZKH_BAD_ARGUMENT, "max_frame");
    FAILS(zkh_log_set_callback(6, NULL, NULL, NULL, &err), ZKH_BAD_ARGUMENT, "level is 6");
    FAILS(zkh_client_options_set_tls_ca_file(options, NULL, &err), ZKH_BAD_ARGUMENT, "path is a null pointer");
    FAILS(zkh_client_options_set_tls_ca_pem(options, NULL, 5, &err), ZKH_BAD_ARGUMENT, "pem is a null pointer");
    /* This library was built without TLS; examples/c/tls.c is tried with it. */
    FAILS(zkh_client_options_set_tls_ca_file(options, "/nowhere", &err), ZKH_UNSUPPORTED, "this build has no TLS");
    FAILS(zkh_client_options_set_tls_ca_pem(options, "", 0, &err), ZKH_UNSUPPORTED, "this build has no TLS");
    FAILS(zkh_client_options_set_tls_certificate_file(options, "/nowhere", "/nowhere", &err), ZKH_UNSUPPORTED,
          "this build has no TLS");
    FAILS(zkh_client_options_set_tls_certificate_pem(options, NULL, 0, NULL, 0, &err), ZKH_UNSUPPORTED,
          "this build has no TLS");
    FAILS(zkh_client_options_set_tls_server_name(options, "zk", &err), ZKH_UNSUPPORTED, "this build has no TLS");
    FAILS(zkh_mutex_options_add_acl(mutex_options, 32, "world", "anyone", &err), ZKH_BAD_ARGUMENT, "permissions is 32");
    FAILS(zkh_mutex_options_set_contents_json(mutex_options, "[1]", &err), ZKH_BAD_ARGUMENT, "not a JSON object");
    FAILS(zkh_mutex_options_add_extra_lock_pattern(mutex_options, "a/", &err), ZKH_BAD_ARGUMENT, "pattern");
    FAILS(zkh_mutex_options_add_acl((zkh_mutex_options){options.id}, 1, "world", "anyone", &err), ZKH_BAD_HANDLE,
          "is a zkh_client_options");
    /* What was refused changed nothing. */
    OK(zkh_client_new(address, &options, &c, &err));
    OK(zkh_client_wait_connected(c, -1, &err));
    OK(zkh_client_close(c, -1, &err));
    CHECK(zkh_client_state(c) == ZKH_STATE_CLOSED);
    FAILS(zkh_client_wait_connected(c, -1, &err), ZKH_CLOSED, "");
    OK(zkh_client_close(c, -1, &err));
    CHECK(zkh_client_free(c) == ZKH_OK);
    CHECK(zkh_client_options_free(options) == ZKH_OK && zkh_mutex_options_free(mutex_options) == ZKH_OK);

    FAILS(zkh_client_new("", NULL, &c, &err), ZKH_BAD_ADDRESS, "");
    FAILS(zkh_client_new("host:99999", NULL, &c, &err), ZKH_BAD_ADDRESS, "");
    FAILS(zkh_mutex_unlock(mutex, &err), ZKH_NOT_HELD, "/misuse/lock");
}

/* Refused before a request could be sent: nothing listens where this client would send it. */
static void refused_paths(void)
{
    static const struct { const char *path, *rule; } bad[] = {
        {"", "must not be empty"}, {"a", "must begin with"}, {"/a/", "must not end with"},
        {"/a//b", "empty part"}, {"/a/./b", "part \".\""}, {"/a/../b", "part \"..\""},
        {"/a\nb", "U+000A"}, {"/\x7f", "U+007F"}, {"/", "the root cannot be a lock"},
    };
    zkh_client nowhere = {0};
    OK(zkh_client_new("127.0.0.1:1", NULL, &nowhere, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        zkh_mutex m = {77};
        CHECK(zkh_mutex_new(nowhere, bad[i].path, NULL, &m, &err) == ZKH_BAD_PATH && m.id == 0);
        CHECK(strcmp(zkh_error_path(err), bad[i].path) == 0);
        FAILS(zkh_error_code(err), ZKH_BAD_PATH, bad[i].rule);
    }
    FAILS(zkh_client_wait_connected(nowhere, 50, &err), ZKH_CONNECTION_LOSS, "127.0.0.1:1");
    CHECK(zkh_client_free(nowhere) == ZKH_OK);
}

/* ---- in a callback ---- */

static zkh_client cb_client;
static zkh_mutex cb_mutex;

static void blocks(struct outcome *o)
{
    zkh_client c = {77};
    FAILS(zkh_mutex_lock(cb_mutex, 0, NULL, &err), ZKH_WOULD_DEADLOCK, "asynchronous form");
    FAILS(zkh_mutex_unlock(cb_mutex, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_client_close(cb_client, 0, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_client_wait_connected(cb_client, 0, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_client_add_auth(cb_client, "digest", "a:b", 3, &err), ZKH_WOULD_DEADLOCK, "callback");
    FAILS(zkh_client_connect(address, NULL, &c, &err), ZKH_WOULD_DEADLOCK, "callback");
    CHECK(c.id == 0);
    /* These are allowed. */
    CHECK(zkh_mutex_is_held(cb_mutex) && zkh_mutex_token(cb_mutex) == o->value);
    OK(zkh_mutex_unlock_async(cb_mutex, done, o->more, destroy, &err));
    /* The child of a fork has left the callback behind. */
    pid_t child = forks();
    if (child == 0) {
        OK(zkh_client_connect(address, NULL, &c, &err));
        OK(zkh_client_close(c, -1, &err));
        leave();
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void refused_in_callback(zkh_client client, zkh_mutex mutex)
{
    struct outcome unlocked = OUTCOME, o = OUTCOME;
    o.inside = blocks;
    o.more = &unlocked;
    cb_client = client;
    cb_mutex = mutex;
    zkh_op op = {77};
    OK(zkh_mutex_lock_async(mutex, -1, "callback", done, &o, destroy, &op, &err));
    CHECK(await(&o) == ZKH_OK && await(&unlocked) == ZKH_OK);
    CHECK(o.value > 0 && !zkh_mutex_is_held(mutex));
    FAILS(zkh_op_cancel(op, &err), ZKH_BAD_HANDLE, "has completed");
    CHECK(!pthread_equal(o.thread, pthread_self()));
}

/* ---- after a fork ---- */

static zkh_multi parents_multi;
static zkh_acl parents_acl;
static zkh_watch parents_watch;

static void tells_nobody(void *user_data, int32_t event, const char *path)
{
    (void)user_data, (void)event, (void)path;
}

static atomic_int busy = 1;

static void *keeps_busy(void *client)
{
    zkh_mutex m = {0};
    zkh_error *e = NULL;
    CHECK(zkh_mutex_new(*(zkh_client *)client, "/misuse/busy", NULL, &m, &e) == ZKH_OK);
    while (atomic_load(&busy)) {
        CHECK(zkh_mutex_lock(m, -1, NULL, &e) == ZKH_OK);
        CHECK(zkh_mutex_unlock(m, &e) == ZKH_OK);
    }
    CHECK(zkh_mutex_free(m) == ZKH_OK);
    return NULL;
}

static void in_child(zkh_client client, zkh_mutex mutex, zkh_op op, int again)
{
    struct outcome o = OUTCOME;
    zkh_mutex m = {77};
    FAILS(zkh_mutex_lock(mutex, -1, NULL, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_mutex_unlock(mutex, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_mutex_interrupt(mutex, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_client_close(client, -1, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_client_wait_connected(client, -1, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_client_on_state(client, NULL, NULL, NULL, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_mutex_new(client, "/misuse/child", NULL, &m, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_op_cancel(op, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_mutex_lock_async(mutex, -1, NULL, done, &o, destroy, NULL, &err), ZKH_FORKED, "before the fork");
    CHECK(o.calls == 0 && o.destroyed == 1);
    zkh_result *r = NULL;
    zkh_watch watch = {77};
    FAILS(zkh_client_get(client, "/", &r, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_client_exists_async(client, "/", answered, &o, destroy, NULL, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_multi_commit(client, parents_multi, &r, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_multi_check(parents_multi, "/", -1, &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_acl_add(parents_acl, ZKH_PERM_ALL, "world", "anyone", &err), ZKH_FORKED, "before the fork");
    FAILS(zkh_client_watch(client, "/", ZKH_WATCH_DATA, tells_nobody, &o, destroy, &watch, &r, &err), ZKH_FORKED,
          "before the fork");
    CHECK(watch.id == 0 && r == NULL && o.calls == 0 && o.destroyed == 3);
    CHECK(zkh_watch_free(parents_watch) == ZKH_FORKED && zkh_multi_free(parents_multi) == ZKH_FORKED);
    CHECK(zkh_mutex_free(mutex) == ZKH_FORKED && zkh_client_free(client) == ZKH_FORKED);
    CHECK(!zkh_mutex_is_held(mutex) && zkh_mutex_token(mutex) == 0 && zkh_client_state(client) == 0);
    FAILS(zkh_mutex_unlock(no_mutex, &err), ZKH_BAD_HANDLE, "is null");

    zkh_client mine = {0};
    OK(zkh_client_connect(address, NULL, &mine, &err));
    OK(zkh_mutex_new(mine, "/misuse/child", NULL, &m, &err));
    OK(zkh_mutex_lock(m, -1, "a child", &err));
    CHECK(zkh_mutex_is_held(m));
    if (again) {
        pid_t grandchild = forks();
        if (grandchild == 0) {
            in_child(mine, m, op, 0);
            leave();
        }
        int status;
        /* It waits for the lock that is held here. */
        OK(zkh_mutex_unlock(m, &err));
        CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        OK(zkh_mutex_lock(m, -1, "a child", &err));
    }
    OK(zkh_mutex_unlock(m, &err));
    CHECK(zkh_mutex_free(m) == ZKH_OK);
    OK(zkh_client_close(mine, -1, &err));
    CHECK(zkh_client_free(mine) == ZKH_OK);
}

static void forked(zkh_client client, zkh_mutex mutex, int times)
{
    zkh_mutex waiting = {0};
    struct outcome o = OUTCOME;
    zkh_op op = {0};
    pthread_t thread;
    OK(zkh_mutex_lock(mutex, -1, "parent", &err));
    OK(zkh_mutex_new(client, "/misuse/lock", NULL, &waiting, &err));
    OK(zkh_mutex_lock_async(waiting, -1, NULL, done, &o, destroy, &op, &err));
    OK(zkh_multi_new(&parents_multi, &err));
    OK(zkh_acl_new(ZKH_ACL_OPEN, &parents_acl, &err));
    OK(zkh_client_watch(client, "/misuse", ZKH_WATCH_PERSISTENT, tells_nobody, NULL, NULL, &parents_watch, NULL, &err));
    if (!SANITIZED)
        CHECK(pthread_create(&thread, NULL, keeps_busy, &client) == 0);
    for (int i = 0; i < times; i++) {
        pid_t child = forks();
        CHECK(child >= 0);
        if (child == 0) {
            in_child(client, mutex, op, 1);
            leave();
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    if (!SANITIZED) {
        atomic_store(&busy, 0);
        pthread_join(thread, NULL);
    }
    /* The parent's are what they were. */
    CHECK(zkh_mutex_is_held(mutex));
    OK(zkh_op_cancel(op, &err));
    CHECK(await(&o) == ZKH_CANCELLED);
    OK(zkh_mutex_unlock(mutex, &err));
    CHECK(zkh_mutex_free(waiting) == ZKH_OK && zkh_watch_free(parents_watch) == ZKH_OK);
    CHECK(zkh_multi_free(parents_multi) == ZKH_OK && zkh_acl_free(parents_acl) == ZKH_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    address = argv[1];
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    CHECK(zkh_version_number() == ZKH_VERSION_NUMBER && zkh_version()[0] != 0);
    CHECK(strcmp(zkh_code_name(ZKH_NO_NODE), "NO_NODE") == 0 && strcmp(zkh_code_name(12345), "UNKNOWN") == 0);
    OK(zkh_client_connect(address, NULL, &client, &err));
    OK(zkh_mutex_new(client, "/misuse/lock", NULL, &mutex, &err));
    refused_handles(client, mutex);
    refused_arguments(client, mutex);
    refused_paths();
    refused_in_callback(client, mutex);
    forked(client, mutex, argc > 2 ? atoi(argv[2]) : 5);
    CHECK(zkh_mutex_free(mutex) == ZKH_OK);
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    CHECK(zkh_client_free(client) == ZKH_BAD_HANDLE);
    printf("each misuse was told of\n");
    return 0;
}
