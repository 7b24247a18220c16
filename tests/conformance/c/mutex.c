/* The mutex: scenarios 33 to 53, and what its contenders can be asked: 63 to 67. */
#include "scenario.h"

static zkh_client a, b;
static const char *at;

static void begin(void)
{
    a = join();
    b = join();
    at = lock_path(a);
}

static zkh_mutex held(zkh_client by)
{
    zkh_mutex m = mutex(by, at);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    return m;
}

static bool children_are(const char *names)
{
    return strcmp(children(b, at, NULL), names) == 0;
}

void s33_lock_and_unlock(void)
{
    zkh_stat stat;
    begin();
    zkh_mutex m = held(a);
    CHECK(children_are("lock-0000000000") && exists(b, only(b, at), &stat));
    CHECK(stat.czxid == zkh_mutex_token(m) && stat.ephemeral_owner == zkh_client_session_id(a));
    CHECK(zkh_mutex_is_held(m));
    OK(zkh_mutex_unlock(m, &err));
    CHECK(children_are("") && !zkh_mutex_is_held(m) && zkh_mutex_token(m) == 0);
}

void s34_contents_say_who(void)
{
    begin();
    zkh_mutex_options options = mutex_options();
    OK(zkh_mutex_options_set_contents_json(options, "{\"role\": \"blue\"}", &err));
    OK(zkh_mutex_lock(mutex_with(a, at, options), WAIT, "nightly", &err));
    const char *data = data_of(b, only(b, at), NULL);
    CHECK(strstr(data, "\"desc\":\"nightly\"") != NULL && strstr(data, "\"role\":\"blue\"") != NULL);
    CHECK(strstr(data, text("\"pid\":%ld", (long)getpid())) != NULL && strstr(data, "\"hostname\":\"") != NULL);
    const char *id = strstr(data, "\"id\":\"");
    CHECK(id != NULL && strcspn(id + 6, "\"") == 36);
}

void s35_try_fails_and_writes_nothing(void)
{
    zkh_stat before, after;
    begin();
    zkh_mutex m = held(a), other = mutex(b, at);
    CHECK(exists(b, at, &before));
    FAILS(zkh_mutex_lock(other, TRY, NULL, &err), ZKH_TIMEOUT, at);
    CHECK(exists(b, at, &after) && after.cversion == before.cversion);
    OK(zkh_mutex_unlock(m, &err));
    OK(zkh_mutex_lock(other, TRY, NULL, &err));
}

void s36_timeout_leaves_no_node(void)
{
    begin();
    held(a);
    FAILS(zkh_mutex_lock(mutex(b, at), SHORT, NULL, &err), ZKH_TIMEOUT, at);
    CHECK(children_are("lock-0000000000"));
}

void s37_first_come_first_served(void)
{
    zkh_mutex all[4];
    struct outcome *granted[4];
    begin();
    zkh_mutex m = held(a);
    for (size_t i = 0; i < 4; i++) {
        granted[i] = waiting(all[i] = mutex(b, at), NULL);
        until(a, at, i + 2);
    }
    int64_t token = zkh_mutex_token(m);
    OK(zkh_mutex_unlock(m, &err));
    for (size_t i = 0; i < 4; i++) {
        CHECK(await(granted[i]) == ZKH_OK && granted[i]->value > token);
        token = granted[i]->value;
        OK(zkh_mutex_unlock(all[i], &err));
    }
}

void s38_interrupt_ends_a_wait(void)
{
    begin();
    held(a);
    zkh_mutex m = mutex(b, at);
    struct outcome *o = waiting(m, NULL);
    until(a, at, 2);
    OK(zkh_mutex_interrupt(m, &err));
    CHECK(await(o) == ZKH_INTERRUPTED);
    until(a, at, 1);
}

void s39_interrupt_is_remembered_once(void)
{
    begin();
    zkh_mutex m = mutex(a, at);
    OK(zkh_mutex_interrupt(m, &err));
    OK(zkh_mutex_interrupt(m, &err));
    FAILS(zkh_mutex_lock(m, WAIT, NULL, &err), ZKH_INTERRUPTED, at);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
}

void s40_cancel_leaves_no_node(void)
{
    zkh_op op = {0};
    begin();
    held(a);
    struct outcome *o = waiting(mutex(b, at), &op);
    until(a, at, 2);
    OK(zkh_op_cancel(op, &err));
    CHECK(await(o) == ZKH_CANCELLED);
    until(a, at, 1);
}

void s41_unlock_without_a_lock(void)
{
    begin();
    make(a, at, ZKH_CREATE_PERSISTENT);
    make(a, text("%s/other", at), ZKH_CREATE_PERSISTENT);
    zkh_mutex m = mutex(a, at);
    FAILS(zkh_mutex_unlock(m, &err), ZKH_NOT_HELD, at);
    CHECK(children_are("other"));
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    OK(zkh_mutex_unlock(m, &err));
    FAILS(zkh_mutex_unlock(m, &err), ZKH_NOT_HELD, at);
    CHECK(children_are("other"));
}

