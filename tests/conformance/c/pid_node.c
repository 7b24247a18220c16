/* The pid node: scenarios 82 to 86. */
#include "scenario.h"

static zkh_client a, b;
static const char *at;

static void begin(void)
{
    a = join();
    b = join();
    at = text("%s/pid", home(a));
}

static zkh_pid_node started(zkh_client client, zkh_pid_node_options options)
{
    zkh_pid_node node = pid_node(client, at, options);
    OK(zkh_pid_node_start(node, &err));
    return node;
}

static struct notes *events_of(zkh_pid_node node)
{
    struct notes *n = notes();
    OK(zkh_pid_node_on_event(node, note_pid, n, NULL, &err));
    return n;
}

/* Its data is there, and whose it is. */
static int64_t owner(void)
{
    zkh_stat stat;
    CHECK(strcmp(data_of(b, at, &stat), "4711") == 0);
    return stat.ephemeral_owner;
}

void s82_pid_node_until_it_is_closed(void)
{
    begin();
    zkh_pid_node node = started(a, pid_options());
    CHECK(owner() == zkh_client_session_id(a));
    OK(zkh_pid_node_close(node, &err));
    CHECK(!exists(b, at, NULL));
}

void s83_pid_node_is_not_taken(void)
{
    begin();
    started(a, pid_options());
    zkh_pid_node_options options = pid_options();
    OK(zkh_pid_node_options_set_wait_ms(options, SHORT, &err));
    FAILS(zkh_pid_node_start(pid_node(b, at, options), &err), ZKH_NODE_EXISTS, at);
    CHECK(owner() == zkh_client_session_id(a));
}

void s84_pid_node_is_taken_if_asked(void)
{
    begin();
    zkh_pid_node node = started(a, pid_options());
    struct notes *told = events_of(node);
    zkh_pid_node_options options = pid_options();
    OK(zkh_pid_node_options_set_take_over(options, ZKH_TAKE_OVER_LIVE, &err));
    started(b, options);
    next_is(told, ZKH_PID_MADE);
    CHECK(next_is(told, ZKH_PID_LOST).number == ZKH_LOSS_NODE_DELETED);
    OK(zkh_pid_node_close(node, &err));
    CHECK(owner() == zkh_client_session_id(b));
}

void s85_pid_node_is_made_again(void)
{
    begin();
    struct notes *told = events_of(started(a, pid_options()));
    next_is(told, ZKH_PID_MADE);
    delete(b, at);
    CHECK(next_is(told, ZKH_PID_LOST).number == ZKH_LOSS_NODE_DELETED);
    next_is(told, ZKH_PID_MADE);
    CHECK(owner() == zkh_client_session_id(a));
}

void s86_pid_node_keeps_its_list(void)
{
    zkh_result *r = NULL;
    begin();
    zkh_acl list = list_of(ZKH_PERM_READ);
    zkh_pid_node_options options = pid_options();
    OK(zkh_pid_node_options_set_acl(options, &list, &err));
    struct notes *told = events_of(started(a, options));
    int64_t old = zkh_client_session_id(a);
    next_is(told, ZKH_PID_MADE);
    end_session(a);
    while (next(told).kind != ZKH_PID_MADE) {
    }
    CHECK(owner() != old);
    OK(zkh_client_get_acl(b, at, &r, &err));
    CHECK(zkh_result_count(r) == 1 && zkh_result_permissions(r, 0) == ZKH_PERM_READ);
    zkh_result_free(r);
}
