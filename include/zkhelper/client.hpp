/// @file
/// The client: one session with ZooKeeper at a time, and the plain operations.
#ifndef ZKHELPER_CLIENT_HPP
#define ZKHELPER_CLIENT_HPP

#include <zkhelper/acl.hpp>
#include <zkhelper/handle.hpp>
#include <zkhelper/multi.hpp>
#include <zkhelper/node.hpp>
#include <zkhelper/outcome.hpp>
#include <zkhelper/watch.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zkh {

/// What operations do while no server is connected.
enum class while_suspended : std::int32_t {
    wait = ZKH_WHILE_SUSPENDED_WAIT,     ///< Wait for one until their deadline. The default.
    refuse = ZKH_WHILE_SUSPENDED_REFUSE, ///< Fail at once with errc::not_sent.
};

/// Where a client's session stands.
enum class state : std::int32_t {
    none = 0,                          ///< The object was moved from.
    connecting = ZKH_STATE_CONNECTING, ///< There is no session yet; servers are being tried.
    connected = ZKH_STATE_CONNECTED,   ///< A server is connected and the session lives.
    suspended = ZKH_STATE_SUSPENDED,   ///< No server is connected; the session may live or be over.
    lost = ZKH_STATE_LOST,             ///< The session is over, and its locks are gone. A new one is being made.
    closed = ZKH_STATE_CLOSED,         ///< The client is over: closed, or its credentials were refused.
};

/// A change of state.
struct state_change {
    zkh::state state;                 ///< The new one.
    std::int64_t session_id;          ///< The present session; 0 while there is none.
    std::int64_t previous_session_id; ///< The one that was lost last; 0 if none was.
    std::optional<error> reason;      ///< Why, where there is a reason.
};

/// What another client needs to go on with a session. The password is a secret.
struct credentials {
    std::int64_t session_id = 0; ///< 0 while there is no session.
    std::string password;        ///< 16 bytes.
    std::int64_t last_zxid = 0;  ///< The last transaction that was seen; 0 if that is not known.
};

/// How a client behaves. A client copies it.
class client_options : public detail::owner<zkh_client_options, zkh_client_options_free> {
public:
    /// The defaults.
    client_options() { detail::call(zkh_client_options_new, place()); }

    /// The session timeout to ask for: how long a lock outlives a program that crashed. Default 10 s.
    client_options &session_timeout(std::chrono::milliseconds time)
    {
        return set(zkh_client_options_set_session_timeout_ms, ms(time));
    }

    /// How long one round over all the servers may take, and how long connecting waits. Default 10 s.
    client_options &connect_timeout(std::chrono::milliseconds time)
    {
        return set(zkh_client_options_set_connect_timeout_ms, ms(time));
    }

    /// How long a connection may be silent before another one is made; never more than two thirds of the session timeout,
    /// which is the default.
    client_options &max_silence(std::chrono::milliseconds time)
    {
        return set(zkh_client_options_set_max_silence_ms, ms(time));
    }

    /// The deadline of operations. Default 15 s.
    client_options &operation_timeout(std::chrono::milliseconds time)
    {
        return set(zkh_client_options_set_operation_timeout_ms, ms(time));
    }

    /// What operations do while no server is connected.
    client_options &when_suspended(while_suspended what)
    {
        return set(zkh_client_options_set_while_suspended, static_cast<std::int32_t>(what));
    }

    /// The longest pause between two rounds over the servers. Default 1 s.
    client_options &max_backoff(std::chrono::milliseconds time)
    {
        return set(zkh_client_options_set_max_backoff_ms, ms(time));
    }

    /// The longest request and answer: the servers' `jute.maxbuffer`. Default 1048575.
    client_options &max_frame_bytes(std::int64_t bytes)
    {
        return set(zkh_client_options_set_max_frame_bytes, bytes);
    }

    /// How often the client's locks are renewed, with one write for all. 0, the default, is a sixth of the session
    /// timeout, or of the shortest lease.
    client_options &renew_interval(std::chrono::milliseconds time)
    {
        return set(zkh_client_options_set_renew_interval_ms, ms(time));
    }

    /// Credentials that are sent first on every connection. For the scheme "digest" they are "user:password".
    client_options &add_auth(const std::string &scheme, std::string_view data)
    {
        return set(zkh_client_options_add_auth, detail::text(scheme), static_cast<const void *>(data.data()),
                   data.size());
    }

