/*
 * What the two kernel backends do alike: operations that are a call of inet.h and nothing else,
 * runs that are inside an event, and the ends of runs.
 */
#ifndef BERTH_BACKEND_COMMON_H
#define BERTH_BACKEND_COMMON_H

#include "backend.h"

/* A run of a stream that is inside an event. An inner run that reports `closed` marks the outer
 * ones of the same stream, whose record may be gone when the event returns. */
typedef struct berth__frame {
    struct berth__frame *outer;
    berth__stream *stream;
    bool gone;
    unsigned depth; /* frames around this one */
} berth__frame;

static inline bool berth__ready_take_bit(berth__ready *ready, unsigned bit)
{
    bool set = (ready->pending & bit) != 0;
    ready->pending = (uint8_t)(ready->pending & ~bit);
    return set;
}

static inline void berth__common_run_sent(berth__stream *stream)
{
    if (!berth__ready_take_bit(&stream->ready, BERTH__READY_SENT))
        return;
    stream->sending = false;
    stream->events->sent(stream, stream->ready.result);
}

/* The last steps of a stream's run: reports the end of a send, and that it is closed. */
static inline void berth__common_finish_run(berth__stream *stream, const berth__frame *frame)
{
    if (!frame->gone)
        berth__common_run_sent(stream);
    if (frame->gone || stream->ready.queued ||
        !berth__ready_take_bit(&stream->ready, BERTH__READY_CLOSED))
        return;
    for (berth__frame *outer = frame->outer; outer != NULL; outer = outer->outer)
        outer->gone = outer->gone || outer->stream == stream;
    stream->events->closed(stream);
}

/* Puts what the runs that are inside events have found, and are still to report, into the list: a
 * wait in there may be for just that. Returns whether there was any. */
bool berth__common_list_outer(berth__backend *backend, const berth__frame *frame);

/* Reports that a listener is closed; false if it is not. */
bool berth__common_run_closed(berth__listener *listener);

/* Reports the error, or, if that is 0, accepts a batch. Returns false if the listener is gone. */
bool berth__common_run_batch(berth__listener *listener, int error);

/* Reports that a watch is closed, or has fired. */
void berth__common_run_watch(berth__watch *watch);

/* The bits to poll for; those of epoll and of poll are the same. */
unsigned berth__common_poll_bits(unsigned watch_events);

/* In a child: the runs that are inside events stop there, since what follows would be done to the
 * parent's records. */
void berth__common_end_runs(berth__backend *backend, berth__frame *frame);

/* The operations of the same names. */
int berth__common_adopt(berth__backend *backend, berth__stream *stream, int descriptor,
                        bool accepted);
int berth__common_bind(berth__backend *backend, berth__stream *stream, const berth_address *address,
                       uint16_t port, const berth__options *options);
uint64_t berth__common_now(berth__backend *backend);
int berth__common_name_of(berth__backend *backend, int descriptor, berth__side side,
                          berth_address *ret_address, uint16_t *ret_port);
int berth__common_local_name(berth__backend *backend, int descriptor, berth__local_name *ret_name);
int berth__common_credentials(berth__backend *backend, int descriptor,
                              berth_credentials *ret_credentials);
/* Makes the descriptor of listen_local, and notes in the listener what it is. */
int berth__common_listen_local(berth__listener *listener, const berth__local_listen *options,
                               int *ret_descriptor, berth__local_file *ret_file,
                               berth__local_step *ret_step);
void berth__common_remove_local(berth__backend *backend, const berth__local_name *name,
                                const berth__local_file *file);
int berth__common_option(berth__backend *backend, int descriptor, berth_socket_option which,
                         int *value, bool set);
size_t berth__common_in_transit(berth__backend *backend, const berth__stream *stream);
bool berth__common_has_connection(berth__backend *backend, const berth__listener *listener);
bool berth__common_has_unsent(berth__backend *backend, const berth__stream *stream);
int berth__common_reserve(berth__backend *backend);
size_t berth__common_reject(berth__backend *backend, berth__listener *listener, size_t most,
                            berth__close_mode mode, int *spare);

#endif
