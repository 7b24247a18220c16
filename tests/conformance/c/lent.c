/* Lent connections: scenarios 105 to 109. begin(), connected() and end() of lending.h lend and take back. */
#include "scenario.h"
#include "../../capi/lending.h"

static zkh_client other;
static const char *at;

static void lend_it(bool with_transactions)
{
    address = server_address;
    begin(with_transactions, 15000);
    connected();
    other = join();
    at = lock_path(other);
}

/* A mutex of the lent client, which is freed before the connection goes. */
static zkh_mutex locked(void)
{
    zkh_mutex m = {0};
    OK(zkh_mutex_new(client, at, NULL, &m, &err));
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    CHECK(zkh_mutex_is_held(m));
    return m;
}

void s105_lent_lock_excludes(void)
{
    zkh_stat stat;
    lend_it(true);
    zkh_mutex m = locked(), rival = mutex(other, at);
    CHECK(exists(other, only(other, at), &stat) && stat.ephemeral_owner == zkh_client_session_id(driver));
    FAILS(zkh_mutex_lock(rival, TRY, NULL, &err), ZKH_TIMEOUT, at);
    int64_t valid = zkh_mutex_valid_ms(m);
    CHECK(valid > 0 && valid <= 10000);
    OK(zkh_mutex_unlock(m, &err));
    OK(zkh_mutex_lock(rival, TRY, NULL, &err));
    CHECK(zkh_mutex_free(m) == ZKH_OK);
    end();
}

void s106_lent_session_end_is_a_loss(void)
{
    lend_it(true);
    zkh_mutex m = locked();
    struct notes *losses = losses_of(m);
    OK(zkh_client_lent_state(client, ZKH_STATE_LOST, 0, 0, &err));
    struct note lost = next(losses);
    CHECK(lost.kind == ZKH_LOSS_SESSION_OVER || lost.kind == ZKH_LOSS_NODE_DELETED);
    CHECK(!zkh_mutex_is_held(m));
    CHECK(zkh_mutex_free(m) == ZKH_OK);
    end();
}

void s107_without_transactions_no_lease(void)
{
    lend_it(false);
    zkh_mutex m = locked();
    CHECK(zkh_mutex_valid_ms(m) == -1);
    OK(zkh_mutex_unlock(m, &err));
    CHECK(*children(other, at, NULL) == '\0' && zkh_mutex_free(m) == ZKH_OK);
    end();
}

void s108_without_transactions_no_strict_mode(void)
{
    zkh_mutex m = {77};
    zkh_elector e = {77};
    lend_it(false);
    zkh_mutex_options strict_ones = mutex_options(), persistent_ones = mutex_options();
    OK(zkh_mutex_options_set_strict(strict_ones, MINUTE, MINUTE, &err));
    OK(zkh_mutex_options_set_persistent(persistent_ones, MINUTE, &err));
    FAILS(zkh_mutex_new(client, at, &strict_ones, &m, &err), ZKH_UNSUPPORTED, at);
    FAILS(zkh_mutex_new(client, at, &persistent_ones, &m, &err), ZKH_UNSUPPORTED, at);
    FAILS(zkh_elector_new(client, at, NULL, &e, &err), ZKH_UNSUPPORTED, at);
    CHECK(m.id == 0 && e.id == 0);
    CHECK(zkh_mutex_options_free(strict_ones) == ZKH_OK && zkh_mutex_options_free(persistent_ones) == ZKH_OK);
    end();
}

void s109_lent_has_no_session_of_its_own(void)
{
    zkh_stat stat;
    zkh_watch none = {77};
    lend_it(true);
    make(client, at, ZKH_CREATE_EPHEMERAL);
    FAILS(zkh_client_add_auth(client, "digest", "me:secret", 9, &err), ZKH_UNSUPPORTED, "");
    FAILS(zkh_client_watch(client, at, ZKH_WATCH_PERSISTENT, note_watch, NULL, NULL, &none, NULL, &err), ZKH_UNSUPPORTED,
          "");
    OK(zkh_client_close(client, WAIT, &err));
    CHECK(exists(other, at, &stat) && stat.ephemeral_owner == zkh_client_session_id(driver));
    end();
}
