// What the programs of this directory share: checks that say where they failed, and a place for what callbacks tell.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <zkhelper.hpp>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what); \
            std::fflush(nullptr); \
            std::_Exit(1); \
        } \
    } while (0)

// The call throws a zkh::error of this code, whose text has this in it.
#define THROWS(call, wanted, text) \
    do { \
        bool thrown = false; \
        try { \
            (void)(call); \
        } catch (const zkh::error &e) { \
            if (e.code() != (wanted) || std::string(e.what()).find(text) == std::string::npos) { \
                std::fprintf(stderr, "%s:%d: %s\n  threw %d: %s\n", __FILE__, __LINE__, #call, e.code().value(), e.what()); \
                std::_Exit(1); \
            } \
            thrown = true; \
        } \
        if (!thrown) { \
            std::fprintf(stderr, "%s:%d: %s: threw nothing\n", __FILE__, __LINE__, #call); \
            std::_Exit(1); \
        } \
    } while (0)

// What callbacks tell, in order; next() waits for it.
template <class T> class box {
public:
    void put(T value)
    {
        const std::lock_guard<std::mutex> held(lock_);
        all_.push_back(std::move(value));
        changed_.notify_all();
    }

    T next()
    {
        std::unique_lock<std::mutex> held(lock_);
        changed_.wait(held, [this] { return !all_.empty(); });
        T value = std::move(all_.front());
        all_.pop_front();
        return value;
    }

    bool empty()
    {
        const std::lock_guard<std::mutex> held(lock_);
        return all_.empty();
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<T> all_;
};

// Counts itself: what is captured in a callback is destroyed once, with the callback.
struct counted {
    explicit counted(int &living) : living_(&living) { ++*living_; }
    counted(const counted &other) : living_(other.living_) { ++*living_; }
    counted &operator=(const counted &) = delete;
    ~counted() { --*living_; }
    int *living_;
};

// A path that no other run uses.
inline std::string unique(const std::string &name, const zkh::client &client)
{
    return "/" + name + "-" + std::to_string(static_cast<unsigned long long>(client.session_id()));
}

#endif
