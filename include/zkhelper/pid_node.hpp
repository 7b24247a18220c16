/// @file
/// A node that says that its owner lives.
#ifndef ZKHELPER_PID_NODE_HPP
#define ZKHELPER_PID_NODE_HPP

#include <zkhelper/client.hpp>
#include <zkhelper/mutex.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace zkh {

/// Whose node may be replaced by a pid node when it is first made.
enum class take_over : std::int32_t {
    never = ZKH_TAKE_OVER_NEVER, ///< Nobody's. The default.
    dead = ZKH_TAKE_OVER_DEAD,   ///< One that no session keeps: a persistent one without children.
    live = ZKH_TAKE_OVER_LIVE,   ///< Anybody's, at once; its owner is told that it lost it.
};

/// What became of a pid node.
enum class pid_event : std::int32_t {
    made = ZKH_PID_MADE,       ///< It is there.
    lost = ZKH_PID_LOST,       ///< It is gone, and is being made again, unless the client was closed.
    refused = ZKH_PID_REFUSED, ///< It cannot be made for now; that is tried again.
};

/// News of a pid node.
struct pid_news {
    pid_event what;              ///< What became of it.
    std::optional<loss> why;     ///< Why it was lost.
    std::optional<error> reason; ///< Why it is refused.
};

/// How a pid node is made. A pid node copies it.
class pid_node_options : public detail::owner<zkh_pid_node_options, zkh_pid_node_options_free> {
public:
    /// The defaults.
    pid_node_options() { detail::call(zkh_pid_node_options_new, place()); }

    /// The access control list that the node gets each time it is made. Default: acl_preset::file.
    pid_node_options &access(const acl &list)
    {
        detail::call(zkh_pid_node_options_set_acl, handle(), list.pointer());
        return *this;
    }

    /// Whose node may be replaced when it is first made.
    pid_node_options &replace(take_over whose)
    {
        detail::call(zkh_pid_node_options_set_take_over, handle(), static_cast<std::int32_t>(whose));
        return *this;
    }

    /// How long somebody else's node is waited for. Default: one and a half session timeouts.
    pid_node_options &wait(std::chrono::milliseconds time)
    {
        detail::call(zkh_pid_node_options_set_wait_ms, handle(), static_cast<std::int64_t>(time.count()));
        return *this;
    }
};

/// A node that says that its owner lives: it is there while the owner's client is connected, is made again after its
/// session's end or if somebody deletes it, and is gone when it is closed, or, in the background, with its object.
class pid_node : public detail::owner<zkh_pid_node, zkh_pid_node_free> {
public:
    /// None.
    pid_node() = default;

    /// One that is not there yet. Nothing is sent.
    pid_node(const client &of, const std::string &path, std::string_view data = {},
             const pid_node_options &options = {})
    {
        const zkh_pid_node_options with = options.handle();
        detail::call(zkh_pid_node_new, of.handle(), detail::text(path), static_cast<const void *>(data.data()),
                     data.size(), &with, place());
    }

    /// Makes the node on the server, whose parent has to exist, and keeps it from then on. Throws errc::node_exists where
    /// a node of somebody else was in the way for too long.
    void start() const { detail::call(zkh_pid_node_start, handle()); }
    /// The same.
    operation start_async(callback<void> done) const
    {
        return detail::start<detail::as_nothing>(std::move(done), zkh_pid_node_start_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<void> start_future(operation *op = nullptr) const
    {
        return detail::promised<detail::as_nothing>(op, zkh_pid_node_start_async, handle());
    }

    /// Sets the callback for what becomes of the node, in place of the one before; an empty one sets none. How it stands
    /// now is told first, unless it was not started.
    void on_event(std::function<void(const pid_news &)> happened) const
    {
        if (!happened)
            return detail::call(zkh_pid_node_on_event, handle(), zkh_pid_fn{}, static_cast<void *>(nullptr),
                                zkh_destroy_fn{});
        auto *state = new listener{std::move(happened)};
        detail::call(zkh_pid_node_on_event, handle(), &listener::tell, static_cast<void *>(state),
                     &detail::destroy<listener>);
    }

    /// Whether the node is there, as far as is known.
    [[nodiscard]] bool is_there() const noexcept { return zkh_pid_node_is_there(handle()); }

    /// The node's path.
    [[nodiscard]] std::string path() const { return detail::written(zkh_pid_node_path, handle()); }

    /// Removes the node. It may be started again.
    void close() const { detail::call(zkh_pid_node_close, handle()); }
    /// The same. It cannot be cancelled.
    void close_async(callback<void> done) const
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_pid_node_close_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<void> close_future() const
    {
        return detail::promised_uncancellable<detail::as_nothing>(zkh_pid_node_close_async, handle());
    }

private:
    struct listener {
        std::function<void(const pid_news &)> happened;

        static void tell(void *self, std::int32_t event, std::int32_t why, const zkh_error *reason) noexcept
        {
            detail::contain("news of a pid node", [&] {
                pid_news news{static_cast<pid_event>(event), std::nullopt, std::nullopt};
                if (why != 0)
                    news.why = static_cast<loss>(why);
                if (reason != nullptr)
                    news.reason = error(zkh_error_code(reason), reason);
                static_cast<listener *>(self)->happened(news);
            });
        }
    };
};

} // namespace zkh

#endif
