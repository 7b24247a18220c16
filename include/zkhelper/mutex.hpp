/// @file
/// The lock, and the guard that holds it.
#ifndef ZKHELPER_MUTEX_HPP
#define ZKHELPER_MUTEX_HPP

#include <zkhelper/client.hpp>
#include <zkhelper/contenders.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <utility>

namespace zkh {

/// Why a lock was lost.
enum class loss : std::int32_t {
    lease_ran_out = ZKH_LOSS_LEASE_RAN_OUT, ///< Nothing proved in time that it was still held.
    session_over = ZKH_LOSS_SESSION_OVER,   ///< Its session was over.
    node_deleted = ZKH_LOSS_NODE_DELETED,   ///< Its node was deleted.
    client_closed = ZKH_LOSS_CLIENT_CLOSED, ///< The client was closed.
};

/// How a mutex behaves. A mutex copies it.
class mutex_options : public detail::owner<zkh_mutex_options, zkh_mutex_options_free> {
public:
    /// The defaults.
    mutex_options() { detail::call(zkh_mutex_options_new, place()); }

    /// Adds an entry to the access control list of the lock nodes, and of the parents that have to be made; the first one
    /// takes the place of the default, which lets anyone do everything. Whoever is to contend needs CREATE, DELETE and
    /// READ.
    mutex_options &add_acl(std::int32_t permissions, const std::string &scheme, const std::string &id)
    {
        detail::call(zkh_mutex_options_add_acl, handle(), permissions, detail::text(scheme), detail::text(id));
        return *this;
    }

    /// Further keys of the JSON object in the lock node, as the text of a JSON object.
    mutex_options &contents_json(const std::string &json)
    {
        detail::call(zkh_mutex_options_set_contents_json, handle(), detail::text(json));
        return *this;
    }

    /// What goes before the sequence number in the names of another library's lock nodes.
    mutex_options &add_extra_lock_pattern(const std::string &pattern)
    {
        detail::call(zkh_mutex_options_add_extra_lock_pattern, handle(), detail::text(pattern));
        return *this;
    }

    /// Strict mode: exclusion whatever the servers' clocks, stalls or partitions do. A holder believes no longer than
    /// `lease` after the last renewal that a quorum committed; a successor waits `delay` for a holder that did not
    /// leave cleanly. Every client of the path has to use the same delay.
    mutex_options &strict(std::chrono::milliseconds lease, std::chrono::milliseconds delay)
    {
        detail::call(zkh_mutex_options_set_strict, handle(), static_cast<std::int64_t>(lease.count()),
                     static_cast<std::int64_t>(delay.count()));
        return *this;
    }

    /// Makes the lock persistent: its node stays when its owner's session ends, and keeps everybody else out until the
    /// owner releases it, or mutex::release_dead() does. The owner believes no longer than `lease` after the last renewal
    /// that a quorum committed. A lock is either strict or persistent.
    mutex_options &persistent(std::chrono::milliseconds lease)
    {
        detail::call(zkh_mutex_options_set_persistent, handle(), static_cast<std::int64_t>(lease.count()));
        return *this;
    }
};

/// A lock that is held, and is released at the end of the block.
///
/// It is no `std::lock_guard`, because the lock may be lost while it is held: ask it before each step that relies on the
/// lock, and give `token()` to whatever the lock protects, so that it can refuse whoever comes too late.
///
/// The destructor waits until the node is gone, for the session timeout at most; the release goes on in the background
/// then. In a callback it does not wait at all. It throws nothing; unlock() tells how it went.
class [[nodiscard]] lock_guard {
public:
    /// Holds none.
    lock_guard() = default;
    /// Takes over what the other holds.
    lock_guard(lock_guard &&other) noexcept
        : mutex_(std::exchange(other.mutex_, zkh_mutex{})), token_(std::exchange(other.token_, 0))
    {
    }
    /// Releases the one before.
    lock_guard &operator=(lock_guard &&other) noexcept
    {
        lock_guard taken(std::move(other));
        std::swap(mutex_, taken.mutex_);
        std::swap(token_, taken.token_);
        return *this;
    }
    lock_guard(const lock_guard &) = delete;
    lock_guard &operator=(const lock_guard &) = delete;
    /// Releases the lock.
    ~lock_guard()
    {
        if (mutex_.id != 0 && zkh_mutex_unlock(mutex_, nullptr) == ZKH_WOULD_DEADLOCK)
            zkh_mutex_unlock_async(mutex_, ignore, nullptr, nullptr, nullptr);
    }

