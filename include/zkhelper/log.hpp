/// @file
/// Log records, and the version.
#ifndef ZKHELPER_LOG_HPP
#define ZKHELPER_LOG_HPP

#include <zkhelper/outcome.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace zkh {

/// How grave a log record is.
enum class log_level : std::int32_t {
    off = ZKH_LOG_OFF,     ///< No records.
    error = ZKH_LOG_ERROR, ///< Something went wrong that somebody has to look at.
    warn = ZKH_LOG_WARN,   ///< Something is not as it should be.
    info = ZKH_LOG_INFO,   ///< What happens to sessions and connections.
    debug = ZKH_LOG_DEBUG, ///< For whoever looks for a fault.
    trace = ZKH_LOG_TRACE, ///< Everything.
};

/// Takes a record: how grave it is, which part of the library it comes from, and one line. The rules of zkh::callback
/// hold.
using log_callback = std::function<void(log_level level, const char *target, const char *message)>;

namespace detail {

struct logging {
    log_callback write;

    static void tell(void *self, std::int32_t level, const char *target, const char *message) noexcept
    {
        contain("the log",
                [&] { static_cast<logging *>(self)->write(static_cast<log_level>(level), target, message); });
    }
};

} // namespace detail

/// Sets the callback for log records of this level and the graver ones, for the whole process, in place of the one
/// before; an empty one sets none. It runs on a thread of its own; where it is too slow, records are dropped and counted.
inline void set_log(log_level level, log_callback write)
{
    if (!write)
        return detail::call(zkh_log_set_callback, std::int32_t{ZKH_LOG_OFF}, zkh_log_fn{}, static_cast<void *>(nullptr),
                            zkh_destroy_fn{});
    auto *state = new detail::logging{std::move(write)};
    detail::call(zkh_log_set_callback, static_cast<std::int32_t>(level), &detail::logging::tell,
                 static_cast<void *>(state), &detail::destroy<detail::logging>);
}

/// How many records were dropped so far because the callback was too slow.
inline std::uint64_t log_dropped() noexcept { return zkh_log_dropped(); }

/// The version of the library that runs, such as "1.2.3". That of the header is ZKH_VERSION_NUMBER.
inline std::string version() { return zkh_version(); }

/// The version of the library that runs, to be compared with ZKH_VERSION_NUMBER.
inline std::uint32_t version_number() noexcept { return zkh_version_number(); }

} // namespace zkh

#endif
