/*
 * Between the C ABI and cgo. A cgo.Handle is a number and travels as uintptr_t: as a pointer it would be one that
 * Go's runtime refuses to meet on a stack. So each function that takes a user_data has a form here that takes
 * the number, with the callback that brings it back to Go.
 */
#ifndef ZKHELPER_GO_BRIDGE_H
#define ZKHELPER_GO_BRIDGE_H

#include <zkhelper.h>

void zkhgo_done(void *user, zkh_status status, int64_t value, const zkh_error *error);
void zkhgo_result(void *user, zkh_status status, const zkh_result *result, const zkh_error *error);
void zkhgo_leader(void *user, zkh_status status, const zkh_leader *leader, const zkh_error *error);
void zkhgo_observed(void *user, zkh_status status, const zkh_leader *leader, const zkh_error *error);
void zkhgo_state(void *user, int32_t state, int64_t session, int64_t previous, const zkh_error *reason);
void zkhgo_watch(void *user, int32_t event, const char *path);
void zkhgo_lost(void *user, int64_t token, int32_t reason);
void zkhgo_begin(void *user, zkh_term term, int64_t token, int64_t valid_ms);
void zkhgo_stop(void *user, int64_t token, int32_t reason);
void zkhgo_over(void *user, zkh_status status, int64_t value, const zkh_error *error);
void zkhgo_log(void *user, int32_t level, const char *target, const char *message);
void zkhgo_event(void *user, int32_t event, const char *path);
void zkhgo_contenders(void *user, zkh_status status, const zkh_contenders *all, const zkh_error *error);
void zkhgo_revoke(void *user, int64_t token, const char *reason);
void zkhgo_pid(void *user, int32_t event, int32_t loss, const zkh_error *error);
void zkhgo_destroy(void *user);

