// Stands in an election, and leads whenever it is elected, until it is killed:
//
//     candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]
//
// After a leader that is killed the next one leads once that one's session and lease are over. Each line has the time in
// seconds, the name, the process and what happens.
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <unistd.h>
#include <zkhelper.hpp>

static std::string name;

static void say(const std::string &what, std::int64_t token = 0)
{
    const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
    std::cout << std::fixed << std::setprecision(3) << now.count() << ' ' << name << " pid=" << getpid() << ' ' << what;
    if (token != 0)
        std::cout << " token=" << token;
    std::cout << std::endl; // also what a killed process said is to be seen
}

int main(int argc, char **argv)
try {
    if (argc < 4) {
        std::cerr << "usage: " << argv[0] << " HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]\n";
        return 2;
    }
    name = argv[2];
    const std::chrono::milliseconds session(argc > 4 ? std::atol(argv[4]) : 10000);
    const std::chrono::milliseconds lease(argc > 5 ? std::atol(argv[5]) : 10000);
    zkh::client_options options;
    options.session_timeout(session);
    const zkh::client client(argv[1], options);
    // The grace, in which the work of a leader has to end, is half of the lease.
    zkh::elector_options how;
    how.description(name).lease(lease, lease / 2);
    const zkh::elector elector(client, argv[3], how);

    say("stands");
    elector.run([](zkh::term &term) {
        say("leads", term.token());
        term.wait(); // the work of a leader, which it does until it is told to stop
        say("stops", term.token());
    });
    return 1;
} catch (const zkh::error &e) {
    std::cerr << name << ": " << e.what() << '\n';
    return 1;
}
