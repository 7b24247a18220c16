/* The queue lock: scenarios 77 to 81. */
#include "scenario.h"

static zkh_client a, b;
static const char *at;

static void begin(void)
{
    a = join();
    b = join();
    at = home(a);
}

static struct outcome *queues(zkh_queue_lock q)
{
    struct outcome *o = outcome();
    OK(zkh_queue_lock_lock_async(q, WAIT, NULL, done, o, destroy, NULL, &err));
    until(a, at, 2);
    return o;
}

void s77_queue_lock_and_unlock(void)
{
    zkh_stat stat;
    begin();
    zkh_queue_lock first = queue(a, at), second = queue(b, at);
    OK(zkh_queue_lock_lock(first, WAIT, NULL, &err));
    int64_t token = zkh_queue_lock_token(first);
    CHECK(exists(b, text("%s/lock-0000000000", at), &stat) && stat.czxid == token);
    FAILS(zkh_queue_lock_lock(second, TRY, NULL, &err), ZKH_TIMEOUT, at);
    CHECK(strcmp(children(b, at, NULL), "lock-0000000000") == 0);
    struct outcome *o = queues(second);
    OK(zkh_queue_lock_unlock(first, &err));
    CHECK(await(o) == ZKH_OK && o->value > token);
}

void s78_obtain_waits_for_lower_names(void)
{
    begin();
    make(a, text("%s/a", at), ZKH_CREATE_PERSISTENT);
    make(a, text("%s/b", at), ZKH_CREATE_PERSISTENT);
    zkh_queue_lock q = queue(a, at);
    OK(zkh_queue_lock_obtain(q, "a", WAIT, &err));
    FAILS(zkh_queue_lock_obtain(q, "b", TRY, &err), ZKH_TIMEOUT, at);
    struct outcome *o = outcome();
    OK(zkh_queue_lock_obtain_async(q, "b", WAIT, done, o, destroy, NULL, &err));
    delete(b, text("%s/a", at));
    CHECK(await(o) == ZKH_OK && strcmp(children(b, at, NULL), "b") == 0);
}

void s79_queue_timeout_removes_its_own_node_alone(void)
{
    begin();
    zkh_queue_lock q = queue(b, at);
    OK(zkh_queue_lock_lock(queue(a, at), WAIT, NULL, &err));
    FAILS(zkh_queue_lock_lock(q, SHORT, NULL, &err), ZKH_TIMEOUT, at);
    CHECK(strcmp(children(b, at, NULL), "lock-0000000000") == 0);
    make(b, text("%s/zzz", at), ZKH_CREATE_PERSISTENT);
    FAILS(zkh_queue_lock_obtain(q, "zzz", SHORT, &err), ZKH_TIMEOUT, at);
    CHECK(strcmp(children(b, at, NULL), "lock-0000000000 zzz") == 0);
}

void s80_queue_interrupt(void)
{
    begin();
    zkh_queue_lock q = queue(b, at);
    OK(zkh_queue_lock_lock(queue(a, at), WAIT, NULL, &err));
    struct outcome *o = queues(q);
    OK(zkh_queue_lock_interrupt(q, &err));
    CHECK(await(o) == ZKH_INTERRUPTED);
    until(a, at, 1);
    OK(zkh_queue_lock_interrupt(q, &err));
    FAILS(zkh_queue_lock_lock(q, WAIT, NULL, &err), ZKH_INTERRUPTED, at);
}

void s81_obtain_of_a_missing_node(void)
{
    begin();
    zkh_queue_lock q = queue(a, at);
    FAILS(zkh_queue_lock_obtain(q, "none", WAIT, &err), ZKH_NO_NODE, "none");
    FAILS(zkh_queue_lock_obtain(q, "a/b", WAIT, &err), ZKH_BAD_ARGUMENT, "a/b");
    FAILS(zkh_queue_lock_unlock(q, &err), ZKH_NOT_HELD, at);
}
