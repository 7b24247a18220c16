#include "lend.h"

#include "_cgo_export.h"

static void asked(void *user, zkh_call call, const zkh_request *request)
{
    zkhGoAsked((uintptr_t)user, call.id, (zkh_request *)request);
}

zkh_status zkhgo_lend(const zkh_client_options *options, bool transactions, uintptr_t user, zkh_client *client,
                      zkh_error **err)
{
    static const int32_t operations[] = {
        ZKH_REQUEST_CREATE, ZKH_REQUEST_DELETE,   ZKH_REQUEST_EXISTS, ZKH_REQUEST_GET,
        ZKH_REQUEST_SET,    ZKH_REQUEST_CHILDREN, ZKH_REQUEST_SYNC,
    };
    zkh_lend lend = {0};
    zkh_status status = zkh_lend_new(&lend, err);
    for (size_t i = 0; status == ZKH_OK && i < sizeof operations / sizeof *operations; i++)
        status = zkh_lend_set(lend, operations[i], asked, err);
    if (status == ZKH_OK && transactions)
        status = zkh_lend_set(lend, ZKH_REQUEST_MULTI, asked, err);
    if (status == ZKH_OK)
        status = zkh_lend_set_stepwise(lend, !transactions, err);
    if (status == ZKH_OK)
        status = zkh_client_lend(lend, options, (void *)user, zkhgo_destroy, client, err);
    else
        zkhgo_destroy((void *)user);
    zkh_lend_free(lend);
    return status;
}
