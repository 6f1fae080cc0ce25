/*
 * Berth for C++11 and later: handles that own, and handlers that are member functions. A header
 * only; the functions of berth.h remain the interface: a handle goes where they take a pointer.
 *
 *     struct echo {
 *         void new_connection(berth_server *server)
 *         {
 *             if (berth_socket *socket = berth_server_next_pending_connection(server))
 *                 berth::set_handlers(socket, *this);
 *         }
 *         void ready_read(berth_socket *socket) { berth::write(socket, berth::read_all(socket)); }
 *         void disconnected(berth_socket *socket) { berth_socket_free(socket); }
 *     };
 *
 *     echo object;
 *     berth::server server(nullptr, object);
 *     if (!server || !berth_server_listen(server, BERTH_ADDRESS_ANY, 7))
 *         std::puts(berth::error_of(server).text.c_str());
 *     berth_loop_run(nullptr);
 *
 * Handlers. Public members of an object that are named as the slots of berth_server_handlers or
 * berth_socket_handlers, with their parameters but `user`. A slot without a member stays NULL. A
 * member of such a name that cannot be called as the slot is does not compile, nor does an object
 * without any. The object is the user pointer: nothing is allocated for it, and it must live as
 * long as what calls it. A timer, a watch and a signal call a function object, for example a
 * lambda, that has a name: a temporary one does not compile. Workers are set as in C.
 *
 * Exceptions. Nothing here throws, but for want of memory for a std::string; neither they nor RTTI
 * are needed. One that leaves a handler ends the program (std::terminate): below are frames of C.
 *
 * Ownership. A handle frees what it has in its destructor or by `reset`, also inside a handler, and
 * does not go where C frees. Accepted sockets are the server's, and plain pointers. A loop frees
 * all that belongs to it, so its handle must live longer than those of its objects. An empty handle
 * is nullptr: in the place of a loop the thread's own, so test a loop before it is used.
 */
#ifndef BERTH_BERTH_HPP
#define BERTH_BERTH_HPP

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include <berth/berth.h>

