/*
 * A peer: a server on standalone Asio, written as the echo server of its examples, and no better or
 * worse than a careful user would write it.
 *
 * The normal course: async_accept makes a session, which its handlers keep alive (shared_ptr);
 * async_read_some reads into the session's buffer, async_write writes that back, and its end starts
 * the next read. The io_context has concurrency hint 1, since one thread runs it, as its manual
 * advises. TCP_NODELAY is set once, on the acceptor, and handed down by the kernel.
 *
 * A greeting is one async_write, after which the session dies and so closes. A source starts the
 * next write of a block from the end of the last one. A sink reads on.
 *
 * Failures: an error or the end of stream lets the session die.
 *
 * Memory: one session for each connection with a buffer of 64 KiB, of which only the pages that are
 * used count; records of operations come from Asio's own cache.
 */
#include "common.h"

#include <asio.hpp>

#include <memory>
#include <utility>

namespace
{

using asio::ip::tcp;

enum server_cell cell;

class Session : public std::enable_shared_from_this<Session>
{
  public:
    explicit Session(tcp::socket accepted) : socket(std::move(accepted))
    {
    }

    void start()
    {
        if (cell == CELL_GREET)
            write(server_greeting, SERVER_GREETING);
        else if (cell == CELL_SOURCE)
            write(server_block, SERVER_BLOCK);
        else
            read();
    }

  private:
    void read()
    {
        socket.async_read_some(asio::buffer(bytes),
                               [self = shared_from_this()](std::error_code error, size_t got) {
                                   if (error)
                                       return;
                                   if (cell == CELL_SINK)
                                       self->read();
                                   else
                                       self->write(self->bytes, got);
                               });
    }

    void write(const char *data, size_t size)
    {
        asio::async_write(socket, asio::buffer(data, size),
                          [self = shared_from_this()](std::error_code error, size_t) {
                              if (error || cell == CELL_GREET)
                                  return;
                              if (cell == CELL_SOURCE)
                                  self->write(server_block, SERVER_BLOCK);
                              else
                                  self->read();
                          });
    }

    tcp::socket socket;
    char bytes[SERVER_BLOCK];
};

void accept_on(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](std::error_code error, tcp::socket socket) {
        if (!error)
            std::make_shared<Session>(std::move(socket))->start();
        accept_on(acceptor);
    });
}

} // namespace

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD, &options);
    cell = options.cell;
    asio::io_context context(1);
    tcp::acceptor acceptor(context, tcp::v4(), server_listen(&options, true));
    server_ready(acceptor.local_endpoint().port());
    accept_on(acceptor);
    context.run();
    return 1;
}