    /// Attaches to a session that another client has or had, instead of asking for a new one.
    client_options &reattach(const credentials &to)
    {
        return set(zkh_client_options_set_reattach, to.session_id, static_cast<const void *>(to.password.data()),
                   to.password.size(), to.last_zxid);
    }

    /// Connects by TLS, and trusts the authorities whose certificates are in this file in PEM form, and nobody else. The
    /// file is read now. Throws errc::unsupported in a library that was built without TLS, as the other four do.
    client_options &tls_ca_file(const std::string &path)
    {
        return set(zkh_client_options_set_tls_ca_file, detail::text(path));
    }

    /// The same, from memory.
    client_options &tls_ca_pem(std::string_view pem)
    {
        return set(zkh_client_options_set_tls_ca_pem, static_cast<const void *>(pem.data()), pem.size());
    }

    /// Shows servers a client certificate. Both files are in PEM form and read now; the key must not be encrypted.
    client_options &tls_certificate_file(const std::string &certificate, const std::string &key)
    {
        return set(zkh_client_options_set_tls_certificate_file, detail::text(certificate), detail::text(key));
    }

    /// The same, from memory.
    client_options &tls_certificate_pem(std::string_view certificate, std::string_view key)
    {
        return set(zkh_client_options_set_tls_certificate_pem, static_cast<const void *>(certificate.data()),
                   certificate.size(), static_cast<const void *>(key.data()), key.size());
    }

    /// The host name or IP address that every server's certificate has to hold, in place of that in the connect string.
    client_options &tls_server_name(const std::string &name)
    {
        return set(zkh_client_options_set_tls_server_name, detail::text(name));
    }

private:
    static std::int64_t ms(std::chrono::milliseconds time) { return time.count(); }

    template <class Function, class... Arguments> client_options &set(Function function, Arguments... arguments)
    {
        detail::call(function, handle(), arguments...);
        return *this;
    }
};

/// A client: one session with ZooKeeper at a time, a new one after each that is lost. Any number of threads may use one
/// at once, and one is enough for a program.
///
/// Its locks and watches stay usable after its object is gone, and the session lives until the last of them is gone
/// too; it is then ended in the background. close() ends it at once, and tells whether that went well: call it at the end
/// of a program, which may be over before the background.
///
/// Every operation has three forms: one that waits, `…_async` with a callback, and `…_future`. The futures are ready on
/// a thread of the library; do not wait for them inside a callback. What they throw is zkh::error.
class client : public detail::owner<zkh_client, zkh_client_free> {
public:
    /// Takes over one that a function of the C ABI made, such as `zkh_client_lend`.
    using owner::owner;

    /// None.
    client() = default;

    /// Connects, and waits for the first session. `address` is ZooKeeper's connect string, "host:port,host:port/chroot",
    /// or "embedded".
    explicit client(const std::string &address, const client_options &options = {})
    {
        const zkh_client_options with = options.handle();
        detail::call(zkh_client_connect, detail::text(address), &with, place());
    }

    /// Begins to connect, and does not wait.
    [[nodiscard]] static client begin(const std::string &address, const client_options &options = {})
    {
        client begun;
        const zkh_client_options with = options.handle();
        detail::call(zkh_client_new, detail::text(address), &with, begun.place());
        return begun;
    }

    /// Waits until a server is connected.
    void wait_connected(timeout time = forever) const { detail::call(zkh_client_wait_connected, handle(), time.ms()); }
    /// The same; the value is the session's id.
    operation wait_connected_async(timeout time, callback<std::int64_t> done) const
    {
        return detail::start<detail::as_number>(std::move(done), zkh_client_wait_connected_async, handle(), time.ms());
    }
    /// The same; the value is the session's id.
    [[nodiscard]] std::future<std::int64_t> wait_connected_future(timeout time, operation *op = nullptr) const
    {
        return detail::promised<detail::as_number>(op, zkh_client_wait_connected_async, handle(), time.ms());
    }

