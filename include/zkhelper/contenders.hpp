/// @file
/// Who holds a lock and who waits for it.
#ifndef ZKHELPER_CONTENDERS_HPP
#define ZKHELPER_CONTENDERS_HPP

#include <zkhelper/node.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace zkh {

/// Whether the owner of a lock node lives.
enum class owner_state : std::int32_t {
    living = ZKH_OWNER_LIVING,   ///< Its node is ephemeral, or has its companion.
    gone = ZKH_OWNER_GONE,       ///< The node is persistent, and its owner's session is over.
    unknown = ZKH_OWNER_UNKNOWN, ///< The node is persistent and says nothing of its owner.
};

/// One who holds a lock or waits for it.
struct contender {
    std::string name;                            ///< Of its node, such as "lock-0000000007".
    std::int64_t token;                          ///< Its fencing token, once it holds the lock.
    std::int64_t session_id;                     ///< The session its node ends with; 0 if it is persistent.
    std::chrono::system_clock::time_point since; ///< Since when it is there, by the servers' clock.
    owner_state owner;                           ///< Whether it lives.
    std::string hostname;                        ///< Where it runs; empty where its node does not say.
    std::int64_t pid;                            ///< Its process there; 0 where its node does not say.
    std::string description;                     ///< What it wants the lock for.
    std::optional<std::string> asked;            ///< Why it was asked to give the lock up, if it was.
    std::string data;                            ///< What its node holds.
};

namespace detail {

struct free_contenders {
    void operator()(zkh_contenders *all) const noexcept { zkh_contenders_free(all); }
};

struct as_contenders {
    using type = std::vector<contender>;
    using raw = const zkh_contenders *;

    static type from(raw all)
    {
        type list;
        for (std::size_t i = 0; i < zkh_contenders_count(all); i++) {
            std::size_t length = 0;
            const void *data = zkh_contenders_data(all, i, &length);
            const char *asked = zkh_contenders_asked(all, i);
            list.push_back(
                {text_or_empty(zkh_contenders_name(all, i)), zkh_contenders_token(all, i),
                 zkh_contenders_session_id(all, i),
                 std::chrono::system_clock::time_point(std::chrono::milliseconds(zkh_contenders_since_ms(all, i))),
                 static_cast<owner_state>(zkh_contenders_owner(all, i)),
                 text_or_empty(zkh_contenders_hostname(all, i)), zkh_contenders_pid(all, i),
                 text_or_empty(zkh_contenders_description(all, i)),
                 asked == nullptr ? std::nullopt : std::optional<std::string>(asked),
                 data == nullptr ? std::string() : std::string(static_cast<const char *>(data), length)});
        }
        return list;
    }
};

} // namespace detail
} // namespace zkh

#endif
