// Takes a lock on a server inside this process.
#include <iostream>
#include <zkhelper.hpp>

int main()
try {
    const zkh::client client("embedded");
    const zkh::mutex mutex(client, "/consumer/cpp");
    auto guard = mutex.lock();
    std::cout << "zkhelper " << zkh::version() << ": held in C++, token " << guard.token() << '\n';
    guard.unlock();
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
