// Works under a lock only while the lock is certain to be held: watchful [HOST:PORT]
#include <iostream>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    // "embedded" is a server inside this process, to try things with.
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    const zkh::mutex mutex(client, "/zk/demo/watchful");
    // Runs on a thread of the library, by the end of valid_for() at the latest.
    mutex.on_lost([](std::int64_t token, zkh::loss reason) {
        std::cerr << "the lock with token " << token << " is lost, for reason " << static_cast<int>(reason) << '\n';
    });
    auto guard = mutex.lock(5s, "careful work");
    for (int step = 1; step <= 3; step++) {
        // A step that takes a second at most is begun only if a second is left; otherwise this throws.
        guard.check(1s);
        std::cout << "step " << step << " under token " << guard.token() << '\n';
    }
    guard.unlock(); // says so if the lock was lost meanwhile
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
