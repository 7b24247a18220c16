/// @file
/// Elections: one leads among all that take part.
#ifndef ZKHELPER_ELECTOR_HPP
#define ZKHELPER_ELECTOR_HPP

#include <zkhelper/client.hpp>
#include <zkhelper/contenders.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace zkh {

/// Why a leader has to stop. Up to client_closed the lead is lost, and the next leader may start when the grace is over;
/// from interrupted on it is kept until the task has ended.
enum class stop_reason : std::int32_t {
    lease_ran_out = ZKH_STOP_LEASE_RAN_OUT, ///< Nothing proved in time that the lead was still held.
    session_over = ZKH_STOP_SESSION_OVER,   ///< The session was over.
    node_deleted = ZKH_STOP_NODE_DELETED,   ///< The leader's node was deleted.
    client_closed = ZKH_STOP_CLIENT_CLOSED, ///< The client was closed.
    interrupted = ZKH_STOP_INTERRUPTED,     ///< By elector::interrupt().
    resigned = ZKH_STOP_RESIGNED,           ///< By elector::resign().
    closed = ZKH_STOP_CLOSED,               ///< By elector::close(), or the end of the object.
};

/// Whether the leader of a record still leads.
enum class standing : std::int32_t {
    leading = ZKH_STANDING_LEADING, ///< Its candidate's node is there.
    gone = ZKH_STANDING_GONE,       ///< Nobody leads until the next record is written.
    unknown = ZKH_STANDING_UNKNOWN, ///< Another library wrote the record, and does not say.
};

/// What a leader's record says.
struct leader {
    std::int64_t token;                          ///< Its fencing token; 0 in another library's record.
    zkh::standing standing;                      ///< Whether it still leads.
    std::chrono::system_clock::time_point since; ///< When it was written, by the server's clock.
    std::string record;                          ///< The record itself: a JSON object, if this library wrote it.
};

/// How an elector behaves. An elector copies it.
class elector_options : public detail::owner<zkh_elector_options, zkh_elector_options_free> {
public:
    /// The defaults.
    elector_options() { detail::call(zkh_elector_options_new, place()); }

    /// The access control list of the candidates' nodes, of the record and of the parents that have to be made.
    /// Candidates need CREATE, DELETE, READ and WRITE.
    elector_options &access(const acl &list)
    {
        detail::call(zkh_elector_options_set_acl, handle(), list.pointer());
        return *this;
    }

    /// Further keys of the JSON object in the candidate's node and the record, as the text of a JSON object.
    elector_options &contents_json(const std::string &json)
    {
        detail::call(zkh_elector_options_set_contents_json, handle(), detail::text(json));
        return *this;
    }

    /// The `desc` of the candidate's node and the record. Default "election".
    elector_options &description(const std::string &text)
    {
        detail::call(zkh_elector_options_set_description, handle(), detail::text(text));
        return *this;
    }

    /// What goes before the sequence number in the names of another library's candidates.
    elector_options &add_extra_lock_pattern(const std::string &pattern)
    {
        detail::call(zkh_elector_options_add_extra_lock_pattern, handle(), detail::text(pattern));
        return *this;
    }

    /// How long a leader believes after it sent the last renewal that a quorum committed, and how long its task may take
    /// to end after it was told to stop. zkh::forever as the grace gives up the promise that two leaders' tasks never
    /// overlap. Every candidate has to use the same. Default 10 s and 5 s.
    elector_options &lease(std::chrono::milliseconds lease, timeout grace)
    {
        detail::call(zkh_elector_options_set_lease_ms, handle(), static_cast<std::int64_t>(lease.count()),
                     grace.ms());
        return *this;
    }

    /// Whether the process is aborted when a task outlives its grace after the lead was lost, which is when the next
    /// leader may have started. Default: it is only reported.
    elector_options &abort_when_overdue(bool abort = true)
    {
        detail::call(zkh_elector_options_set_abort_when_overdue, handle(), std::int32_t{abort});
        return *this;
    }

