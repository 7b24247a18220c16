/*
 * Elections: tasks that are run, told to stop and run again; terms by callbacks; who leads, as an answer and
 * as news; a task that outlives its grace. Whatever is freed meanwhile, each callback comes once. What is wrong is
 * refused.
 */
#include "check.h"
#include <inttypes.h>

/* A task in one process, and what it was told. */
struct task {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    zkh_client client;
    zkh_elector elector;
    int runs, stops, ends;
    int64_t token;
    int32_t reason;
    /* What the task does: fails so many times, and then waits until it is told to stop, and for this. */
    int failures;
    bool go_on, interrupted, frees;
    zkh_status status;
    int over, destroyed, elected, deposed;
};

/* A path of this run's own. */
static const char *at(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "/elections-%ld/%s", (long)getpid(), name);
    return path;
}

#define TASK {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

#define CHANGE(t, what) \
    do { \
        pthread_mutex_lock(&(t)->lock); \
        what; \
        pthread_cond_broadcast(&(t)->changed); \
        pthread_mutex_unlock(&(t)->lock); \
    } while (0)

#define AWAIT(t, what) \
    do { \
        pthread_mutex_lock(&(t)->lock); \
        while (!(what)) \
            pthread_cond_wait(&(t)->changed, &(t)->lock); \
        pthread_mutex_unlock(&(t)->lock); \
    } while (0)

static int32_t run(void *user_data, int64_t token)
{
    struct task *t = user_data;
    int runs, stops;
    /* The thread is the caller's: what waits is allowed. Before anybody hears of the run, who may close the client then. */
    CHECK(zkh_client_wait_connected(t->client, -1, NULL) == ZKH_OK);
    CHANGE(t, t->runs++; t->token = token; runs = t->runs; stops = t->stops);
    if (runs <= t->failures)
        return ZKH_TASK_FAILED;
    if (t->frees) {
        CHECK(zkh_elector_free(t->elector) == ZKH_OK);
        CHECK(zkh_elector_token(t->elector) == 0);
    } else {
        AWAIT(t, t->stops > stops || t->interrupted);
        AWAIT(t, t->go_on);
    }
    CHANGE(t, t->ends++);
    return ZKH_TASK_DONE;
}

static void stop(void *user_data, int64_t token, int32_t reason)
{
    struct task *t = user_data;
    CHECK(token == t->token);
    CHECK(zkh_client_wait_connected(t->client, -1, NULL) == ZKH_WOULD_DEADLOCK);
    CHANGE(t, t->stops++; t->reason = reason);
}

static bool interrupted(void *user_data)
{
    struct task *t = user_data;
    CHECK(t->ends > 0 || t->failures > 0);
    return t->interrupted;
}

static void *run_in_thread(void *user_data)
{
    struct task *t = user_data;
    zkh_error *why = NULL;
    zkh_status status = zkh_elector_run(t->elector, run, stop, interrupted, t, &why);
    CHECK(status != ZKH_OK && zkh_error_code(why) == status);
    zkh_error_free(why);
    CHANGE(t, t->status = status);
    return NULL;
}

static zkh_client client;
static zkh_elector_options options;

/* An elector on a path, in its own thread, that leads. */
static pthread_t leads(struct task *t, const char *path)
{
    pthread_t thread;
    t->client = client;
    OK(zkh_elector_new(client, path, &options, &t->elector, &err));
    CHECK(pthread_create(&thread, NULL, run_in_thread, t) == 0);
    AWAIT(t, t->runs > t->failures);
    return thread;
}

