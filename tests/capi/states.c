/* Says what its state callback is told: states ADDRESS. It ends when it reads a line. */
#include "check.h"
#include <inttypes.h>

static const char *const names[] = {"none", "connecting", "connected", "suspended", "lost", "closed"};

static void on_state(void *user_data, int32_t state, int64_t session, int64_t previous, const zkh_error *reason)
{
    (void)user_data;
    CHECK(state > 0 && state <= ZKH_STATE_CLOSED);
    printf("%s session=%" PRIx64 " previous=%" PRIx64 " reason=%s\n", names[state], (uint64_t)session,
           (uint64_t)previous, zkh_error_message(reason));
    fflush(stdout);
}

static void count_closed(void *user_data, int32_t state, int64_t session, int64_t previous, const zkh_error *reason)
{
    (void)session;
    (void)previous;
    (void)reason;
    *(int *)user_data += state == ZKH_STATE_CLOSED;
}

/* The last state is told also where the client is freed right after it was closed. */
static void close_and_free(const char *address)
{
    for (int round = 0; round < 100; round++) {
        zkh_client client = {0};
        int closed = 0;
        OK(zkh_client_new(address, NULL, &client, &err));
        OK(zkh_client_on_state(client, count_closed, &closed, NULL, &err));
        OK(zkh_client_close(client, round % 2 ? -1 : 0, &err));
        CHECK(zkh_client_free(client) == ZKH_OK);
        CHECK(closed == 1);
    }
}

static void destroyed_states(void *user_data)
{
    (void)user_data;
    printf("destroyed\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    char line[64];
    zkh_client_options options = {0};
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    OK(zkh_client_options_new(&options, &err));
    OK(zkh_client_options_set_session_timeout_ms(options, 1000, &err));
    OK(zkh_client_options_set_max_backoff_ms(options, 100, &err));
    OK(zkh_client_new(argv[1], &options, &client, &err));
    OK(zkh_client_on_state(client, on_state, NULL, destroyed_states, &err));
    OK(zkh_client_wait_connected(client, -1, &err));
    OK(zkh_mutex_new(client, "/states/lock", NULL, &mutex, &err));
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    printf("held\n");
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    /* The session that held it is over. */
    CHECK(!zkh_mutex_is_held(mutex) && zkh_mutex_token(mutex) == 0);
    FAILS(zkh_mutex_unlock(mutex, &err), ZKH_LOCK_LOST, "/states/lock");
    OK(zkh_mutex_lock(mutex, -1, NULL, &err));
    OK(zkh_client_close(client, -1, &err));
    CHECK(zkh_client_free(client) == ZKH_OK && zkh_mutex_free(mutex) == ZKH_OK);
    CHECK(zkh_client_options_free(options) == ZKH_OK);
    close_and_free(argv[1]);
    printf("over\n");
    return 0;
}
