// Takes a lock and releases it: lock HOST:PORT
#include <iostream>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    const zkh::client client(argc > 1 ? argv[1] : "127.0.0.1:2181");
    const zkh::mutex mutex(client, "/zk/demo/lock");
    {
        const auto guard = mutex.lock(5s, "nightly report"); // waits 5 seconds at most
        std::cout << "held; the fencing token is " << guard.token() << '\n';
    }
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
