/* Wrong on purpose: an error is freed twice. AddressSanitizer and valgrind must say so. */
#include "check.h"

int main(void)
{
    CHECK(zkh_mutex_unlock((zkh_mutex){0}, &err) == ZKH_BAD_HANDLE);
    zkh_error_free(err);
    zkh_error_free(err);
    return 0;
}
