/*
 * What the conformance scenarios in C share. Whatever is made by the functions here is freed when the scenario
 * is over, after its handles, so that no callback finds it gone.
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "../../capi/check.h"
#include <inttypes.h>
#include <time.h>

/* The server's address; in a scenario with a server of its own it is not used. */
extern const char *server_address;

#define NOBODY "127.0.0.1:1"
#define WAIT 120000
#define TRY 0
#define SHORT 100
#define MINUTE 60000
#define SESSION 4000

/* Clients: with options, at an address with a session timeout, and as scenarios have them. */
zkh_client join_with(const char *where, zkh_client_options options);
zkh_client join_at(const char *where, int64_t session_timeout_ms);
zkh_client join(void);
zkh_client_options client_options(void);
/* Options by which another client takes this one's session. */
zkh_client_options taking(zkh_client of);
void end_session(zkh_client client);
zkh_server serve(char address[64]);

/* A text of the scenario's own; the path of a new node; that of a lock below one. */
const char *text(const char *format, ...);
const char *home(zkh_client client);
const char *lock_path(zkh_client client);

/* Nodes. The names of `children` are sorted and joined by spaces; there are none where there is no node. */
const char *make(zkh_client client, const char *path, int32_t mode);
void set(zkh_client client, const char *path, const char *data);
void delete(zkh_client client, const char *path);
const char *data_of(zkh_client client, const char *path, zkh_stat *stat);
bool exists(zkh_client client, const char *path, zkh_stat *stat);
const char *children(zkh_client client, const char *path, size_t *count);
void until(zkh_client client, const char *path, size_t count);
const char *only(zkh_client client, const char *path);
zkh_acl list_of(int32_t permissions);

/* Recipes. */
zkh_mutex mutex_with(zkh_client client, const char *path, zkh_mutex_options options);
zkh_mutex mutex(zkh_client client, const char *path);
zkh_mutex_options mutex_options(void);
zkh_mutex strict(zkh_client client, const char *path, int64_t delay_ms);
zkh_mutex persistent(zkh_client client, const char *path, int64_t lease_ms);
zkh_queue_lock queue(zkh_client client, const char *path);
zkh_elector elector(zkh_client client, const char *path, int64_t lease_ms);
zkh_pid_node pid_node(zkh_client client, const char *path, zkh_pid_node_options options);
zkh_pid_node_options pid_options(void);

/* What a call without waiting came to. */
struct outcome *outcome(void);
struct outcome *waiting(zkh_mutex mutex, zkh_op *op);

/* What callbacks were told, in order. */
struct note {
    int32_t kind;
    int64_t number, other;
    char text[160];
};
struct notes;
struct notes *notes(void);
/* The next note, which is waited for; whether there is none. */
struct note next(struct notes *notes);
bool none_left(struct notes *notes);
/* Callbacks that take notes: the kind is the reason, state or event; the number a token or session. */
void note_lost(void *notes, int64_t token, int32_t reason);
void note_revoke(void *notes, int64_t token, const char *reason);
void note_watch(void *notes, int32_t event, const char *path);
void note_state(void *notes, int32_t state, int64_t session, int64_t previous, const zkh_error *reason);
void note_pid(void *notes, int32_t event, int32_t loss, const zkh_error *error);
void note_leader(void *notes, zkh_status status, const zkh_leader *leader, const zkh_error *error);
struct notes *losses_of(zkh_mutex mutex);
/* Stands in an election: TERM has a term's id and its token, STOP a token and reason, OVER the status. */
enum { TERM, STOP, OVER };
struct notes *stand(zkh_elector elector);
/* The next note, which is of this kind. */
struct note next_is(struct notes *notes, int32_t kind);
void end_term(struct note term, int32_t outcome);
/* The one-shot or lasting watch of a node. */
struct notes *watch(zkh_client client, const char *path, int32_t kind, zkh_watch *watch);

int64_t now_ms(void);

#endif
