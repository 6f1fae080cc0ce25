/*
 * Berth for C++11 and later: handles that own, and handlers that are member functions. A header
 * only, over the functions of berth.h, which remain the interface: a handle goes where they take a
 * pointer.
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
 * Handlers. An object has any of the members that are named as the slots of berth_server_handlers
 * or berth_socket_handlers, with their parameters but `user`. They must be public, and not
 * overloaded. A slot without a member stays NULL. An object without any does not compile. The
 * object is the user pointer: nothing is allocated for it, and it must live as long as what calls
 * it. A timer, a watch and a signal call a function object, for example a lambda, that has a name:
 * a temporary one does not compile. Handlers of workers are set as in C.
 *
 * Exceptions. Nothing here throws. A handler must not: the frames between it and the program are C,
 * so an exception that leaves a handler ends the program (std::terminate). It works without
 * exceptions and without RTTI.
 *
 * Ownership. A handle frees what it has in its destructor, also inside a handler. Sockets of
 * accepted connections are the server's, so they are plain pointers. A loop frees all that belongs
 * to it, so a handle of a loop must live longer than those of its objects; `release` gives a
 * handle's object up.
 */
#ifndef BERTH_BERTH_HPP
#define BERTH_BERTH_HPP

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include <berth/berth.h>

namespace berth
{

/** Owns an object of the library; empty if that could not be made (errno says why). */
template <class Object, void (*Free)(Object *)> class handle
{
  public:
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
    X(T, void, new_connection, (berth_server *s, void *user), (s)) \
    X(T, void, accept_error, (berth_server *s, berth_error e, void *user), (s, e)) \
    X(T, void, incoming_connection, (berth_server *s, int d, void *user), (s, d)) \
    X(T, bool, has_pending_connections, (berth_server *s, void *user), (s)) \
    X(T, berth_socket *, next_pending_connection, (berth_server *s, void *user), (s)) \
    X(T, void, emptied, (berth_server *s, bool forced, void *user), (s, forced)) \
    X(T, berth_tls *, client_hello, \
      (berth_server *s, const berth_tls_hello *h, void *user), (s, h)) \
    X(T, void, handshake_failed, \
      (berth_server *s, const berth_tls_failure *f, void *user), (s, f)) \
    X(T, void, pending_connection_available, (berth_server *s, void *user), (s))

#define BERTH_HPP_SOCKET(X, T) \
    X(T, void, ready_read, (berth_socket *s, void *user), (s)) \
    X(T, void, bytes_written, (berth_socket *s, std::size_t n, void *user), (s, n)) \
    X(T, void, connected, (berth_socket *s, void *user), (s)) \
    X(T, void, disconnected, (berth_socket *s, void *user), (s)) \
    X(T, void, error_occurred, (berth_socket *s, berth_error e, void *user), (s, e)) \
    X(T, void, state_changed, (berth_socket *s, berth_state t, void *user), (s, t)) \
    X(T, void, read_channel_finished, (berth_socket *s, void *user), (s)) \
    X(T, void, host_found, (berth_socket *s, void *user), (s)) \
    X(T, void, drained, (berth_socket *s, void *user), (s)) \
    X(T, void, draining, (berth_socket *s, void *user), (s)) \
    X(T, void, encrypted, (berth_socket *s, void *user), (s)) \
    X(T, bool, verify_peer, (berth_socket *s, const berth_tls_problem *p, void *user), (s, p))

/* `of<T>(0)` is the function that calls the member of T, or NULL if T has none. */
#define BERTH_HPP_SLOT(table, result, name, parameters, arguments) \
    struct table##_##name { \
        typedef decltype(table::name) pointer; \
        template <class T> static result call parameters noexcept \
        { \
            return static_cast<T *>(user)->name arguments; \
        } \
        template <class T> static auto has(int) -> decltype(&T::name, std::true_type()); \
        template <class T> static std::false_type has(...); \
        template <class T> static pointer of(std::true_type) noexcept { return &call<T>; } \
        template <class T> static pointer of(std::false_type) noexcept { return nullptr; } \
    };
BERTH_HPP_SERVER(BERTH_HPP_SLOT, berth_server_handlers)
BERTH_HPP_SOCKET(BERTH_HPP_SLOT, berth_socket_handlers)

/* The handlers of an object: a table for each class, which knows its size by the macros of C. */
#define BERTH_HPP_HAS(table, result, name, p, a) decltype(table##_##name::has<T>(0))::value ||
#define BERTH_HPP_OF(table, result, name, p, a) \
    table##_##name::of<T>(decltype(table##_##name::has<T>(0))()),
#define BERTH_HPP_TABLE(slots, table) \
    template <class T> const table *handlers_of(const table *) noexcept \
    { \
        static_assert(slots(BERTH_HPP_HAS, table) false, \
                      "no public member is named as a slot of " #table); \
        static const table all = {slots(BERTH_HPP_OF, table)}; \
        return &all; \
    }
BERTH_HPP_TABLE(BERTH_HPP_SERVER, berth_server_handlers)
BERTH_HPP_TABLE(BERTH_HPP_SOCKET, berth_socket_handlers)
#undef BERTH_HPP_SERVER
#undef BERTH_HPP_SOCKET
#undef BERTH_HPP_SLOT
#undef BERTH_HPP_HAS
#undef BERTH_HPP_OF
#undef BERTH_HPP_TABLE
// clang-format on

template <class T, class Table> const Table *handlers() noexcept
{
    return handlers_of<T>(static_cast<const Table *>(nullptr));
}

/* A function object with a name as the user pointer, and the functions that call it. */
template <class F> void *user_of(F &function) noexcept
{
    return const_cast<typename std::remove_const<F>::type *>(&function);
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
        : handle(berth_server_new(loop, (detail::handlers<T, berth_server_handlers>()), &object))
    {
    }
};

/** A socket that the program makes, to connect. Those of a server are its own. */
struct socket : handle<berth_socket, berth_socket_free> {
    socket() = default;
    template <class T>
    socket(berth_loop *loop, T &object)
        : handle(berth_socket_new(loop, (detail::handlers<T, berth_socket_handlers>()), &object))
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

/** Sets an object with the handlers of a socket, for example of one that a server has accepted. */
template <class T> void set_handlers(berth_socket *socket, T &object)
{
    berth_socket_set_handlers(socket, (detail::handlers<T, berth_socket_handlers>()), &object);
}

/* ---- values ---------------------------------------------------------------------------------- */

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
    std::ptrdiff_t size = bytes.empty() ? 0 : berth_socket_read(socket, &bytes[0], bytes.size());
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
}

/** Writes text, as berth_socket_write does. */
inline std::ptrdiff_t write(berth_socket *socket, const std::string &bytes)
{
    return berth_socket_write(socket, bytes.data(), bytes.size());
}

} // namespace berth

#endif