void s42_unlock_is_for_its_own(void)
{
    begin();
    zkh_mutex m = held(a);
    FAILS(zkh_mutex_unlock(mutex(b, at), &err), ZKH_NOT_HELD, at);
    CHECK(zkh_mutex_is_held(m) && children_are("lock-0000000000"));
    OK(zkh_mutex_unlock(m, &err));
}

void s43_second_lock_on_a_handle_queues(void)
{
    begin();
    zkh_mutex m = held(a);
    int64_t token = zkh_mutex_token(m);
    FAILS(zkh_mutex_lock(m, TRY, NULL, &err), ZKH_TIMEOUT, at);
    struct outcome *o = waiting(m, NULL);
    OK(zkh_mutex_unlock(m, &err));
    CHECK(await(o) == ZKH_OK && o->value > token);
}

void s44_tokens_grow_over_a_new_parent(void)
{
    begin();
    zkh_mutex m = held(a);
    int64_t token = zkh_mutex_token(m);
    OK(zkh_mutex_unlock(m, &err));
    delete(b, at);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    CHECK(children_are("lock-0000000000") && zkh_mutex_token(m) > token);
}

void s45_foreign_children_do_not_block(void)
{
    begin();
    make(a, at, ZKH_CREATE_PERSISTENT);
    make(a, text("%s/config", at), ZKH_CREATE_PERSISTENT);
    make(a, text("%s/zzz", at), ZKH_CREATE_PERSISTENT);
    zkh_mutex m = mutex(a, at);
    OK(zkh_mutex_lock(m, TRY, NULL, &err));
    OK(zkh_mutex_unlock(m, &err));
    CHECK(children_are("config zzz"));
}

void s46_other_libraries_contend(void)
{
    const char *prefixes[] = {"_c_5-lock-", "5__lock__"};
    begin();
    make(a, at, ZKH_CREATE_PERSISTENT);
    for (size_t i = 0; i < 2; i++) {
        const char *node = make(b, text("%s/%s", at, prefixes[i]), ZKH_CREATE_EPHEMERAL_SEQUENTIAL);
        zkh_mutex m = mutex(a, at);
        FAILS(zkh_mutex_lock(m, TRY, NULL, &err), ZKH_TIMEOUT, at);
        struct outcome *o = waiting(m, NULL);
        until(b, at, 2);
        delete(b, node);
        CHECK(await(o) == ZKH_OK);
        OK(zkh_mutex_unlock(m, &err));
    }
}

void s47_extra_patterns_contend(void)
{
    begin();
    make(a, at, ZKH_CREATE_PERSISTENT);
    make(b, text("%s/turn-", at), ZKH_CREATE_EPHEMERAL_SEQUENTIAL);
    zkh_mutex_options options = mutex_options();
    OK(zkh_mutex_options_add_extra_lock_pattern(options, "turn-", &err));
    FAILS(zkh_mutex_lock(mutex_with(a, at, options), TRY, NULL, &err), ZKH_TIMEOUT, at);
    OK(zkh_mutex_lock(mutex(a, at), TRY, NULL, &err));
}

void s48_deleted_node_is_a_loss(void)
{
    begin();
    zkh_mutex m = held(a);
    int64_t token = zkh_mutex_token(m);
    struct notes *losses = losses_of(m);
    delete(b, only(b, at));
    CHECK(next_is(losses, ZKH_LOSS_NODE_DELETED).number == token && !zkh_mutex_is_held(m));
    FAILS(zkh_mutex_unlock(m, &err), ZKH_LOCK_LOST, at);
    CHECK(none_left(losses));
}

void s49_ended_session_is_a_loss(void)
{
    begin();
    zkh_mutex m = held(a);
    int64_t token = zkh_mutex_token(m);
    struct notes *losses = losses_of(m);
    struct outcome *o = waiting(mutex(b, at), NULL);
    until(b, at, 2);
    end_session(a);
    struct note lost = next(losses);
    CHECK(lost.kind == ZKH_LOSS_SESSION_OVER || lost.kind == ZKH_LOSS_NODE_DELETED);
    CHECK(await(o) == ZKH_OK && o->value > token);
}

void s50_validity_is_bounded(void)
{
    begin();
    zkh_mutex m = held(a);
    int64_t valid = zkh_mutex_valid_ms(m);
    CHECK(valid > 0 && valid <= SESSION);
    OK(zkh_mutex_unlock(m, &err));
    CHECK(zkh_mutex_valid_ms(m) == 0);
}

void s51_closing_a_handle_ends_its_wait(void)
{
    begin();
    held(a);
    zkh_mutex m = mutex(b, at);
    struct outcome *o = waiting(m, NULL);
    until(a, at, 2);
    CHECK(zkh_mutex_free(m) == ZKH_OK && await(o) == ZKH_CLOSED);
    until(a, at, 1);
    FAILS(zkh_mutex_lock(m, TRY, NULL, &err), ZKH_BAD_HANDLE, "");
}

