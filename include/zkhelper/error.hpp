/// @file
/// Codes and exceptions. `zkh::error` is what every function throws, and what callbacks are shown.
#ifndef ZKHELPER_ERROR_HPP
#define ZKHELPER_ERROR_HPP

#include <zkhelper.h>

#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

/// One category and one type of exception for the whole program, also where its parts hide their symbols.
#if defined(__GNUC__)
#define ZKHELPER_SHARED __attribute__((visibility("default")))
#else
#define ZKHELPER_SHARED
#endif

/// Distributed locks and elections on Apache ZooKeeper.
namespace zkh {

/// What may go wrong: the codes of `zkhelper.h`. ZooKeeper's own keep their numbers. A number that is not listed
/// here came from a newer server or a newer library.
enum class errc : int {
    system_error = ZKH_SYSTEM_ERROR,                                     ///< The server failed.
    runtime_inconsistency = ZKH_RUNTIME_INCONSISTENCY,                   ///< Another operation of the transaction failed.
    data_inconsistency = ZKH_DATA_INCONSISTENCY,                         ///< The server found its data inconsistent.
    connection_loss = ZKH_CONNECTION_LOSS,                               ///< The connection to the server was lost.
    marshalling_error = ZKH_MARSHALLING_ERROR,                           ///< The server could not read the request.
    unimplemented = ZKH_UNIMPLEMENTED,                                   ///< The server does not know the operation.
    operation_timeout = ZKH_OPERATION_TIMEOUT,                           ///< The operation's deadline passed.
    bad_arguments = ZKH_BAD_ARGUMENTS,                                   ///< The server refused an argument.
    unknown_session = ZKH_UNKNOWN_SESSION,                               ///< The server does not know the session.
    new_config_no_quorum = ZKH_NEW_CONFIG_NO_QUORUM,                     ///< No quorum of the new configuration.
    reconfig_in_progress = ZKH_RECONFIG_IN_PROGRESS,                     ///< Another reconfiguration is in progress.
    api_error = ZKH_API_ERROR,                                           ///< The server refused the request.
    no_node = ZKH_NO_NODE,                                               ///< The node does not exist.
    no_auth = ZKH_NO_AUTH,                                               ///< The access control list does not allow it.
    bad_version = ZKH_BAD_VERSION,                                       ///< The node has another version.
    no_children_for_ephemerals = ZKH_NO_CHILDREN_FOR_EPHEMERALS,         ///< Ephemeral nodes have no children.
    node_exists = ZKH_NODE_EXISTS,                                       ///< The node exists already.
    not_empty = ZKH_NOT_EMPTY,                                           ///< The node has children.
    session_expired = ZKH_SESSION_EXPIRED,                               ///< The session has expired.
    invalid_callback = ZKH_INVALID_CALLBACK,                             ///< The callback is not valid.
    invalid_acl = ZKH_INVALID_ACL,                                       ///< The access control list is not valid.
    auth_failed = ZKH_AUTH_FAILED,                                       ///< The authentication was refused.
    session_moved = ZKH_SESSION_MOVED,                                   ///< The session has another connection now.
    not_read_only = ZKH_NOT_READ_ONLY,                                   ///< A server without a quorum refused to write.
    ephemeral_on_local_session = ZKH_EPHEMERAL_ON_LOCAL_SESSION,         ///< Local sessions own no ephemeral nodes.
    no_watcher = ZKH_NO_WATCHER,                                         ///< There is no such watch.
    request_timeout = ZKH_REQUEST_TIMEOUT,                               ///< The server gave the request up.
    reconfig_disabled = ZKH_RECONFIG_DISABLED,                           ///< The server does not reconfigure.
    session_closed_require_sasl_auth = ZKH_SESSION_CLOSED_REQUIRE_SASL_AUTH, ///< The server demands SASL.
    quota_exceeded = ZKH_QUOTA_EXCEEDED,                                 ///< A quota would be exceeded.
    throttled_op = ZKH_THROTTLED_OP,                                     ///< The server is overloaded.
    bad_handle = ZKH_BAD_HANDLE,                                         ///< The object was moved from or is dead.
    bad_argument = ZKH_BAD_ARGUMENT,                                     ///< An argument is not valid.
    bad_utf8 = ZKH_BAD_UTF8,                                             ///< The text is not valid UTF-8.
    bad_path = ZKH_BAD_PATH,                                             ///< The path is not valid.
    bad_address = ZKH_BAD_ADDRESS,                                       ///< The address is not valid.
    closed = ZKH_CLOSED,                                                 ///< The object or its client was closed.
    cancelled = ZKH_CANCELLED,                                           ///< The operation was cancelled.
    interrupted = ZKH_INTERRUPTED,                                       ///< The wait was interrupted.
    timeout = ZKH_TIMEOUT,                                               ///< The wait timed out.
    not_sent = ZKH_NOT_SENT,                                             ///< The request had no effect.
    outcome_unknown = ZKH_OUTCOME_UNKNOWN,                               ///< The request may have had its effect.
    not_held = ZKH_NOT_HELD,                                             ///< The lock is not held.
    lock_lost = ZKH_LOCK_LOST,                                           ///< The lock was lost while it was held.
    sequence_exhausted = ZKH_SEQUENCE_EXHAUSTED,                         ///< The path's numbers are used up.
    would_deadlock = ZKH_WOULD_DEADLOCK,                                 ///< What waits is refused in a callback.
    forked = ZKH_FORKED,                                                 ///< The object belongs to the parent process.
    panic = ZKH_PANIC,                                                   ///< A defect in the library was caught.
    protocol = ZKH_PROTOCOL,                                             ///< The server's bytes break the protocol.
    too_large = ZKH_TOO_LARGE,                                           ///< Larger than a server accepts.
    unsupported = ZKH_UNSUPPORTED,                                       ///< The server or this build cannot do it.
    out_of_resources = ZKH_OUT_OF_RESOURCES,                             ///< A limit was reached.
};

namespace detail {

class ZKHELPER_SHARED category_type final : public std::error_category {
public:
    const char *name() const noexcept override { return "zkhelper"; }

