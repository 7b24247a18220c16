// Changes a node only while a lock is held, by one transaction with a check of the lock: guarded [HOST:PORT]
#include <iostream>
#include <zkhelper.hpp>

using namespace std::chrono_literals;

static zkh::multi write(const std::string &path, const std::string &text)
{
    zkh::multi one;
    one.set(path, text);
    return one;
}

int main(int argc, char **argv)
try {
    // "embedded" is a server inside this process, to try things with.
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    const std::string top = "/zk/demo/guarded", report = top + "/report", lock = top + "/lock";
    const zkh::tree tree(client);
    tree.create_or_update(report, {});
    {
        const zkh::mutex mutex(client, lock);
        const auto guard = mutex.lock(5s, "the report");
        guard.guarded(write(report, "in time"));
        // Somebody deletes the lock node, and has the lock next.
        client.remove(lock + "/" + client.children(lock).names.at(0));
        try {
            guard.guarded(write(report, "too late"));
        } catch (const zkh::error &e) {
            // NOT_HELD where the loss was told already.
            if (e.code() != zkh::errc::lock_lost && e.code() != zkh::errc::not_held)
                throw;
            std::cout << "the late write is refused\n";
        }
    }
    std::cout << "the report says \"" << client.get(report).data << "\"\n";
    tree.remove(top);
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
