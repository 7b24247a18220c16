/*
 * Until when a lock may be trusted, and the embedded server that shows it: every loss is told once, with its
 * reason, in time; strict mode; the end of the sequence. What is wrong is refused.
 */
#include "check.h"
#include <inttypes.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls, destroyed;
    int64_t token;
    int32_t reason;
} losses = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static zkh_mutex in_callback;

static void on_lost(void *user_data, int64_t token, int32_t reason)
{
    CHECK(user_data == &losses);
    /* What waits would keep the next loss from being told. */
    CHECK(zkh_mutex_unlock(in_callback, NULL) == ZKH_WOULD_DEADLOCK);
    pthread_mutex_lock(&losses.lock);
    losses.calls++;
    losses.token = token;
    losses.reason = reason;
    pthread_cond_broadcast(&losses.changed);
    pthread_mutex_unlock(&losses.lock);
}

static void destroy_losses(void *user_data)
{
    CHECK(user_data == &losses);
    pthread_mutex_lock(&losses.lock);
    losses.destroyed++;
    pthread_cond_broadcast(&losses.changed);
    pthread_mutex_unlock(&losses.lock);
}

/* Waits until so many losses were told; the last one is of this token. */
static int32_t told(int calls, int64_t token)
{
    pthread_mutex_lock(&losses.lock);
    while (losses.calls < calls)
        pthread_cond_wait(&losses.changed, &losses.lock);
    CHECK(losses.calls == calls && losses.token == token);
    int32_t reason = losses.reason;
    pthread_mutex_unlock(&losses.lock);
    return reason;
}

static void refused(zkh_server server)
{
    zkh_server none = {0}, out = {77};
    zkh_mutex_options options = {0};
    FAILS(zkh_server_start(-1, 0, &out, &err), ZKH_BAD_ARGUMENT, "port is -1");
    CHECK(out.id == 0);
    FAILS(zkh_server_start(65536, 0, &out, &err), ZKH_BAD_ARGUMENT, "port is 65536");
    FAILS(zkh_server_start(0, -1, &out, &err), ZKH_BAD_ARGUMENT, "tick_ms is -1");
    FAILS(zkh_server_start(0, 0, NULL, &err), ZKH_BAD_ARGUMENT, "server");
    FAILS(zkh_server_set_frozen(none, true, &err), ZKH_BAD_HANDLE, "is null");
    FAILS(zkh_server_cut(server, 99, 1, ZKH_MOMENT_BEFORE_APPLYING, &err), ZKH_BAD_ARGUMENT, "operation is 99");
    FAILS(zkh_server_cut(server, ZKH_OPERATION_ANY, 0, ZKH_MOMENT_BEFORE_APPLYING, &err), ZKH_BAD_ARGUMENT, "1 or more");
    FAILS(zkh_server_cut(server, ZKH_OPERATION_ANY, 1, 2, &err), ZKH_BAD_ARGUMENT, "moment is 2");
    FAILS(zkh_server_set_delay_ms(server, -1, &err), ZKH_BAD_ARGUMENT, "delay_ms is -1");
    FAILS(zkh_server_set_sequence(server, "/none", 1, &err), ZKH_NO_NODE, "");
    FAILS(zkh_server_set_sequence(server, NULL, 1, &err), ZKH_BAD_ARGUMENT, "path");
    CHECK(zkh_server_address(none, NULL, 0) == 0 && zkh_server_free(none) == ZKH_OK);
    OK(zkh_mutex_options_new(&options, &err));
    FAILS(zkh_mutex_options_set_strict(options, 1000, 999, &err), ZKH_BAD_ARGUMENT, "shorter than the lease");
    FAILS(zkh_mutex_options_set_strict(options, 1, 1000, &err), ZKH_BAD_ARGUMENT, "100 ms");
    FAILS(zkh_mutex_options_set_strict(options, -1, 1000, &err), ZKH_BAD_ARGUMENT, "negative");
    CHECK(zkh_mutex_options_free(options) == ZKH_OK);
}