    /// The pause before the next candidacy after a term that failed: it begins with `least` and doubles up to `most`.
    /// Default 100 ms and 60 s.
    elector_options &backoff(std::chrono::milliseconds least, std::chrono::milliseconds most)
    {
        detail::call(zkh_elector_options_set_backoff_ms, handle(), static_cast<std::int64_t>(least.count()),
                     static_cast<std::int64_t>(most.count()));
        return *this;
    }
};

/// One term of leading, as its task sees it.
class term {
public:
    term(const term &) = delete;
    term &operator=(const term &) = delete;

    /// The fencing token: greater than that of every earlier leader.
    [[nodiscard]] std::int64_t token() const noexcept { return token_; }

    /// Why the task has to end; nothing while it may go on.
    [[nodiscard]] std::optional<stop_reason> stopping() const
    {
        const std::lock_guard<std::mutex> held(lock_);
        return stop_;
    }

    /// Waits for this long at most; answers whether the task has to end.
    [[nodiscard]] bool wait_for(std::chrono::milliseconds time) const
    {
        std::unique_lock<std::mutex> held(lock_);
        return changed_.wait_for(held, time, [this] { return stop_.has_value(); });
    }

    /// Waits until the task has to end.
    void wait() const
    {
        std::unique_lock<std::mutex> held(lock_);
        changed_.wait(held, [this] { return stop_.has_value(); });
    }

    /// Once the task has returned, the elector leaves the election instead of standing again.
    void leave() noexcept { leave_ = true; }

private:
    friend class elector;

    explicit term(std::int64_t token) noexcept : token_(token) {}

    void stop(stop_reason reason)
    {
        const std::lock_guard<std::mutex> held(lock_);
        stop_ = reason;
        changed_.notify_all();
    }

    const std::int64_t token_;
    mutable std::mutex lock_;
    mutable std::condition_variable changed_;
    std::optional<stop_reason> stop_;
    bool leave_ = false;
};

/// What elector::start() calls. The rules of zkh::callback hold for all three.
struct election_callbacks {
    /// The elector leads: with this token, and for at least this long if nothing renews it further.
    std::function<void(std::int64_t token, std::chrono::milliseconds valid_for)> elected;
    /// The elector has to stop leading: the work of the leader has to be over when this returns. It may be empty.
    std::function<void(std::int64_t token, stop_reason reason)> deposed;
    /// The election is over for this elector; called once, after the other two.
    std::function<void(const error &why)> over;
};

/// How the task of a term ended.
enum class task_end : std::int32_t {
    done = ZKH_TASK_DONE,               ///< Well: the elector stands again.
    failed = ZKH_TASK_FAILED,           ///< The elector stands again after a pause.
    interrupted = ZKH_TASK_INTERRUPTED, ///< The election is over for this elector.
};

/// A term of elector::run_async(), which lasts until its task calls end(). The end of an object that was not ended is
/// the end of a task that failed.
class running_term {
public:
    /// None.
    running_term() = default;
    /// Takes the term over.
    running_term(running_term &&other) noexcept
        : term_(std::exchange(other.term_, zkh_term{})), token_(std::exchange(other.token_, 0))
    {
    }
    /// The same; the one before has failed.
    running_term &operator=(running_term &&other) noexcept
    {
        running_term taken(std::move(other));
        std::swap(term_, taken.term_);
        std::swap(token_, taken.token_);
        return *this;
    }
    running_term(const running_term &) = delete;
    running_term &operator=(const running_term &) = delete;
    /// Ends the term as failed, if it was not ended.
    ~running_term()
    {
        if (term_.id != 0)
            zkh_term_end(term_, ZKH_TASK_FAILED, nullptr);
    }

    /// The fencing token: greater than that of every earlier leader.
    [[nodiscard]] std::int64_t token() const noexcept { return token_; }

    /// Ends the term: the work of its task is over for certain, and the next leader may start at once.
    void end(task_end how = task_end::done)
    {
        detail::call(zkh_term_end, std::exchange(term_, zkh_term{}), static_cast<std::int32_t>(how));
    }

private:
    friend class elector;

