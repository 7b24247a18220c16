// A lock that outlasts its owner, for work that must not be begun anew while half of it is done:
//
//     persistent HOST:PORT PATH hold            takes the lock and keeps it until somebody asks for it
//     persistent HOST:PORT PATH list            who has it and who waits
//     persistent HOST:PORT PATH ask REASON      asks the holder to give it up
//     persistent HOST:PORT PATH release         releases it where the holder is gone
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

static void hold(const zkh::mutex &mutex)
{
    // Callbacks own what they know: they may outlive this function, if it throws.
    struct ending {
        std::promise<void> told;
        std::once_flag once;
        void tell() { std::call_once(once, [this] { told.set_value(); }); }
    };
    const auto end = std::make_shared<ending>();
    mutex.on_revoke([end](std::int64_t token, const std::string &reason) {
        std::cout << "asked for token " << token << ": " << reason << std::endl;
        end->tell();
    });
    mutex.on_lost([end](std::int64_t token, zkh::loss reason) {
        std::cout << "lost token " << token << ", reason " << static_cast<int>(reason) << std::endl;
        end->tell();
    });
    auto guard = mutex.lock(zkh::forever, "a migration");
    std::cout << "held; the fencing token is " << guard.token() << std::endl;
    end->told.get_future().wait();
    // The work is at an end, or broken off. Where the lock was lost this says so, and removes its node.
    guard.unlock();
}

static void list(const zkh::mutex &mutex)
{
    static const char *const words[] = {"", "living", "gone", "unknown"};
    for (const auto &one : mutex.contenders())
        std::cout << one.name << " token=" << one.token << " owner=" << words[static_cast<int>(one.owner)]
                  << " process " << one.pid << " on " << one.hostname << " since "
                  << std::chrono::duration_cast<std::chrono::milliseconds>(one.since.time_since_epoch()).count()
                  << " ms: " << one.description << '\n';
}

int main(int argc, char **argv)
try {
    const std::string what = argc > 3 ? argv[3] : "";
    const bool asks = what == "ask" && argc > 4;
    if (!asks && what != "hold" && what != "list" && what != "release") {
        std::cerr << "usage: " << argv[0] << " HOST:PORT PATH hold | list | ask REASON | release\n";
        return 2;
    }
    const zkh::client client(argv[1]);
    const zkh::mutex mutex(client, argv[2], zkh::mutex_options().persistent(3s)); // believed for 3 s unless renewed
    if (what == "hold") {
        hold(mutex);
    } else if (what == "list") {
        list(mutex);
    } else {
        // The first of all holds the lock.
        const auto all = mutex.contenders();
        if (all.empty())
            std::cout << "nobody holds it\n";
        else if (asks)
            mutex.request_revocation(all[0].name, argv[4]);
        else {
            mutex.release_dead(all[0].name);
            std::cout << "released " << all[0].name << '\n';
        }
    }
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
