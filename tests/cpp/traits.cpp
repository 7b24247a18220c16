// What the compiler is to accept and to refuse. A second file that includes everything is linked to it.
#include <mutex>
#include <type_traits>
#include <zkhelper.hpp>

template <class T> constexpr bool move_only()
{
    return std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> && !std::is_copy_constructible_v<T>
           && !std::is_copy_assignable_v<T> && std::is_nothrow_destructible_v<T>;
}

static_assert(move_only<zkh::client>() && move_only<zkh::mutex>() && move_only<zkh::lock_guard>());
static_assert(move_only<zkh::elector>() && move_only<zkh::watch>() && move_only<zkh::server>());
static_assert(move_only<zkh::multi>() && move_only<zkh::acl>() && move_only<zkh::client_options>());
static_assert(move_only<zkh::queue_lock>() && move_only<zkh::queue_guard>() && move_only<zkh::pid_node>() && move_only<zkh::running_term>());
static_assert(move_only<zkh::mutex_options>() && move_only<zkh::elector_options>());

// An exception can be copied without throwing, as the language wants it.
static_assert(std::is_base_of_v<std::system_error, zkh::error> && std::is_nothrow_copy_constructible_v<zkh::error>);
static_assert(std::is_error_code_enum_v<zkh::errc>);

// It is no std::mutex: std::lock_guard would not see a loss.
template <class T, class = void> constexpr bool has_unlock = false;
template <class T> constexpr bool has_unlock<T, std::void_t<decltype(std::declval<T &>().unlock())>> = true;
static_assert(!has_unlock<zkh::mutex> && has_unlock<zkh::lock_guard>);
static_assert(!std::is_convertible_v<decltype(std::declval<zkh::mutex &>().lock()), void *>);

// Any duration is a timeout; a bare number is none.
static_assert(std::is_convertible_v<std::chrono::nanoseconds, zkh::timeout>);
static_assert(std::is_convertible_v<std::chrono::duration<double>, zkh::timeout>);
static_assert(!std::is_convertible_v<int, zkh::timeout> && !std::is_constructible_v<zkh::timeout, int>);

zkh_mutex second_file(zkh::error *, zkh::elector *);

int main()
{
    using namespace std::chrono_literals;
    const bool rounds = zkh::timeout(1ns).ms() == 1 && zkh::timeout(-5h).ms() == 0 && zkh::forever.ms() == -1
                        && zkh::timeout(std::chrono::duration<double>(0.0015)).ms() == 2
                        && zkh::timeout(std::chrono::hours::max()).ms() == -1
                        && zkh::timeout(std::chrono::nanoseconds::max()).ms() == 9223372036855
                        && zkh::timeout(std::chrono::nanoseconds::min()).ms() == 0
                        && zkh::timeout(std::chrono::duration<double>(0.0 / 0.0 * 1.0)).ms() == 0;
    return rounds && second_file(nullptr, nullptr).id == 0 && zkh::version_number() == ZKH_VERSION_NUMBER ? 0 : 1;
}