/* The last standing and token that an observer was told, and how often. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls, destroyed;
    int32_t standing;
    int64_t token;
};

static void on_leader(void *user_data, zkh_status status, const zkh_leader *leader, const zkh_error *error)
{
    struct seen *s = user_data;
    CHECK(status == ZKH_OK && error == NULL);
    CHANGE(s, s->calls++; s->standing = zkh_leader_standing(leader); s->token = zkh_leader_token(leader));
}

static void destroy_seen(void *user_data)
{
    struct seen *s = user_data;
    CHANGE(s, s->destroyed++);
}

static void on_candidates(void *user_data, zkh_status status, const zkh_contenders *all, const zkh_error *error)
{
    struct seen *s = user_data;
    CHECK(status == ZKH_OK && error == NULL && zkh_contenders_count(all) == 1);
    CHANGE(s, s->calls++; s->token = zkh_contenders_token(all, 0));
}

static void a_task_is_run_until_it_is_interrupted(void)
{
    struct task t = TASK;
    zkh_leader *leader = NULL;
    size_t len = 0;
    t.failures = 2;
    pthread_t thread = leads(&t, at("run"));
    CHECK(t.runs == 3 && zkh_elector_is_leading(t.elector) && zkh_elector_token(t.elector) == t.token);
    int64_t valid = zkh_elector_valid_ms(t.elector);
    CHECK(valid > 0 && valid <= 2000);
    OK(zkh_elector_leader(t.elector, &leader, &err));
    CHECK(zkh_leader_standing(leader) == ZKH_STANDING_LEADING && zkh_leader_token(leader) == t.token);
    const char *data = zkh_leader_data(leader, &len);
    CHECK(data != NULL && len == strlen(data) && strstr(data, "\"candidate\":\"lock-") != NULL);
    CHECK(strstr(data, "\"role\":\"test\"") != NULL && strstr(data, "\"desc\":\"C\"") != NULL);
    CHECK(zkh_leader_since_ms(leader) > 0);
    zkh_leader_free(leader);
    zkh_contenders *candidates = NULL;
    struct seen listed = TASK;
    OK(zkh_elector_candidates(t.elector, &candidates, &err));
    CHECK(zkh_contenders_count(candidates) == 1 && zkh_contenders_token(candidates, 0) == t.token);
    zkh_contenders_free(candidates);
    OK(zkh_elector_candidates_async(t.elector, on_candidates, &listed, destroy_seen, &err));
    AWAIT(&listed, listed.destroyed == 1);
    CHECK(listed.calls == 1 && listed.token == t.token);
    FAILS(zkh_elector_candidates(t.elector, NULL, &err), ZKH_BAD_ARGUMENT, "candidates is a null pointer");
    CHANGE(&t, t.go_on = true; t.interrupted = true);
    CHECK(pthread_join(thread, NULL) == 0 && t.status == ZKH_INTERRUPTED && t.stops == 0);
    CHECK(!zkh_elector_is_leading(t.elector) && zkh_elector_token(t.elector) == 0);
    OK(zkh_elector_leader(t.elector, &leader, &err));
    CHECK(zkh_leader_standing(leader) == ZKH_STANDING_GONE);
    zkh_leader_free(leader);
    /* An interrupt that nobody waits for ends the next candidacy. */
    OK(zkh_elector_interrupt(t.elector, &err));
    FAILS(zkh_elector_run(t.elector, run, stop, NULL, &t, &err), ZKH_INTERRUPTED, at("run"));
    CHECK(zkh_elector_free(t.elector) == ZKH_OK);
}

static void it_is_told_to_stop_and_its_end_awaited(void)
{
    struct task t = TASK;
    pthread_t thread = leads(&t, at("stop"));
    OK(zkh_elector_resign(t.elector, &err));
    AWAIT(&t, t.stops == 1);
    CHECK(t.reason == ZKH_STOP_RESIGNED && zkh_elector_is_leading(t.elector));
    FAILS(zkh_elector_resign(t.elector, &err), ZKH_NOT_HELD, at("stop"));
    int64_t token = t.token;
    CHANGE(&t, t.go_on = true);
    /* The next term, which waits for a stop of its own. */
    AWAIT(&t, t.runs == 2);
    CHECK(t.token > token && t.ends == 1);
    OK(zkh_elector_interrupt(t.elector, &err));
    AWAIT(&t, t.stops == 2);
    CHECK(t.reason == ZKH_STOP_INTERRUPTED);
    CHANGE(&t, t.go_on = true);
    CHECK(pthread_join(thread, NULL) == 0 && t.status == ZKH_INTERRUPTED);
    OK(zkh_elector_close(t.elector, &err));
    FAILS(zkh_elector_run(t.elector, run, stop, NULL, &t, &err), ZKH_CLOSED, at("stop"));
    CHECK(zkh_elector_free(t.elector) == ZKH_OK);
}

static void free_waits_for_the_task(void)
{
    struct task t = TASK;
    pthread_t thread = leads(&t, at("free"));
    CHANGE(&t, t.go_on = true);
    CHECK(zkh_elector_free(t.elector) == ZKH_OK);
    CHECK(t.stops == 1 && t.reason == ZKH_STOP_CLOSED && t.ends == 1);
    CHECK(pthread_join(thread, NULL) == 0 && t.status == ZKH_CLOSED);
    CHECK(zkh_elector_free(t.elector) == ZKH_BAD_HANDLE);
    /* But not inside it. */
    struct task inside = TASK;
    inside.frees = true;
    thread = leads(&inside, at("free"));
    CHECK(pthread_join(thread, NULL) == 0 && inside.status == ZKH_CLOSED && inside.ends == 1);
}

static void elected(void *user_data, int64_t token, int64_t valid_ms)
{
    struct task *t = user_data;
    CHECK(token > t->token && valid_ms > 0);
    CHECK(zkh_client_wait_connected(client, -1, NULL) == ZKH_WOULD_DEADLOCK);
    CHANGE(t, t->elected++; t->token = token);
}

