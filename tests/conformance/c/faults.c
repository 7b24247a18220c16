/* The embedded server and its faults: scenarios 96 to 104, each on a server of its own. */
#include "scenario.h"

#define AT "/zk/lock"

static zkh_server server;
static zkh_client a, b;
static zkh_mutex m;

static void begin(void)
{
    char address[64];
    server = serve(address);
    a = join_at(address, 1000);
    b = join_at(address, 1000);
    m = mutex(a, AT);
}

static void locks(void)
{
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
}

static void unlocks(void)
{
    OK(zkh_mutex_unlock(m, &err));
}

static void lease_runs_out(struct notes *losses)
{
    next_is(losses, ZKH_LOSS_LEASE_RAN_OUT);
    CHECK(!zkh_mutex_is_held(m));
}

void s96_embedded_is_one_server(void)
{
    zkh_client one = join_at("embedded", SESSION), two = join_at("embedded", SESSION);
    const char *at = lock_path(one);
    OK(zkh_mutex_lock(mutex(one, at), WAIT, NULL, &err));
    FAILS(zkh_mutex_lock(mutex(two, at), TRY, NULL, &err), ZKH_TIMEOUT, at);
}

void s97_lost_answer_leaves_one_node(void)
{
    const int32_t moments[] = {ZKH_MOMENT_BEFORE_APPLYING, ZKH_MOMENT_AFTER_APPLYING};
    const int32_t operations[] = {ZKH_OPERATION_CREATE, ZKH_OPERATION_DELETE};
    begin();
    locks();
    unlocks();
    for (int i = 0; i < 4; i++) {
        OK(zkh_server_cut(server, operations[i % 2], 1, moments[i / 2], &err));
        locks();
        until(b, AT, 1);
        unlocks();
        CHECK(*children(b, AT, NULL) == '\0');
    }
}

void s98_frozen_server_is_a_loss_in_time(void)
{
    begin();
    struct notes *losses = losses_of(m);
    locks();
    OK(zkh_server_set_frozen(server, true, &err));
    lease_runs_out(losses);
    OK(zkh_server_set_frozen(server, false, &err));
}

void s99_no_quorum_is_a_loss_in_time(void)
{
    begin();
    struct notes *losses = losses_of(m);
    locks();
    OK(zkh_server_set_isolated(server, true, &err));
    CHECK(exists(b, "/", NULL));
    lease_runs_out(losses);
    OK(zkh_server_set_isolated(server, false, &err));
}

void s100_expiry_serves_the_waiter(void)
{
    begin();
    struct notes *losses = losses_of(m);
    locks();
    int64_t token = zkh_mutex_token(m);
    struct outcome *o = waiting(mutex(b, AT), NULL);
    until(b, AT, 2);
    OK(zkh_server_expire(server, zkh_client_session_id(a), &err));
    CHECK(await(o) == ZKH_OK && o->value > token && next(losses).number == token);
}

void s101_end_of_the_sequence_is_refused(void)
{
    begin();
    locks();
    unlocks();
    OK(zkh_server_set_sequence(server, AT, INT32_MAX - 4, &err));
    FAILS(zkh_mutex_lock(m, WAIT, NULL, &err), ZKH_SEQUENCE_EXHAUSTED, AT);
    FAILS(zkh_queue_lock_lock(queue(a, AT), WAIT, NULL, &err), ZKH_SEQUENCE_EXHAUSTED, AT);
    until(b, AT, 0);
    OK(zkh_mutex_reset(m, &err));
    locks();
}

void s102_write_without_an_answer_is_unknown(void)
{
    begin();
    const char *at = home(a);
    OK(zkh_server_cut(server, ZKH_OPERATION_SET_DATA, 1, ZKH_MOMENT_AFTER_APPLYING, &err));
    FAILS(zkh_client_set(a, at, "new", 3, -1, NULL, &err), ZKH_OUTCOME_UNKNOWN, at);
    CHECK(strcmp(data_of(a, at, NULL), "new") == 0);
}

void s103_read_without_an_answer_is_made_again(void)
{
    begin();
    const char *at = home(a);
    int64_t session = zkh_client_session_id(a);
    OK(zkh_server_cut(server, ZKH_OPERATION_GET_DATA, 1, ZKH_MOMENT_BEFORE_APPLYING, &err));
    CHECK(*data_of(a, at, NULL) == '\0' && zkh_client_session_id(a) == session);
}

void s104_watches_survive_a_cut(void)
{
    begin();
    const char *top = home(a), *at = make(b, text("%s/n", top), ZKH_CREATE_PERSISTENT);
    struct notes *once = watch(a, top, ZKH_WATCH_DATA, NULL);
    struct notes *stays = watch(a, at, ZKH_WATCH_PERSISTENT, NULL);
    OK(zkh_server_cut(server, ZKH_OPERATION_EXISTS, 1, ZKH_MOMENT_BEFORE_APPLYING, &err));
    CHECK(exists(a, top, NULL));
    next_is(stays, ZKH_EVENT_MAY_HAVE_MISSED);
    set(b, top, "1");
    set(b, at, "1");
    CHECK(strcmp(next_is(once, ZKH_EVENT_DATA_CHANGED).text, top) == 0);
    CHECK(strcmp(next_is(stays, ZKH_EVENT_DATA_CHANGED).text, at) == 0);
}
