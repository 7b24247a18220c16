/*
 * The conformance scenarios in C: conformance ADDRESS all, or conformance ADDRESS NUMBER... . scenarios.inc is made
 * from scenarios.txt by tests/conformance.rs: a line S(number, place, function, "name") for each.
 */
#include "scenario.h"
#include <stdarg.h>

#define S(number, place, function, name) void function(void);
#include "scenarios.inc"
#undef S

static const struct {
    int number;
    const char *place, *name;
    void (*run)(void);
} scenarios[] = {
#define S(number, place, function, name) {number, #place, name, function},
#include "scenarios.inc"
#undef S
};

const char *server_address;

/* What the present scenario has made. */
static struct {
    zkh_client clients[8];
    zkh_mutex mutexes[16];
    zkh_queue_lock queues[4];
    zkh_elector electors[4];
    zkh_pid_node pid_nodes[4];
    zkh_watch watches[4];
    zkh_server servers[2];
    zkh_acl lists[4];
    void *memory[256];
    size_t client_count, mutex_count, queue_count, elector_count, pid_count, watch_count, server_count, list_count;
    size_t memory_count;
} has;

#define KEEP(array, count, what) (CHECK(has.count < sizeof has.array / sizeof *has.array), has.array[has.count++] = (what))
#undef CHECK
#define CHECK(what) ((what) ? (void)0 : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what), _exit(1)))

static void *keep(void *memory)
{
    CHECK(memory != NULL);
    return KEEP(memory, memory_count, memory);
}

static void clean_up(void)
{
    for (size_t i = 0; i < has.watch_count; i++)
        zkh_watch_free(has.watches[i]);
    for (size_t i = 0; i < has.elector_count; i++)
        zkh_elector_free(has.electors[i]);
    for (size_t i = 0; i < has.mutex_count; i++)
        zkh_mutex_free(has.mutexes[i]);
    for (size_t i = 0; i < has.queue_count; i++)
        zkh_queue_lock_free(has.queues[i]);
    for (size_t i = 0; i < has.pid_count; i++)
        zkh_pid_node_free(has.pid_nodes[i]);
    for (size_t i = 0; i < has.client_count; i++) {
        zkh_client_close(has.clients[i], 5000, NULL);
        zkh_client_free(has.clients[i]);
    }
    for (size_t i = 0; i < has.server_count; i++)
        zkh_server_free(has.servers[i]);
    for (size_t i = 0; i < has.list_count; i++)
        zkh_acl_free(has.lists[i]);
    for (size_t i = 0; i < has.memory_count; i++)
        free(has.memory[i]);
    memset(&has, 0, sizeof has);
}

zkh_client_options client_options(void)
{
    zkh_client_options options = {0};
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_session_timeout_ms(options, SESSION, &err));
    return options;
}

zkh_client join_with(const char *where, zkh_client_options options)
{
    zkh_client client = {0};
    OK(zkh_client_connect(where, &options, &client, &err));
    CHECK(zkh_client_options_free(options) == ZKH_OK);
    return KEEP(clients, client_count, client);
}

zkh_client join_at(const char *where, int64_t session_timeout_ms)
{
    zkh_client_options options = client_options();
    OK(zkh_client_options_set_session_timeout_ms(options, session_timeout_ms, &err));
    return join_with(where, options);
}

zkh_client join(void)
{
    return join_at(server_address, SESSION);
}

zkh_client_options taking(zkh_client of)
{
    zkh_client_options options = client_options();
    char password[16];
    int64_t session = 0, zxid = 0;
    size_t len = 0;
    OK(zkh_client_credentials(of, &session, password, sizeof password, &len, &zxid, &err));
    OK(zkh_client_options_set_reattach(options, session, password, len, zxid, &err));
    return options;
}

void end_session(zkh_client client)
{
    OK(zkh_client_close(join_with(server_address, taking(client)), WAIT, &err));
}

zkh_server serve(char address[64])
{
    zkh_server server = {0};
    OK(zkh_server_start(0, 200, &server, &err));
    CHECK(zkh_server_address(server, address, 64) < 64);
    return KEEP(servers, server_count, server);
}

const char *text(const char *format, ...)
{
    char *buffer = keep(malloc(256));
    va_list arguments;
    va_start(arguments, format);
    CHECK(vsnprintf(buffer, 256, format, arguments) < 256);
    va_end(arguments);
    return buffer;
}

const char *home(zkh_client client)
{
    static int count;
    const char *path = text("/zk/conformance-c-%ld-%d", (long)getpid(), count++);
    OK(zkh_tree_create(client, path, NULL, 0, ZKH_CREATE_PERSISTENT, NULL, NULL, &err));
    return path;
}

const char *lock_path(zkh_client client)
{
    return text("%s/lock", home(client));
}

const char *make(zkh_client client, const char *path, int32_t mode)
{
    zkh_result *r = NULL;
    OK(zkh_client_create(client, path, NULL, 0, mode, 0, NULL, &r, &err));
    const char *made = text("%s", zkh_result_path(r));
    zkh_result_free(r);
    return made;
}