static void deposed(void *user_data, int64_t token, int32_t reason)
{
    struct task *t = user_data;
    CHECK(token == t->token && t->elected == t->deposed + 1);
    CHANGE(t, t->deposed++; t->reason = reason);
}

static void over(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    struct task *t = user_data;
    CHECK(value == 0 && zkh_error_code(error) == status && t->deposed == t->elected && t->destroyed == 0);
    CHANGE(t, t->over++; t->status = status);
}

static void destroy_task(void *user_data)
{
    struct task *t = user_data;
    CHANGE(t, t->destroyed++);
}

static void terms_by_callbacks(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        struct task t = TASK;
        OK(zkh_elector_new(client, at("start"), &options, &t.elector, &err));
        OK(zkh_elector_start(t.elector, elected, deposed, over, &t, destroy_task, &err));
        AWAIT(&t, t.elected == 1);
        CHECK(zkh_elector_is_leading(t.elector));
        OK(zkh_elector_resign(t.elector, &err));
        AWAIT(&t, t.elected == 2);
        CHECK(t.deposed == 1 && t.reason == ZKH_STOP_RESIGNED);
        switch (round % 3) {
        case 0:
            OK(zkh_elector_interrupt(t.elector, &err));
            AWAIT(&t, t.destroyed == 1);
            CHECK(t.status == ZKH_INTERRUPTED && t.reason == ZKH_STOP_INTERRUPTED);
            break;
        case 1:
            OK(zkh_elector_close(t.elector, &err));
            AWAIT(&t, t.destroyed == 1);
            CHECK(t.status == ZKH_CLOSED && t.reason == ZKH_STOP_CLOSED);
            break;
        default:
            /* All is over when it is freed. */
            break;
        }
        CHECK(zkh_elector_free(t.elector) == ZKH_OK);
        CHECK(t.over == 1 && t.destroyed == 1 && t.deposed == 2);
    }
}

static void observers_are_told(void)
{
    struct seen s = TASK, one = TASK;
    struct task t = TASK;
    zkh_elector watcher = {0};
    OK(zkh_elector_new(client, at("observed"), NULL, &watcher, &err));
    OK(zkh_elector_on_leader(watcher, on_leader, &s, destroy_seen, &err));
    AWAIT(&s, s.calls == 1);
    CHECK(s.standing == 0 && s.token == 0);
    pthread_t thread = leads(&t, at("observed"));
    AWAIT(&s, s.standing == ZKH_STANDING_LEADING && s.token == t.token);
    OK(zkh_elector_leader_async(watcher, on_leader, &one, destroy_seen, NULL, &err));
    AWAIT(&one, one.destroyed == 1);
    CHECK(one.calls == 1 && one.token == t.token && one.standing == ZKH_STANDING_LEADING);
    OK(zkh_elector_interrupt(t.elector, &err));
    CHANGE(&t, t.go_on = true);
    CHECK(pthread_join(thread, NULL) == 0);
    AWAIT(&s, s.standing == ZKH_STANDING_GONE && s.token == t.token);
    OK(zkh_elector_on_leader(watcher, NULL, NULL, NULL, &err));
    AWAIT(&s, s.destroyed == 1);
    CHECK(zkh_elector_free(watcher) == ZKH_OK && zkh_elector_free(t.elector) == ZKH_OK);
}

static struct seen late = TASK;

static void on_overdue(void *user_data, int64_t token)
{
    CHECK(user_data == &late);
    CHANGE(&late, late.calls++; late.token = token);
}

/* The client's end takes the lead away while the task goes on. */
static void a_task_that_outlives_its_grace_is_reported(const char *address)
{
    struct task t = TASK;
    zkh_client own = {0}, kept = client;
    OK(zkh_client_connect(address, NULL, &own, &err));
    client = own;
    OK(zkh_elector_options_set_lease_ms(options, 500, 100, &err));
    pthread_t thread = leads(&t, at("overdue"));
    OK(zkh_elector_on_overdue(t.elector, on_overdue, &late, destroy_seen, &err));
    OK(zkh_client_close(own, -1, &err));
    AWAIT(&t, t.stops == 1);
    CHECK(t.reason == ZKH_STOP_CLIENT_CLOSED && !zkh_elector_is_leading(t.elector));
    AWAIT(&late, late.calls == 1);
    CHECK(late.token == t.token);
    CHANGE(&t, t.go_on = true);
    CHECK(pthread_join(thread, NULL) == 0 && t.status == ZKH_CLOSED);
    CHECK(zkh_elector_free(t.elector) == ZKH_OK && zkh_client_free(own) == ZKH_OK);
    AWAIT(&late, late.destroyed == 1);
    OK(zkh_elector_options_set_lease_ms(options, 2000, 1000, &err));
    client = kept;
}

