/* The callbacks that the library calls; each hands its arguments to Go. What is exported to C drops `const`. */
#include "bridge.h"

#include "_cgo_export.h"

void zkhgo_done(void *user, zkh_status status, int64_t value, const zkh_error *error)
{
    zkhGoDone((uintptr_t)user, status, value, (zkh_error *)error);
}

void zkhgo_result(void *user, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    zkhGoResult((uintptr_t)user, status, (zkh_result *)result, (zkh_error *)error);
}

void zkhgo_leader(void *user, zkh_status status, const zkh_leader *leader, const zkh_error *error)
{
    zkhGoLeader((uintptr_t)user, status, (zkh_leader *)leader, (zkh_error *)error);
}

void zkhgo_observed(void *user, zkh_status status, const zkh_leader *leader, const zkh_error *error)
{
    zkhGoObserved((uintptr_t)user, status, (zkh_leader *)leader, (zkh_error *)error);
}

void zkhgo_state(void *user, int32_t state, int64_t session, int64_t previous, const zkh_error *reason)
{
    zkhGoState((uintptr_t)user, state, session, previous, (zkh_error *)reason);
}

void zkhgo_event(void *user, int32_t event, const char *path)
{
    zkhGoEvent((uintptr_t)user, event, (char *)path);
}

void zkhgo_contenders(void *user, zkh_status status, const zkh_contenders *all, const zkh_error *error)
{
    zkhGoContenders((uintptr_t)user, status, (zkh_contenders *)all, (zkh_error *)error);
}

void zkhgo_revoke(void *user, int64_t token, const char *reason)
{
    zkhGoRevoke((uintptr_t)user, token, (char *)reason);
}

void zkhgo_pid(void *user, int32_t event, int32_t loss, const zkh_error *error)
{
    zkhGoPid((uintptr_t)user, event, loss, (zkh_error *)error);
}

void zkhgo_watch(void *user, int32_t event, const char *path)
{
    zkhGoWatch((uintptr_t)user, event, (char *)path);
}

void zkhgo_lost(void *user, int64_t token, int32_t reason)
{
    zkhGoLost((uintptr_t)user, token, reason);
}

void zkhgo_begin(void *user, zkh_term term, int64_t token, int64_t valid_ms)
{
    zkhGoBegin((uintptr_t)user, term.id, token, valid_ms);
}

void zkhgo_stop(void *user, int64_t token, int32_t reason)
{
    zkhGoStop((uintptr_t)user, token, reason);
}

void zkhgo_over(void *user, zkh_status status, int64_t value, const zkh_error *error)
{
    (void)status;
    (void)value;
    zkhGoOver((uintptr_t)user, (zkh_error *)error);
}

void zkhgo_log(void *user, int32_t level, const char *target, const char *message)
{
    zkhGoLog((uintptr_t)user, level, (char *)target, (char *)message);
}

void zkhgo_destroy(void *user)
{
    zkhGoDestroy((uintptr_t)user);
}