void s52_closing_the_client_releases(void)
{
    begin();
    struct notes *losses = losses_of(held(a));
    OK(zkh_client_close(a, WAIT, &err));
    next_is(losses, ZKH_LOSS_CLIENT_CLOSED);
    OK(zkh_mutex_lock(mutex(b, at), TRY, NULL, &err));
}

void s53_lock_node_has_the_list(void)
{
    zkh_result *r = NULL;
    begin();
    zkh_mutex_options options = mutex_options();
    OK(zkh_mutex_options_add_acl(options, ZKH_PERM_ALL & ~ZKH_PERM_WRITE, "world", "anyone", &err));
    zkh_mutex m = mutex_with(a, at, options);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    OK(zkh_client_get_acl(b, only(b, at), &r, &err));
    CHECK(zkh_result_count(r) == 1 && zkh_result_permissions(r, 0) == (ZKH_PERM_ALL & ~ZKH_PERM_WRITE));
    zkh_result_free(r);
    OK(zkh_mutex_unlock(m, &err));
    CHECK(children_are(""));
}

void s63_contenders_in_order(void)
{
    zkh_contenders *all = NULL;
    begin();
    zkh_mutex m = mutex(a, at), other = mutex(b, at);
    OK(zkh_mutex_lock(m, WAIT, "nightly", &err));
    waiting(other, NULL);
    until(b, at, 2);
    OK(zkh_mutex_contenders(other, &all, &err));
    CHECK(zkh_contenders_count(all) == 2 && zkh_contenders_token(all, 0) == zkh_mutex_token(m));
    CHECK(zkh_contenders_session_id(all, 0) == zkh_client_session_id(a) && zkh_contenders_pid(all, 0) == getpid());
    CHECK(strcmp(zkh_contenders_description(all, 0), "nightly") == 0);
    CHECK(zkh_contenders_owner(all, 0) == ZKH_OWNER_LIVING);
    CHECK(zkh_contenders_session_id(all, 1) == zkh_client_session_id(b));
    zkh_contenders_free(all);
}

void s64_revocation_is_told(void)
{
    zkh_contenders *all = NULL;
    struct notes *asked = notes();
    begin();
    zkh_mutex m = held(a), other = mutex(b, at);
    OK(zkh_mutex_on_revoke(m, note_revoke, asked, NULL, &err));
    OK(zkh_mutex_request_revocation(other, "lock-0000000000", "maintenance", &err));
    struct note told = next(asked);
    CHECK(told.number == zkh_mutex_token(m) && strcmp(told.text, "maintenance") == 0 && zkh_mutex_is_held(m));
    OK(zkh_mutex_contenders(other, &all, &err));
    CHECK(strcmp(zkh_contenders_asked(all, 0), "maintenance") == 0);
    zkh_contenders_free(all);
}

void s65_revocation_of_nobody(void)
{
    begin();
    held(a);
    zkh_mutex other = mutex(b, at);
    FAILS(zkh_mutex_request_revocation(other, "lock-0000000099", "", &err), ZKH_NO_NODE, at);
    FAILS(zkh_mutex_request_revocation(other, "config", "", &err), ZKH_BAD_ARGUMENT, "config");
}

static zkh_multi write_of(const char *path, const char *data)
{
    zkh_multi multi = {0};
    OK(zkh_multi_new(&multi, &err));
    OK(zkh_multi_set(multi, path, data, strlen(data), -1, &err));
    return multi;
}

void s66_guarded_while_held(void)
{
    zkh_stat stat;
    begin();
    const char *target = home(b);
    zkh_multi write = write_of(target, "held");
    zkh_mutex m = mutex(a, at);
    FAILS(zkh_mutex_guarded(m, write, NULL, &err), ZKH_NOT_HELD, at);
    OK(zkh_mutex_lock(m, WAIT, NULL, &err));
    OK(zkh_mutex_guarded(m, write, NULL, &err));
    OK(zkh_mutex_unlock(m, &err));
    FAILS(zkh_mutex_guarded(m, write, NULL, &err), ZKH_NOT_HELD, at);
    CHECK(strcmp(data_of(b, target, &stat), "held") == 0 && stat.version == 1 && zkh_multi_free(write) == ZKH_OK);
}

void s67_guarded_changes_nothing_once_lost(void)
{
    begin();
    const char *target = home(b);
    zkh_multi write = write_of(target, "lost");
    zkh_mutex m = held(a);
    delete(b, only(b, at));
    zkh_status status = zkh_mutex_guarded(m, write, NULL, NULL);
    CHECK((status == ZKH_LOCK_LOST || status == ZKH_NOT_HELD) && *data_of(b, target, NULL) == '\0');
    CHECK(zkh_multi_free(write) == ZKH_OK);
}
