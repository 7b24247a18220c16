/// @file
/// Whole trees: nodes with their parents, everything below a node, paths by wildcards.
#ifndef ZKHELPER_TREE_HPP
#define ZKHELPER_TREE_HPP

#include <zkhelper/client.hpp>

#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <string_view>
#include <vector>

namespace zkh {

/// What patterns stand for.
struct matches {
    std::vector<std::string> paths;      ///< For each pattern in turn, sorted as bytes for each.
    std::vector<std::string> unreadable; ///< Nodes whose children may not be listed, so that paths may be missing.
};

/// Whether a path has a wildcard: `*`, `?` or `[` without a backslash before it.
inline bool has_wildcard(const std::string &path)
{
    return zkh_path_has_wildcard(detail::text(path));
}

/// Operations on whole trees, over a client, which has to outlive it.
class tree {
public:
    /// Over this client.
    explicit tree(const client &over) noexcept : client_(over.handle()) {}

    /// Makes a node, and those of its parents that are missing: plain, persistent and empty ones. Answers with its path.
    std::string create(const std::string &path, std::string_view data = {}, create_mode mode = create_mode::persistent,
                       const acl &access = {}) const
    {
        return detail::wait<as_path>(zkh_tree_create, client_, detail::text(path), bytes(data), data.size(),
                                     number(mode), access.pointer());
    }
    /// The same.
    operation create_async(const std::string &path, std::string_view data, create_mode mode, const acl &access,
                           callback<std::string> done) const
    {
        return detail::start<as_path>(std::move(done), zkh_tree_create_async, client_, detail::text(path), bytes(data),
                                      data.size(), number(mode), access.pointer());
    }
    /// The same.
    [[nodiscard]] std::future<std::string> create_future(const std::string &path, std::string_view data = {},
                                                         create_mode mode = create_mode::persistent,
                                                         const acl &access = {}, operation *op = nullptr) const
    {
        return detail::promised<as_path>(op, zkh_tree_create_async, client_, detail::text(path), bytes(data),
                                         data.size(), number(mode), access.pointer());
    }

    /// Makes a node, or sets its data where it is there. `recursive` makes its missing parents too. Answers with its path.
    std::string create_or_update(const std::string &path, std::string_view data, bool recursive = true,
                                 create_mode mode = create_mode::persistent, const acl &access = {}) const
    {
        return detail::wait<as_path>(zkh_tree_create_or_update, client_, detail::text(path), bytes(data), data.size(),
                                     number(mode), access.pointer(), recursive);
    }
    /// The same.
    operation create_or_update_async(const std::string &path, std::string_view data, bool recursive, create_mode mode,
                                     const acl &access, callback<std::string> done) const
    {
        return detail::start<as_path>(std::move(done), zkh_tree_create_or_update_async, client_, detail::text(path),
                                      bytes(data), data.size(), number(mode), access.pointer(), recursive);
    }
    /// The same.
    [[nodiscard]] std::future<std::string> create_or_update_future(const std::string &path, std::string_view data,
                                                                   bool recursive = true,
                                                                   create_mode mode = create_mode::persistent,
                                                                   const acl &access = {},
                                                                   operation *op = nullptr) const
    {
        return detail::promised<as_path>(op, zkh_tree_create_or_update_async, client_, detail::text(path), bytes(data),
                                         data.size(), number(mode), access.pointer(), recursive);
    }

    /// Lists everything below a node: paths relative to it, sorted as bytes. A list is complete or none.
    [[nodiscard]] std::vector<std::string> children(const std::string &path) const
    {
        return detail::wait<detail::as_names>(zkh_tree_children, client_, detail::text(path));
    }
    /// The same.
    operation children_async(const std::string &path, callback<std::vector<std::string>> done) const
    {
        return detail::start<detail::as_names>(std::move(done), zkh_tree_children_async, client_, detail::text(path));
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<std::string>> children_future(const std::string &path,
                                                                        operation *op = nullptr) const
    {
        return detail::promised<detail::as_names>(op, zkh_tree_children_async, client_, detail::text(path));
    }

    /// Deletes a node and everything below it. `version` is that of the node's own data; once they have another,
    /// nothing is deleted any more.
    void remove(const std::string &path, std::int32_t version = any_version) const
    {
        detail::call(zkh_tree_delete, client_, detail::text(path), version);
    }
    /// The same.
    operation remove_async(const std::string &path, std::int32_t version, callback<void> done) const
    {
        return detail::start<detail::as_nothing>(std::move(done), zkh_tree_delete_async, client_, detail::text(path),
                                                 version);
    }
    /// The same.
    [[nodiscard]] std::future<void> remove_future(const std::string &path, std::int32_t version = any_version,
                                                  operation *op = nullptr) const
    {
        return detail::promised<detail::as_nothing>(op, zkh_tree_delete_async, client_, detail::text(path), version);
    }

    /// Finds the existing paths that patterns stand for: `*` is any part of a name, `?` one character, `[a-z]` one of a
    /// class, `[^a]` one outside it, and a backslash takes the next character as it is. A path without a wildcard is
    /// returned without being looked for.
    [[nodiscard]] matches glob(const std::vector<std::string> &patterns) const
    {
        const auto texts = all(patterns);
        return detail::wait<as_matches>(zkh_tree_glob, client_, texts.data(), texts.size());
    }
    /// The same.
    operation glob_async(const std::vector<std::string> &patterns, callback<matches> done) const
    {
        const auto texts = all(patterns);
        return detail::start<as_matches>(std::move(done), zkh_tree_glob_async, client_, texts.data(), texts.size());
    }
    /// The same.
    [[nodiscard]] std::future<matches> glob_future(const std::vector<std::string> &patterns,
                                                   operation *op = nullptr) const
    {
        const auto texts = all(patterns);
        return detail::promised<as_matches>(op, zkh_tree_glob_async, client_, texts.data(), texts.size());
    }

private:
    struct as_path : detail::as_result<std::string> {
        static type from(raw result) { return detail::text_or_empty(zkh_result_path(result)); }
    };

    struct as_matches : detail::as_result<matches> {
        static type from(raw result)
        {
            matches found{detail::names_of(result), {}};
            while (const char *path = zkh_result_unreadable(result, found.unreadable.size()))
                found.unreadable.emplace_back(path);
            return found;
        }
    };

    static std::vector<const char *> all(const std::vector<std::string> &patterns)
    {
        std::vector<const char *> texts;
        for (const std::string &pattern : patterns)
            texts.push_back(detail::text(pattern));
        return texts;
    }

    static const void *bytes(std::string_view data) { return data.data(); }
    static std::int32_t number(create_mode mode) { return static_cast<std::int32_t>(mode); }

    zkh_client client_;
};

} // namespace zkh

#endif