    /// The fencing token: greater than that of every earlier holder of the path. It stays the same when the lock is
    /// lost, so that late writes carry it and can be refused. 0 where the guard holds none.
    [[nodiscard]] std::int64_t token() const noexcept { return token_; }

    /// Whether the lock is held for certain, at this moment.
    [[nodiscard]] bool is_held() const noexcept { return token_ != 0 && zkh_mutex_token(mutex_) == token_; }

    /// Whether the lock was granted and is no longer held for certain.
    [[nodiscard]] bool lost() const noexcept { return token_ != 0 && !is_held(); }

    /// How long from now the lock is certain to be held, if nothing renews it further; zero once it is lost. -1 ms where
    /// that cannot be known: over a lent connection without transactions.
    [[nodiscard]] std::chrono::milliseconds valid_for() const noexcept
    {
        return std::chrono::milliseconds(is_held() ? zkh_mutex_valid_ms(mutex_) : 0);
    }

    /// Throws errc::lock_lost unless the lock is certain to be held for this long.
    void check(std::chrono::milliseconds at_least = {}) const
    {
        if (!is_held() || (at_least > std::chrono::milliseconds::zero() && valid_for() < at_least))
            throw error(errc::lock_lost, "the lock with token " + std::to_string(token_)
                                             + " is not certain to be held for " + std::to_string(at_least.count())
                                             + " ms: LOCK_LOST");
    }

    /// Commits a transaction only while the lock is held: all of its operations or none. Throws errc::lock_lost where it
    /// was lost, errc::not_held where the guard holds none, and the error of the operation that failed; nothing was
    /// changed then.
    std::vector<part> guarded(const multi &all) const
    {
        return detail::wait<detail::as_parts>(zkh_mutex_guarded, mine(), all.handle());
    }
    /// The same. It cannot be cancelled.
    void guarded_async(const multi &all, callback<std::vector<part>> done) const
    {
        detail::start_uncancellable<detail::as_parts>(std::move(done), zkh_mutex_guarded_async, mine(), all.handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<part>> guarded_future(const multi &all) const
    {
        return detail::promised_uncancellable<detail::as_parts>(zkh_mutex_guarded_async, mine(), all.handle());
    }

    /// Releases the lock; its node is gone when this returns. Throws errc::lock_lost where the lock was lost meanwhile,
    /// errc::not_held where the guard holds none, errc::outcome_unknown where the server did not confirm: the release
    /// then goes on by itself. In every case the guard holds none any more, but for errc::would_deadlock in a callback.
    void unlock()
    {
        detail::failure failed;
        const zkh_status status = zkh_mutex_unlock(mine(), failed.out());
        if (status != ZKH_WOULD_DEADLOCK) {
            mutex_ = {};
            token_ = 0;
        }
        failed.check(status);
    }

    /// The same, without waiting.
    void unlock_async(callback<void> done)
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_mutex_unlock_async, mine());
        mutex_ = {};
        token_ = 0;
    }

    /// The same, without waiting.
    [[nodiscard]] std::future<void> unlock_future()
    {
        auto future = detail::promised_uncancellable<detail::as_nothing>(zkh_mutex_unlock_async, mine());
        mutex_ = {};
        token_ = 0;
        return future;
    }

private:
    friend class mutex;

    lock_guard(zkh_mutex mutex, std::int64_t token) noexcept : mutex_(mutex), token_(token) {}

    /// The mutex of the lock that this guard holds.
    [[nodiscard]] zkh_mutex mine() const
    {
        if (mutex_.id == 0)
            throw error(errc::not_held, "the guard holds no lock: NOT_HELD");
        return mutex_;
    }

    static void ignore(void *, zkh_status, std::int64_t, const zkh_error *) noexcept {}

    zkh_mutex mutex_{};
    std::int64_t token_ = 0;
};

/// A distributed lock on one path. Whoever locks the same path, from any language and any machine, is excluded, other
/// objects of this process too. Any number of threads may use one at once: a second lock on one object queues behind the
/// first.
///
/// It is no `std::mutex`: it has no unlock(), and lock() answers with the guard that holds the lock.
class mutex : public detail::owner<zkh_mutex, zkh_mutex_free> {
public:
    /// None.
    mutex() = default;

