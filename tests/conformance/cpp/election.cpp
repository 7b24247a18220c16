// Elections: scenarios 68 to 76.
#include "scenario.hpp"

// What an elector that stands is told: its terms, which go on until they are ended, why to stop, and how it ended.
struct campaign {
    box<zkh::running_term> terms;
    box<zkh::stop_reason> stops;
    box<std::error_code> ends;
};

static std::shared_ptr<campaign> stand(const zkh::elector &elector)
{
    auto told = std::make_shared<campaign>();
    elector.run_async({[told](zkh::running_term term, milliseconds valid_for) {
                           CHECK(valid_for > 0ms);
                           told->terms.put(std::move(term));
                       },
                       [told](std::int64_t, zkh::stop_reason reason) { told->stops.put(reason); },
                       [told](const zkh::error &why) { told->ends.put(why.code()); }});
    return told;
}

static zkh::elector elector(const zkh::client &client, const std::string &path, milliseconds lease = minute)
{
    zkh::elector_options options;
    options.lease(lease, 200ms).backoff(5ms, 20ms);
    return {client, path, options};
}

void s68_leader_record_says_who()
{
    const peer a, b;
    const auto at = home(a) + "/election";
    const auto one = elector(a, at), two = elector(b, at);
    const auto told = stand(one);
    auto term = told->terms.next();
    const auto leads = two.current().value();
    CHECK(leads.standing == zkh::standing::leading && leads.token == term.token());
    term.end(zkh::task_end::interrupted);
    told->ends.next();
    const auto left = two.current().value();
    CHECK(left.standing == zkh::standing::gone && left.token == leads.token);
}

void s69_one_leads_and_tokens_grow()
{
    const peer a, b;
    const auto at = home(a) + "/election";
    const auto began = steady_clock::now();
    const auto one = elector(a, at), two = elector(b, at);
    const auto first = stand(one);
    auto term = first->terms.next();
    const auto token = term.token();
    const auto second = stand(two);
    until(b, at + "/candidates", 2);
    CHECK(second->terms.empty());
    one.interrupt();
    CHECK(first->stops.next() == zkh::stop_reason::interrupted);
    term.end();
    auto after = second->terms.next();
    CHECK(after.token() > token && steady_clock::now() - began < minute);
    after.end(zkh::task_end::interrupted);
}

void s70_failed_task_is_elected_again()
{
    const peer a;
    const auto one = elector(a, home(a) + "/election");
    const auto told = stand(one);
    std::int64_t token = 0;
    for (const auto how : {zkh::task_end::failed, zkh::task_end::done, zkh::task_end::interrupted}) {
        auto term = told->terms.next();
        CHECK(term.token() > token);
        token = term.token();
        term.end(how);
    }
    CHECK(told->ends.next() == zkh::errc::interrupted);
}

// The elector is told to stop, which its task hears of, and leads until the task has ended.
static void stops(void (zkh::elector::*tell)() const, zkh::stop_reason reason, zkh::errc how)
{
    const peer a;
    const auto at = home(a) + "/election";
    const auto one = elector(a, at);
    const auto told = stand(one);
    auto term = told->terms.next();
    (one.*tell)();
    CHECK(told->stops.next() == reason && one.is_leading());
    term.end();
    CHECK(told->ends.next() == how);
    until(a, at + "/candidates", 0);
}

void s71_interrupt_stops_the_task()
{
    stops(&zkh::elector::interrupt, zkh::stop_reason::interrupted, zkh::errc::interrupted);
}

void s72_resigned_leader_stands_again()
{
    const peer a, b;
    const auto at = home(a) + "/election";
    const auto one = elector(a, at), two = elector(b, at);
    const auto first = stand(one);
    auto term = first->terms.next();
    const auto token = term.token();
    const auto second = stand(two);
    until(b, at + "/candidates", 2);
    one.resign();
    CHECK(first->stops.next() == zkh::stop_reason::resigned);
    term.end();
    auto after = second->terms.next();
    CHECK(after.token() > token);
    until(b, at + "/candidates", 2);
    CHECK(first->terms.empty() && first->ends.empty());
    one.interrupt();
    first->ends.next();
    after.end(zkh::task_end::interrupted);
}

void s73_close_stops_the_task()
{
    stops(&zkh::elector::close, zkh::stop_reason::closed, zkh::errc::closed);
}

void s74_ended_session_deposes()
{
    const peer a, b;
    const auto at = home(a) + "/election";
    const auto one = elector(a, at, 1s), two = elector(b, at, 1s);
    const auto first = stand(one);
    auto term = first->terms.next();
    const auto token = term.token();
    const auto second = stand(two);
    until(b, at + "/candidates", 2);
    const auto ending = steady_clock::now();
    end_session(a);
    const auto reason = first->stops.next();
    CHECK(reason == zkh::stop_reason::session_over || reason == zkh::stop_reason::node_deleted
          || reason == zkh::stop_reason::lease_ran_out);
    term.end(zkh::task_end::interrupted);
    auto after = second->terms.next();
    CHECK(after.token() > token && steady_clock::now() - ending >= 1199ms);
    after.end(zkh::task_end::interrupted);
}

void s75_observers_are_told()
{
    const peer a, b;
    const auto at = home(a) + "/election";
    const auto one = elector(a, at), two = elector(b, at);
    const auto leaders = std::make_shared<box<std::optional<zkh::leader>>>();
    two.on_leader([leaders](zkh::outcome<std::optional<zkh::leader>> seen) { leaders->put(seen.value()); });
    CHECK(!leaders->next());
    auto term = stand(one)->terms.next();
    const auto token = term.token();
    const auto leads = leaders->next().value();
    CHECK(leads.standing == zkh::standing::leading && leads.token == token);
    term.end(zkh::task_end::interrupted);
    auto left = leaders->next().value();
    while (left.standing != zkh::standing::gone)
        left = leaders->next().value();
    CHECK(left.token == token);
}

void s76_another_lease_is_refused()
{
    const peer a, b;
    const auto at = home(a) + "/election";
    const auto one = elector(a, at), two = elector(b, at, 50s);
    auto term = stand(one)->terms.next();
    CHECK(stand(two)->ends.next() == zkh::errc::bad_argument && one.is_leading());
    term.end(zkh::task_end::interrupted);
}
