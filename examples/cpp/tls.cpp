// Takes a lock over TLS: tls HOST:PORT CA [CERTIFICATE KEY], files in PEM form. The library has to be built with
// TLS: make install FEATURES=tls
#include <iostream>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    if (argc != 3 && argc != 5) {
        std::cerr << "usage: tls HOST:PORT CA [CERTIFICATE KEY]\n";
        return 2;
    }
    zkh::client_options options;
    options.tls_ca_file(argv[2]);
    if (argc == 5)
        options.tls_certificate_file(argv[3], argv[4]);
    const zkh::client client(argv[1], options);
    const zkh::mutex mutex(client, "/zk/demo/lock");
    {
        const auto guard = mutex.lock(5s, "over TLS");
        std::cout << "held over TLS; the fencing token is " << guard.token() << '\n';
    }
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
