/// @file
/// Watches: what happens to nodes, as it happens.
#ifndef ZKHELPER_WATCH_HPP
#define ZKHELPER_WATCH_HPP

#include <zkhelper/handle.hpp>
#include <zkhelper/node.hpp>
#include <zkhelper/outcome.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace zkh {

/// What a watch tells.
enum class event : std::int32_t {
    created = ZKH_EVENT_CREATED,                   ///< The node was created.
    deleted = ZKH_EVENT_DELETED,                   ///< The node was deleted.
    data_changed = ZKH_EVENT_DATA_CHANGED,         ///< The node's data were set.
    children_changed = ZKH_EVENT_CHILDREN_CHANGED, ///< A child was created or deleted.
    session_lost = ZKH_EVENT_SESSION_LOST,         ///< Nothing more comes of a watch for one event.
    may_have_missed = ZKH_EVENT_MAY_HAVE_MISSED,   ///< The connection was away: read again what you rely on.
};

/// Takes what happens, with the path it happens to, on a thread of the library, one at a time and in order. The rules of
/// zkh::callback hold.
using watch_callback = std::function<void(event what, const std::string &path)>;

/// A watch, which ends with its object: after the destructor its callback is not called any more. So hold no lock
/// meanwhile that the callback takes.
class watch : public detail::owner<zkh_watch, zkh_watch_free> {
public:
    using owner::owner;
    /// None.
    watch() = default;
};

/// A watch, and what was read in the same request.
template <class T> struct watched {
    T now;             ///< What was there when the watch began.
    zkh::watch watch;  ///< Tells what changes after that.
};

namespace detail {

struct watching {
    watch_callback happened;

    static void tell(void *state, std::int32_t event, const char *path) noexcept
    {
        contain("a watch", [&] { static_cast<watching *>(state)->happened(static_cast<zkh::event>(event), path); });
    }
};

inline watching *watching_with(watch_callback happened)
{
    if (!happened)
        throw error(errc::bad_argument, "the callback of the watch is empty: BAD_ARGUMENT");
    return new watching{std::move(happened)};
}

/// Arms a watch of this kind; `As` is what is read with it.
template <class As>
typename As::type arm(zkh_client client, const std::string &path, std::int32_t kind, watch_callback happened,
                      zkh::watch &watch)
{
    const char *at = text(path);
    void *state = watching_with(std::move(happened));
    zkh_watch made{};
    zkh_result *result = nullptr;
    failure failed;
    const zkh_status status =
        zkh_client_watch(client, at, kind, &watching::tell, state, &destroy<watching>, &made, &result, failed.out());
    watch = zkh::watch(made);
    const std::unique_ptr<zkh_result, free_result> owned(result);
    failed.check(status);
    return As::from(owned.get());
}

/// The same without waiting.
template <class As>
zkh::watch arm_async(zkh_client client, const std::string &path, std::int32_t kind, watch_callback happened,
                     callback<typename As::type> armed, operation *op)
{
    if (!armed)
        throw error(errc::bad_argument, "the callback is empty: BAD_ARGUMENT");
    const char *at = text(path);
    auto completion = std::make_unique<pending<As>>(pending<As>{std::move(armed)});
    void *state = watching_with(std::move(happened));
    zkh_watch made{};
    zkh_op started{};
    call(zkh_client_watch_async, client, at, kind, &watching::tell, state, &destroy<watching>, &made,
         &pending<As>::complete, static_cast<void *>(completion.release()), &destroy<pending<As>>, &started);
    if (op != nullptr)
        *op = operation(started);
    return zkh::watch(made);
}

} // namespace detail
} // namespace zkh

#endif
