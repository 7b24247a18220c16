// Keeps a copy of a node's data up to date, and says what changes below it: watch [HOST:PORT [PATH]]
//
// Without arguments it changes a node of its own three times, on a server inside this process.
#include <future>
#include <iostream>
#include <zkhelper.hpp>

int main(int argc, char **argv)
try {
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    const std::string path = argc > 2 ? argv[2] : "/watched";
    std::promise<void> deleted;

    // The newest data; requests of one client are answered in order, so no older ones come behind them.
    const auto on_data = [](zkh::outcome<zkh::node> read) {
        if (read)
            std::cout << "the data are \"" << read.value().data << "\"" << std::endl;
        else if (read.failure()->code() == zkh::errc::no_node)
            std::cout << "there is no node" << std::endl;
        else
            std::cerr << read.failure()->what() << std::endl;
    };
    // Runs on a thread of the library: what it asks for must not wait.
    const auto watch = client.watch_recursive(path, [&](zkh::event what, const std::string &where) {
        switch (what) {
        case zkh::event::created: std::cout << where << " created" << std::endl; break;
        case zkh::event::deleted: std::cout << where << " deleted" << std::endl; break;
        case zkh::event::data_changed: std::cout << where << " changed" << std::endl; break;
        case zkh::event::may_have_missed: std::cout << "the connection was away; reading again" << std::endl; break;
        default: break;
        }
        if (what == zkh::event::may_have_missed || where == path)
            client.get_async(path, on_data);
        if (what == zkh::event::deleted && where == path && argc <= 2)
            deleted.set_value();
    });
    if (argc > 2) {
        std::cout << "watching " << path << " until a line is read" << std::endl;
        std::cin.get();
    } else {
        client.create(path, "one");
        client.set(path, "two");
        client.remove(path);
        deleted.get_future().wait(); // it is told on the other thread
    }
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