void set(zkh_client client, const char *path, const char *data)
{
    OK(zkh_client_set(client, path, data, strlen(data), -1, NULL, &err));
}

void delete(zkh_client client, const char *path)
{
    OK(zkh_client_delete(client, path, -1, &err));
}

const char *data_of(zkh_client client, const char *path, zkh_stat *stat)
{
    zkh_result *r = NULL;
    zkh_stat unused;
    OK(zkh_client_get(client, path, &r, &err));
    const char *data = text("%s", (const char *)zkh_result_data(r, NULL));
    CHECK(zkh_result_stat(r, stat == NULL ? &unused : stat));
    zkh_result_free(r);
    return data;
}

bool exists(zkh_client client, const char *path, zkh_stat *stat)
{
    zkh_result *r = NULL;
    zkh_stat unused;
    OK(zkh_client_exists(client, path, &r, &err));
    bool there = zkh_result_exists(r) && zkh_result_stat(r, stat == NULL ? &unused : stat);
    zkh_result_free(r);
    return there;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *children(zkh_client client, const char *path, size_t *count)
{
    zkh_result *r = NULL;
    const char *names[16];
    char all[256] = "";
    zkh_status status = zkh_client_children(client, path, &r, &err);
    CHECK(status == ZKH_OK || status == ZKH_NO_NODE);
    zkh_error_free(err);
    err = NULL;
    size_t n = zkh_result_count(r);
    CHECK(n <= 16);
    for (size_t i = 0; i < n; i++)
        names[i] = zkh_result_name(r, i);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), i == 0 ? "%s" : " %s", names[i]);
    zkh_result_free(r);
    if (count != NULL) {
        *count = n;
        return NULL;
    }
    return text("%s", all);
}

void until(zkh_client client, const char *path, size_t count)
{
    for (size_t n = count + 1; n != count;)
        children(client, path, &n);
}

const char *only(zkh_client client, const char *path)
{
    const char *name = children(client, path, NULL);
    CHECK(*name != '\0' && strchr(name, ' ') == NULL);
    return text("%s/%s", path, name);
}

zkh_acl list_of(int32_t permissions)
{
    zkh_acl list = {0};
    OK(zkh_acl_new(ZKH_ACL_EMPTY, &list, &err));
    OK(zkh_acl_add(list, permissions, "world", "anyone", &err));
    return KEEP(lists, list_count, list);
}

zkh_mutex_options mutex_options(void)
{
    zkh_mutex_options options = {0};
    OK(zkh_mutex_options_new(&options, &err));
    return options;
}

zkh_mutex mutex_with(zkh_client client, const char *path, zkh_mutex_options options)
{
    zkh_mutex mutex = {0};
    OK(zkh_mutex_new(client, path, &options, &mutex, &err));
    CHECK(zkh_mutex_options_free(options) == ZKH_OK);
    return KEEP(mutexes, mutex_count, mutex);
}

zkh_mutex mutex(zkh_client client, const char *path)
{
    return mutex_with(client, path, mutex_options());
}

zkh_mutex strict(zkh_client client, const char *path, int64_t delay_ms)
{
    zkh_mutex_options options = mutex_options();
    OK(zkh_mutex_options_set_strict(options, delay_ms, delay_ms, &err));
    return mutex_with(client, path, options);
}

zkh_mutex persistent(zkh_client client, const char *path, int64_t lease_ms)
{
    zkh_mutex_options options = mutex_options();
    OK(zkh_mutex_options_set_persistent(options, lease_ms, &err));
    return mutex_with(client, path, options);
}

zkh_queue_lock queue(zkh_client client, const char *path)
{
    zkh_queue_lock queue = {0};
    OK(zkh_queue_lock_new(client, path, NULL, &queue, &err));
    return KEEP(queues, queue_count, queue);
}

zkh_elector elector(zkh_client client, const char *path, int64_t lease_ms)
{
    zkh_elector elector = {0};
    zkh_elector_options options = {0};
    OK(zkh_elector_options_new(&options, &err));
    OK(zkh_elector_options_set_lease_ms(options, lease_ms, 200, &err));
    OK(zkh_elector_options_set_backoff_ms(options, 5, 20, &err));
    OK(zkh_elector_new(client, path, &options, &elector, &err));
    CHECK(zkh_elector_options_free(options) == ZKH_OK);
    return KEEP(electors, elector_count, elector);
}

zkh_pid_node_options pid_options(void)
{
    zkh_pid_node_options options = {0};
    OK(zkh_pid_node_options_new(&options, &err));
    return options;
}

zkh_pid_node pid_node(zkh_client client, const char *path, zkh_pid_node_options options)
{
    zkh_pid_node node = {0};
    OK(zkh_pid_node_new(client, path, "4711", 4, &options, &node, &err));
    CHECK(zkh_pid_node_options_free(options) == ZKH_OK);
    return KEEP(pid_nodes, pid_count, node);
}

