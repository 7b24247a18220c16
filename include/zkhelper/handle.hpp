/// @file
/// What owns a handle of the C ABI, and how long to wait.
#ifndef ZKHELPER_HANDLE_HPP
#define ZKHELPER_HANDLE_HPP

#include <zkhelper/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace zkh {

/// How long to wait: any duration, rounded up to milliseconds, or zkh::forever. A negative one has passed
/// already, and counts as zero, so that `deadline - now` never waits for ever.
class timeout {
public:
    /// This long.
    template <class Rep, class Period>
    timeout(const std::chrono::duration<Rep, Period> &duration) noexcept : ms_(clamp(duration))
    {
    }

    /// For ever.
    static constexpr timeout never() noexcept { return timeout(-1); }

    /// In milliseconds; -1 is for ever.
    [[nodiscard]] constexpr std::int64_t ms() const noexcept { return ms_; }

private:
    explicit constexpr timeout(std::int64_t ms) noexcept : ms_(ms) {}

    template <class Rep, class Period>
    static std::int64_t clamp(const std::chrono::duration<Rep, Period> &duration) noexcept
    {
        const double ms = std::chrono::duration<double, std::milli>(duration).count();
        if (!(ms > 0))
            return 0;
        // Longer than any program runs; also what does not fit.
        if (ms >= 1e15)
            return -1;
        return static_cast<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
    }

    std::int64_t ms_;
};

/// Waits without end.
inline constexpr timeout forever = timeout::never();

namespace detail {

/// Owns a handle: it can be moved, and is freed once. A null handle is left alone.
template <class Handle, zkh_status (*Free)(Handle)> class owner {
public:
    /// None.
    owner() = default;
    /// Takes this handle over.
    explicit owner(Handle handle) noexcept : handle_(handle) {}
    /// Takes another's handle over; it has none afterwards, and is answered with errc::bad_handle.
    owner(owner &&other) noexcept : handle_(other.release()) {}
    /// The same, and frees the one before.
    owner &operator=(owner &&other) noexcept
    {
        owner taken(std::move(other));
        std::swap(handle_, taken.handle_);
        return *this;
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    /// Frees the handle.
    ~owner() { Free(handle_); }

    /// The handle, for functions of the C ABI. It stays this object's.
    [[nodiscard]] Handle handle() const noexcept { return handle_; }
    /// Whether there is a handle.
    explicit operator bool() const noexcept { return handle_.id != 0; }
    /// Gives the handle away; whoever takes it frees it.
    [[nodiscard]] Handle release() noexcept { return std::exchange(handle_, Handle{}); }

protected:
    /// Null for a null handle, as the C ABI wants options that are not there.
    [[nodiscard]] const Handle *pointer() const noexcept { return handle_.id == 0 ? nullptr : &handle_; }

    /// Where a function of the C ABI leaves a new handle.
    [[nodiscard]] Handle *place() noexcept { return &handle_; }

private:
    Handle handle_{};
};

/// A text that a function writes into a buffer, such as an address.
template <class Handle> std::string written(std::size_t (*write)(Handle, char *, std::size_t), Handle handle)
{
    std::string text(128, '\0');
    std::size_t length = write(handle, text.data(), text.size());
    if (length >= text.size()) {
        text.resize(length + 1);
        length = write(handle, text.data(), text.size());
    }
    text.resize(length);
    return text;
}

} // namespace detail
} // namespace zkh

#endif
