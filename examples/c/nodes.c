/* Makes nodes, reads and changes them, also several as one transaction: nodes [HOST:PORT] */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zkhelper.h>

/* The data, and only if nobody changed them in between: the version goes along. */
static zkh_status add_exclamation_mark(zkh_client client, const char *path, zkh_error **err)
{
    zkh_status status;
    do {
        zkh_result *result = NULL;
        zkh_stat stat;
        char text[64];
        status = zkh_client_get(client, path, &result, err);
        if (status != ZKH_OK)
            return status;
        zkh_result_stat(result, &stat);
        snprintf(text, sizeof text, "%s!", (const char *)zkh_result_data(result, NULL));
        zkh_result_free(result);
        status = zkh_client_set(client, path, text, strlen(text), stat.version, NULL, NULL);
    } while (status == ZKH_BAD_VERSION); /* somebody was quicker */
    return status;
}

int main(int argc, char **argv)
{
    zkh_client client = {0};
    zkh_multi multi = {0};
    zkh_result *made = NULL, *children = NULL, *done = NULL;
    zkh_error *err = NULL;

    /* "embedded" is a server inside this process, to try things with. */
    if (zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err) == ZKH_OK
        && zkh_client_create(client, "/nodes-", NULL, 0, ZKH_CREATE_PERSISTENT_SEQUENTIAL, 0, NULL, &made, &err) == ZKH_OK) {
        const char *top = zkh_result_path(made);
        char a[64], b[64];
        snprintf(a, sizeof a, "%s/a", top);
        snprintf(b, sizeof b, "%s/b", top);

        /* Both or none. */
        if (zkh_multi_new(&multi, &err) == ZKH_OK
            && zkh_multi_create(multi, a, "hello", 5, ZKH_CREATE_PERSISTENT, 0, NULL, &err) == ZKH_OK
            && zkh_multi_create(multi, b, "bye", 3, ZKH_CREATE_EPHEMERAL, 0, NULL, &err) == ZKH_OK
            && zkh_multi_commit(client, multi, &done, &err) == ZKH_OK
            && add_exclamation_mark(client, a, &err) == ZKH_OK
            && zkh_client_children(client, top, &children, &err) == ZKH_OK) {
            for (size_t i = 0; i < zkh_result_count(children); i++) {
                zkh_result *node = NULL;
                char path[64];
                snprintf(path, sizeof path, "%s/%s", top, zkh_result_name(children, i));
                if (zkh_client_get(client, path, &node, &err) == ZKH_OK) {
                    zkh_stat stat;
                    zkh_result_stat(node, &stat);
                    printf("%s: \"%s\", version %" PRId32 ", %s\n", path, (const char *)zkh_result_data(node, NULL),
                           stat.version, stat.ephemeral_owner ? "until this session ends" : "until it is deleted");
                }
                zkh_result_free(node);
            }
            zkh_client_delete(client, a, -1, NULL);
            zkh_client_delete(client, b, -1, NULL);
        }
        zkh_client_delete(client, top, -1, NULL);
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_result_free(made);
    zkh_result_free(children);
    zkh_result_free(done);
    zkh_multi_free(multi);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
