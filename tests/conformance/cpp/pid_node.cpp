// The pid node: scenarios 82 to 86.
#include "scenario.hpp"

static notes<zkh::pid_news> events_of(const zkh::pid_node &node)
{
    auto told = std::make_shared<box<zkh::pid_news>>();
    node.on_event([told](const zkh::pid_news &news) { told->put(news); });
    return told;
}

// Its data are there, and whose it is.
static std::int64_t owner_of_pid(const zkh::client &client, const std::string &path)
{
    const auto read = client.get(path);
    CHECK(read.data == "4711");
    return read.stat.ephemeral_owner;
}

void s82_pid_node_until_it_is_closed()
{
    const peer a, b;
    const auto at = home(a) + "/pid";
    const zkh::pid_node node(a, at, "4711");
    node.start();
    CHECK(owner_of_pid(b, at) == a.session_id() && node.is_there());
    node.close();
    CHECK(!b.exists(at));
}

void s83_pid_node_is_not_taken()
{
    const peer a, b;
    const auto at = home(a) + "/pid";
    const zkh::pid_node node(a, at, "4711");
    node.start();
    zkh::pid_node_options options;
    options.wait(shortly);
    THROWS(zkh::pid_node(b, at, "4711", options).start(), zkh::errc::node_exists, at);
    CHECK(owner_of_pid(b, at) == a.session_id());
}

void s84_pid_node_is_taken_if_asked()
{
    const peer a, b;
    const auto at = home(a) + "/pid";
    const zkh::pid_node node(a, at, "4711");
    node.start();
    const auto told = events_of(node);
    zkh::pid_node_options options;
    options.replace(zkh::take_over::live);
    const zkh::pid_node taker(b, at, "4711", options);
    taker.start();
    CHECK(told->next().what == zkh::pid_event::made);
    const auto news = told->next();
    CHECK(news.what == zkh::pid_event::lost && news.why == zkh::loss::node_deleted);
    node.close();
    CHECK(owner_of_pid(b, at) == b.session_id());
}

void s85_pid_node_is_made_again()
{
    const peer a, b;
    const auto at = home(a) + "/pid";
    const zkh::pid_node node(a, at, "4711");
    node.start();
    const auto told = events_of(node);
    CHECK(told->next().what == zkh::pid_event::made);
    b.remove(at);
    const auto news = told->next();
    CHECK(news.what == zkh::pid_event::lost && news.why == zkh::loss::node_deleted);
    CHECK(told->next().what == zkh::pid_event::made);
    CHECK(owner_of_pid(b, at) == a.session_id());
}

void s86_pid_node_keeps_its_list()
{
    const peer a, b;
    const auto at = home(a) + "/pid";
    zkh::pid_node_options options;
    options.access(anyone(ZKH_PERM_READ));
    const zkh::pid_node node(a, at, "4711", options);
    node.start();
    const auto told = events_of(node);
    const auto old = a.session_id();
    CHECK(told->next().what == zkh::pid_event::made);
    end_session(a);
    while (told->next().what != zkh::pid_event::made) {
    }
    CHECK(owner_of_pid(b, at) != old);
    const auto list = b.get_acl(at).entries;
    CHECK(list.size() == 1 && list[0].permissions == ZKH_PERM_READ);
}
