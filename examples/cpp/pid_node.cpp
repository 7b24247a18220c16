// Says by a node that this program runs, and hears what becomes of it: pid_node [HOST:PORT]
#include <iostream>
#include <thread>
#include <unistd.h>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    zkh::tree(client).create_or_update("/zk/pids", {});
    // Another program's node is waited for, and never taken while that program lives.
    const zkh::pid_node node(client, "/zk/pids/example", std::to_string(getpid()));
    node.on_event([](const zkh::pid_news &news) {
        switch (news.what) {
        case zkh::pid_event::made: std::cout << "the node is there" << std::endl; break;
        case zkh::pid_event::lost:
            std::cout << "the node is lost (" << static_cast<int>(*news.why) << "), and is made again" << std::endl;
            break;
        case zkh::pid_event::refused: std::cout << "the node cannot be made for now: " << news.reason->what() << std::endl;
        }
    });
    node.start();
    // The program does its work here. Somebody deletes the node, say.
    std::this_thread::sleep_for(1s);
    client.remove("/zk/pids/example");
    std::this_thread::sleep_for(1s);
    node.close();
    std::cout << "the node is gone" << std::endl;
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
