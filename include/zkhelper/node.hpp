/// @file
/// What operations answer, as values.
#ifndef ZKHELPER_NODE_HPP
#define ZKHELPER_NODE_HPP

#include <zkhelper/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace zkh {

/// A node's status: ZooKeeper's own record.
using stat = zkh_stat;

/// A node's data, with its status.
struct node {
    std::string data; ///< Any bytes.
    zkh::stat stat{}; ///< The node's status.
};

/// A node that was made.
struct created {
    std::string path;  ///< With its sequence number, where it has one.
    zkh::stat stat{};  ///< Its status.
};

/// The children of a node.
struct children {
    std::vector<std::string> names; ///< Without the path of the node, in ascending order.
    zkh::stat stat{};               ///< The node's status.
};

/// What somebody may do with a node, or whom a server takes a client for.
struct acl_entry {
    std::int32_t permissions = 0; ///< A sum of ZKH_PERM_….
    std::string scheme;           ///< Such as "world" or "digest".
    std::string id;               ///< In the notation of the scheme.
};

/// A node's access control list, with its status.
struct access_list {
    std::vector<acl_entry> entries; ///< Who may do what.
    zkh::stat stat{};               ///< The node's status.
};

/// What became of one operation of a transaction, or of one of several reads; what the operation does not have is
/// empty.
struct part {
    std::error_code code;           ///< Zero where it succeeded; reads may fail one by one.
    std::string path;               ///< Of a node that was made.
    std::string data;               ///< Of a node that was read.
    std::vector<std::string> names; ///< The names of the children.
    std::optional<zkh::stat> stat;  ///< The node's status.
};

namespace detail {

struct free_result {
    void operator()(zkh_result *result) const noexcept { zkh_result_free(result); }
};

inline std::string text_or_empty(const char *text)
{
    return text == nullptr ? std::string() : std::string(text);
}

inline std::string data_of(const zkh_result *result)
{
    std::size_t length = 0;
    const void *data = zkh_result_data(result, &length);
    return data == nullptr ? std::string() : std::string(static_cast<const char *>(data), length);
}

inline std::vector<std::string> names_of(const zkh_result *result)
{
    std::vector<std::string> names;
    for (std::size_t i = 0; i < zkh_result_count(result); i++)
        if (const char *name = zkh_result_name(result, i))
            names.emplace_back(name);
    return names;
}

inline std::vector<acl_entry> entries_of(const zkh_result *result)
{
    std::vector<acl_entry> entries;
    for (std::size_t i = 0; i < zkh_result_count(result); i++)
        entries.push_back({zkh_result_permissions(result, i), text_or_empty(zkh_result_scheme(result, i)),
                           text_or_empty(zkh_result_id(result, i))});
    return entries;
}

/// What every answer that is a result shares.
template <class Type> struct as_result {
    using type = Type;
    using raw = const zkh_result *;
};

struct as_done : as_result<void> {
    static void from(raw) {}
};

struct as_stat : as_result<zkh::stat> {
    static type from(raw result)
    {
        zkh::stat stat{};
        zkh_result_stat(result, &stat);
        return stat;
    }
};

struct as_optional_stat : as_result<std::optional<zkh::stat>> {
    static type from(raw result)
    {
        if (!zkh_result_exists(result))
            return std::nullopt;
        return as_stat::from(result);
    }
};

struct as_node : as_result<node> {
    static type from(raw result) { return {data_of(result), as_stat::from(result)}; }
};

struct as_created : as_result<created> {
    static type from(raw result) { return {text_or_empty(zkh_result_path(result)), as_stat::from(result)}; }
};

struct as_children : as_result<children> {
    static type from(raw result) { return {names_of(result), as_stat::from(result)}; }
};

struct as_names : as_result<std::vector<std::string>> {
    static type from(raw result) { return names_of(result); }
};

struct as_entries : as_result<std::vector<acl_entry>> {
    static type from(raw result) { return entries_of(result); }
};

struct as_access : as_result<access_list> {
    static type from(raw result) { return {entries_of(result), as_stat::from(result)}; }
};

struct as_parts : as_result<std::vector<part>> {
    static type from(raw result)
    {
        std::vector<part> parts;
        for (std::size_t i = 0; i < zkh_result_count(result); i++) {
            const zkh_result *of = zkh_result_at(result, i);
            zkh::stat stat{};
            const bool has_stat = zkh_result_stat(of, &stat);
            const zkh_status status = zkh_result_status(of);
            parts.push_back({status == ZKH_OK ? std::error_code() : std::error_code(status, category()),
                             text_or_empty(zkh_result_path(of)), data_of(of), names_of(of),
                             has_stat ? std::optional<zkh::stat>(stat) : std::nullopt});
        }
        return parts;
    }
};

/// Calls a function that answers with a result, its last two parameters being the result and the error.
template <class As, class Function, class... Arguments>
typename As::type wait(Function function, Arguments... arguments)
{
    zkh_result *result = nullptr;
    failure failed;
    const zkh_status status = function(arguments..., &result, failed.out());
    const std::unique_ptr<zkh_result, free_result> owned(result);
    failed.check(status);
    return As::from(owned.get());
}

} // namespace detail
} // namespace zkh

#endif
