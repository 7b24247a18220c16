/* Wrong on purpose: a message is read after its error was freed. AddressSanitizer and valgrind must say so. */
#include "check.h"

int main(void)
{
    CHECK(zkh_mutex_unlock((zkh_mutex){0}, &err) == ZKH_BAD_HANDLE);
    const volatile char *message = zkh_error_message(err);
    zkh_error_free(err);
    return message[0] == 'x';
}
