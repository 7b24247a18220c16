/* Elections: scenarios 68 to 76. */
#include "scenario.h"

static zkh_client a, b;
static const char *at;

static void begin(void)
{
    a = join();
    b = join();
    at = text("%s/election", home(a));
}

static void candidates(size_t count)
{
    until(b, text("%s/candidates", at), count);
}

/* What a leader's record says of it. */
static int32_t standing(zkh_elector e, int64_t *token)
{
    zkh_leader *leader = NULL;
    OK(zkh_elector_leader(e, &leader, &err));
    int32_t is = zkh_leader_standing(leader);
    *token = zkh_leader_token(leader);
    zkh_leader_free(leader);
    return is;
}

void s68_leader_record_says_who(void)
{
    int64_t token;
    begin();
    zkh_elector one = elector(a, at, MINUTE), two = elector(b, at, MINUTE);
    struct notes *told = stand(one);
    struct note term = next_is(told, TERM);
    CHECK(standing(two, &token) == ZKH_STANDING_LEADING && token == term.other);
    end_term(term, ZKH_TASK_INTERRUPTED);
    next_is(told, OVER);
    CHECK(standing(two, &token) == ZKH_STANDING_GONE && token == term.other);
}

void s69_one_leads_and_tokens_grow(void)
{
    begin();
    int64_t began = now_ms();
    zkh_elector one = elector(a, at, MINUTE), two = elector(b, at, MINUTE);
    struct notes *first = stand(one);
    struct note term = next_is(first, TERM);
    struct notes *second = stand(two);
    candidates(2);
    CHECK(none_left(second));
    OK(zkh_elector_interrupt(one, &err));
    CHECK(next_is(first, STOP).number == ZKH_STOP_INTERRUPTED);
    end_term(term, ZKH_TASK_DONE);
    struct note after = next_is(second, TERM);
    CHECK(after.other > term.other && now_ms() - began < MINUTE);
    end_term(after, ZKH_TASK_INTERRUPTED);
}

void s70_failed_task_is_elected_again(void)
{
    const int32_t outcomes[] = {ZKH_TASK_FAILED, ZKH_TASK_DONE, ZKH_TASK_INTERRUPTED};
    int64_t token = 0;
    begin();
    struct notes *told = stand(elector(a, at, MINUTE));
    for (int i = 0; i < 3; i++) {
        struct note term = next_is(told, TERM);
        CHECK(term.other > token);
        token = term.other;
        end_term(term, outcomes[i]);
    }
    CHECK(next_is(told, OVER).number == ZKH_INTERRUPTED);
}

/* The elector is told to stop, which its task hears of, and leads until the task has ended. */
static void stops(zkh_status (*tell)(zkh_elector, zkh_error **), int32_t reason, zkh_status status)
{
    begin();
    zkh_elector one = elector(a, at, MINUTE);
    struct notes *told = stand(one);
    struct note term = next_is(told, TERM);
    OK(tell(one, &err));
    CHECK(next_is(told, STOP).number == reason && zkh_elector_is_leading(one));
    end_term(term, ZKH_TASK_DONE);
    CHECK(next_is(told, OVER).number == status);
    candidates(0);
}

void s71_interrupt_stops_the_task(void)
{
    stops(zkh_elector_interrupt, ZKH_STOP_INTERRUPTED, ZKH_INTERRUPTED);
}

void s72_resigned_leader_stands_again(void)
{
    begin();
    zkh_elector one = elector(a, at, MINUTE), two = elector(b, at, MINUTE);
    struct notes *first = stand(one);
    struct note term = next_is(first, TERM);
    struct notes *second = stand(two);
    candidates(2);
    OK(zkh_elector_resign(one, &err));
    CHECK(next_is(first, STOP).number == ZKH_STOP_RESIGNED);
    end_term(term, ZKH_TASK_DONE);
    struct note after = next_is(second, TERM);
    CHECK(after.other > term.other);
    candidates(2);
    CHECK(none_left(first));
    OK(zkh_elector_interrupt(one, &err));
    next_is(first, OVER);
    end_term(after, ZKH_TASK_INTERRUPTED);
}

void s73_close_stops_the_task(void)
{
    stops(zkh_elector_close, ZKH_STOP_CLOSED, ZKH_CLOSED);
}

void s74_ended_session_deposes(void)
{
    begin();
    struct notes *first = stand(elector(a, at, 1000));
    struct note term = next_is(first, TERM);
    struct notes *second = stand(elector(b, at, 1000));
    candidates(2);
    int64_t ending = now_ms();
    end_session(a);
    int64_t reason = next_is(first, STOP).number;
    CHECK(reason == ZKH_STOP_SESSION_OVER || reason == ZKH_STOP_NODE_DELETED || reason == ZKH_STOP_LEASE_RAN_OUT);
    end_term(term, ZKH_TASK_INTERRUPTED);
    struct note after = next_is(second, TERM);
    CHECK(after.other > term.other && now_ms() - ending >= 1199);
    end_term(after, ZKH_TASK_INTERRUPTED);
}

void s75_observers_are_told(void)
{
    begin();
    zkh_elector two = elector(b, at, MINUTE);
    struct notes *leaders = notes();
    OK(zkh_elector_on_leader(two, note_leader, leaders, NULL, &err));
    CHECK(next_is(leaders, 0).number == 0);
    struct note term = next_is(stand(elector(a, at, MINUTE)), TERM);
    CHECK(next_is(leaders, ZKH_STANDING_LEADING).number == term.other);
    end_term(term, ZKH_TASK_INTERRUPTED);
    struct note told = next(leaders);
    while (told.kind != ZKH_STANDING_GONE)
        told = next(leaders);
    CHECK(told.number == term.other);
}

void s76_another_lease_is_refused(void)
{
    begin();
    zkh_elector one = elector(a, at, MINUTE);
    struct note term = next_is(stand(one), TERM);
    CHECK(next_is(stand(elector(b, at, 50000)), OVER).number == ZKH_BAD_ARGUMENT);
    CHECK(zkh_elector_is_leading(one));
    end_term(term, ZKH_TASK_INTERRUPTED);
}
