/// @file
/// What callbacks are shown: a value or an error, and what becomes of exceptions that leave a callback.
#ifndef ZKHELPER_OUTCOME_HPP
#define ZKHELPER_OUTCOME_HPP

#include <zkhelper/error.hpp>
#include <zkhelper/handle.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace zkh {

/// How an asynchronous call ended: with a value, or with an error.
template <class T> class [[nodiscard]] outcome {
public:
    /// It succeeded.
    outcome(T value) : is_(std::in_place_index<0>, std::move(value)) {}
    /// It failed.
    outcome(error failed) : is_(std::in_place_index<1>, std::move(failed)) {}

    /// Whether it succeeded.
    explicit operator bool() const noexcept { return is_.index() == 0; }

    /// The error; null where it succeeded.
    [[nodiscard]] const error *failure() const noexcept { return std::get_if<1>(&is_); }

    /// The value. Throws the error where there is none.
    T &value() &
    {
        throw_failure();
        return std::get<0>(is_);
    }

    /// The value, moved out. Throws the error where there is none.
    T value() &&
    {
        throw_failure();
        return std::get<0>(std::move(is_));
    }

private:
    void throw_failure() const
    {
        if (const error *failed = failure())
            throw *failed;
    }

    std::variant<T, error> is_;
};

/// How an asynchronous call ended that has no value.
template <> class [[nodiscard]] outcome<void> {
public:
    /// It succeeded.
    outcome() = default;
    /// It failed.
    outcome(error failed) : failed_(std::move(failed)) {}

    /// Whether it succeeded.
    explicit operator bool() const noexcept { return !failed_; }

    /// The error; null where it succeeded.
    [[nodiscard]] const error *failure() const noexcept { return failed_ ? &*failed_ : nullptr; }

    /// Throws the error where it failed.
    void value() const
    {
        if (failed_)
            throw *failed_;
    }

private:
    std::optional<error> failed_;
};

/// Takes the outcome of an asynchronous call, once, on a thread of the library, or on the one that made the call if that
/// lingers (set_thread_linger()). Inside it everything that waits is
/// refused with errc::would_deadlock; asynchronous calls are allowed, and so is destroying objects, its own among
/// them. An exception that leaves it is caught and reported (on_exception()).
template <class T> using callback = std::function<void(outcome<T>)>;

/// Takes exceptions that left a callback; `where` says which kind of callback.
using exception_handler = std::function<void(std::exception_ptr, const char *where)>;

namespace detail {

struct exceptions {
    std::mutex lock;
    std::shared_ptr<exception_handler> handler;
};

/// Never destroyed: callbacks may run until the very end of the process.
ZKHELPER_SHARED inline exceptions &the_exceptions()
{
    static auto *all = new exceptions;
    return *all;
}

inline void print_exception(const char *where) noexcept
{
    try {
        throw;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "zkhelper: an exception left a callback (%s): %s\n", where, e.what());
    } catch (...) {
        std::fprintf(stderr, "zkhelper: an exception left a callback (%s)\n", where);
    }
}

inline void report_exception(const char *where) noexcept
{
    try {
        std::shared_ptr<exception_handler> handler;
        {
            const std::lock_guard<std::mutex> held(the_exceptions().lock);
            handler = the_exceptions().handler;
        }
        if (handler != nullptr && *handler)
            (*handler)(std::current_exception(), where);
        else
            print_exception(where);
    } catch (...) {
        print_exception("the handler of exceptions");
    }
}

/// Runs what a user gave: no exception crosses the C ABI.
template <class Body> void contain(const char *where, Body &&body) noexcept
{
    try {
        body();
    } catch (...) {
        report_exception(where);
    }
}

/// Destroys the state of a callback.
template <class State> void destroy(void *state) noexcept
{
    delete static_cast<State *>(state);
}

} // namespace detail

/// Sets who takes the exceptions that leave callbacks, in place of the one before. An empty one is the default: a line
/// on standard error. It is called on the thread of the callback. Any thread.
inline void on_exception(exception_handler handler)
{
    auto shared = std::make_shared<exception_handler>(std::move(handler));
    const std::lock_guard<std::mutex> held(detail::the_exceptions().lock);
    detail::the_exceptions().handler.swap(shared);
}

