/*
 * Inside a socket, for the files socket*.c and server*.c.
 *
 * A berth_socket is what the user holds; a berth__stream is one connection of the backend. The
 * socket has a stream from the beginning of a connection until its end; then the stream is given to
 * the loop, which sees to its closing, while the socket may be used for another connection or be
 * freed at once.
 *
 * Input: while ready_read is being called, `view` is what the backend has just delivered, still in
 * the backend's memory; what the handler leaves is copied to `input`. Readers take from `input`
 * first. Output: `output` is sent chunk by chunk; while a send is in flight its bytes are the first
 * of the first chunk.
 */
#ifndef BERTH_SRC_SOCKET_H
#define BERTH_SRC_SOCKET_H

#include <berth/server.h>
#include <berth/socket.h>

#include "backend.h"
#include "loop.h"
#include "object.h"

/* What was tried when the last error came. */
typedef enum berth__attempt {
    BERTH__ATTEMPT_NOTHING,
    BERTH__ATTEMPT_CONNECT,
    BERTH__ATTEMPT_ADOPT,
    BERTH__ATTEMPT_READ,
    BERTH__ATTEMPT_WRITE,
    BERTH__ATTEMPT_WAIT
} berth__attempt;

/* Names of both ends, looked up on first use. */
typedef struct berth__names {
    berth_address address[2]; /* by berth__side */
    uint16_t port[2];
    bool known[2];
} berth__names;

struct berth_socket {
    berth__object object;
    const berth_socket_handlers *handlers;
    void *user;
    berth__stream *stream; /* NULL without a connection */
    berth__stream *ending; /* while its end is being announced: names can still be asked for */
    berth__names *names;
    berth_server *pending_in; /* the server in whose queue it is */
    berth_socket *pending_next;
    berth_socket *flush_next;
    berth_socket **flush_link; /* NULL when it is not to be flushed */
    berth__chain input;
    berth__chain output;
    const uint8_t *view;
    size_t view_size;
    size_t read_limit;    /* 0: none */
    uint32_t endings;     /* connections that have ended: tells a caller of handlers whether its own
                             still goes on */
    uint32_t connections; /* attempts that have succeeded */
    uint32_t received;    /* deliveries so far, to see in a wait that there was one */
    uint32_t sent;        /* sends so far */
    int error_number;     /* errno of the last error, 0 if it had none */
    uint16_t handlers_size;
    uint8_t state;   /* berth_state */
    uint8_t error;   /* berth_error */
    uint8_t attempt; /* berth__attempt of the last error */
    bool half_close; /* the user lets the peer end its direction */
    bool in_ready_read;
    bool in_bytes_written;
    bool input_ended; /* the peer has ended its direction */
    bool finished;    /* read_channel_finished was called for this connection */
    bool closed;      /* berth_socket_close: no more writing, input is dropped */
    bool leaving;     /* disconnect was asked for while connecting */
    bool send_failed;
};

/* A socket for a descriptor that the backend has accepted; a child of the server. NULL when out of
 * memory. */
berth_socket *berth__socket_accept(berth_server *server, int descriptor, int *ret_error);
void berth__socket_destroy(berth_socket *socket);

/* The loop's flush list. */
bool berth__socket_in_flush(const berth_socket *socket);
void berth__socket_link_flush(berth_socket *socket, berth_socket ***end);
void berth__socket_unlink_flush(berth_socket *socket);

/* Starts a send if there is output and none is in flight. */
void berth__socket_send(berth_socket *socket);

/* Starts or stops receiving, as limit, state and place in the queue want it. */
void berth__socket_pace(berth_socket *socket);

/* Between the socket's files: */
extern const berth__stream_events berth__socket_events;
void berth__socket_fail(berth_socket *socket, berth_error error, int number,
                        berth__attempt attempt);
void berth__socket_set_error(berth_socket *socket, berth_error error, int number,
                             berth__attempt attempt);
void berth__socket_set_state(berth_socket *socket, berth_state state);
void berth__socket_connected(berth_socket *socket, int error);
void berth__socket_end(berth_socket *socket);
void berth__socket_finish_reading(berth_socket *socket);
void berth__socket_drop_input(berth_socket *socket);

#endif
