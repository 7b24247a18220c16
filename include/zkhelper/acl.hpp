/// @file
/// Access control lists.
#ifndef ZKHELPER_ACL_HPP
#define ZKHELPER_ACL_HPP

#include <zkhelper/handle.hpp>
#include <zkhelper/node.hpp>

#include <cstdint>
#include <vector>

namespace zkh {

/// Lists that are often wanted.
enum class acl_preset : std::int32_t {
    empty = ZKH_ACL_EMPTY,         ///< No entry.
    open = ZKH_ACL_OPEN,           ///< Anyone may do everything.
    creator = ZKH_ACL_CREATOR,     ///< Whoever is authenticated on the connection that sets it may do everything.
    read_only = ZKH_ACL_READ_ONLY, ///< Anyone may read.
    directory = ZKH_ACL_DIRECTORY, ///< What the Go package has for directories: anyone may do everything.
    file = ZKH_ACL_FILE,           ///< What the Go package has for files: all but creating and deleting children.
};

/// An access control list: who may do what with a node. The default is that anyone may do everything. Whatever takes
/// one copies it.
class acl : public detail::owner<zkh_acl, zkh_acl_free> {
public:
    /// Anyone may do everything.
    acl() = default;

    /// What the preset stands for.
    explicit acl(acl_preset preset) { detail::call(zkh_acl_new, static_cast<std::int32_t>(preset), place()); }

    /// These entries.
    explicit acl(const std::vector<acl_entry> &entries) : acl(acl_preset::empty)
    {
        for (const acl_entry &entry : entries)
            add(entry.permissions, entry.scheme, entry.id);
    }

    /// Adds an entry; to the default list that anyone may do everything, too. `permissions` is a sum of ZKH_PERM_….
    acl &add(std::int32_t permissions, const std::string &scheme, const std::string &id)
    {
        if (!*this)
            *this = acl(acl_preset::open);
        detail::call(zkh_acl_add, handle(), permissions, detail::text(scheme), detail::text(id));
        return *this;
    }

    /// Whether each entry has all permissions.
    [[nodiscard]] bool is_directory() const noexcept { return !*this || zkh_acl_is_directory(handle()); }

    /// What the C functions take: null for the default.
    [[nodiscard]] const zkh_acl *pointer() const noexcept { return owner::pointer(); }
};

} // namespace zkh

#endif