/// Lets the asynchronous calls that this thread makes from now on linger: each waits for its own completion, for at most so
/// long, and its callback, or its future, then comes in this thread, before the call returns; unless others of the client are
/// due before it. Zero, as in every thread at first, does not wait. Hold no lock around a call that lingers which a callback of
/// the client takes. Any thread, not in callbacks.
inline void set_thread_linger(timeout time) { detail::call(zkh_thread_set_linger, time.ms()); }

/// An asynchronous call under way. It owns nothing: dropping it changes nothing.
class operation {
public:
    /// None.
    operation() = default;
    /// This one.
    explicit operation(zkh_op op) noexcept : op_(op) {}

    /// Asks it to end early; it completes all the same, with errc::cancelled where the cancel came first. A cancelled
    /// lock leaves no node. Answers whether it was still under way. Any thread, also in callbacks.
    bool cancel() const noexcept { return zkh_op_cancel(op_, nullptr) == ZKH_OK; }

    /// What the C functions take.
    [[nodiscard]] zkh_op handle() const noexcept { return op_; }

private:
    zkh_op op_{};
};

namespace detail {

/// How the answer of a call that has none becomes `void`.
struct as_nothing {
    using type = void;
    using raw = std::int64_t;
    static void from(raw) {}
};

/// How a number is read.
struct as_number {
    using type = std::int64_t;
    using raw = std::int64_t;
    static type from(raw value) { return value; }
};

/// `As` says what an answer becomes: `raw` is what the C ABI shows, `type` what the user sees.
template <class As> outcome<typename As::type> answer(zkh_status status, typename As::raw raw, const zkh_error *failed)
{
    if (status != ZKH_OK)
        return error(status, failed);
    if constexpr (std::is_void_v<typename As::type>)
        return {};
    else
        return As::from(raw);
}

template <class As> struct pending {
    callback<typename As::type> done;

    static void complete(void *state, zkh_status status, typename As::raw raw, const zkh_error *failed) noexcept
    {
        contain("a completion", [&] { static_cast<pending *>(state)->done(answer<As>(status, raw, failed)); });
    }
};

/// Begins an asynchronous call that can be cancelled: the function's parameters end with the callback, its state, the
/// state's destruction, the operation and the error.
template <class As, class Function, class... Arguments>
operation start(callback<typename As::type> done, Function function, Arguments... arguments)
{
    if (!done)
        throw error(errc::bad_argument, "the callback is empty: BAD_ARGUMENT");
    auto *state = new pending<As>{std::move(done)};
    zkh_op op{};
    call(function, arguments..., &pending<As>::complete, static_cast<void *>(state), &destroy<pending<As>>, &op);
    return operation(op);
}

/// The same for one that cannot be cancelled, and has no operation among its parameters.
template <class As, class Function, class... Arguments>
void start_uncancellable(callback<typename As::type> done, Function function, Arguments... arguments)
{
    if (!done)
        throw error(errc::bad_argument, "the callback is empty: BAD_ARGUMENT");
    auto *state = new pending<As>{std::move(done)};
    call(function, arguments..., &pending<As>::complete, static_cast<void *>(state), &destroy<pending<As>>);
}

/// A callback that fulfils this promise.
template <class T> callback<T> fulfil(std::shared_ptr<std::promise<T>> promise)
{
    return [promise = std::move(promise)](outcome<T> ended) {
        if (const error *failed = ended.failure())
            promise->set_exception(std::make_exception_ptr(*failed));
        else if constexpr (std::is_void_v<T>)
            promise->set_value();
        else
            promise->set_value(std::move(ended).value());
    };
}

/// The same as start(), by a future.
template <class As, class Function, class... Arguments>
std::future<typename As::type> promised(operation *op, Function function, Arguments... arguments)
{
    auto promise = std::make_shared<std::promise<typename As::type>>();
    auto future = promise->get_future();
    const operation started = start<As>(fulfil(std::move(promise)), function, arguments...);
    if (op != nullptr)
        *op = started;
    return future;
}

/// The same as start_uncancellable(), by a future.
template <class As, class Function, class... Arguments>
std::future<typename As::type> promised_uncancellable(Function function, Arguments... arguments)
{
    auto promise = std::make_shared<std::promise<typename As::type>>();
    auto future = promise->get_future();
    start_uncancellable<As>(fulfil(std::move(promise)), function, arguments...);
    return future;
}

} // namespace detail
} // namespace zkh

#endif
