/* Wrong on purpose: errors are never freed. AddressSanitizer and valgrind must say so. */
#include "check.h"

int main(void)
{
    for (int i = 0; i < 100; i++)
        CHECK(zkh_mutex_unlock((zkh_mutex){0}, &err) == ZKH_BAD_HANDLE);
    err = NULL;
    return 0;
}
