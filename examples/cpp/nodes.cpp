// Makes nodes, reads and changes them, also several as one transaction: nodes [HOST:PORT]
#include <iostream>
#include <zkhelper.hpp>

// The data, and only if nobody changed them in between: the version goes along.
static void add_exclamation_mark(const zkh::client &client, const std::string &path)
{
    for (;;) {
        const auto node = client.get(path);
        try {
            client.set(path, node.data + "!", node.stat.version);
            return;
        } catch (const zkh::error &e) {
            if (e.code() != zkh::errc::bad_version) // somebody was quicker
                throw;
        }
    }
}

int main(int argc, char **argv)
try {
    // "embedded" is a server inside this process, to try things with.
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    const auto top = client.create("/nodes-", {}, zkh::create_mode::persistent_sequential).path;

    // Both or none.
    zkh::multi both;
    both.create(top + "/a", "hello").create(top + "/b", "bye", zkh::create_mode::ephemeral);
    client.commit(both);
    add_exclamation_mark(client, top + "/a");
    for (const auto &name : client.children(top).names) {
        const auto node = client.get(top + "/" + name);
        std::cout << top << "/" << name << ": \"" << node.data << "\", version " << node.stat.version << ", "
                  << (node.stat.ephemeral_owner != 0 ? "until this session ends" : "until it is deleted") << '\n';
    }
    zkh::tree(client).remove(top);
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