    running_term(zkh_term term, std::int64_t token) noexcept : term_(term), token_(token) {}

    zkh_term term_{};
    std::int64_t token_ = 0;
};

/// What elector::run_async() calls. The rules of zkh::callback hold for all three.
struct task_callbacks {
    /// A term begins: the task goes on until the term is ended, at least for this long if nothing renews it further.
    std::function<void(running_term term, std::chrono::milliseconds valid_for)> begin;
    /// The task has to end. At most once a term, after `begin`, and by the grace at the latest.
    std::function<void(std::int64_t token, stop_reason reason)> stop;
    /// The election is over for this elector; called once, after all others.
    std::function<void(const error &why)> over;
};

/// A part in an election: one leads among all that take part, from any language and any machine. Any number of threads may
/// use one at once; it leads in one term at a time. Its end closes it, and waits for the task and every callback.
class elector : public detail::owner<zkh_elector, zkh_elector_free> {
public:
    /// None.
    elector() = default;

    /// A part in the election at `path`, not yet begun. Nothing is sent.
    elector(const client &of, const std::string &path, const elector_options &options = {})
    {
        const zkh_elector_options with = options.handle();
        detail::call(zkh_elector_new, of.handle(), detail::text(path), &with, place());
    }

    /// Takes part until it is over for this elector: in each term runs the task, in this thread, and stands again
    /// after it ended. A task that throws has failed: the exception is reported (on_exception()), and the elector
    /// stands again after a pause. It is over when the task said term::leave() or interrupt() was called, which answers
    /// errc::interrupted, or close(), which answers errc::closed. Other errors, which do not pass, are thrown.
    errc run(const std::function<void(term &)> &task) const
    {
        if (!task)
            throw error(errc::bad_argument, "the task is empty: BAD_ARGUMENT");
        running now(task);
        detail::failure failed;
        const zkh_status status = zkh_elector_run(handle(), &running::run, &running::stop, &running::interrupted,
                                                  static_cast<void *>(&now), failed.out());
        if (status != ZKH_INTERRUPTED && status != ZKH_CLOSED)
            failed.check(status);
        return static_cast<errc>(status);
    }

    /// The same by callbacks, without waiting. After a term the elector stands again.
    void start(election_callbacks callbacks) const
    {
        if (!callbacks.elected || !callbacks.over)
            throw error(errc::bad_argument, "the callback elected or over is empty: BAD_ARGUMENT");
        const zkh_deposed_fn deposed = callbacks.deposed ? &started::deposed : nullptr;
        auto *state = new started{std::move(callbacks)};
        detail::call(zkh_elector_start, handle(), &started::elected, deposed, &started::over,
                     static_cast<void *>(state), &detail::destroy<started>);
    }

    /// The same as run(), without a thread that waits: a term lasts until running_term::end().
    void run_async(task_callbacks callbacks) const
    {
        if (!callbacks.begin || !callbacks.stop || !callbacks.over)
            throw error(errc::bad_argument, "the callback begin, stop or over is empty: BAD_ARGUMENT");
        auto *state = new tasks{std::move(callbacks)};
        detail::call(zkh_elector_run_async, handle(), &tasks::begin, &tasks::stop, &tasks::over,
                     static_cast<void *>(state), &detail::destroy<tasks>);
    }

    /// Ends the election for this elector with errc::interrupted: a candidacy at once, a term once its task has ended,
    /// which is told to stop. If there is neither, it is remembered and ends the next candidacy at its beginning.
    void interrupt() const { detail::call(zkh_elector_interrupt, handle()); }

    /// Gives the lead up: the task is told to stop, and once it has ended somebody else's turn comes; the elector stands
    /// again behind them. Throws errc::not_held where it does not lead.
    void resign() const { detail::call(zkh_elector_resign, handle()); }

    /// Ends the election for this elector with errc::closed, now and in future. It does not wait for that.
    void close() const { detail::call(zkh_elector_close, handle()); }

