/* Client and session: scenarios 1 to 10. */
#include "scenario.h"

void s01_connect_and_close(void)
{
    zkh_client a = join();
    CHECK(zkh_client_state(a) == ZKH_STATE_CONNECTED && zkh_client_session_id(a) != 0);
    OK(zkh_client_close(a, WAIT, &err));
    CHECK(zkh_client_state(a) == ZKH_STATE_CLOSED);
    FAILS(zkh_client_get(a, "/", NULL, &err), ZKH_CLOSED, "");
}

void s02_close_removes_ephemerals(void)
{
    zkh_client a = join(), b = join();
    const char *at = make(a, text("%s/e", home(a)), ZKH_CREATE_EPHEMERAL);
    CHECK(exists(b, at, NULL));
    OK(zkh_client_close(a, WAIT, &err));
    CHECK(!exists(b, at, NULL));
}

void s03_chroot_is_below(void)
{
    zkh_client b = join();
    const char *top = home(b);
    zkh_client a = join_at(text("%s%s", server_address, top), SESSION);
    CHECK(strcmp(make(a, "/n", ZKH_CREATE_PERSISTENT), "/n") == 0);
    set(a, "/n", "x");
    CHECK(strcmp(data_of(b, text("%s/n", top), NULL), "x") == 0);
}

void s04_bad_addresses_are_refused(void)
{
    const char *bad[] = {"", ":2181", "127.0.0.1:port", "127.0.0.1:2181/a/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        zkh_client a = {77};
        FAILS(zkh_client_new(bad[i], NULL, &a, &err), ZKH_BAD_ADDRESS, "");
        CHECK(a.id == 0);
    }
}

void s05_no_server_in_time(void)
{
    zkh_client a = {77};
    zkh_client_options options = client_options();
    OK(zkh_client_options_set_connect_timeout_ms(options, 200, &err));
    FAILS(zkh_client_connect(NOBODY, &options, &a, &err), ZKH_CONNECTION_LOSS, NOBODY);
    CHECK(a.id == 0 && zkh_client_options_free(options) == ZKH_OK);
}

void s06_nothing_is_sent_without_a_server(void)
{
    zkh_client a = {0};
    zkh_client_options options = client_options();
    OK(zkh_client_options_set_operation_timeout_ms(options, 100, &err));
    OK(zkh_client_new(NOBODY, &options, &a, &err));
    FAILS(zkh_client_get(a, "/", NULL, &err), ZKH_NOT_SENT, "");
    FAILS(zkh_client_create(a, "/a", NULL, 0, 0, 0, NULL, NULL, &err), ZKH_NOT_SENT, "/a");
    CHECK(zkh_client_free(a) == ZKH_OK && zkh_client_options_free(options) == ZKH_OK);
}

void s07_lost_session_is_told_and_replaced(void)
{
    zkh_client a = join();
    const char *top = home(a);
    int64_t old = zkh_client_session_id(a);
    struct notes *states = notes();
    OK(zkh_client_on_state(a, note_state, states, NULL, &err));
    end_session(a);
    struct note told;
    bool lost = false;
    do {
        told = next(states);
        lost = lost || (told.kind == ZKH_STATE_LOST && told.other == old);
    } while (told.kind != ZKH_STATE_CONNECTED || told.number == old);
    CHECK(lost && told.other == old && zkh_client_session_id(a) == told.number);
    set(a, top, "new");
}

void s08_reattach_takes_the_session(void)
{
    zkh_client a = join(), b = join();
    zkh_stat stat;
    const char *at = make(a, text("%s/e", home(a)), ZKH_CREATE_EPHEMERAL);
    zkh_client thief = join_with(server_address, taking(a));
    CHECK(exists(b, at, &stat) && stat.ephemeral_owner == zkh_client_session_id(thief));
    OK(zkh_client_close(thief, WAIT, &err));
    CHECK(!exists(b, at, NULL));
}

void s09_credentials_open_what_a_list_closes(void)
{
    zkh_client a = join(), b = join();
    const char *at = text("%s/mine", home(a));
    zkh_acl mine = {0};
    OK(zkh_client_add_auth(a, "digest", "me:secret", 9, &err));
    OK(zkh_acl_new(ZKH_ACL_CREATOR, &mine, &err));
    OK(zkh_client_create(a, at, "x", 1, 0, 0, &mine, NULL, &err));
    CHECK(zkh_acl_free(mine) == ZKH_OK);
    FAILS(zkh_client_get(b, at, NULL, &err), ZKH_NO_AUTH, at);
    OK(zkh_client_add_auth(b, "digest", "me:secret", 9, &err));
    CHECK(strcmp(data_of(b, at, NULL), "x") == 0);
    zkh_client_options options = client_options();
    OK(zkh_client_options_add_auth(options, "digest", "me:secret", 9, &err));
    CHECK(strcmp(data_of(join_with(server_address, options), at, NULL), "x") == 0);
}

void s10_who_am_i(void)
{
    zkh_client a = join();
    zkh_result *r = NULL;
    bool me = false;
    OK(zkh_client_add_auth(a, "digest", "me:secret", 9, &err));
    OK(zkh_client_who_am_i(a, &r, &err));
    for (size_t i = 0; i < zkh_result_count(r); i++)
        me = me || (strcmp(zkh_result_scheme(r, i), "digest") == 0 && strcmp(zkh_result_id(r, i), "me") == 0);
    CHECK(me);
    zkh_result_free(r);
}
