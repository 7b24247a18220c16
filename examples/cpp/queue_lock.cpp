// Puts a job into a queue, waits for its turn, and works on it: queue_lock [HOST:PORT]
#include <iostream>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    // The job is a node of our own; it is the caller's turn while no node of the queue has a lower name.
    const auto job = zkh::tree(client).create("/zk/queue/job-", "report", zkh::create_mode::ephemeral_sequential);
    const auto name = job.substr(job.rfind('/') + 1);
    const zkh::queue_lock queue(client, "/zk/queue");
    queue.obtain(name, 5s); // waits 5 seconds at most
    std::cout << "working on " << name << '\n';
    // Deleting the node lets the next one in.
    client.remove(job);
    std::cout << "done\n";
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
