/// @file
/// zkhelper for C++17 and later: all of it. Header-only, over the C ABI of `zkhelper.h`.
///
/// Objects own what they stand for and can only be moved; one that was moved from is answered with
/// zkh::errc::bad_handle. Failures are thrown as zkh::error, a `std::system_error`. Times are `std::chrono` durations.
/// Callbacks are `std::function`, and exceptions that leave them are caught and reported (zkh::on_exception()). Every
/// object may be used by any number of threads at once, as long as none of them moves or destroys it meanwhile.
#ifndef ZKHELPER_HPP
#define ZKHELPER_HPP

#include <zkhelper/acl.hpp>
#include <zkhelper/client.hpp>
#include <zkhelper/contenders.hpp>
#include <zkhelper/elector.hpp>
#include <zkhelper/error.hpp>
#include <zkhelper/handle.hpp>
#include <zkhelper/log.hpp>
#include <zkhelper/multi.hpp>
#include <zkhelper/mutex.hpp>
#include <zkhelper/node.hpp>
#include <zkhelper/outcome.hpp>
#include <zkhelper/pid_node.hpp>
#include <zkhelper/queue_lock.hpp>
#include <zkhelper/server.hpp>
#include <zkhelper/tree.hpp>
#include <zkhelper/watch.hpp>

#endif
