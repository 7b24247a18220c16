// Takes a lock, holds it for a moment and passes it on, again and again:
//
//     handover HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]
//
// 0 rounds go on until the process is killed. Each line has the time in seconds, the name, the process
// and what happens; times of processes on one machine may be compared.
#include <cstdlib>
#include <iostream>
#include <thread>
#include <unistd.h>
#include <zkhelper.hpp>

static std::string name;

static void say(const std::string &what, std::int64_t token = 0)
{
    const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
    std::cout << std::fixed << now.count() << ' ' << name << " pid=" << getpid() << ' ' << what;
    if (token != 0)
        std::cout << " token=" << token;
    std::cout << std::endl; // also what a killed process said is to be seen
}

int main(int argc, char **argv)
try {
    if (argc < 6) {
        std::cerr << "usage: " << argv[0] << " HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]\n";
        return 2;
    }
    name = argv[2];
    const long rounds = std::atol(argv[4]);
    const std::chrono::milliseconds hold(std::atol(argv[5]));
    zkh::client_options options;
    if (argc > 6)
        options.session_timeout(std::chrono::milliseconds(std::atol(argv[6])));
    const zkh::client client(argv[1], options);
    const zkh::mutex mutex(client, argv[3]);

    for (long round = 0; rounds == 0 || round < rounds; round++) {
        say("waits");
        auto guard = mutex.lock(zkh::forever, name);
        say("holds", guard.token());
        std::this_thread::sleep_for(hold);
        // The line comes first: once it is released, the other one may speak.
        say("releases", guard.token());
        guard.unlock();
    }
    client.close();
    say("is done");
} catch (const zkh::error &e) {
    std::cerr << name << ": " << e.what() << '\n';
    return 1;
}
