// Three locks are asked for at once, and none takes a thread to wait: lock_async [HOST:PORT]
#include <iostream>
#include <vector>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    // "embedded" is a server inside this process, to try things with.
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    std::vector<zkh::mutex> mutexes;
    std::vector<std::future<void>> all;
    for (const std::string name : {"ann", "bob", "cid"}) {
        const auto &mutex = mutexes.emplace_back(client, "/zk/demo/lock");
        const auto done = std::make_shared<std::promise<void>>();
        all.push_back(done->get_future());
        // Runs on a thread of the library: what it asks for must not wait. The guard's end does not wait there.
        mutex.lock_async(5s, name, [name, done](zkh::outcome<zkh::lock_guard> ended) {
            if (const auto *failed = ended.failure()) {
                done->set_exception(std::make_exception_ptr(*failed));
                return;
            }
            const auto guard = std::move(ended).value();
            std::cout << name << " holds the lock with token " << guard.token() << std::endl;
            done->set_value();
        });
    }
    for (auto &one : all)
        one.get();
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