namespace berth
{

/** Owns an object of the library; empty if that could not be made (errno says why). */
template <class Object, void (*Free)(Object *)> struct handle {
    explicit handle(Object *object = nullptr) noexcept : m_object(object)
    {
    }
    handle(handle &&other) noexcept : m_object(other.release())
    {
    }
    handle &operator=(handle &&other) noexcept
    {
        reset(other.release());
        return *this;
    }
    ~handle()
    {
        reset();
    }

    Object *get() const noexcept
    {
        return m_object;
    }
    operator Object *() const noexcept
    {
        return m_object;
    }

    /** Gives the object up without freeing it. */
    Object *release() noexcept
    {
        Object *object = m_object;
        m_object = nullptr;
        return object;
    }

    /** Frees what there is, and owns another one. */
    void reset(Object *object = nullptr) noexcept
    {
        Object *former = m_object;
        m_object = object;
        Free(former);
    }

  private:
    Object *m_object;
};

/* ---- handlers that are member functions ------------------------------------------------------ */

namespace detail
{

/* The slots of each table: X(table, result, name, parameters, arguments of the member). */
// clang-format off
#define BERTH_HPP_SERVER(X, T) \
    X(T, void, new_connection, (berth_server *s, void *u), (s)) \
    X(T, void, accept_error, (berth_server *s, berth_error e, void *u), (s, e)) \
    X(T, void, incoming_connection, (berth_server *s, int d, void *u), (s, d)) \
    X(T, bool, has_pending_connections, (berth_server *s, void *u), (s)) \
    X(T, berth_socket *, next_pending_connection, (berth_server *s, void *u), (s)) \
    X(T, void, emptied, (berth_server *s, bool forced, void *u), (s, forced)) \
    X(T, berth_tls *, client_hello, (berth_server *s, const berth_tls_hello *h, void *u), (s, h)) \
    X(T, void, handshake_failed, (berth_server *s, const berth_tls_failure *f, void *u), (s, f)) \
    X(T, void, pending_connection_available, (berth_server *s, void *u), (s))
#define BERTH_HPP_SOCKET(X, T) \
    X(T, void, ready_read, (berth_socket *s, void *u), (s)) \
    X(T, void, bytes_written, (berth_socket *s, std::size_t n, void *u), (s, n)) \
    X(T, void, connected, (berth_socket *s, void *u), (s)) \
    X(T, void, disconnected, (berth_socket *s, void *u), (s)) \
    X(T, void, error_occurred, (berth_socket *s, berth_error e, void *u), (s, e)) \
    X(T, void, state_changed, (berth_socket *s, berth_state t, void *u), (s, t)) \
    X(T, void, read_channel_finished, (berth_socket *s, void *u), (s)) \
    X(T, void, host_found, (berth_socket *s, void *u), (s)) \
    X(T, void, drained, (berth_socket *s, void *u), (s)) \
    X(T, void, draining, (berth_socket *s, void *u), (s)) \
    X(T, void, encrypted, (berth_socket *s, void *u), (s)) \
    X(T, bool, verify_peer, (berth_socket *s, const berth_tls_problem *p, void *u), (s, p))

/* `call<T>` calls the member of T, and is there if that can be called; `of` is its address, or NULL
 * if T has no such member. A class that also has an int of that name shows whether T has one that
 * cannot be called: the name is then ambiguous. Of a final class only what is public is seen. */
template <class T, class Other> struct both : T, Other { protected: ~both(); };
#define BERTH_HPP_SLOT(table, result, slot, parameters, arguments) \
    struct table##_##slot { \
        typedef decltype(table::slot) pointer; \
        struct other { int slot; }; \
        template <class T> static auto call parameters noexcept -> typename std::enable_if< \
            std::is_convertible<decltype(static_cast<T *>(u)->slot arguments), result>::value, \
            result>::type { return static_cast<T *>(u)->slot arguments; } \
        template <class T> static auto has(int) -> decltype(pointer(&call<T>), std::true_type()); \
        template <class T> static std::false_type has(...); \
        template <class T> static std::true_type is(decltype(&T::slot) *); \
        template <class T> static std::false_type is(...); \
        template <class T> static pointer of(std::true_type) noexcept { return &call<T>; } \
        template <class T> static pointer of(std::false_type) noexcept { \
            constexpr bool open = __is_class(T) && !__is_final(T); \
            typedef typename std::remove_const<T>::type self; \
            typedef typename std::conditional<open, both<self, other>, self>::type seen; \
            static_assert(decltype(is<seen>(nullptr))::value == open, "`" #slot "` is private, or " \
                          "does not take or return what the slot of " #table " does"); \
            return nullptr; \
        } \
    };
BERTH_HPP_SERVER(BERTH_HPP_SLOT, berth_server_handlers)
BERTH_HPP_SOCKET(BERTH_HPP_SLOT, berth_socket_handlers)

#define BERTH_HPP_HAS(table, result, name, p, a) decltype(table##_##name::has<T>(0))::value ||
#define BERTH_HPP_OF(table, result, name, p, a) \
    table##_##name::of<T>(decltype(table##_##name::has<T>(0))()),
#define BERTH_HPP_TABLE(slots, t, name) \
    template <class T> const t *name() noexcept { \
        static_assert(slots(BERTH_HPP_HAS, t) false, "no public member is named as a slot of " #t); \
        static const t all = {slots(BERTH_HPP_OF, t)}; \
        return &all; \
    }
BERTH_HPP_TABLE(BERTH_HPP_SERVER, berth_server_handlers, server_slots)
BERTH_HPP_TABLE(BERTH_HPP_SOCKET, berth_socket_handlers, socket_slots)
#undef BERTH_HPP_SERVER
#undef BERTH_HPP_SOCKET
#undef BERTH_HPP_SLOT
#undef BERTH_HPP_HAS
#undef BERTH_HPP_OF
#undef BERTH_HPP_TABLE
// clang-format on

/* An object with a name as the user pointer, and what calls a function object. */
template <class T> void *user_of(T &object) noexcept
{
    return const_cast<typename std::remove_const<T>::type *>(&object);
}
template <class F, class Object> void on_event(Object *, void *user) noexcept
{
    (*static_cast<F *>(user))();
}
template <class F> void on_watch(berth_watch *, unsigned events, void *user) noexcept
{
    (*static_cast<F *>(user))(events);
}
} // namespace detail

/* ---- the objects ----------------------------------------------------------------------------- */

/** An event loop. nullptr in its place means the thread's own, as in C. */
struct loop : handle<berth_loop, berth_loop_free> {
    explicit loop(const berth_loop_options *options = nullptr) : handle(berth_loop_new(options))
    {
    }
};

/** A server, and an object with its handlers. */
struct server : handle<berth_server, berth_server_free> {
    server() = default;
    template <class T>
    server(berth_loop *loop, T &object)
        : handle(berth_server_new(loop, detail::server_slots<T>(), detail::user_of(object)))
    {
    }
};

/** A socket that the program makes, to connect. Those of a server are its own. */
struct socket : handle<berth_socket, berth_socket_free> {
    socket() = default;
    template <class T>
    socket(berth_loop *loop, T &object)
        : handle(berth_socket_new(loop, detail::socket_slots<T>(), detail::user_of(object)))
    {
    }
};

/** A timer, which calls function(). */
struct timer : handle<berth_timer, berth_timer_free> {
    timer() = default;
    template <class F>
    timer(berth_loop *loop, F &function)
        : handle(berth_timer_new(loop, detail::on_event<F, berth_timer>, detail::user_of(function)))
    {
    }
};

/** A watch, which calls function(events). */
struct watch : handle<berth_watch, berth_watch_free> {
    watch() = default;
    template <class F>
    watch(berth_loop *loop, int descriptor, F &function)
        : handle(berth_watch_new(loop, descriptor, detail::on_watch<F>, detail::user_of(function)))
    {
    }
};

/** A signal, which calls function(). */
struct signal : handle<berth_signal, berth_signal_free> {
    signal() = default;
    template <class F>
    signal(berth_loop *loop, int number, F &function)
        : handle(berth_signal_new(loop, number, detail::on_event<F, berth_signal>,
                                  detail::user_of(function)))
    {
    }
};

void berth_loop_free(const loop &) = delete;
void berth_server_free(const server &) = delete;
void berth_socket_free(const socket &) = delete;
void berth_timer_free(const timer &) = delete;
void berth_watch_free(const watch &) = delete;
void berth_signal_free(const signal &) = delete;

/** Sets an object with the handlers of a socket, for example of one that a server has accepted. */
template <class T> void set_handlers(berth_socket *socket, T &object)
{
    berth_socket_set_handlers(socket, detail::socket_slots<T>(), detail::user_of(object));
}

/** The last error of an object; of an empty handle UNKNOWN, and what errno says. */
struct error {
    berth_error code;
    std::string text;
};

inline error error_of(const berth_server *of)
{
    return of ? error{berth_server_error(of), berth_server_error_string(of)}
              : error{BERTH_ERROR_UNKNOWN, std::strerror(errno)};
}

inline error error_of(const berth_socket *of)
{
    return of ? error{berth_socket_error(of), berth_socket_error_string(of)}
              : error{BERTH_ERROR_UNKNOWN, std::strerror(errno)};
}

/** Reads all that has come. */
inline std::string read_all(berth_socket *socket)
{
    std::string bytes(berth_socket_bytes_available(socket), '\0');
    if (!bytes.empty())
        berth_socket_read(socket, &bytes[0], bytes.size());
    return bytes;
}

/** Writes text, as berth_socket_write does. */
inline std::ptrdiff_t write(berth_socket *socket, const std::string &bytes)
{
    return berth_socket_write(socket, bytes.data(), bytes.size());
}

} // namespace berth

#endif