    /// A lock on `path`, not yet taken. Nothing is sent.
    mutex(const client &of, const std::string &path, const mutex_options &options = {})
    {
        const zkh_mutex_options with = options.handle();
        detail::call(zkh_mutex_new, of.handle(), detail::text(path), &with, place());
    }

    /// Takes the lock. `description` is for whoever looks at the lock node. Throws errc::timeout, errc::interrupted,
    /// errc::closed and what the server says; no lock node stays behind then.
    [[nodiscard]] lock_guard lock(timeout time = forever, const std::string &description = {}) const
    {
        detail::call(zkh_mutex_lock, handle(), time.ms(), detail::text(description));
        const std::int64_t token = zkh_mutex_token(handle());
        if (token == 0) {
            // Lost before we could look: this says so, and why.
            detail::call(zkh_mutex_unlock, handle());
            throw error(errc::lock_lost, "lock " + path() + ": lost as soon as it was granted: LOCK_LOST");
        }
        return {handle(), token};
    }

    /// The same, without waiting. A guard that nobody takes releases the lock.
    operation lock_async(timeout time, const std::string &description, callback<lock_guard> done) const
    {
        return detail::start<detail::as_number>(guarding(std::move(done)), zkh_mutex_lock_async, handle(), time.ms(),
                                                detail::text(description));
    }

    /// The same, without waiting. A future that is dropped releases the lock.
    [[nodiscard]] std::future<lock_guard> lock_future(timeout time = forever, const std::string &description = {},
                                                      operation *op = nullptr) const
    {
        auto promise = std::make_shared<std::promise<lock_guard>>();
        auto future = promise->get_future();
        const operation started = lock_async(time, description, detail::fulfil(std::move(promise)));
        if (op != nullptr)
            *op = started;
        return future;
    }

    /// Takes the lock only if nobody holds it or waits for it.
    [[nodiscard]] std::optional<lock_guard> try_lock(const std::string &description = {}) const
    {
        try {
            return lock(std::chrono::milliseconds(0), description);
        } catch (const error &e) {
            if (e.code() == errc::timeout)
                return std::nullopt;
            throw;
        }
    }

    /// Ends one wait for the lock on this object with errc::interrupted. If nobody waits, it is remembered and ends the
    /// next wait at its beginning. A lock that is held stays so.
    void interrupt() const { detail::call(zkh_mutex_interrupt, handle()); }

    /// Lets the numbers of an idle lock begin at 0 again: the remedy for errc::sequence_exhausted.
    void reset() const { detail::call(zkh_mutex_reset, handle()); }
    /// The same.
    void reset_async(callback<void> done) const
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_mutex_reset_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<void> reset_future() const
    {
        return detail::promised_uncancellable<detail::as_nothing>(zkh_mutex_reset_async, handle());
    }

    /// Lists who holds the lock and who waits for it, in the order of service. It costs one request for each of them.
    [[nodiscard]] std::vector<contender> contenders() const
    {
        zkh_contenders *all = nullptr;
        detail::failure failed;
        const zkh_status status = zkh_mutex_contenders(handle(), &all, failed.out());
        const std::unique_ptr<zkh_contenders, detail::free_contenders> owned(all);
        failed.check(status);
        return detail::as_contenders::from(owned.get());
    }
    /// The same. It cannot be cancelled.
    void contenders_async(callback<std::vector<contender>> done) const
    {
        detail::start_uncancellable<detail::as_contenders>(std::move(done), zkh_mutex_contenders_async, handle());
    }
    /// The same.
    [[nodiscard]] std::future<std::vector<contender>> contenders_future() const
    {
        return detail::promised_uncancellable<detail::as_contenders>(zkh_mutex_contenders_async, handle());
    }

    /// Releases the persistent lock node of this name if its owner is gone, after it has waited for as long as the owner
    /// may still believe. Throws errc::node_exists while the owner lives.
    void release_dead(const std::string &name) const
    {
        detail::call(zkh_mutex_release_dead, handle(), detail::text(name));
    }
    /// The same.
    operation release_dead_async(const std::string &name, callback<void> done) const
    {
        return detail::start<detail::as_nothing>(std::move(done), zkh_mutex_release_dead_async, handle(),
                                                 detail::text(name));
    }
    /// The same.
    [[nodiscard]] std::future<void> release_dead_future(const std::string &name, operation *op = nullptr) const
    {
        return detail::promised<detail::as_nothing>(op, zkh_mutex_release_dead_async, handle(), detail::text(name));
    }