static inline zkh_status zkhgo_wait_connected(zkh_client c, int64_t ms, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_wait_connected_async(c, ms, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_close(zkh_client c, int64_t ms, uintptr_t u, zkh_error **e)
{
    return zkh_client_close_async(c, ms, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_add_auth(zkh_client c, const char *scheme, const void *data, size_t len, uintptr_t u,
                                        zkh_error **e)
{
    return zkh_client_add_auth_async(c, scheme, data, len, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_on_state(zkh_client c, uintptr_t u, zkh_error **e)
{
    return zkh_client_on_state(c, zkhgo_state, (void *)u, zkhgo_destroy, e);
}

static inline zkh_status zkhgo_create(zkh_client c, const char *path, const void *data, size_t len, int32_t mode,
                                      const zkh_acl *acl, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_create_async(c, path, data, len, mode, 0, acl, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_get(zkh_client c, const char *path, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_get_async(c, path, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_set(zkh_client c, const char *path, const void *data, size_t len, int32_t version,
                                   uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_set_async(c, path, data, len, version, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_delete(zkh_client c, const char *path, int32_t version, uintptr_t u, zkh_op *op,
                                      zkh_error **e)
{
    return zkh_client_delete_async(c, path, version, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_exists(zkh_client c, const char *path, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_exists_async(c, path, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_children(zkh_client c, const char *path, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_children_async(c, path, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_get_acl(zkh_client c, const char *path, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_get_acl_async(c, path, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_set_acl(zkh_client c, const char *path, const zkh_acl *acl, int32_t version,
                                       uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_set_acl_async(c, path, acl, version, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_sync(zkh_client c, const char *path, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_sync_async(c, path, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_commit(zkh_client c, zkh_multi multi, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_multi_commit_async(c, multi, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_multi_read(zkh_client c, zkh_multi multi, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_multi_read_async(c, multi, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_ephemerals(zkh_client c, const char *prefix, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_ephemerals_async(c, prefix, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_who_am_i(zkh_client c, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_client_who_am_i_async(c, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_watch_on(zkh_client c, const char *path, int32_t kind, uintptr_t u, zkh_watch *watch,
                                        uintptr_t armed, zkh_op *op, zkh_error **e)
{
    return zkh_client_watch_async(c, path, kind, zkhgo_event, (void *)u, zkhgo_destroy, watch, zkhgo_result,
                                  (void *)armed, NULL, op, e);
}

static inline zkh_status zkhgo_watch_start(zkh_client c, const char *path, int32_t kind, uintptr_t u, zkh_watch *watch,
                                           uintptr_t armed, zkh_op *op, zkh_error **e)
{
    return zkh_client_watch_async(c, path, kind, zkhgo_watch, (void *)u, zkhgo_destroy, watch, zkhgo_result,
                                  (void *)armed, NULL, op, e);
}

static inline zkh_status zkhgo_lock(zkh_mutex m, int64_t ms, const char *description, uintptr_t u, zkh_op *op,
                                    zkh_error **e)
{
    return zkh_mutex_lock_async(m, ms, description, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_unlock(zkh_mutex m, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_unlock_async(m, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_reset(zkh_mutex m, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_reset_async(m, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_on_lost(zkh_mutex m, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_on_lost(m, zkhgo_lost, (void *)u, zkhgo_destroy, e);
}

static inline zkh_status zkhgo_guarded(zkh_mutex m, zkh_multi multi, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_guarded_async(m, multi, zkhgo_result, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_list_contenders(zkh_mutex m, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_contenders_async(m, zkhgo_contenders, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_list_candidates(zkh_elector elector, uintptr_t u, zkh_error **e)
{
    return zkh_elector_candidates_async(elector, zkhgo_contenders, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_on_revoke(zkh_mutex m, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_on_revoke(m, u ? zkhgo_revoke : NULL, (void *)u, u ? zkhgo_destroy : NULL, e);
}

static inline zkh_status zkhgo_ask_for(zkh_mutex m, const char *name, const char *reason, uintptr_t u, zkh_error **e)
{
    return zkh_mutex_request_revocation_async(m, name, reason, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_release_dead(zkh_mutex m, const char *name, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_mutex_release_dead_async(m, name, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_release_by_force(zkh_mutex m, const char *name, int64_t czxid, uintptr_t u,
                                                zkh_error **e)
{
    return zkh_mutex_release_by_force_async(m, name, czxid, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_run(zkh_elector elector, uintptr_t u, zkh_error **e)
{
    return zkh_elector_run_async(elector, zkhgo_begin, zkhgo_stop, zkhgo_over, (void *)u, zkhgo_destroy, e);
}

static inline zkh_status zkhgo_leader_now(zkh_elector elector, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_elector_leader_async(elector, zkhgo_leader, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_observe(zkh_elector elector, uintptr_t u, zkh_error **e)
{
    return zkh_elector_on_leader(elector, u ? zkhgo_observed : NULL, (void *)u, u ? zkhgo_destroy : NULL, e);
}

static inline zkh_status zkhgo_tree_create(zkh_client c, const char *path, const void *data, size_t len, int32_t mode,
                                           const zkh_acl *acl, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_tree_create_async(c, path, data, len, mode, acl, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_tree_create_or_update(zkh_client c, const char *path, const void *data, size_t len,
                                                     int32_t mode, const zkh_acl *acl, bool recursive, uintptr_t u,
                                                     zkh_op *op, zkh_error **e)
{
    return zkh_tree_create_or_update_async(c, path, data, len, mode, acl, recursive, zkhgo_result, (void *)u, NULL, op,
                                           e);
}

static inline zkh_status zkhgo_tree_children(zkh_client c, const char *path, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_tree_children_async(c, path, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_tree_delete(zkh_client c, const char *path, int32_t version, uintptr_t u, zkh_op *op,
                                           zkh_error **e)
{
    return zkh_tree_delete_async(c, path, version, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_tree_glob(zkh_client c, char **patterns, size_t count, uintptr_t u, zkh_op *op,
                                         zkh_error **e)
{
    return zkh_tree_glob_async(c, (const char *const *)patterns, count, zkhgo_result, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_obtain(zkh_queue_lock lock, const char *name, int64_t ms, uintptr_t u, zkh_op *op,
                                      zkh_error **e)
{
    return zkh_queue_lock_obtain_async(lock, name, ms, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_queue_lock(zkh_queue_lock lock, int64_t ms, const char *description, uintptr_t u,
                                          zkh_op *op, zkh_error **e)
{
    return zkh_queue_lock_lock_async(lock, ms, description, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_queue_unlock(zkh_queue_lock lock, uintptr_t u, zkh_error **e)
{
    return zkh_queue_lock_unlock_async(lock, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_pid_on_event(zkh_pid_node node, uintptr_t u, zkh_error **e)
{
    return zkh_pid_node_on_event(node, zkhgo_pid, (void *)u, zkhgo_destroy, e);
}

static inline zkh_status zkhgo_pid_start(zkh_pid_node node, uintptr_t u, zkh_op *op, zkh_error **e)
{
    return zkh_pid_node_start_async(node, zkhgo_done, (void *)u, NULL, op, e);
}

static inline zkh_status zkhgo_pid_close(zkh_pid_node node, uintptr_t u, zkh_error **e)
{
    return zkh_pid_node_close_async(node, zkhgo_done, (void *)u, NULL, e);
}

static inline zkh_status zkhgo_set_log(int32_t level, uintptr_t u, zkh_error **e)
{
    return zkh_log_set_callback(level, u ? zkhgo_log : NULL, (void *)u, u ? zkhgo_destroy : NULL, e);
}

#endif
