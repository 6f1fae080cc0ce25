// An echo in C++: an object for each connection, handles that own, and a lambda as a time limit. A
// client in the same loop asks it. The exit status is 0 if the answer has come.
#include <cstdio>
#include <string>

#include <berth/berth.hpp>

// The handlers of one connection. It lives as long as its socket, and both end in disconnected.
class connection
{
  public:
    void ready_read(berth_socket *socket)
    {
        berth::write(socket, berth::read_all(socket));
    }
    void disconnected(berth_socket *socket)
    {
        berth_socket_free(socket);
        delete this; // at last: nothing is called for it any more
    }
};

struct acceptor {
    void new_connection(berth_server *server)
    {
        while (berth_socket *socket = berth_server_next_pending_connection(server))
            berth::set_handlers(socket, *new connection);
    }
};

class client
{
  public:
    explicit client(berth_loop *loop) : m_loop(loop), m_socket(loop, *this)
    {
    }
    bool ask(std::uint16_t port)
    {
        return m_socket && berth_socket_connect_to_address(m_socket, BERTH_ADDRESS_LOOPBACK, port);
    }

    void connected(berth_socket *socket)
    {
        berth::write(socket, "hello\n");
    }
    void ready_read(berth_socket *socket)
    {
        m_answer += berth::read_all(socket);
        if (m_answer.back() != '\n')
            return;
        std::printf("answer: %s", m_answer.c_str());
        m_socket.reset(); // allowed in every handler
        berth_loop_stop(m_loop, 0);
    }
    void error_occurred(berth_socket *socket, berth_error)
    {
        std::fprintf(stderr, "%s\n", berth::error_of(socket).text.c_str());
        berth_loop_stop(m_loop, 1);
    }

  private:
    berth_loop *m_loop;
    berth::socket m_socket;
    std::string m_answer;
};

int main()
{
    berth::loop loop; // first: it ends last
    acceptor accepting;
    berth::server server(loop, accepting);
    client asking(loop);
    const auto late = [&] { berth_loop_stop(loop, 2); };
    berth::timer limit(loop, late);
    if (!loop || !limit) {
        std::fprintf(stderr, "cannot make a loop and a timer: %s\n",
                     berth_server_error_string(nullptr));
        return 1;
    }
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        std::fprintf(stderr, "%s\n", berth::error_of(server).text.c_str());
        return 1;
    }
    berth_timer_start(limit, 30000, 0);
    return asking.ask(berth_server_port(server)) ? berth_loop_run(loop) : 1;
}
