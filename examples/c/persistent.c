/*
 * A lock that outlasts its owner, for work that must not be begun anew while half of it is done:
 *
 *     persistent HOST:PORT PATH hold            takes the lock and keeps it until somebody asks for it
 *     persistent HOST:PORT PATH list            who has it and who waits
 *     persistent HOST:PORT PATH ask REASON      asks the holder to give it up
 *     persistent HOST:PORT PATH release         releases it where the holder is gone
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <zkhelper.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int asked, lost;

static void on_revoke(void *user_data, int64_t token, const char *reason)
{
    (void)user_data;
    printf("asked for token %" PRId64 ": %s\n", token, reason);
    pthread_mutex_lock(&lock);
    asked = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_lost(void *user_data, int64_t token, int32_t reason)
{
    (void)user_data;
    printf("lost token %" PRId64 ", reason %d\n", token, (int)reason);
    pthread_mutex_lock(&lock);
    lost = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static zkh_status hold(zkh_mutex mutex, zkh_error **err)
{
    zkh_status status;
    if ((status = zkh_mutex_on_revoke(mutex, on_revoke, NULL, NULL, err)) != ZKH_OK
        || (status = zkh_mutex_on_lost(mutex, on_lost, NULL, NULL, err)) != ZKH_OK
        || (status = zkh_mutex_lock(mutex, -1, "a migration", err)) != ZKH_OK)
        return status;
    printf("held; the fencing token is %" PRId64 "\n", zkh_mutex_token(mutex));
    fflush(stdout);
    pthread_mutex_lock(&lock);
    while (!asked && !lost)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    /* The work is at an end, or broken off. Where the lock was lost this says so, and removes its node. */
    return zkh_mutex_unlock(mutex, err);
}

static zkh_status list(zkh_mutex mutex, zkh_error **err)
{
    static const char *const words[] = {"", "living", "gone", "unknown"};
    zkh_contenders *all = NULL;
    zkh_status status = zkh_mutex_contenders(mutex, &all, err);
    for (size_t i = 0; i < zkh_contenders_count(all); i++) {
        const char *host = zkh_contenders_hostname(all, i), *what = zkh_contenders_description(all, i);
        printf("%s token=%" PRId64 " owner=%s process %" PRId64 " on %s since %" PRId64 " ms: %s\n",
               zkh_contenders_name(all, i), zkh_contenders_token(all, i), words[zkh_contenders_owner(all, i)],
               zkh_contenders_pid(all, i), host == NULL ? "?" : host, zkh_contenders_since_ms(all, i),
               what == NULL ? "" : what);
    }
    zkh_contenders_free(all);
    return status;
}

/* Does something to the first of all, who holds the lock. */
static zkh_status to_holder(zkh_mutex mutex, const char *reason, zkh_error **err)
{
    zkh_contenders *all = NULL;
    zkh_status status = zkh_mutex_contenders(mutex, &all, err);
    const char *name = zkh_contenders_name(all, 0);
    if (name == NULL)
        printf("nobody holds it\n");
    else if (reason != NULL)
        status = zkh_mutex_request_revocation(mutex, name, reason, err);
    else if ((status = zkh_mutex_release_dead(mutex, name, err)) == ZKH_OK)
        printf("released %s\n", name);
    zkh_contenders_free(all);
    return status;
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_mutex_options options = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;
    const char *what = argc > 3 ? argv[3] : "";
    int asks = strcmp(what, "ask") == 0 && argc > 4;
    if (!asks && strcmp(what, "hold") != 0 && strcmp(what, "list") != 0 && strcmp(what, "release") != 0) {
        fprintf(stderr, "usage: %s HOST:PORT PATH hold | list | ask REASON | release\n", argv[0]);
        return 2;
    }
    if (zkh_client_connect(argv[1], NULL, &client, &err) == ZKH_OK
        && zkh_mutex_options_new(&options, &err) == ZKH_OK
        && zkh_mutex_options_set_persistent(options, 3000, &err) == ZKH_OK /* believed for 3 s unless renewed */
        && zkh_mutex_new(client, argv[2], &options, &mutex, &err) == ZKH_OK) {
        if (strcmp(what, "hold") == 0)
            hold(mutex, &err);
        else if (strcmp(what, "list") == 0)
            list(mutex, &err);
        else
            to_holder(mutex, asks ? argv[4] : NULL, &err);
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_mutex_free(mutex);
    zkh_mutex_options_free(options);
    zkh_client_close(client, 5000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