    std::string message(int code) const override { return zkh_code_name(code); }

    /// The standard library's own word for it, where there is one: `e.code() == std::errc::timed_out`.
    std::error_condition default_error_condition(int code) const noexcept override
    {
        switch (code) {
        case ZKH_TIMEOUT:
        case ZKH_OPERATION_TIMEOUT:
        case ZKH_REQUEST_TIMEOUT: return std::errc::timed_out;
        case ZKH_CANCELLED: return std::errc::operation_canceled;
        case ZKH_INTERRUPTED: return std::errc::interrupted;
        case ZKH_WOULD_DEADLOCK: return std::errc::resource_deadlock_would_occur;
        case ZKH_NO_AUTH: return std::errc::permission_denied;
        case ZKH_TOO_LARGE: return std::errc::message_size;
        case ZKH_UNSUPPORTED:
        case ZKH_UNIMPLEMENTED: return std::errc::not_supported;
        case ZKH_BAD_ARGUMENT:
        case ZKH_BAD_ARGUMENTS:
        case ZKH_BAD_ADDRESS:
        case ZKH_BAD_PATH:
        case ZKH_BAD_UTF8: return std::errc::invalid_argument;
        default: return {code, *this};
        }
    }
};

} // namespace detail

/// The category of this library's codes.
ZKHELPER_SHARED inline const std::error_category &category() noexcept
{
    static const detail::category_type the_category;
    return the_category;
}

/// A code of this library as the standard library has them.
inline std::error_code make_error_code(errc code) noexcept
{
    return {static_cast<int>(code), category()};
}

} // namespace zkh

/// @cond
// `e.code() == zkh::errc::timeout` compiles.
template <> struct std::is_error_code_enum<zkh::errc> : std::true_type {};
/// @endcond

namespace zkh {

/// What went wrong. `code()` is one of zkh::errc; `what()` is one line for a person: what was being done, to which
/// path, what went wrong and why, and the code.
class ZKHELPER_SHARED error : public std::system_error {
public:
    /// Of this code, with this text.
    error(errc code, const std::string &message)
        : std::system_error(make_error_code(code)), said_(std::make_shared<said>(said{message, {}, false}))
    {
    }

    /// What a function of `zkhelper.h` answered; `from`, which may be null, is copied.
    error(zkh_status status, const zkh_error *from)
        : std::system_error(status, category()), said_(std::make_shared<said>(read(status, from)))
    {
    }

    /// What was being done, to which path, what went wrong and why, and the code.
    const char *what() const noexcept override { return said_->message.c_str(); }

    /// The path that it is about; empty where it is about none.
    [[nodiscard]] const std::string &path() const noexcept { return said_->path; }

    /// Whether the same call may succeed if it is made again later.
    [[nodiscard]] bool retriable() const noexcept { return said_->retriable; }

private:
    struct said {
        std::string message, path;
        bool retriable;
    };

    static said read(zkh_status status, const zkh_error *from)
    {
        if (from == nullptr)
            return {zkh_code_name(status), {}, false};
        const char *path = zkh_error_path(from);
        return {zkh_error_message(from), path == nullptr ? "" : path, zkh_error_is_retriable(from)};
    }

    /// Shared, so that copying an exception cannot throw.
    std::shared_ptr<const said> said_;
};

namespace detail {

/// The `err` of one call.
class failure {
public:
    failure() = default;
    failure(const failure &) = delete;
    failure &operator=(const failure &) = delete;
    ~failure() { zkh_error_free(error_); }

    zkh_error **out() noexcept { return &error_; }

    /// Throws unless the call answered ZKH_OK.
    void check(zkh_status status) const
    {
        if (status != ZKH_OK)
            throw error(status, error_);
    }

private:
    zkh_error *error_ = nullptr;
};

/// Calls a function of the C ABI whose last parameter is `err`.
template <class Function, class... Arguments> void call(Function function, Arguments... arguments)
{
    failure failed;
    failed.check(function(arguments..., failed.out()));
}

/// A text for the C ABI, where it ends with its first NUL: one inside would cut it short without a word.
inline const char *text(const std::string &from)
{
    const auto nul = from.find('\0');
    if (nul != std::string::npos)
        throw error(errc::bad_argument, "a NUL at position " + std::to_string(nul) + " of the text \"" + from.c_str()
                                            + "\": BAD_ARGUMENT");
    return from.c_str();
}

} // namespace detail
} // namespace zkh

#endif