    /// Releases the persistent lock node of this name, whether its owner lives or not: for a human who knows that nobody
    /// relies on it any more. `token` says which one is meant, as contender::token shows it.
    void release_by_force(const std::string &name, std::int64_t token) const
    {
        detail::call(zkh_mutex_release_by_force, handle(), detail::text(name), token);
    }
    /// The same. It cannot be cancelled.
    void release_by_force_async(const std::string &name, std::int64_t token, callback<void> done) const
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_mutex_release_by_force_async, handle(),
                                                        detail::text(name), token);
    }
    /// The same.
    [[nodiscard]] std::future<void> release_by_force_future(const std::string &name, std::int64_t token) const
    {
        return detail::promised_uncancellable<detail::as_nothing>(zkh_mutex_release_by_force_async, handle(),
                                                                  detail::text(name), token);
    }

    /// Asks the contender with the node of this name to give the lock up. It is told the reason (on_revoke()), and
    /// decides; nothing is forced.
    void request_revocation(const std::string &name, const std::string &reason = {}) const
    {
        detail::call(zkh_mutex_request_revocation, handle(), detail::text(name), detail::text(reason));
    }
    /// The same. It cannot be cancelled.
    void request_revocation_async(const std::string &name, const std::string &reason, callback<void> done) const
    {
        detail::start_uncancellable<detail::as_nothing>(std::move(done), zkh_mutex_request_revocation_async, handle(),
                                                        detail::text(name), detail::text(reason));
    }
    /// The same.
    [[nodiscard]] std::future<void> request_revocation_future(const std::string &name,
                                                              const std::string &reason = {}) const
    {
        return detail::promised_uncancellable<detail::as_nothing>(zkh_mutex_request_revocation_async, handle(),
                                                                  detail::text(name), detail::text(reason));
    }

    /// Sets the callback for requests to give the lock up, in place of the one before; an empty one sets none.
    void on_revoke(std::function<void(std::int64_t token, const std::string &reason)> asked) const
    {
        if (!asked)
            return detail::call(zkh_mutex_on_revoke, handle(), zkh_revoke_fn{}, static_cast<void *>(nullptr),
                                zkh_destroy_fn{});
        auto *listener = new requests{std::move(asked)};
        detail::call(zkh_mutex_on_revoke, handle(), &requests::tell, static_cast<void *>(listener),
                     &detail::destroy<requests>);
    }

    /// Sets the callback for losses, in place of the one before; an empty one sets none. It is called once for each
    /// guard whose lock is lost, by the time that lock_guard::valid_for() gave at the latest, also while the server is
    /// frozen or cut off.
    void on_lost(std::function<void(std::int64_t token, loss reason)> lost) const
    {
        if (!lost)
            return detail::call(zkh_mutex_on_lost, handle(), zkh_lost_fn{}, static_cast<void *>(nullptr),
                                zkh_destroy_fn{});
        auto *listener = new losses{std::move(lost)};
        detail::call(zkh_mutex_on_lost, handle(), &losses::tell, static_cast<void *>(listener),
                     &detail::destroy<losses>);
    }

    /// Whether a guard of this object holds the lock for certain, at this moment.
    [[nodiscard]] bool is_held() const noexcept { return zkh_mutex_is_held(handle()); }

    /// The lock's path.
    [[nodiscard]] std::string path() const { return detail::written(zkh_mutex_path, handle()); }

private:
    struct losses {
        std::function<void(std::int64_t, loss)> lost;

        static void tell(void *self, std::int64_t token, std::int32_t reason) noexcept
        {
            detail::contain("a loss",
                            [&] { static_cast<losses *>(self)->lost(token, static_cast<loss>(reason)); });
        }
    };

    struct requests {
        std::function<void(std::int64_t, const std::string &)> asked;

        static void tell(void *self, std::int64_t token, const char *reason) noexcept
        {
            detail::contain("a request to give a lock up",
                            [&] { static_cast<requests *>(self)->asked(token, reason); });
        }
    };

    /// The token as a guard.
    callback<std::int64_t> guarding(callback<lock_guard> done) const
    {
        if (!done)
            throw error(errc::bad_argument, "the callback is empty: BAD_ARGUMENT");
        return [done = std::move(done), of = handle()](outcome<std::int64_t> ended) {
            if (const error *failed = ended.failure())
                done(*failed);
            else
                done(lock_guard(of, ended.value()));
        };
    }
};

} // namespace zkh

#endif
