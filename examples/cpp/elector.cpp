// One leads among all who run this: elector [HOST:PORT [SECONDS]]. Its task works until it is told to stop,
// or for so many seconds; then another one's turn comes. A second interrupt from the keyboard kills it.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

static volatile std::sig_atomic_t interrupted;

int main(int argc, char **argv)
try {
    const int seconds = argc > 2 ? std::atoi(argv[2]) : 3600;
    std::signal(SIGINT, [](int number) {
        std::signal(number, SIG_DFL);
        interrupted = 1;
    });
    // "embedded" is a server inside this process, to try things with.
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    const zkh::elector elector(client, "/zk/demo/election");
    const auto ended = elector.run([&](zkh::term &term) {
        std::cout << "leads with token " << term.token() << std::endl;
        for (int tenths = 0; tenths < 10 * seconds && !interrupted; tenths++) {
            // A step of the work; whatever it writes carries the token, so that a late one is refused.
            if (term.wait_for(100ms) || !elector.is_leading())
                break;
        }
        if (const auto reason = term.stopping())
            std::cerr << "the term with token " << term.token() << " has to stop, for reason "
                      << static_cast<int>(*reason) << std::endl;
        std::cout << "ended" << std::endl;
        if (interrupted || seconds < 3600)
            term.leave();
    });
    client.close();
    return ended == zkh::errc::interrupted ? 0 : 1;
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
