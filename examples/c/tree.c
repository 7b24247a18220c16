/* Makes a small tree, finds nodes in it by a pattern, lists and deletes it: tree [HOST:PORT] */
#include <stdio.h>
#include <string.h>
#include <zkhelper.h>

static void print(const char *what, const zkh_result *result)
{
    printf("%s\n", what);
    for (size_t i = 0; i < zkh_result_count(result); i++)
        printf("  %s\n", zkh_result_name(result, i));
}

int main(int argc, char **argv)
{
    static const char *const shards[] = {"/zk/tree/nyc/shards/0", "/zk/tree/nyc/shards/1", "/zk/tree/sfo/shards/0"};
    static const char *const patterns[] = {"/zk/tree/*/shards/[0-9]"};
    zkh_client client = {0};
    zkh_acl file = {0};
    zkh_result *found = NULL, *all = NULL;
    zkh_error *err = NULL;

    /* "embedded" is a server inside this process, to try things with. */
    zkh_status status = zkh_client_connect(argc > 1 ? argv[1] : "embedded", NULL, &client, &err);
    if (status == ZKH_OK)
        status = zkh_acl_new(ZKH_ACL_FILE, &file, &err);
    for (size_t i = 0; i < sizeof shards / sizeof *shards && status == ZKH_OK; i++) /* with their parents */
        status = zkh_tree_create_or_update(client, shards[i], "up", 2, ZKH_CREATE_PERSISTENT, &file, true, NULL, &err);
    if (status == ZKH_OK && zkh_tree_glob(client, patterns, 1, &found, &err) == ZKH_OK
        && zkh_tree_children(client, "/zk/tree", &all, &err) == ZKH_OK) {
        print(patterns[0], found);
        print("below /zk/tree", all);
        if (zkh_tree_delete(client, "/zk/tree", -1, &err) == ZKH_OK)
            printf("deleted\n");
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_result_free(found);
    zkh_result_free(all);
    zkh_acl_free(file);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_error_free(err);
    return failed;
}