static void what_is_wrong_is_refused(void)
{
    zkh_elector elector = {0}, invented = {0x0a01000000000009};
    zkh_elector_options gone = {0};
    zkh_acl empty = {0};
    struct task t = TASK;
    FAILS(zkh_elector_new(client, NULL, NULL, &elector, &err), ZKH_BAD_ARGUMENT, "path is a null pointer");
    FAILS(zkh_elector_new(client, "/x", NULL, NULL, &err), ZKH_BAD_ARGUMENT, "elector is a null pointer");
    FAILS(zkh_elector_new(client, "/x/", NULL, &elector, &err), ZKH_BAD_PATH, "/x/");
    FAILS(zkh_elector_new(client, "/x", &gone, &elector, &err), ZKH_BAD_HANDLE, "null");
    FAILS(zkh_elector_options_set_lease_ms(options, 99, 0, &err), ZKH_BAD_ARGUMENT, "100 ms");
    FAILS(zkh_elector_options_set_lease_ms(options, 1000, -2, &err), ZKH_BAD_ARGUMENT, "-2 ms");
    FAILS(zkh_elector_options_set_backoff_ms(options, 0, 10, &err), ZKH_BAD_ARGUMENT, "back-off");
    FAILS(zkh_elector_options_set_backoff_ms(options, 11, 10, &err), ZKH_BAD_ARGUMENT, "back-off");
    FAILS(zkh_elector_options_set_abort_when_overdue(options, 2, &err), ZKH_BAD_ARGUMENT, "abort is 2");
    FAILS(zkh_elector_options_set_contents_json(options, "[]", &err), ZKH_BAD_ARGUMENT, "JSON object");
    FAILS(zkh_elector_options_add_extra_lock_pattern(options, "", &err), ZKH_BAD_ARGUMENT, "pattern");
    FAILS(zkh_elector_options_set_acl(options, &empty, &err), ZKH_BAD_HANDLE, "null");
    OK(zkh_elector_new(client, at("wrong"), &options, &elector, &err));
    FAILS(zkh_elector_run(elector, NULL, stop, NULL, &t, &err), ZKH_BAD_ARGUMENT, "run is a null pointer");
    FAILS(zkh_elector_run(elector, run, NULL, NULL, &t, &err), ZKH_BAD_ARGUMENT, "stop is a null pointer");
    FAILS(zkh_elector_start(elector, NULL, deposed, over, &t, destroy_task, &err), ZKH_BAD_ARGUMENT, "elected");
    FAILS(zkh_elector_start(elector, elected, deposed, NULL, &t, destroy_task, &err), ZKH_BAD_ARGUMENT, "over");
    CHECK(t.destroyed == 2);
    FAILS(zkh_elector_leader_async(elector, NULL, &t, destroy_task, NULL, &err), ZKH_BAD_ARGUMENT, "callback");
    FAILS(zkh_elector_resign(elector, &err), ZKH_NOT_HELD, at("wrong"));
    OK(zkh_elector_leader(elector, NULL, &err));
    CHECK(zkh_elector_free(elector) == ZKH_OK && zkh_elector_free((zkh_elector){0}) == ZKH_OK);
    FAILS(zkh_elector_interrupt(elector, &err), ZKH_BAD_HANDLE, "was freed");
    FAILS(zkh_elector_run(invented, run, stop, NULL, &t, &err), ZKH_BAD_HANDLE, "zkh_elector");
    CHECK(!zkh_elector_is_leading(elector) && zkh_elector_valid_ms(elector) == 0);
    CHECK(zkh_leader_token(NULL) == 0 && zkh_leader_standing(NULL) == 0 && zkh_leader_data(NULL, NULL) == NULL);
    zkh_leader_free(NULL);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    int rounds = argc > 2 && *argv[2] != '\0' ? atoi(argv[2]) : 3;
    OK(zkh_elector_options_new(&options, &err));
    OK(zkh_elector_options_set_lease_ms(options, 2000, 1000, &err));
    OK(zkh_elector_options_set_backoff_ms(options, 5, 20, &err));
    OK(zkh_elector_options_set_description(options, "C", &err));
    OK(zkh_elector_options_set_contents_json(options, "{\"role\": \"test\"}", &err));
    OK(zkh_client_connect(argv[1], NULL, &client, &err));
    what_is_wrong_is_refused();
    a_task_is_run_until_it_is_interrupted();
    it_is_told_to_stop_and_its_end_awaited();
    free_waits_for_the_task();
    terms_by_callbacks(rounds);
    observers_are_told();
    a_task_that_outlives_its_grace_is_reported(argv[1]);
    CHECK(zkh_elector_options_free(options) == ZKH_OK);
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each term was begun and ended once\n");
    return 0;
}
