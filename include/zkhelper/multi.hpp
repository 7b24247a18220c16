/// @file
/// Several operations in one request.
#ifndef ZKHELPER_MULTI_HPP
#define ZKHELPER_MULTI_HPP

#include <zkhelper/acl.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace zkh {

/// How long a node lives, and whether its name gets a sequence number.
enum class create_mode : std::int32_t {
    persistent = ZKH_CREATE_PERSISTENT,                                   ///< Until it is deleted.
    ephemeral = ZKH_CREATE_EPHEMERAL,                                     ///< Until the session ends.
    persistent_sequential = ZKH_CREATE_PERSISTENT_SEQUENTIAL,             ///< Persistent, with a sequence number.
    ephemeral_sequential = ZKH_CREATE_EPHEMERAL_SEQUENTIAL,               ///< Ephemeral, with a sequence number.
    container = ZKH_CREATE_CONTAINER,                                     ///< Until some time after its last child.
    persistent_ttl = ZKH_CREATE_PERSISTENT_TTL,                           ///< Until it was left alone for so long.
    persistent_sequential_ttl = ZKH_CREATE_PERSISTENT_SEQUENTIAL_TTL,     ///< The same, with a sequence number.
};

/// Stands for any version of a node.
inline constexpr std::int32_t any_version = -1;

/// Operations that go in one request, in the order in which they are added: changes and checks, as one transaction
/// (client::commit()), or reads (client::read()). Whatever takes one copies it.
class multi : public detail::owner<zkh_multi, zkh_multi_free> {
public:
    /// None yet.
    multi() { detail::call(zkh_multi_new, place()); }

    /// Makes a node; see client::create().
    multi &create(const std::string &path, std::string_view data = {}, create_mode mode = create_mode::persistent,
                  const acl &access = {}, std::chrono::milliseconds ttl = {})
    {
        detail::call(zkh_multi_create, handle(), detail::text(path), static_cast<const void *>(data.data()),
                     data.size(), static_cast<std::int32_t>(mode), static_cast<std::int64_t>(ttl.count()),
                     access.pointer());
        return *this;
    }

    /// Deletes a node, at this version of its data.
    multi &remove(const std::string &path, std::int32_t version = any_version)
    {
        detail::call(zkh_multi_delete, handle(), detail::text(path), version);
        return *this;
    }

    /// Sets a node's data, at this version of them.
    multi &set(const std::string &path, std::string_view data, std::int32_t version = any_version)
    {
        detail::call(zkh_multi_set, handle(), detail::text(path), static_cast<const void *>(data.data()), data.size(),
                     version);
        return *this;
    }

    /// The transaction fails unless the node exists, at this version of its data.
    multi &check(const std::string &path, std::int32_t version = any_version)
    {
        detail::call(zkh_multi_check, handle(), detail::text(path), version);
        return *this;
    }

    /// Reads a node's data.
    multi &get(const std::string &path)
    {
        detail::call(zkh_multi_get, handle(), detail::text(path));
        return *this;
    }

    /// Reads the names of a node's children.
    multi &children(const std::string &path)
    {
        detail::call(zkh_multi_children, handle(), detail::text(path));
        return *this;
    }
};

} // namespace zkh

#endif
