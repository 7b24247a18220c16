/* Watches: scenarios 25 to 32. */
#include "scenario.h"

static zkh_client a, b;
static const char *top;

static void begin(void)
{
    a = join();
    b = join();
    top = home(a);
}

static void sees(struct notes *notes, int32_t event, const char *path)
{
    CHECK(strcmp(next_is(notes, event).text, path) == 0);
}

void s25_data_watch_fires_once(void)
{
    begin();
    struct notes *first = watch(a, top, ZKH_WATCH_DATA, NULL);
    set(b, top, "1");
    sees(first, ZKH_EVENT_DATA_CHANGED, top);
    struct notes *second = watch(a, top, ZKH_WATCH_DATA, NULL);
    set(b, top, "2");
    sees(second, ZKH_EVENT_DATA_CHANGED, top);
    CHECK(none_left(first) && none_left(second));
}

void s26_exists_watch_sees_a_creation(void)
{
    begin();
    const char *at = text("%s/n", top);
    CHECK(!exists(a, at, NULL));
    struct notes *told = watch(a, at, ZKH_WATCH_EXISTS, NULL);
    make(b, at, ZKH_CREATE_PERSISTENT);
    sees(told, ZKH_EVENT_CREATED, at);
}

void s27_children_watch_sees_a_child(void)
{
    begin();
    struct notes *told = watch(a, top, ZKH_WATCH_CHILDREN, NULL);
    make(b, text("%s/c", top), ZKH_CREATE_PERSISTENT);
    sees(told, ZKH_EVENT_CHILDREN_CHANGED, top);
}

void s28_data_watch_sees_a_deletion(void)
{
    begin();
    zkh_watch none = {77};
    const char *at = make(a, text("%s/n", top), ZKH_CREATE_PERSISTENT);
    struct notes *told = watch(a, at, ZKH_WATCH_DATA, NULL);
    delete(b, at);
    sees(told, ZKH_EVENT_DELETED, at);
    FAILS(zkh_client_watch(a, at, ZKH_WATCH_DATA, note_watch, told, NULL, &none, NULL, &err), ZKH_NO_NODE, at);
    CHECK(none.id == 0);
}

void s29_persistent_watch_stays(void)
{
    begin();
    const char *at = text("%s/n", top);
    struct notes *told = watch(a, at, ZKH_WATCH_PERSISTENT, NULL);
    make(b, at, ZKH_CREATE_PERSISTENT);
    set(b, at, "1");
    delete(b, make(b, text("%s/c", at), ZKH_CREATE_PERSISTENT));
    delete(b, at);
    sees(told, ZKH_EVENT_CREATED, at);
    sees(told, ZKH_EVENT_DATA_CHANGED, at);
    sees(told, ZKH_EVENT_CHILDREN_CHANGED, at);
    sees(told, ZKH_EVENT_CHILDREN_CHANGED, at);
    sees(told, ZKH_EVENT_DELETED, at);
}

void s30_recursive_watch_sees_what_is_below(void)
{
    begin();
    struct notes *told = watch(a, top, ZKH_WATCH_RECURSIVE, NULL);
    const char *above = make(b, text("%s/a", top), ZKH_CREATE_PERSISTENT);
    const char *at = make(b, text("%s/b", above), ZKH_CREATE_PERSISTENT);
    set(b, at, "1");
    delete(b, at);
    sees(told, ZKH_EVENT_CREATED, above);
    sees(told, ZKH_EVENT_CREATED, at);
    sees(told, ZKH_EVENT_DATA_CHANGED, at);
    sees(told, ZKH_EVENT_DELETED, at);
}

void s31_freed_watch_is_silent(void)
{
    begin();
    zkh_watch gone = {0};
    const char *one = text("%s/one", top), *two = text("%s/two", top);
    struct notes *freed = watch(a, one, ZKH_WATCH_PERSISTENT, &gone);
    struct notes *kept = watch(a, two, ZKH_WATCH_PERSISTENT, NULL);
    CHECK(zkh_watch_free(gone) == ZKH_OK);
    make(b, one, ZKH_CREATE_PERSISTENT);
    make(b, two, ZKH_CREATE_PERSISTENT);
    sees(kept, ZKH_EVENT_CREATED, two);
    CHECK(none_left(freed));
}

void s32_session_end_is_told_to_watches(void)
{
    begin();
    const char *at = make(b, text("%s/n", top), ZKH_CREATE_PERSISTENT);
    struct notes *once = watch(a, top, ZKH_WATCH_DATA, NULL);
    struct notes *stays = watch(a, at, ZKH_WATCH_PERSISTENT, NULL);
    end_session(a);
    next_is(once, ZKH_EVENT_SESSION_LOST);
    next_is(stays, ZKH_EVENT_MAY_HAVE_MISSED);
    /* The connection may have come and gone between the two clients of one session, and each time it is told.
     * Behind a read of its own client the watch is armed. */
    struct note told;
    do {
        OK(zkh_client_get(a, at, NULL, &err));
        set(b, at, "after");
        told = next(stays);
    } while (told.kind == ZKH_EVENT_MAY_HAVE_MISSED);
    CHECK(told.kind == ZKH_EVENT_DATA_CHANGED && strcmp(told.text, at) == 0);
}
