/* Takes a lock over TLS: tls HOST:PORT CA [CERTIFICATE KEY], files in PEM form. The library has to be built with
 * TLS: make install FEATURES=tls */
#include <inttypes.h>
#include <stdio.h>
#include <zkhelper.h>

int main(int argc, char **argv)
{
    zkh_client_options options = {0};
    zkh_client client = {0};
    zkh_mutex mutex = {0};
    zkh_error *err = NULL;

    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: tls HOST:PORT CA [CERTIFICATE KEY]\n");
        return 2;
    }
    if (zkh_client_options_new(&options, &err) == ZKH_OK
        && zkh_client_options_set_tls_ca_file(options, argv[2], &err) == ZKH_OK
        && (argc == 3 || zkh_client_options_set_tls_certificate_file(options, argv[3], argv[4], &err) == ZKH_OK)
        && zkh_client_connect(argv[1], &options, &client, &err) == ZKH_OK
        && zkh_mutex_new(client, "/zk/demo/lock", NULL, &mutex, &err) == ZKH_OK
        && zkh_mutex_lock(mutex, 5000, "over TLS", &err) == ZKH_OK) {
        printf("held over TLS; the fencing token is %" PRId64 "\n", zkh_mutex_token(mutex));
        zkh_mutex_unlock(mutex, &err);
    }
    if (err != NULL)
        fprintf(stderr, "%s\n", zkh_error_message(err));
    int failed = err != NULL;
    zkh_mutex_free(mutex);
    zkh_client_close(client, 2000, NULL);
    zkh_client_free(client);
    zkh_client_options_free(options);
    zkh_error_free(err);
    return failed;
}
