/// @file
/// A lock on a queue of nodes.
#ifndef ZKHELPER_QUEUE_LOCK_HPP
#define ZKHELPER_QUEUE_LOCK_HPP

#include <zkhelper/client.hpp>

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>

namespace zkh {

/// How the nodes are made that a queue lock makes itself. A queue lock copies it.
class queue_lock_options : public detail::owner<zkh_queue_lock_options, zkh_queue_lock_options_free> {
public:
    /// The defaults.
    queue_lock_options() { detail::call(zkh_queue_lock_options_new, place()); }

    /// The access control list of the nodes, and of the parents that have to be made.
    queue_lock_options &access(const acl &list)
    {
        detail::call(zkh_queue_lock_options_set_acl, handle(), list.pointer());
        return *this;
    }

    /// What goes before the number in the nodes' names: the same for all who wait in a queue. Default "lock-".
    queue_lock_options &prefix(const std::string &text)
    {
        detail::call(zkh_queue_lock_options_set_prefix, handle(), detail::text(text));
        return *this;
    }

    /// Further keys of the JSON object in a node, as the text of a JSON object.
    queue_lock_options &contents_json(const std::string &json)
    {
        detail::call(zkh_queue_lock_options_set_contents_json, handle(), detail::text(json));
        return *this;
    }
};

/// The first place in a queue, which is left at the end of the block. The destructor waits until the node is gone, for
/// the session timeout at most, and in a callback not at all; it throws nothing.
class [[nodiscard]] queue_guard {
public:
    /// Holds none.
    queue_guard() = default;
    /// Takes over what the other holds.
    queue_guard(queue_guard &&other) noexcept
        : lock_(std::exchange(other.lock_, zkh_queue_lock{})), token_(std::exchange(other.token_, 0))
    {
    }
    /// Leaves the one before.
    queue_guard &operator=(queue_guard &&other) noexcept
    {
        queue_guard taken(std::move(other));
        std::swap(lock_, taken.lock_);
        std::swap(token_, taken.token_);
        return *this;
    }
    queue_guard(const queue_guard &) = delete;
    queue_guard &operator=(const queue_guard &) = delete;
    /// Leaves the queue.
    ~queue_guard()
    {
        if (lock_.id != 0 && zkh_queue_lock_unlock(lock_, nullptr) == ZKH_WOULD_DEADLOCK)
            zkh_queue_lock_unlock_async(lock_, ignore, nullptr, nullptr, nullptr);
    }

    /// The czxid of the node: greater than that of every earlier node with the same prefix. 0 where the guard holds none.
    [[nodiscard]] std::int64_t token() const noexcept { return token_; }

    /// Whether the node is there, as far as is known. There is no lease: who has to know how long a lock may be trusted
    /// takes a zkh::mutex.
    [[nodiscard]] bool is_held() const noexcept { return token_ != 0 && zkh_queue_lock_token(lock_) == token_; }

    /// Leaves the queue; the node is gone when this returns. Throws errc::lock_lost where it was gone before,
    /// errc::not_held where the guard holds none, errc::outcome_unknown where the server did not confirm: it then goes on by itself. In every case the guard holds
    /// none any more, but for errc::would_deadlock in a callback.
    void unlock()
    {
        detail::failure failed;
        const zkh_status status = zkh_queue_lock_unlock(mine(), failed.out());
        if (status != ZKH_WOULD_DEADLOCK) {
            lock_ = {};
            token_ = 0;
        }
        failed.check(status);
    }

    /// The same, without waiting.
    void unlock_async(callback<void> done)
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_queue_lock_unlock_async, mine());
        lock_ = {};
        token_ = 0;
    }

    /// The same, without waiting.
    [[nodiscard]] std::future<void> unlock_future()
    {
        auto future = detail::promised_uncancellable<detail::as_nothing>(zkh_queue_lock_unlock_async, mine());
        lock_ = {};
        token_ = 0;
        return future;
    }

