/* Errors and bad input: scenarios 93 to 95. */
#include "scenario.h"

static zkh_client nowhere(void)
{
    zkh_client a = {0};
    OK(zkh_client_new(NOBODY, NULL, &a, &err));
    return a;
}

void s93_bad_paths_are_refused_unsent(void)
{
    const char *bad[] = {"", "a", "/a/", "/a//b", "/a/../b"};
    zkh_client a = nowhere();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        zkh_mutex m = {77};
        FAILS(zkh_client_create(a, bad[i], NULL, 0, 0, 0, NULL, NULL, &err), ZKH_BAD_PATH, bad[i]);
        FAILS(zkh_tree_create(a, bad[i], NULL, 0, 0, NULL, NULL, &err), ZKH_BAD_PATH, bad[i]);
        FAILS(zkh_mutex_new(a, bad[i], NULL, &m, &err), ZKH_BAD_PATH, bad[i]);
        CHECK(m.id == 0);
    }
    CHECK(zkh_client_free(a) == ZKH_OK);
}

void s94_errors_say_what_and_where(void)
{
    zkh_client a = join();
    zkh_error *why = NULL;
    const char *none = text("%s/none", home(a));
    CHECK(zkh_client_get(a, none, NULL, &why) == ZKH_NO_NODE && zkh_error_code(why) == -101);
    CHECK(strcmp(zkh_error_name(why), zkh_code_name(ZKH_NO_NODE)) == 0 && strcmp(zkh_error_path(why), none) == 0);
    CHECK(strstr(zkh_error_message(why), "NO_NODE") != NULL && strstr(zkh_error_message(why), none) != NULL);
    CHECK(!zkh_error_is_retriable(why));
    zkh_error_free(why);
    OK(zkh_mutex_lock(mutex(a, none), WAIT, NULL, &err));
    FAILS(zkh_mutex_lock(mutex(a, none), TRY, NULL, &err), -1009, none);
}

void s95_bad_options_are_refused(void)
{
    zkh_mutex_options options = mutex_options();
    zkh_client_options of_client = client_options();
    zkh_pid_node_options of_pid_node = pid_options();
    FAILS(zkh_mutex_options_set_strict(options, 60000, 1000, &err), ZKH_BAD_ARGUMENT, "delay");
    OK(zkh_mutex_options_set_strict(options, 60000, 60000, &err));
    FAILS(zkh_mutex_options_set_persistent(options, 60000, &err), ZKH_BAD_ARGUMENT, "persistent");
    FAILS(zkh_mutex_options_add_extra_lock_pattern(options, "", &err), ZKH_BAD_ARGUMENT, "pattern");
    FAILS(zkh_mutex_options_set_contents_json(options, "[]", &err), ZKH_BAD_ARGUMENT, "object");
    FAILS(zkh_pid_node_options_set_wait_ms(of_pid_node, -1, &err), ZKH_BAD_ARGUMENT, "");
    FAILS(zkh_client_options_set_session_timeout_ms(of_client, 0, &err), ZKH_BAD_ARGUMENT, "");
    CHECK(zkh_mutex_options_free(options) == ZKH_OK && zkh_client_options_free(of_client) == ZKH_OK);
    CHECK(zkh_pid_node_options_free(of_pid_node) == ZKH_OK);
}