    /// Sets the callback for tasks that outlive their grace after the lead was lost, in place of the one before; an empty
    /// one sets none. Two leaders' tasks may overlap from that moment.
    void on_overdue(std::function<void(std::int64_t token)> overdue) const
    {
        if (!overdue)
            return detail::call(zkh_elector_on_overdue, handle(), zkh_overdue_fn{}, static_cast<void *>(nullptr),
                                zkh_destroy_fn{});
        auto *listener = new overdues{std::move(overdue)};
        detail::call(zkh_elector_on_overdue, handle(), &overdues::tell, static_cast<void *>(listener),
                     &detail::destroy<overdues>);
    }

    /// Whether this elector leads for certain, at this moment.
    [[nodiscard]] bool is_leading() const noexcept { return zkh_elector_is_leading(handle()); }

    /// The fencing token of the present term; 0 where it does not lead for certain.
    [[nodiscard]] std::int64_t token() const noexcept { return zkh_elector_token(handle()); }

    /// How long from now it is certain to lead, if nothing renews it further; zero where it does not lead.
    [[nodiscard]] std::chrono::milliseconds valid_for() const noexcept
    {
        return std::chrono::milliseconds(zkh_elector_valid_ms(handle()));
    }

    /// Who leads, as its record says and its candidate's node confirms; nothing where nobody ever led.
    [[nodiscard]] std::optional<leader> current() const
    {
        zkh_leader *found = nullptr;
        detail::failure failed;
        const zkh_status status = zkh_elector_leader(handle(), &found, failed.out());
        const std::unique_ptr<zkh_leader, free_leader> owned(found);
        failed.check(status);
        return as_leader::from(owned.get());
    }
    /// The same. It cannot be cancelled.
    operation current_async(callback<std::optional<leader>> done) const
    {
        return detail::start<as_leader>(std::move(done), zkh_elector_leader_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::optional<leader>> current_future() const
    {
        return detail::promised<as_leader>(nullptr, zkh_elector_leader_async, handle());
    }

    /// Lists who leads and who stands for it, in the order of service. It costs one request for each of them.
    [[nodiscard]] std::vector<contender> candidates() const
    {
        zkh_contenders *all = nullptr;
        detail::failure failed;
        const zkh_status status = zkh_elector_candidates(handle(), &all, failed.out());
        const std::unique_ptr<zkh_contenders, detail::free_contenders> owned(all);
        failed.check(status);
        return detail::as_contenders::from(owned.get());
    }
    /// The same. It cannot be cancelled.
    void candidates_async(callback<std::vector<contender>> done) const
    {
        detail::start_uncancellable<detail::as_contenders>(std::move(done), zkh_elector_candidates_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<contender>> candidates_future() const
    {
        return detail::promised_uncancellable<detail::as_contenders>(zkh_elector_candidates_async, handle());
    }

    /// Sets the callback for who leads, in place of the one before; an empty one sets none. It is called for the present
    /// leader first and for every change after that. An error that does not pass is told and ends it.
    void on_leader(callback<std::optional<leader>> changed) const
    {
        if (!changed)
            return detail::call(zkh_elector_on_leader, handle(), zkh_leader_fn{}, static_cast<void *>(nullptr),
                                zkh_destroy_fn{});
        using listener = detail::pending<as_leader>;
        auto *state = new listener{std::move(changed)};
        detail::call(zkh_elector_on_leader, handle(), &listener::complete, static_cast<void *>(state),
                     &detail::destroy<listener>);
    }

private:
    struct free_leader {
        void operator()(zkh_leader *found) const noexcept { zkh_leader_free(found); }
    };

    struct as_leader {
        using type = std::optional<leader>;
        using raw = const zkh_leader *;

        static type from(raw found)
        {
            if (found == nullptr)
                return std::nullopt;
            std::size_t length = 0;
            const char *record = zkh_leader_data(found, &length);
            return leader{zkh_leader_token(found), static_cast<zkh::standing>(zkh_leader_standing(found)),
                          std::chrono::system_clock::time_point(
                              std::chrono::milliseconds(zkh_leader_since_ms(found))),
                          record == nullptr ? std::string() : std::string(record, length)};
        }
    };

    /// One call of run(), on the stack of its thread.
    class running {
    public:
        explicit running(const std::function<void(term &)> &task) : task_(task) {}

        static std::int32_t run(void *self, std::int64_t token) noexcept
        {
            return static_cast<running *>(self)->serve(token);
        }

        static void stop(void *self, std::int64_t token, std::int32_t reason) noexcept
        {
            auto *all = static_cast<running *>(self);
            detail::contain("stop", [&] {
                const std::lock_guard<std::mutex> held(all->lock_);
                if (all->now_ != nullptr && all->now_->token() == token)
                    all->now_->stop(static_cast<stop_reason>(reason));
                else
                    all->early_ = {token, static_cast<stop_reason>(reason)};
            });
        }

        static bool interrupted(void *self) noexcept { return static_cast<running *>(self)->leave_; }

    private:
        std::int32_t serve(std::int64_t token) noexcept
        {
            std::int32_t ended = ZKH_TASK_FAILED;
            detail::contain("the task of a leader", [&] {
                term now(token);
                present(&now);
                // Whatever the task does, stop() must not find a term that is gone.
                struct end {
                    running *all;
                    ~end() { all->present(nullptr); }
                } const at_the_end{this};
                task_(now);
                leave_ = now.leave_;
                ended = ZKH_TASK_DONE;
            });
            return ended;
        }

        void present(term *now)
        {
            const std::lock_guard<std::mutex> held(lock_);
            now_ = now;
            // It may be told to stop before it has begun.
            if (now != nullptr && early_ && early_->first == now->token())
                now->stop(early_->second);
            early_.reset();
        }

        const std::function<void(term &)> &task_;
        std::mutex lock_;
        term *now_ = nullptr;
        std::optional<std::pair<std::int64_t, stop_reason>> early_;
        bool leave_ = false;
    };

    struct started {
        election_callbacks callbacks;

        static void elected(void *self, std::int64_t token, std::int64_t valid_ms) noexcept
        {
            detail::contain("elected", [&] {
                static_cast<started *>(self)->callbacks.elected(token, std::chrono::milliseconds(valid_ms));
            });
        }

        static void deposed(void *self, std::int64_t token, std::int32_t reason) noexcept
        {
            detail::contain("deposed", [&] {
                static_cast<started *>(self)->callbacks.deposed(token, static_cast<stop_reason>(reason));
            });
        }

        static void over(void *self, zkh_status status, std::int64_t, const zkh_error *why) noexcept
        {
            detail::contain("over", [&] { static_cast<started *>(self)->callbacks.over(error(status, why)); });
        }
    };

    struct tasks {
        task_callbacks callbacks;

        static void begin(void *self, zkh_term term, std::int64_t token, std::int64_t valid_ms) noexcept
        {
            detail::contain("begin", [&] {
                // Whatever happens, the term is ended.
                running_term owned(term, token);
                static_cast<tasks *>(self)->callbacks.begin(std::move(owned), std::chrono::milliseconds(valid_ms));
            });
        }

        static void stop(void *self, std::int64_t token, std::int32_t reason) noexcept
        {
            detail::contain("stop", [&] {
                static_cast<tasks *>(self)->callbacks.stop(token, static_cast<stop_reason>(reason));
            });
        }

        static void over(void *self, zkh_status status, std::int64_t, const zkh_error *why) noexcept
        {
            detail::contain("over", [&] { static_cast<tasks *>(self)->callbacks.over(error(status, why)); });
        }
    };

    struct overdues {
        std::function<void(std::int64_t)> overdue;

        static void tell(void *self, std::int64_t token) noexcept
        {
            detail::contain("overdue", [&] { static_cast<overdues *>(self)->overdue(token); });
        }
    };
};

} // namespace zkh

#endif
