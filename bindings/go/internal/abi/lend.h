/* A connection of the program's in Go, lent to the library: one callback serves every operation. */
#ifndef ZKHELPER_GO_LEND_H
#define ZKHELPER_GO_LEND_H

#include "bridge.h"

/* Without transactions the library does them step by step. */
zkh_status zkhgo_lend(const zkh_client_options *options, bool transactions, uintptr_t user, zkh_client *client,
                      zkh_error **err);

#endif
