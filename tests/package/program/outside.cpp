/*
 * A program outside of the tree, in C++: an echo over berth.hpp, with handles, member functions and
 * lambdas as handlers. Says how many bytes came back. Counts what it allocates: handlers are free.
 */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

#include <csignal>
#include <unistd.h>

#include <berth/berth.hpp>

static std::size_t allocations;

void *operator new(std::size_t size)
{
    allocations++;
    void *memory = std::malloc(size);
    if (memory == nullptr)
        std::abort();
    return memory;
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}
void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}

static void check(bool held, const char *what)
{
    if (held)
        return;
    std::fprintf(stderr, "outside.cpp: %s\n", what);
    std::exit(1);
}

// Handlers behind a base that nobody destroys through it: -Wnon-virtual-dtor has nothing to say.
struct base {
    virtual void ready_read(berth_socket *) = 0;

  protected:
    ~base() = default;
};
struct derived final : base {
    void ready_read(berth_socket *) override
    {
    }
};

static_assert(!std::is_copy_constructible<berth::server>::value, "a handle owns alone");
static_assert(std::is_nothrow_move_constructible<berth::server>::value, "a handle moves");
static_assert(std::is_nothrow_move_assignable<berth::socket>::value, "a handle moves");

namespace
{

// Serves one connection; is the handlers of the server and of its socket.
class echo
{
  public:
    void new_connection(berth_server *server)
    {
        berth_socket *socket = berth_server_next_pending_connection(server);
        check(socket != nullptr, "a connection is pending");
        berth::set_handlers(socket, *this);
    }

    void ready_read(berth_socket *socket)
    {
        const std::string bytes = berth::read_all(socket);
        check(berth::write(socket, bytes) == static_cast<std::ptrdiff_t>(bytes.size()),
              "it writes");
    }

    void disconnected(berth_socket *socket)
    {
        ended = true;
        berth_socket_free(socket);
    }

    bool ended = false;
};

// Asks; frees its own socket inside a handler, and counts.
struct client {
    explicit client(berth_loop *on) : loop(on), socket(on, *this)
    {
    }

    void connected(berth_socket *)
    {
        berth::write(socket, "hello");
    }
    void ready_read(berth_socket *)
    {
        heard += berth::read_all(socket).size();
        if (heard < 5)
            return;
        socket.reset();
        check(!socket && ended, "freeing a socket ends it, and calls its handlers");
    }
    void disconnected(berth_socket *)
    {
        ended = true;
    }
    void error_occurred(berth_socket *, berth_error error)
    {
        last = error;
    }

    berth_loop *loop;
    berth::socket socket;
    std::size_t heard = 0;
    bool ended = false;
    berth_error last = BERTH_ERROR_NONE;
};

void say_errors(berth_loop *loop, berth_server *server)
{
    echo object;
    berth::server second(loop, object);
    check(!berth_server_listen(second, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)),
          "a port is taken");
    const berth::error error = berth::error_of(second);
    check(error.code == BERTH_ERROR_ADDRESS_IN_USE && !error.text.empty(), "an error and its text");
    berth::server third = std::move(second);
    check(!second && third && berth_server_user(third) == &object, "a handle has moved");
    second = std::move(third);
    check(!third && second.get() != nullptr, "a handle has moved back");
    errno = ENOMEM; // as the constructor leaves it, when there is no memory
    check(berth::error_of(third).code == BERTH_ERROR_UNKNOWN, "an error of no server");
    check(!berth::error_of(berth::socket()).text.empty(), "an error of no socket");
}

// Members that are overloaded, templates, static, or inherited; of an object that is const.
struct first {
    static void ready_read(berth_socket *)
    {
    }
};
struct second final : private first {
    using first::ready_read;
    void connected(berth_socket *) const noexcept
    {
    }
    bool connected() const
    {
        return false;
    }
    template <class Socket> void drained(Socket *, int more = 0) const
    {
        check(more == 0, "an argument that is left out");
    }
};

void unusual_members(berth_loop *loop)
{
    const second object{};
    berth::socket socket(loop, object);
    check(socket && berth_socket_user(socket) == &object, "an object that is const");
}

void watch_and_signal(berth_loop *loop)
{
    int ends[2], seen = 0;
    check(pipe(ends) == 0 && write(ends[1], "x", 1) == 1, "a pipe");
    auto came = [&] { berth_loop_stop(loop, 2); };
    auto ready = [&](unsigned events) {
        char byte;
        seen += events == BERTH_WATCH_READ && read(ends[0], &byte, 1) == 1;
        kill(getpid(), SIGUSR1);
    };
    berth::watch watch(loop, ends[0], ready);
    berth::signal signal(loop, SIGUSR1, came);
    check(signal && berth_watch_start(watch, BERTH_WATCH_READ), "a watch and a signal");
    check(berth_loop_run(loop) == 2 && seen == 1, "a lambda for each");
    watch.reset();
    close(ends[0]);
    close(ends[1]);
}

} // namespace

int main()
{
    berth::loop loop;
    if (!loop)
        return 77; // the backend is not to be had
    echo object;
    berth::server server(loop, object);
    check(server && berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0), "it listens");

    client asking(loop);
    const auto tick = [&] {
        if (asking.ended && object.ended)
            berth_loop_stop(loop, 7);
    };
    berth::timer timer(loop, tick);
    berth_timer_start(timer, 1, 1);
    check(berth_socket_connect_to_address(asking.socket, BERTH_ADDRESS_LOOPBACK,
                                          berth_server_port(server)),
          "it connects");
    check(berth_loop_run(loop) == 7 && asking.heard == 5, "it echoes");
    derived other;
    base &behind = other;
    berth::socket unused(loop, behind);
    check(berth_socket_user(unused) == &behind, "handlers may stand behind a base");
    check(allocations == 0, "handles and handlers allocate nothing");
    say_errors(loop, server);
    unusual_members(loop);
    watch_and_signal(loop);
    std::printf("%zu bytes on %s\n", asking.heard, berth_loop_backend_name(loop));
    return 0;
}