struct outcome *outcome(void)
{
    struct outcome *o = keep(malloc(sizeof *o));
    *o = (struct outcome)OUTCOME;
    return o;
}

struct outcome *waiting(zkh_mutex mutex, zkh_op *op)
{
    struct outcome *o = outcome();
    OK(zkh_mutex_lock_async(mutex, WAIT, NULL, done, o, destroy, op, &err));
    return o;
}

struct notes {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct note all[64];
    size_t count, read;
};

struct notes *notes(void)
{
    struct notes *n = keep(malloc(sizeof *n));
    *n = (struct notes){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    return n;
}

static void take(struct notes *n, int32_t kind, int64_t number, int64_t other, const char *what)
{
    pthread_mutex_lock(&n->lock);
    CHECK(n->count < sizeof n->all / sizeof *n->all);
    struct note *note = &n->all[n->count++];
    *note = (struct note){.kind = kind, .number = number, .other = other};
    snprintf(note->text, sizeof note->text, "%s", what == NULL ? "" : what);
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
}

struct note next(struct notes *n)
{
    pthread_mutex_lock(&n->lock);
    while (n->read == n->count)
        pthread_cond_wait(&n->changed, &n->lock);
    struct note note = n->all[n->read++];
    pthread_mutex_unlock(&n->lock);
    return note;
}

struct note next_is(struct notes *n, int32_t kind)
{
    struct note note = next(n);
    if (note.kind != kind)
        fprintf(stderr, "kind %d in place of %d: %" PRId64 " %s\n", note.kind, kind, note.number, note.text);
    CHECK(note.kind == kind);
    return note;
}

bool none_left(struct notes *n)
{
    pthread_mutex_lock(&n->lock);
    bool none = n->read == n->count;
    pthread_mutex_unlock(&n->lock);
    return none;
}

void note_lost(void *n, int64_t token, int32_t reason)
{
    take(n, reason, token, 0, NULL);
}

void note_revoke(void *n, int64_t token, const char *reason)
{
    take(n, 0, token, 0, reason);
}

void note_watch(void *n, int32_t event, const char *path)
{
    take(n, event, 0, 0, path);
}

void note_state(void *n, int32_t state, int64_t session, int64_t previous, const zkh_error *reason)
{
    (void)reason;
    take(n, state, session, previous, NULL);
}

void note_pid(void *n, int32_t event, int32_t loss, const zkh_error *error)
{
    take(n, event, loss, zkh_error_code(error), zkh_error_message(error));
}

void note_leader(void *n, zkh_status status, const zkh_leader *leader, const zkh_error *error)
{
    CHECK(status == ZKH_OK && error == NULL);
    take(n, zkh_leader_standing(leader), zkh_leader_token(leader), 0, NULL);
}

struct notes *losses_of(zkh_mutex mutex)
{
    struct notes *n = notes();
    OK(zkh_mutex_on_lost(mutex, note_lost, n, NULL, &err));
    return n;
}

static void note_term(void *n, zkh_term term, int64_t token, int64_t valid_ms)
{
    CHECK(valid_ms > 0);
    take(n, TERM, (int64_t)term.id, token, NULL);
}

static void note_stop(void *n, int64_t token, int32_t reason)
{
    take(n, STOP, reason, token, NULL);
}

static void note_over(void *n, zkh_status status, int64_t value, const zkh_error *error)
{
    (void)value;
    take(n, OVER, status, 0, zkh_error_message(error));
}

struct notes *stand(zkh_elector elector)
{
    struct notes *n = notes();
    OK(zkh_elector_run_async(elector, note_term, note_stop, note_over, n, NULL, &err));
    return n;
}

void end_term(struct note term, int32_t how)
{
    OK(zkh_term_end((zkh_term){(uint64_t)term.number}, how, &err));
}

struct notes *watch(zkh_client client, const char *path, int32_t kind, zkh_watch *watch)
{
    struct notes *n = notes();
    zkh_watch own = {0};
    OK(zkh_client_watch(client, path, kind, note_watch, n, NULL, &own, NULL, &err));
    KEEP(watches, watch_count, own);
    if (watch != NULL)
        *watch = own;
    return n;
}

int64_t now_ms(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    server_address = argv[1];
    bool all = strcmp(argv[2], "all") == 0;
    size_t ran = 0;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        bool wanted = all;
        for (int k = 2; k < argc; k++)
            wanted = wanted || atoi(argv[k]) == scenarios[i].number;
        if (!wanted)
            continue;
        fprintf(stderr, "runs %d %s\n", scenarios[i].number, scenarios[i].name);
        scenarios[i].run();
        clean_up();
        printf("ok %d %s\n", scenarios[i].number, scenarios[i].name);
        fflush(stdout);
        ran++;
    }
    CHECK(ran > 0 && (all || ran == (size_t)argc - 2));
    return 0;
}
