/* The persistent mutex: scenarios 58 to 62. */
#include "scenario.h"

#define NODE "lock-0000000000"

static zkh_client a, b;
static const char *at;

static void begin(void)
{
    a = join();
    b = join();
    at = lock_path(a);
}

/* The owner of the first contender. */
static int32_t owner(zkh_mutex m, int64_t *token)
{
    zkh_contenders *all = NULL;
    OK(zkh_mutex_contenders(m, &all, &err));
    CHECK(zkh_contenders_count(all) == 1 && strcmp(zkh_contenders_name(all, 0), NODE) == 0);
    *token = zkh_contenders_token(all, 0);
    int32_t is = zkh_contenders_owner(all, 0);
    zkh_contenders_free(all);
    return is;
}

void s58_persistent_node_and_companion(void)
{
    zkh_stat stat;
    begin();
    zkh_mutex m = persistent(a, at, MINUTE);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    const char *all = children(b, at, NULL);
    CHECK(strncmp(all, NODE " owner-", strlen(NODE " owner-")) == 0);
    CHECK(exists(b, text("%s/" NODE, at), &stat) && stat.ephemeral_owner == 0);
    CHECK(exists(b, text("%s/%s", at, strchr(all, ' ') + 1), &stat));
    CHECK(stat.ephemeral_owner == zkh_client_session_id(a));
    OK(zkh_mutex_unlock(m, &err));
    until(b, at, 0);
}

void s59_persistent_lock_outlives_its_session(void)
{
    int64_t token;
    begin();
    OK(zkh_mutex_lock(persistent(a, at, 300), WAIT, NULL, &err));
    OK(zkh_client_close(a, WAIT, &err));
    zkh_mutex other = mutex(b, at);
    FAILS(zkh_mutex_lock(other, TRY, NULL, &err), ZKH_TIMEOUT, at);
    CHECK(owner(other, &token) == ZKH_OWNER_GONE);
    OK(zkh_mutex_release_dead(other, NODE, &err));
    OK(zkh_mutex_lock(other, TRY, NULL, &err));
}

void s60_live_owner_is_not_released(void)
{
    begin();
    zkh_mutex m = persistent(a, at, MINUTE);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    FAILS(zkh_mutex_release_dead(mutex(b, at), NODE, &err), ZKH_NODE_EXISTS, at);
    CHECK(zkh_mutex_is_held(m));
    OK(zkh_mutex_unlock(m, &err));
}

void s61_force_needs_the_czxid(void)
{
    begin();
    zkh_mutex m = persistent(a, at, MINUTE), other = mutex(b, at);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    struct notes *losses = losses_of(m);
    int64_t token = zkh_mutex_token(m);
    FAILS(zkh_mutex_release_by_force(other, NODE, token + 1, &err), ZKH_BAD_VERSION, at);
    OK(zkh_mutex_release_by_force(other, NODE, token, &err));
    CHECK(next(losses).number == token);
}

void s62_old_lock_is_unknown(void)
{
    int64_t token;
    begin();
    make(b, at, ZKH_CREATE_PERSISTENT);
    make(b, text("%s/lock-", at), ZKH_CREATE_PERSISTENT_SEQUENTIAL);
    zkh_mutex m = mutex(a, at);
    CHECK(owner(m, &token) == ZKH_OWNER_UNKNOWN);
    FAILS(zkh_mutex_release_dead(m, NODE, &err), ZKH_UNSUPPORTED, at);
    FAILS(zkh_mutex_lock(m, TRY, NULL, &err), ZKH_TIMEOUT, at);
    OK(zkh_mutex_release_by_force(m, NODE, token, &err));
    OK(zkh_mutex_lock(m, TRY, NULL, &err));
}
