/*
 * Terms that end by a call: terms HOST:PORT
 *
 * The task of a leader is nobody's thread here: it begins in a callback, goes on after it, and ends when the
 * program says so. At the end each term was begun once, told to stop at most once, and ended once.
 */
#include "check.h"

#include <time.h>

struct served {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun, stopped, over, destroyed;
    zkh_term term;
    int64_t token, valid_ms;
    int32_t reason;
    zkh_status why;
};

#define SERVED {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static void begin(void *user_data, zkh_term term, int64_t token, int64_t valid_ms)
{
    struct served *s = user_data;
    pthread_mutex_lock(&s->lock);
    s->begun++;
    s->term = term;
    CHECK(token > s->token);
    s->token = token;
    s->valid_ms = valid_ms;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void stop(void *user_data, int64_t token, int32_t reason)
{
    struct served *s = user_data;
    pthread_mutex_lock(&s->lock);
    CHECK(token == s->token);
    s->stopped++;
    s->reason = reason;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void over(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    struct served *s = user_data;
    pthread_mutex_lock(&s->lock);
    CHECK(value == 0 && zkh_error_code(error) == status);
    s->over++;
    s->why = status;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void dropped(void *user_data)
{
    struct served *s = user_data;
    pthread_mutex_lock(&s->lock);
    s->destroyed++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void until(struct served *s, const int *count, int want)
{
    pthread_mutex_lock(&s->lock);
    while (*count < want)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void *end_later(void *user_data)
{
    struct served *s = user_data;
    zkh_error *failed = NULL;
    until(s, &s->stopped, 1);
    CHECK(s->reason == ZKH_STOP_CLOSED);
    /* The elector is being freed, and waits for this. */
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    CHECK(zkh_term_end(s->term, ZKH_TASK_DONE, &failed) == ZKH_OK && failed == NULL);
    return NULL;
}

static zkh_elector elector_at(zkh_client client, const char *path)
{
    zkh_elector_options options = {0};
    zkh_elector elector = {0};
    OK(zkh_elector_options_new(&options, &err));
    OK(zkh_elector_options_set_lease_ms(options, 2000, 500, &err));
    OK(zkh_elector_options_set_backoff_ms(options, 20, 100, &err));
    OK(zkh_elector_new(client, path, &options, &elector, &err));
    CHECK(zkh_elector_options_free(options) == ZKH_OK);
    return elector;
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    CHECK(argc > 1);
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    char path[64];
    snprintf(path, sizeof path, "/zk/terms-%ld", (long)getpid());
    zkh_elector elector = elector_at(client, path);

    /* Two terms, one after the other; the second is interrupted. */
    struct served served = SERVED;
    OK(zkh_elector_run_async(elector, begin, stop, over, &served, dropped, &err));
    until(&served, &served.begun, 1);
    CHECK(served.valid_ms > 0 && zkh_elector_is_leading(elector) && zkh_elector_token(elector) == served.token);
    zkh_term first = served.term;
    FAILS(zkh_term_end(first, 3, &err), ZKH_BAD_ARGUMENT, "outcome is 3");
    OK(zkh_term_end(first, ZKH_TASK_FAILED, &err));
    FAILS(zkh_term_end(first, ZKH_TASK_DONE, &err), ZKH_BAD_HANDLE, "");
    FAILS(zkh_term_end((zkh_term){0}, ZKH_TASK_DONE, &err), ZKH_BAD_HANDLE, "");
    until(&served, &served.begun, 2);
    CHECK(served.stopped == 0);
    OK(zkh_elector_interrupt(elector, &err));
    until(&served, &served.stopped, 1);
    CHECK(served.reason == ZKH_STOP_INTERRUPTED && served.over == 0);
    OK(zkh_term_end(served.term, ZKH_TASK_DONE, &err));
    until(&served, &served.destroyed, 1);
    CHECK(served.over == 1 && served.why == ZKH_INTERRUPTED && served.begun == 2 && served.stopped == 1);

    /* A task that says itself that it was interrupted ends the election. */
    struct served once = SERVED;
    OK(zkh_elector_run_async(elector, begin, stop, over, &once, dropped, &err));
    until(&once, &once.begun, 1);
    OK(zkh_term_end(once.term, ZKH_TASK_INTERRUPTED, &err));
    until(&once, &once.destroyed, 1);
    CHECK(once.over == 1 && once.why == ZKH_INTERRUPTED && once.stopped == 0);

    /* Free waits for the end of a term, which may be told meanwhile. */
    struct served last = SERVED;
    OK(zkh_elector_run_async(elector, begin, stop, over, &last, dropped, &err));
    until(&last, &last.begun, 1);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, end_later, &last) == 0);
    CHECK(zkh_elector_free(elector) == ZKH_OK);
    CHECK(last.over == 1 && last.destroyed == 1 && last.why == ZKH_CLOSED);
    CHECK(pthread_join(thread, NULL) == 0);

    /* Where the call fails, the user_data is destroyed all the same, and nothing else is called. */
    struct served none = SERVED;
    FAILS(zkh_elector_run_async(elector, begin, stop, over, &none, dropped, &err), ZKH_BAD_HANDLE, "");
    elector = elector_at(client, path);
    FAILS(zkh_elector_run_async(elector, NULL, stop, over, &none, dropped, &err), ZKH_BAD_ARGUMENT, "begin");
    FAILS(zkh_elector_run_async(elector, begin, NULL, over, &none, dropped, &err), ZKH_BAD_ARGUMENT, "stop");
    FAILS(zkh_elector_run_async(elector, begin, stop, NULL, &none, dropped, &err), ZKH_BAD_ARGUMENT, "over");
    CHECK(none.destroyed == 4 && none.begun == 0 && none.over == 0);
    CHECK(zkh_elector_free(elector) == ZKH_OK);

    /* The server of programs whose tests knew an in-memory connection. */
    zkh_server server = {0};
    char address[64];
    zkh_client own = {0};
    zkh_client_options options = {0};
    zkh_result *result = NULL;
    OK(zkh_server_start(0, 0, &server, &err));
    OK(zkh_server_set_lenient(server, true, &err));
    CHECK(zkh_server_address(server, address, sizeof address) > 0);
    OK(zkh_client_options_new(&options, &err));
    FAILS(zkh_client_options_set_max_silence_ms(options, 9, &err), ZKH_BAD_ARGUMENT, "max_silence");
    OK(zkh_client_options_set_max_silence_ms(options, 1000, &err));
    OK(zkh_client_connect(address, &options, &own, &err));
    OK(zkh_client_create(own, "/a", NULL, 0, ZKH_CREATE_PERSISTENT, 0, NULL, NULL, &err));
    OK(zkh_client_create(own, "/a/plain", NULL, 0, ZKH_CREATE_PERSISTENT, 0, NULL, NULL, &err));
    OK(zkh_client_create(own, "/a/", NULL, 0, ZKH_CREATE_PERSISTENT_SEQUENTIAL, 0, NULL, &result, &err));
    CHECK(strcmp(zkh_result_path(result), "/a/0000000001") == 0);
    zkh_result_free(result);
    OK(zkh_client_close(own, 2000, &err));
    CHECK(zkh_client_free(own) == ZKH_OK && zkh_client_options_free(options) == ZKH_OK);
    CHECK(zkh_server_free(server) == ZKH_OK);
    FAILS(zkh_server_set_lenient(server, true, &err), ZKH_BAD_HANDLE, "");

    OK(zkh_client_close(client, 2000, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    puts("each term was ended once");
    return 0;
}
