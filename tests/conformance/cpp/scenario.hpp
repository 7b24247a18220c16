// What the conformance scenarios in C++ share. Objects clean up after themselves: what is declared first, the clients,
// goes last, and callbacks own what they write to.
#ifndef SCENARIO_HPP
#define SCENARIO_HPP

#include "../../cpp/check.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The server's address; in a scenario with a server of its own it is not used.
inline std::string server_address;

// Where nobody listens.
inline const std::string nobody = "127.0.0.1:1";
inline constexpr milliseconds session = 4s, patience = 120s, a_try = 0s, shortly = 100ms, minute = 60s;

inline zkh::client_options lasting(milliseconds session_timeout)
{
    zkh::client_options options;
    options.session_timeout(session_timeout);
    return options;
}

// Options by which another client takes this one's session.
inline zkh::client_options taking(const zkh::client &of)
{
    auto options = lasting(session);
    options.reattach(of.credentials());
    return options;
}

// A client that is closed at its end.
class peer : public zkh::client {
public:
    peer() : peer(server_address, session) {}
    peer(const std::string &address, milliseconds session_timeout) : peer(address, lasting(session_timeout)) {}
    peer(const std::string &address, const zkh::client_options &options) : zkh::client(address, options) {}
    ~peer()
    {
        try {
            close();
        } catch (const zkh::error &) {
            // The scenario has closed it, or its server is gone.
        }
    }
};

inline void end_session(const zkh::client &of)
{
    peer(server_address, taking(of)).close(patience);
}

// The path of a new node, and that of a lock below one.
inline std::string home(const zkh::client &client)
{
    static std::atomic<int> count;
    const auto path = "/zk/conformance-cpp-" + std::to_string(getpid()) + "-" + std::to_string(count++);
    return zkh::tree(client).create(path);
}

inline std::string lock_path(const zkh::client &client)
{
    return home(client) + "/lock";
}

inline std::string make(const zkh::client &client, const std::string &path,
                        zkh::create_mode mode = zkh::create_mode::persistent)
{
    return client.create(path, {}, mode).path;
}

inline std::string joined(const std::vector<std::string> &names)
{
    std::string all;
    for (const auto &name : names)
        all += (all.empty() ? "" : " ") + name;
    return all;
}

// The children's names, joined by spaces; none where there is no node.
inline std::string names(const zkh::client &client, const std::string &path)
{
    try {
        return joined(client.children(path).names);
    } catch (const zkh::error &e) {
        if (e.code() != zkh::errc::no_node)
            throw;
        return {};
    }
}

// Asks until a node has so many children.
inline void until(const zkh::client &client, const std::string &path, std::ptrdiff_t count)
{
    for (std::ptrdiff_t found = -1; found != count;) {
        const auto all = names(client, path);
        found = all.empty() ? 0 : 1 + std::count(all.begin(), all.end(), ' ');
    }
}

// The path of the only child.
inline std::string only(const zkh::client &client, const std::string &path)
{
    const auto name = names(client, path);
    CHECK(!name.empty() && name.find(' ') == std::string::npos);
    return path + "/" + name;
}

inline std::int64_t owner_of(const zkh::client &client, const std::string &path)
{
    return client.exists(path).value().ephemeral_owner;
}

inline zkh::acl anyone(std::int32_t permissions)
{
    return zkh::acl({{permissions, "world", "anyone"}});
}

inline zkh::mutex strict(const zkh::client &client, const std::string &path, milliseconds delay)
{
    zkh::mutex_options options;
    options.strict(delay, delay);
    return {client, path, options};
}

inline zkh::mutex persistent(const zkh::client &client, const std::string &path, milliseconds lease)
{
    zkh::mutex_options options;
    options.persistent(lease);
    return {client, path, options};
}

// What callbacks are told, in order.
template <class T> using notes = std::shared_ptr<box<T>>;

using lost = std::pair<std::int64_t, zkh::loss>;

inline notes<lost> losses_of(const zkh::mutex &mutex)
{
    auto told = std::make_shared<box<lost>>();
    mutex.on_lost([told](std::int64_t token, zkh::loss reason) { told->put({token, reason}); });
    return told;
}

using happened = std::pair<zkh::event, std::string>;

// Takes what a watch tells.
inline std::pair<notes<happened>, zkh::watch_callback> listening()
{
    auto told = std::make_shared<box<happened>>();
    return {told, [told](zkh::event what, const std::string &path) { told->put({what, path}); }};
}

#endif
