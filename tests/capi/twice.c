/* Wrong on purpose: an error is freed twice. Only a library that is instrumented itself sees it in place. */
#include "check.h"

int main(void)
{
    CHECK(zkh_mutex_unlock((zkh_mutex){0}, &err) == ZKH_BAD_HANDLE);
    zkh_error_free(err);
    zkh_error_free(err);
    return 0;
}
