/* The strict mutex: scenarios 54 to 57. */
#include "scenario.h"

static zkh_client a, b;
static const char *at;

static void begin(void)
{
    a = join();
    b = join();
    at = lock_path(a);
}

void s54_strict_clean_hand_over_is_at_once(void)
{
    begin();
    int64_t began = now_ms();
    zkh_mutex first = strict(a, at, MINUTE), second = strict(b, at, MINUTE);
    OK(zkh_mutex_lock(first, WAIT, NULL, &err));
    OK(zkh_mutex_unlock(first, &err));
    OK(zkh_mutex_lock(second, WAIT, NULL, &err));
    struct outcome *o = waiting(first, NULL);
    until(b, at, 2);
    OK(zkh_mutex_unlock(second, &err));
    CHECK(await(o) == ZKH_OK && now_ms() - began < MINUTE);
    int64_t valid = zkh_mutex_valid_ms(first);
    CHECK(valid > 0 && valid <= MINUTE);
}

void s55_strict_waits_after_an_unclean_end(void)
{
    begin();
    OK(zkh_mutex_lock(strict(a, at, 1000), WAIT, NULL, &err));
    struct outcome *o = waiting(strict(b, at, 1000), NULL);
    until(b, at, 2);
    int64_t gone = now_ms();
    OK(zkh_client_close(a, WAIT, &err));
    CHECK(await(o) == ZKH_OK && now_ms() - gone >= 999);
}

void s56_strict_refuses_another_delay(void)
{
    begin();
    zkh_mutex m = strict(a, at, MINUTE);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    OK(zkh_mutex_unlock(m, &err));
    FAILS(zkh_mutex_lock(strict(b, at, 50000), WAIT, NULL, &err), ZKH_BAD_ARGUMENT, "60000");
    until(b, at, 0);
}

void s57_strict_keeps_foreign_data(void)
{
    begin();
    set(a, make(a, at, ZKH_CREATE_PERSISTENT), "mine");
    FAILS(zkh_mutex_lock(strict(a, at, MINUTE), WAIT, NULL, &err), ZKH_BAD_ARGUMENT, at);
    CHECK(strcmp(data_of(b, at, NULL), "mine") == 0);
    until(b, at, 0);
}
