// Makes a small tree, finds nodes in it by a pattern, lists and deletes it: tree [HOST:PORT]
#include <iostream>
#include <zkhelper.hpp>

static void print(const std::string &what, const std::vector<std::string> &paths)
{
    std::cout << what << '\n';
    for (const auto &path : paths)
        std::cout << "  " << path << '\n';
}

int main(int argc, char **argv)
try {
    // "embedded" is a server inside this process, to try things with.
    const zkh::client client(argc > 1 ? argv[1] : "embedded");
    const zkh::tree tree(client);
    const zkh::acl file(zkh::acl_preset::file);
    for (const auto *shard : {"/zk/tree/nyc/shards/0", "/zk/tree/nyc/shards/1", "/zk/tree/sfo/shards/0"})
        tree.create_or_update(shard, "up", true, zkh::create_mode::persistent, file); // with their parents
    print("/zk/tree/*/shards/[0-9]", tree.glob({"/zk/tree/*/shards/[0-9]"}).paths);
    print("below /zk/tree", tree.children("/zk/tree"));
    tree.remove("/zk/tree");
    std::cout << "deleted\n";
    client.close();
} catch (const zkh::error &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