int main(void)
{
    char address[64];
    zkh_server server = {0};
    zkh_client_options options = {0};
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    OK(zkh_server_start(0, 200, &server, &err));
    refused(server);
    size_t length = zkh_server_address(server, address, sizeof address);
    CHECK(length == strlen(address) && strncmp(address, "127.0.0.1:", 10) == 0);
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_session_timeout_ms(options, 1000, &err));
    OK(zkh_client_options_set_renew_interval_ms(options, 0, &err));
    FAILS(zkh_client_options_set_renew_interval_ms(options, -1, &err), ZKH_BAD_ARGUMENT, "negative");
    OK(zkh_client_connect(address, &options, &client, &err));
    OK(zkh_mutex_new(client, "/lease/lock", NULL, &mutex, &err));
    in_callback = mutex;
    OK(zkh_mutex_on_lost(mutex, on_lost, &losses, destroy_losses, &err));
    CHECK(zkh_mutex_valid_ms(mutex) == 0);

    /* A frozen server: the lease runs out. */
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    int64_t token = zkh_mutex_token(mutex);
    int64_t valid = zkh_mutex_valid_ms(mutex);
    CHECK(token > 0 && valid > 0 && valid <= 1000);
    OK(zkh_server_set_frozen(server, true, &err));
    CHECK(told(1, token) == ZKH_LOSS_LEASE_RAN_OUT);
    CHECK(!zkh_mutex_is_held(mutex) && zkh_mutex_token(mutex) == 0 && zkh_mutex_valid_ms(mutex) == 0);
    OK(zkh_server_set_frozen(server, false, &err));
    FAILS(zkh_mutex_unlock(mutex, &err), ZKH_LOCK_LOST, "/lease/lock");

    /* A server without its quorum: pings and reads are answered, and prove nothing. */
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    token = zkh_mutex_token(mutex);
    OK(zkh_server_set_isolated(server, true, &err));
    CHECK(told(2, token) == ZKH_LOSS_LEASE_RAN_OUT);
    OK(zkh_server_set_isolated(server, false, &err));
    FAILS(zkh_mutex_unlock(mutex, &err), ZKH_LOCK_LOST, NULL);

    /* The end of the session: that is heard, or that it took the node along. */
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    token = zkh_mutex_token(mutex);
    OK(zkh_server_expire(server, zkh_client_session_id(client), &err));
    int32_t reason = told(3, token);
    CHECK(reason == ZKH_LOSS_SESSION_OVER || reason == ZKH_LOSS_NODE_DELETED);
    FAILS(zkh_mutex_unlock(mutex, &err), ZKH_LOCK_LOST, NULL);

    /* A lost answer is no loss, and a lock that is released is none. */
    OK(zkh_server_cut(server, ZKH_OPERATION_CREATE, 1, ZKH_MOMENT_AFTER_APPLYING, &err));
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    OK(zkh_mutex_unlock(mutex, &err));
    CHECK(losses.calls == 3);

    /* The end of the sequence, and its remedy. */
    OK(zkh_server_set_sequence(server, "/lease/lock", INT32_MAX - 5, &err));
    FAILS(zkh_mutex_lock(mutex, -1, NULL, &err), ZKH_SEQUENCE_EXHAUSTED, "reset the lock");
    OK(zkh_server_set_sequence(server, "/lease/lock", 1, &err));
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    FAILS(zkh_mutex_reset(mutex, &err), ZKH_NOT_EMPTY, "/lease/lock");
    OK(zkh_mutex_unlock(mutex, &err));
    OK(zkh_mutex_reset(mutex, &err));

    /* Strict mode: the first holder waits for the delay, who follows a clean release does not. */
    zkh_mutex_options strict_options = {0};
    zkh_mutex strict = {0};
    OK(zkh_mutex_options_new(&strict_options, &err));
    OK(zkh_mutex_options_set_strict(strict_options, 400, 400, &err));
    OK(zkh_mutex_new(client, "/lease/strict", &strict_options, &strict, &err));
    FAILS(zkh_mutex_lock(strict, 0, NULL, &err), ZKH_TIMEOUT, "may still believe");
    OK(zkh_mutex_lock(strict, -1, NULL, &err));
    valid = zkh_mutex_valid_ms(strict);
    CHECK(valid > 0 && valid <= 400);
    OK(zkh_mutex_unlock(strict, &err));
    OK(zkh_mutex_lock(strict, 0, NULL, &err));
    CHECK(zkh_mutex_free(strict) == ZKH_OK && zkh_mutex_options_free(strict_options) == ZKH_OK);

    /* The end of the client is a loss too; the callback goes with the handle. */
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    token = zkh_mutex_token(mutex);
    OK(zkh_client_close(client, -1, &err));
    CHECK(told(4, token) == ZKH_LOSS_CLIENT_CLOSED);
    CHECK(zkh_mutex_free(mutex) == ZKH_OK);
    pthread_mutex_lock(&losses.lock);
    while (losses.destroyed == 0)
        pthread_cond_wait(&losses.changed, &losses.lock);
    CHECK(losses.destroyed == 1);
    pthread_mutex_unlock(&losses.lock);
    CHECK(zkh_client_free(client) == ZKH_OK && zkh_client_options_free(options) == ZKH_OK);
    CHECK(zkh_server_free(server) == ZKH_OK && zkh_server_free(server) == ZKH_BAD_HANDLE);

    /* The word embedded. */
    client.id = 0;
    OK(zkh_client_connect("embedded", NULL, &client, &err));
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK);
    printf("each loss was told once\n");
    return 0;
}
