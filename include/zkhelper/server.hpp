/// @file
/// An in-memory ZooKeeper server for development and tests.
#ifndef ZKHELPER_SERVER_HPP
#define ZKHELPER_SERVER_HPP

#include <zkhelper/handle.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace zkh {

/// Kinds of requests, for server::cut().
enum class request_kind : std::int32_t {
    any = ZKH_OPERATION_ANY,                     ///< Any request.
    connect = ZKH_OPERATION_CONNECT,             ///< The handshake of a connection.
    create = ZKH_OPERATION_CREATE,               ///< A create, in all its forms.
    remove = ZKH_OPERATION_DELETE,               ///< A delete.
    set_data = ZKH_OPERATION_SET_DATA,           ///< A setData.
    set_acl = ZKH_OPERATION_SET_ACL,             ///< A setACL.
    multi = ZKH_OPERATION_MULTI,                 ///< A multi.
    exists = ZKH_OPERATION_EXISTS,               ///< An exists.
    get_data = ZKH_OPERATION_GET_DATA,           ///< A getData.
    get_children = ZKH_OPERATION_GET_CHILDREN,   ///< A getChildren, in both forms.
    sync = ZKH_OPERATION_SYNC,                   ///< A sync.
    ping = ZKH_OPERATION_PING,                   ///< A ping.
    set_watches = ZKH_OPERATION_SET_WATCHES,     ///< A client came back with its watches.
    close_session = ZKH_OPERATION_CLOSE_SESSION, ///< A closeSession.
    other_read = ZKH_OPERATION_OTHER_READ,       ///< Any other read.
};

/// When a connection is cut.
enum class moment : std::int32_t {
    before_applying = ZKH_MOMENT_BEFORE_APPLYING, ///< The request has no effect.
    after_applying = ZKH_MOMENT_AFTER_APPLYING,   ///< The request has its effect, but its answer is lost.
};

/// An in-memory ZooKeeper server inside this process, for development and tests: nothing is kept on disk, and nobody but
/// this machine can connect. It stops, and everything in it is gone, with its object. (The address "embedded" is another
/// one, which lives as long as the process.)
class server : public detail::owner<zkh_server, zkh_server_free> {
public:
    /// Starts one on this port, or on a free one where it is 0. Session timeouts lie between 2 and 20 ticks; 0 is a tick
    /// of 2 s.
    explicit server(std::uint16_t port = 0, std::chrono::milliseconds tick = {})
    {
        detail::call(zkh_server_start, std::int32_t{port}, static_cast<std::int64_t>(tick.count()), place());
    }

    /// What clients connect to, "127.0.0.1:port".
    [[nodiscard]] std::string address() const { return detail::written(zkh_server_address, handle()); }

    /// Cuts the connection that asks for the `n`-th request of this kind from now on, once; 1 is the next one.
    void cut(request_kind kind, std::int32_t n = 1, moment when = moment::before_applying) const
    {
        detail::call(zkh_server_cut, handle(), static_cast<std::int32_t>(kind), n, static_cast<std::int32_t>(when));
    }

    /// Freezes it, or lets it go on: frozen, it reads nothing, answers nothing and expires nobody.
    void set_frozen(bool frozen) const { detail::call(zkh_server_set_frozen, handle(), frozen); }

    /// Cuts it off from an imagined quorum, or lets it join again: isolated, it answers pings and reads, and no writes.
    void set_isolated(bool isolated) const { detail::call(zkh_server_set_isolated, handle(), isolated); }

    /// Lets it answer as in-memory connections of Go packages do, and no longer as Apache ZooKeeper does: an empty access
    /// control list lets anyone do everything, and a node's sequential children are numbered from 1 on.
    void set_lenient(bool lenient) const { detail::call(zkh_server_set_lenient, handle(), lenient); }

    /// Delays every answer from now on.
    void set_delay(std::chrono::milliseconds delay) const
    {
        detail::call(zkh_server_set_delay_ms, handle(), static_cast<std::int64_t>(delay.count()));
    }

    /// Expires a session now.
    void expire(std::int64_t session_id) const { detail::call(zkh_server_expire, handle(), session_id); }

    /// Lets the next sequential child of the node at `path` have this number.
    void set_sequence(const std::string &path, std::int32_t next) const
    {
        detail::call(zkh_server_set_sequence, handle(), detail::text(path), next);
    }
};

} // namespace zkh

#endif
