/* What the programs of this directory share: checks that say where they failed, and outcomes of callbacks. */
#ifndef CHECK_H
#define CHECK_H

#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zkhelper.h>

/* The error of the last call that was checked. */
static zkh_error *err;

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "%s:%d: pid %ld: not true: %s\n", __FILE__, __LINE__, (long)getpid(), #what); \
            fflush(NULL); \
            _exit(1); \
        } \
    } while (0)

static inline void ended(const char *at, int line, const char *call, zkh_status got, zkh_status want,
                         const char *text)
{
    const char *message = zkh_error_message(err);
    int good = got == want && (want == ZKH_OK ? err == NULL : err != NULL && zkh_error_code(err) == want);
    if (good && text != NULL)
        good = strstr(message, text) != NULL && strstr(message, zkh_code_name(want)) != NULL
               && strcmp(zkh_error_name(err), zkh_code_name(want)) == 0;
    if (!good) {
        fprintf(stderr, "%s:%d: pid %ld: %s\n  gave %d (%s), wanted %d (%s) and \"%s\"; message: %s\n", at, line,
                (long)getpid(), call, (int)got, zkh_code_name(got), (int)want, zkh_code_name(want),
                text == NULL ? "" : text, message);
        fflush(NULL);
        _exit(1);
    }
    zkh_error_free(err);
    err = NULL;
}

/* The call, which is to use &err, succeeds; or fails with this code, and a message that has this text. */
#define OK(call) ended(__FILE__, __LINE__, #call, call, ZKH_OK, NULL)
#define FAILS(call, code, text) ended(__FILE__, __LINE__, #call, call, code, text)

/*
 * Ends the child of a fork that went well. It becomes another program first: a leak checker that runs in the
 * child would find what the parent's threads had, which do not exist there.
 */
static inline void leave(void)
{
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

/* How often a callback was called and its user_data destroyed, and what it was told last. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls, destroyed;
    zkh_status status;
    int64_t value;
    char message[512];
    char path[128];
    pthread_t thread;
    bool exists;
    zkh_stat stat;
    char node[128], data[64];
    size_t len;
    /* Called inside the callback, if it is not null. */
    void (*inside)(struct outcome *);
    void *more;
};

#define OUTCOME {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static inline void done(void *user_data, zkh_status status, int64_t value, const zkh_error *error)
{
    struct outcome *o = user_data;
    CHECK((status == ZKH_OK) == (error == NULL));
    CHECK(zkh_error_code(error) == status);
    pthread_mutex_lock(&o->lock);
    CHECK(o->destroyed == 0);
    o->calls++;
    o->status = status;
    o->value = value;
    o->thread = pthread_self();
    snprintf(o->message, sizeof o->message, "%s", zkh_error_message(error));
    snprintf(o->path, sizeof o->path, "%s", zkh_error_path(error) == NULL ? "" : zkh_error_path(error));
    pthread_mutex_unlock(&o->lock);
    if (o->inside != NULL)
        o->inside(o);
}

/* The same for a call that answers with a result; `value` is how many things the result lists. */
static inline void answered(void *user_data, zkh_status status, const zkh_result *result, const zkh_error *error)
{
    struct outcome *o = user_data;
    CHECK((status == ZKH_OK) == (result != NULL));
    pthread_mutex_lock(&o->lock);
    o->exists = zkh_result_stat(result, &o->stat);
    snprintf(o->node, sizeof o->node, "%s", zkh_result_path(result) == NULL ? "" : zkh_result_path(result));
    const char *data = zkh_result_data(result, &o->len);
    snprintf(o->data, sizeof o->data, "%s", data == NULL ? "" : data);
    pthread_mutex_unlock(&o->lock);
    done(user_data, status, (int64_t)zkh_result_count(result), error);
}

static inline void destroy(void *user_data)
{
    struct outcome *o = user_data;
    pthread_mutex_lock(&o->lock);
    o->destroyed++;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

/* Waits for the end of the asynchronous call whose outcome this is; it was called and destroyed once. */
static inline zkh_status await(struct outcome *o)
{
    pthread_mutex_lock(&o->lock);
    while (o->destroyed == 0)
        pthread_cond_wait(&o->changed, &o->lock);
    CHECK(o->calls == 1 && o->destroyed == 1);
    pthread_mutex_unlock(&o->lock);
    return o->status;
}

static inline int destroyed(struct outcome *o)
{
    pthread_mutex_lock(&o->lock);
    int n = o->destroyed;
    pthread_mutex_unlock(&o->lock);
    return n;
}

#endif