private:
    friend class queue_lock;

    queue_guard(zkh_queue_lock lock, std::int64_t token) noexcept : lock_(lock), token_(token) {}

    /// The queue in which this guard has the first place.
    [[nodiscard]] zkh_queue_lock mine() const
    {
        if (lock_.id == 0)
            throw error(errc::not_held, "the guard has no place in a queue: NOT_HELD");
        return lock_;
    }

    static void ignore(void *, zkh_status, std::int64_t, const zkh_error *) noexcept {}

    zkh_queue_lock lock_{};
    std::int64_t token_ = 0;
};

/// A lock on a queue: of all its children, the one with the lowest name, compared as bytes, holds it. It is for queues
/// whose nodes have another purpose besides. Any number of threads may use one at once.
class queue_lock : public detail::owner<zkh_queue_lock, zkh_queue_lock_free> {
public:
    /// None.
    queue_lock() = default;

    /// A lock on `queue`, the parent of the nodes that wait. Nothing is sent.
    queue_lock(const client &of, const std::string &queue, const queue_lock_options &options = {})
    {
        const zkh_queue_lock_options with = options.handle();
        detail::call(zkh_queue_lock_new, of.handle(), detail::text(queue), &with, place());
    }

    /// Waits until a node that exists already, `name` below the queue, is the first. The node stays the caller's, also if
    /// this throws: delete it to let the next one in.
    void obtain(const std::string &name, timeout time = forever) const
    {
        detail::call(zkh_queue_lock_obtain, handle(), detail::text(name), time.ms());
    }
    /// The same.
    operation obtain_async(const std::string &name, timeout time, callback<void> done) const
    {
        return detail::start<detail::as_nothing>(std::move(done), zkh_queue_lock_obtain_async, handle(),
                                                 detail::text(name), time.ms());
    }
    /// The same.
    [[nodiscard]] std::future<void> obtain_future(const std::string &name, timeout time = forever,
                                                  operation *op = nullptr) const
    {
        return detail::promised<detail::as_nothing>(op, zkh_queue_lock_obtain_async, handle(), detail::text(name),
                                                    time.ms());
    }

    /// Makes a node at the end of the queue, ephemeral and numbered, and waits until it is the first. When it throws the
    /// node is gone. A second lock on one object queues behind the first.
    [[nodiscard]] queue_guard lock(timeout time = forever, const std::string &description = {}) const
    {
        detail::call(zkh_queue_lock_lock, handle(), time.ms(), detail::text(description));
        const std::int64_t token = zkh_queue_lock_token(handle());
        if (token == 0) {
            // Lost before we could look: this says so.
            detail::call(zkh_queue_lock_unlock, handle());
            throw error(errc::lock_lost, "lock " + path() + ": lost as soon as it was granted: LOCK_LOST");
        }
        return {handle(), token};
    }

    /// The same, without waiting. A guard that nobody takes leaves the queue.
    operation lock_async(timeout time, const std::string &description, callback<queue_guard> done) const
    {
        if (!done)
            throw error(errc::bad_argument, "the callback is empty: BAD_ARGUMENT");
        auto guarding = [done = std::move(done), of = handle()](outcome<std::int64_t> ended) {
            if (const error *failed = ended.failure())
                done(*failed);
            else
                done(queue_guard(of, ended.value()));
        };
        return detail::start<detail::as_number>(std::move(guarding), zkh_queue_lock_lock_async, handle(), time.ms(),
                                                detail::text(description));
    }

    /// The same, without waiting. A future that is dropped leaves the queue.
    [[nodiscard]] std::future<queue_guard> lock_future(timeout time = forever, const std::string &description = {},
                                                       operation *op = nullptr) const
    {
        auto promise = std::make_shared<std::promise<queue_guard>>();
        auto future = promise->get_future();
        const operation started = lock_async(time, description, detail::fulfil(std::move(promise)));
        if (op != nullptr)
            *op = started;
        return future;
    }

    /// Ends one wait on this object with errc::interrupted. If none is under way it is remembered, and ends the next
    /// one at its beginning.
    void interrupt() const { detail::call(zkh_queue_lock_interrupt, handle()); }

    /// The queue's path.
    [[nodiscard]] std::string path() const { return detail::written(zkh_queue_lock_path, handle()); }
};

} // namespace zkh

#endif