    /// Ends the session at the server, and with it every lock of this client. Throws where the server did not confirm in
    /// time; the client is over either way.
    void close(timeout time = std::chrono::seconds(5)) const
    {
        detail::call(zkh_client_close, handle(), time.ms());
    }
    /// The same. It cannot be cancelled.
    void close_async(timeout time, callback<void> done) const
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_client_close_async, handle(), time.ms());
    }
    /// The same.
    [[nodiscard]] std::future<void> close_future(timeout time) const
    {
        return detail::promised_uncancellable<detail::as_nothing>(zkh_client_close_async, handle(), time.ms());
    }

    /// Where the session stands.
    [[nodiscard]] zkh::state state() const noexcept { return static_cast<zkh::state>(zkh_client_state(handle())); }

    /// The present session's id; 0 while there is none.
    [[nodiscard]] std::int64_t session_id() const noexcept { return zkh_client_session_id(handle()); }

    /// The session timeout, as the server negotiated it last, or the one that is asked for.
    [[nodiscard]] std::chrono::milliseconds session_timeout() const noexcept
    {
        return std::chrono::milliseconds(zkh_client_session_timeout_ms(handle()));
    }

    /// What another client needs to go on with this session (client_options::reattach()).
    [[nodiscard]] zkh::credentials credentials() const
    {
        zkh::credentials all;
        all.password.resize(64);
        std::size_t length = 0;
        detail::call(zkh_client_credentials, handle(), &all.session_id, static_cast<void *>(all.password.data()),
                     all.password.size(), &length, &all.last_zxid);
        all.password.resize(length);
        return all;
    }

    /// Sets the callback for changes of state, in place of the one before; an empty one sets none. It is called for the
    /// present state first and misses none after it; the last one is state::closed.
    void on_state(std::function<void(const state_change &)> changed) const
    {
        if (!changed)
            return detail::call(zkh_client_on_state, handle(), zkh_state_fn{}, static_cast<void *>(nullptr),
                                zkh_destroy_fn{});
        auto *listener = new states{std::move(changed)};
        detail::call(zkh_client_on_state, handle(), &states::tell, static_cast<void *>(listener),
                     &detail::destroy<states>);
    }

    /// Adds credentials, to this connection and every later one. Refused ones end the client.
    void add_auth(const std::string &scheme, std::string_view data) const
    {
        detail::call(zkh_client_add_auth, handle(), detail::text(scheme), bytes(data), data.size());
    }
    /// The same. It cannot be cancelled.
    void add_auth_async(const std::string &scheme, std::string_view data, callback<void> done) const
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_client_add_auth_async, handle(),
                                                        detail::text(scheme), bytes(data), data.size());
    }
    /// The same.
    [[nodiscard]] std::future<void> add_auth_future(const std::string &scheme, std::string_view data) const
    {
        return detail::promised_uncancellable<detail::as_nothing>(zkh_client_add_auth_async, handle(),
                                                                  detail::text(scheme), bytes(data), data.size());
    }

    /// Makes a node; its parent must exist. `ttl` is for the modes that have one.
    created create(const std::string &path, std::string_view data = {}, create_mode mode = create_mode::persistent,
                   const acl &access = {}, std::chrono::milliseconds ttl = {}) const
    {
        return detail::wait<detail::as_created>(zkh_client_create, handle(), detail::text(path), bytes(data),
                                                data.size(), number(mode), ms(ttl), access.pointer());
    }
    /// The same.
    operation create_async(const std::string &path, std::string_view data, create_mode mode, const acl &access,
                           callback<created> done, std::chrono::milliseconds ttl = {}) const
    {
        return detail::start<detail::as_created>(std::move(done), zkh_client_create_async, handle(),
                                                 detail::text(path), bytes(data), data.size(), number(mode), ms(ttl),
                                                 access.pointer());
    }
    /// The same.
    [[nodiscard]] std::future<created> create_future(const std::string &path, std::string_view data = {},
                                                     create_mode mode = create_mode::persistent,
                                                     const acl &access = {}, std::chrono::milliseconds ttl = {},
                                                     operation *op = nullptr) const
    {
        return detail::promised<detail::as_created>(op, zkh_client_create_async, handle(), detail::text(path),
                                                    bytes(data), data.size(), number(mode), ms(ttl),
                                                    access.pointer());
    }

    /// Reads a node's data.
    [[nodiscard]] node get(const std::string &path) const
    {
        return detail::wait<detail::as_node>(zkh_client_get, handle(), detail::text(path));
    }
    /// The same.
    operation get_async(const std::string &path, callback<node> done) const
    {
        return detail::start<detail::as_node>(std::move(done), zkh_client_get_async, handle(), detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<node> get_future(const std::string &path, operation *op = nullptr) const
    {
        return detail::promised<detail::as_node>(op, zkh_client_get_async, handle(), detail::text(path));
    }

    /// Sets a node's data, if they have this version.
    stat set(const std::string &path, std::string_view data, std::int32_t version = any_version) const
    {
        return detail::wait<detail::as_stat>(zkh_client_set, handle(), detail::text(path), bytes(data), data.size(),
                                             version);
    }
    /// The same.
    operation set_async(const std::string &path, std::string_view data, std::int32_t version,
                        callback<stat> done) const
    {
        return detail::start<detail::as_stat>(std::move(done), zkh_client_set_async, handle(), detail::text(path),
                                              bytes(data), data.size(), version);
    }
    /// The same.
    [[nodiscard]] std::future<stat> set_future(const std::string &path, std::string_view data,
                                               std::int32_t version = any_version, operation *op = nullptr) const
    {
        return detail::promised<detail::as_stat>(op, zkh_client_set_async, handle(), detail::text(path), bytes(data),
                                                 data.size(), version);
    }

    /// Deletes a node without children, if its data have this version.
    void remove(const std::string &path, std::int32_t version = any_version) const
    {
        detail::call(zkh_client_delete, handle(), detail::text(path), version);
    }
    /// The same.
    operation remove_async(const std::string &path, std::int32_t version, callback<void> done) const
    {
        return detail::start<detail::as_nothing>(std::move(done), zkh_client_delete_async, handle(),
                                                 detail::text(path), version);
    }
    /// The same.
    [[nodiscard]] std::future<void> remove_future(const std::string &path, std::int32_t version = any_version,
                                                  operation *op = nullptr) const
    {
        return detail::promised<detail::as_nothing>(op, zkh_client_delete_async, handle(), detail::text(path),
                                                    version);
    }

    /// The status of a node; nothing where there is no such node.
    [[nodiscard]] std::optional<stat> exists(const std::string &path) const
    {
        return detail::wait<detail::as_optional_stat>(zkh_client_exists, handle(), detail::text(path));
    }
    /// The same.
    operation exists_async(const std::string &path, callback<std::optional<stat>> done) const
    {
        return detail::start<detail::as_optional_stat>(std::move(done), zkh_client_exists_async, handle(),
                                                       detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<std::optional<stat>> exists_future(const std::string &path,
                                                                 operation *op = nullptr) const
    {
        return detail::promised<detail::as_optional_stat>(op, zkh_client_exists_async, handle(), detail::text(path));
    }

    /// Lists a node's children.
    [[nodiscard]] zkh::children children(const std::string &path) const
    {
        return detail::wait<detail::as_children>(zkh_client_children, handle(), detail::text(path));
    }
    /// The same.
    operation children_async(const std::string &path, callback<zkh::children> done) const
    {
        return detail::start<detail::as_children>(std::move(done), zkh_client_children_async, handle(),
                                                  detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<zkh::children> children_future(const std::string &path, operation *op = nullptr) const
    {
        return detail::promised<detail::as_children>(op, zkh_client_children_async, handle(), detail::text(path));
    }

    /// Reads a node's access control list.
    [[nodiscard]] access_list get_acl(const std::string &path) const
    {
        return detail::wait<detail::as_access>(zkh_client_get_acl, handle(), detail::text(path));
    }
    /// The same.
    operation get_acl_async(const std::string &path, callback<access_list> done) const
    {
        return detail::start<detail::as_access>(std::move(done), zkh_client_get_acl_async, handle(),
                                                detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<access_list> get_acl_future(const std::string &path, operation *op = nullptr) const
    {
        return detail::promised<detail::as_access>(op, zkh_client_get_acl_async, handle(), detail::text(path));
    }

    /// Sets a node's access control list, if that has this version (`aversion` of its status).
    stat set_acl(const std::string &path, const acl &access, std::int32_t aversion = any_version) const
    {
        return detail::wait<detail::as_stat>(zkh_client_set_acl, handle(), detail::text(path), access.pointer(),
                                             aversion);
    }
    /// The same.
    operation set_acl_async(const std::string &path, const acl &access, std::int32_t aversion,
                            callback<stat> done) const
    {
        return detail::start<detail::as_stat>(std::move(done), zkh_client_set_acl_async, handle(),
                                              detail::text(path), access.pointer(), aversion);
    }
    /// The same.
    [[nodiscard]] std::future<stat> set_acl_future(const std::string &path, const acl &access,
                                                   std::int32_t aversion = any_version,
                                                   operation *op = nullptr) const
    {
        return detail::promised<detail::as_stat>(op, zkh_client_set_acl_async, handle(), detail::text(path),
                                                 access.pointer(), aversion);
    }

    /// Lets the server catch up with its leader, so that reads that follow see what was written before. It proves no
    /// quorum.
    void sync(const std::string &path) const { detail::call(zkh_client_sync, handle(), detail::text(path)); }
    /// The same.
    operation sync_async(const std::string &path, callback<void> done) const
    {
        return detail::start<detail::as_nothing>(std::move(done), zkh_client_sync_async, handle(),
                                                 detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<void> sync_future(const std::string &path, operation *op = nullptr) const
    {
        return detail::promised<detail::as_nothing>(op, zkh_client_sync_async, handle(), detail::text(path));
    }

    /// Lists the ephemeral nodes of the present session whose paths begin with this one. Servers from 3.6 on.
    [[nodiscard]] std::vector<std::string> ephemerals(const std::string &prefix = "/") const
    {
        return detail::wait<detail::as_names>(zkh_client_ephemerals, handle(), detail::text(prefix));
    }
    /// The same.
    operation ephemerals_async(const std::string &prefix, callback<std::vector<std::string>> done) const
    {
        return detail::start<detail::as_names>(std::move(done), zkh_client_ephemerals_async, handle(),
                                               detail::text(prefix));
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<std::string>> ephemerals_future(const std::string &prefix = "/",
                                                                          operation *op = nullptr) const
    {
        return detail::promised<detail::as_names>(op, zkh_client_ephemerals_async, handle(), detail::text(prefix));
    }

    /// Counts the nodes below a node, at any depth. Servers from 3.6 on.
    [[nodiscard]] std::int64_t all_children_number(const std::string &path) const
    {
        std::int64_t number = 0;
        detail::call(zkh_client_all_children_number, handle(), detail::text(path), &number);
        return number;
    }
    /// The same.
    operation all_children_number_async(const std::string &path, callback<std::int64_t> done) const
    {
        return detail::start<detail::as_number>(std::move(done), zkh_client_all_children_number_async, handle(),
                                                detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<std::int64_t> all_children_number_future(const std::string &path,
                                                                       operation *op = nullptr) const
    {
        return detail::promised<detail::as_number>(op, zkh_client_all_children_number_async, handle(),
                                                   detail::text(path));
    }

    /// Asks whom the server takes this client for. Servers from 3.7 on.
    [[nodiscard]] std::vector<acl_entry> who_am_i() const
    {
        return detail::wait<detail::as_entries>(zkh_client_who_am_i, handle());
    }
    /// The same.
    operation who_am_i_async(callback<std::vector<acl_entry>> done) const
    {
        return detail::start<detail::as_entries>(std::move(done), zkh_client_who_am_i_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<acl_entry>> who_am_i_future(operation *op = nullptr) const
    {
        return detail::promised<detail::as_entries>(op, zkh_client_who_am_i_async, handle());
    }

    /// Does the operations as one transaction: all of them or, where one fails, none.
    std::vector<part> commit(const multi &all) const
    {
        return detail::wait<detail::as_parts>(zkh_multi_commit, handle(), all.handle());
    }
    /// The same.
    operation commit_async(const multi &all, callback<std::vector<part>> done) const
    {
        return detail::start<detail::as_parts>(std::move(done), zkh_multi_commit_async, handle(), all.handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<part>> commit_future(const multi &all, operation *op = nullptr) const
    {
        return detail::promised<detail::as_parts>(op, zkh_multi_commit_async, handle(), all.handle());
    }

    /// Does the reads in one request; each has a code of its own. Servers from 3.6 on.
    [[nodiscard]] std::vector<part> read(const multi &all) const
    {
        return detail::wait<detail::as_parts>(zkh_multi_read, handle(), all.handle());
    }
    /// The same.
    operation read_async(const multi &all, callback<std::vector<part>> done) const
    {
        return detail::start<detail::as_parts>(std::move(done), zkh_multi_read_async, handle(), all.handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<part>> read_future(const multi &all, operation *op = nullptr) const
    {
        return detail::promised<detail::as_parts>(op, zkh_multi_read_async, handle(), all.handle());
    }

    /// Reads a node's data, and watches for one event: they are set, or the node is deleted.
    [[nodiscard]] watched<node> watch_data(const std::string &path, watch_callback happened) const
    {
        return watch_once<detail::as_node>(path, ZKH_WATCH_DATA, std::move(happened));
    }
    /// The same: `armed` gets what was read, before `happened` is called for the first time.
    [[nodiscard]] watch watch_data_async(const std::string &path, watch_callback happened, callback<node> armed,
                                         operation *op = nullptr) const
    {
        return detail::arm_async<detail::as_node>(handle(), path, ZKH_WATCH_DATA, std::move(happened),
                                                  std::move(armed), op);
    }

    /// Looks whether there is a node, and watches for one event: it is made, set or deleted.
    [[nodiscard]] watched<std::optional<stat>> watch_exists(const std::string &path, watch_callback happened) const
    {
        return watch_once<detail::as_optional_stat>(path, ZKH_WATCH_EXISTS, std::move(happened));
    }
    /// The same: `armed` gets what was read, before `happened` is called for the first time.
    [[nodiscard]] watch watch_exists_async(const std::string &path, watch_callback happened,
                                           callback<std::optional<stat>> armed, operation *op = nullptr) const
    {
        return detail::arm_async<detail::as_optional_stat>(handle(), path, ZKH_WATCH_EXISTS, std::move(happened),
                                                           std::move(armed), op);
    }

    /// Lists a node's children, and watches for one event: one is made or deleted, or the node itself is deleted.
    [[nodiscard]] watched<zkh::children> watch_children(const std::string &path, watch_callback happened) const
    {
        return watch_once<detail::as_children>(path, ZKH_WATCH_CHILDREN, std::move(happened));
    }
    /// The same: `armed` gets what was read, before `happened` is called for the first time.
    [[nodiscard]] watch watch_children_async(const std::string &path, watch_callback happened,
                                             callback<zkh::children> armed, operation *op = nullptr) const
    {
        return detail::arm_async<detail::as_children>(handle(), path, ZKH_WATCH_CHILDREN, std::move(happened),
                                                      std::move(armed), op);
    }

    /// Watches a node and its children until the watch ends, through reconnects and new sessions. Servers from 3.6 on.
    [[nodiscard]] watch watch_persistent(const std::string &path, watch_callback happened) const
    {
        return watch_always(path, ZKH_WATCH_PERSISTENT, std::move(happened));
    }
    /// The same.
    [[nodiscard]] watch watch_persistent_async(const std::string &path, watch_callback happened, callback<void> armed,
                                               operation *op = nullptr) const
    {
        return detail::arm_async<detail::as_done>(handle(), path, ZKH_WATCH_PERSISTENT, std::move(happened),
                                                  std::move(armed), op);
    }

    /// Watches a node and everything below it until the watch ends, through reconnects and new sessions. Servers from
    /// 3.6 on.
    [[nodiscard]] watch watch_recursive(const std::string &path, watch_callback happened) const
    {
        return watch_always(path, ZKH_WATCH_RECURSIVE, std::move(happened));
    }
    /// The same.
    [[nodiscard]] watch watch_recursive_async(const std::string &path, watch_callback happened, callback<void> armed,
                                              operation *op = nullptr) const
    {
        return detail::arm_async<detail::as_done>(handle(), path, ZKH_WATCH_RECURSIVE, std::move(happened),
                                                  std::move(armed), op);
    }

private:
    struct states {
        std::function<void(const state_change &)> changed;

        static void tell(void *self, std::int32_t state, std::int64_t session_id, std::int64_t previous_session_id,
                         const zkh_error *reason) noexcept
        {
            detail::contain("a change of state", [&] {
                state_change change{static_cast<zkh::state>(state), session_id, previous_session_id, std::nullopt};
                if (reason != nullptr)
                    change.reason = error(zkh_error_code(reason), reason);
                static_cast<states *>(self)->changed(change);
            });
        }
    };

    template <class As>
    watched<typename As::type> watch_once(const std::string &path, std::int32_t kind, watch_callback happened) const
    {
        watch made;
        auto now = detail::arm<As>(handle(), path, kind, std::move(happened), made);
        return {std::move(now), std::move(made)};
    }

    watch watch_always(const std::string &path, std::int32_t kind, watch_callback happened) const
    {
        watch made;
        detail::arm<detail::as_done>(handle(), path, kind, std::move(happened), made);
        return made;
    }

    static const void *bytes(std::string_view data) { return data.data(); }
    static std::int32_t number(create_mode mode) { return static_cast<std::int32_t>(mode); }
    static std::int64_t ms(std::chrono::milliseconds time) { return time.count(); }
};

} // namespace zkh

#endif
