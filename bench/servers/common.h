/*
 * What every benchmark server shares: its command line, its listening socket, the line that reports
 * its port to the runner, and its end.
 *
 * The normal course: server_parse() reads the options, server_listen() opens the socket (a server
 * whose library opens its own socket skips this), server_ready() prints "port N" and flushes, the
 * server runs its loop for ever, and SIGTERM ends the process with status 0 from the signal handler
 * itself. Ending there keeps the wait calls of the floors free of a signal mask or an extra
 * descriptor, which would be work that the floors exist not to do.
 *
 * Command line, the same for every server: --port N (0 lets the kernel choose), --cell
 * echo|local|greet|sink|source|burst-100x1500|burst-1000x1000|header-body|fan-out|file|wait|
 * handover|handover-greet|shared|shared-greet, of which a server may know only some; for the cell
 * file,
 * --file PATH, and --copy if it is to be read and written, which for an answer says that a floor
 * is to copy its pieces together first; --gathered if the pieces of an answer are to be written by
 * one call; --borrowed if an answer or a file is to be written from where it lies in memory; --tls
 * FILE if connections are encrypted, with the certificate and the key that the file has in PEM, and
 * --release if OpenSSL is to free its buffers after each record, or --read-ahead if it is to read
 * more than one record at a time, or --target-port N if it passes on to that port what it decrypts;
 * for a server that has a pool of threads, --workers N; and for the io_uring floor only:
 * --buffers N, --buffer-size BYTES, --incremental, --no-incremental, --bundle, --receive
 * multishot|large|single, --accept multishot|poll|single|batch, which raw_uring.c explains.
 *
 * The cells, as a server sees them: echo writes back what it reads; local is echo on a Unix socket,
 * /tmp/berth-bench-N for the port N, which is the process's number if that is 0; greet writes a
 * line to whoever connects, and closes; sink reads; source writes; burst-100x1500, burst-1000x1000
 * and header-body answer each request of 64 bytes by pieces, so many of so many bytes, or a header
 * of 200 and a body of 16 KiB; file answers it by the whole file; fan-out writes each line of 64
 * bytes to all connections, as a line of its own; wait is greet without an event loop, by blocking
 * calls, one connection after the other; handover accepts on one thread, and echoes on another;
 * handover-greet accepts on one thread, and greets on another; shared and shared-greet do both on
 * each of some threads, which listen on one port.
 *
 * Failures: a wrong command line ends with status 2, a feature that this kernel lacks with
 * SERVER_UNAVAILABLE (the runner then leaves that server out and says so), everything else with
 * status 1. Each prints one line on standard error that says what was tried and why it failed.
 *
 * TCP_NODELAY is set on the listening socket: Linux hands it down to each accepted socket, so that
 * it costs no system call for a connection.
 */
#ifndef BERTH_BENCH_SERVERS_COMMON_H
#define BERTH_BENCH_SERVERS_COMMON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SERVER_BACKLOG = 4096,
    SERVER_BLOCK = 64 * 1024,
    SERVER_GREETING = 64,
    SERVER_REQUEST = 64, /* and a line of fan-out */
    SERVER_PIECES = 1000,
    SERVER_MAX_FD = 20480,
    SERVER_UNAVAILABLE = 77
};

enum server_cell {
    CELL_ECHO,
    CELL_GREET,
    CELL_SINK,
    CELL_SOURCE,
    CELL_BURST_100,
    CELL_BURST_1000,
    CELL_HEADER_BODY,
    CELL_FAN_OUT,
    CELL_FILE,
    CELL_WAIT,
    CELL_HANDOVER,
    CELL_HANDOVER_GREET,
    CELL_SHARED,
    CELL_SHARED_GREET
};

/* Sets of cells. */
enum {
    SERVES_ON_ONE_THREAD = 1 << CELL_ECHO | 1 << CELL_GREET | 1 << CELL_SINK | 1 << CELL_SOURCE,
    SERVES_PIECES = 1 << CELL_BURST_100 | 1 << CELL_BURST_1000 | 1 << CELL_HEADER_BODY,
    SERVES_ANSWERS = SERVES_PIECES | 1 << CELL_FAN_OUT | 1 << CELL_FILE,
    SERVES_OTHERWISE = 1 << CELL_WAIT | 1 << CELL_HANDOVER | 1 << CELL_HANDOVER_GREET,
    SERVES_BY_WORKERS =
        1 << CELL_HANDOVER | 1 << CELL_HANDOVER_GREET | 1 << CELL_SHARED | 1 << CELL_SHARED_GREET
};

/* How the io_uring floor receives from a stream that keeps filling its buffers. */
enum server_receive {
    RECEIVE_MULTISHOT,       /* like any other */
    RECEIVE_MULTISHOT_LARGE, /* on into large buffers */
    RECEIVE_SINGLE_LARGE     /* one large buffer at a time */
};

/* How the io_uring floor accepts. */
enum server_accept {
    ACCEPT_MULTISHOT, /* whatever comes */
    ACCEPT_POLL,      /* accept4 when the listener is readable */
    ACCEPT_SINGLE,    /* 16 operations that take one connection each */
    ACCEPT_BATCH      /* the same, but not waiting, and begun when the listener is readable */
};

struct server_options {
    unsigned port;
    enum server_cell cell;
    bool local;           /* CELL_ECHO, on a Unix socket */
    unsigned workers;     /* threads of the pool */
    unsigned buffers;     /* 0: the server's own choice */
    unsigned buffer_size; /* bytes, 0: the server's own choice */
    bool incremental;
    bool bundle;
    bool gathered;
    bool copy;
    bool borrowed;
    const char *file;
    const char *tls; /* file of the certificate and the key, or NULL: not encrypted */
    bool release;    /* SSL_MODE_RELEASE_BUFFERS */
    bool read_ahead;
    unsigned target_port; /* of a terminator of TLS; 0 */
    enum server_receive receive;
    enum server_accept accept;
};

extern const char server_greeting[SERVER_GREETING + 1];
extern char server_block[SERVER_BLOCK]; /* what a source sends */

struct server_piece {
    const char *bytes;
    unsigned size;
};

/* The answer of a cell of SERVES_PIECES: its pieces, which lie one behind the other, and its size.
 */
extern struct server_piece server_pieces[SERVER_PIECES];
extern unsigned server_piece_count;
extern size_t server_answer_size;

/* The file of the cell file, and its size. */
extern int server_file;
extern size_t server_file_size;

/* Copies an answer's pieces into one block, which all share. Returns it. */
const char *server_copy_pieces(void);

/* Ends the process unless the cell is one of the set `served`; the first of them is the default. */
void server_parse(int argc, char **argv, unsigned served, struct server_options *options);
/* The path of a Unix socket, where nothing is any more. */
const char *server_path(const struct server_options *options);

int server_listen(const struct server_options *options, bool nonblocking);
void server_ready(unsigned port);
unsigned server_port_of(int listener);

/* Prints "what: reason" for the errno value given, and ends the process. */
void server_fail(const char *what, int error) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif
