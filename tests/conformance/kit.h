/*
 * A backend without a library on top: what the cases of the contract are written with.
 *
 * The kit owns a backend and the records that a case makes. It records what their events say, and
 * watches over the laws that hold everywhere, in every case: events come from `run` only and never
 * inside a call that starts something, never nested; nothing comes after `closed`; nothing is
 * received while receiving is off; one run stays in its budget; a send ends either by its result or
 * by `sent`; credit is never overdrawn. At the end it closes what is left, waits for `closed`, and
 * destroys the backend.
 */
#ifndef BERTH_TESTS_KIT_H
#define BERTH_TESTS_KIT_H

#include "case.h"
#include "trace.h"
#include "world.h"

#include "backend/backend.h"

#include <errno.h>

typedef struct kit_stream kit_stream;
typedef struct kit_listener kit_listener;
typedef struct kit_watch kit_watch;

enum {
    KIT_CHUNKS = 70 /* more than a backend sends together */
};

struct kit_stream {
    berth__stream stream;
    berth__chunk chunks[KIT_CHUNKS]; /* of the last send */
    unsigned cuts;                   /* sends, to cut each in another way */
    kit_stream *next;
    const char *name; /* in the trace */
    uint8_t *bytes;   /* what was received */
    size_t received;
    size_t capacity;
    unsigned deliveries;
    size_t room; /* of one that is limited */
    bool owed;   /* it was asked for, and nothing has come of that yet */
    unsigned connects;
    int connect_error;
    unsigned ends;
    int end_error;
    unsigned sents;
    ptrdiff_t sent; /* last result */
    size_t sent_sum;
    bool content;   /* with what `taken` says */
    unsigned asked; /* by `taken` */
    bool closed;
    void (*inside_received)(kit_stream *stream);
    void (*inside_sent)(kit_stream *stream);
    void (*inside_ended)(kit_stream *stream);
    void (*inside_connected)(kit_stream *stream);
    void (*inside_closed)(kit_stream *stream);
};

#define KIT_MOST_ACCEPTED 128

struct kit_listener {
    berth__listener listener;
    kit_listener *next;
    const char *name;
    uint16_t port;
    unsigned count; /* accepted */
    int descriptors[KIT_MOST_ACCEPTED];
    unsigned fails;
    int fail_error;
    bool closed;
    void (*inside_accepted)(kit_listener *listener);
    void (*inside_failed)(kit_listener *listener);
};

struct kit_watch {
    berth__watch watch;
    kit_watch *next;
    unsigned fires;
    unsigned found;
    bool closed;
    void (*inside_fired)(kit_watch *watch);
};

berth__backend *kit(void); /* the backend, made on first use */

unsigned kit_descriptors_closed(void); /* how often the backend said that it has closed one */

/* Waits, then runs what is ready: of that owner only, if it is not NULL. Returns the number of
 * records that were run. */
unsigned kit_turn_for(const void *owner, int milliseconds);
void kit_turn(int milliseconds);
unsigned kit_run_ready(const void *owner); /* without waiting */
bool kit_run_one(void);                    /* the first record; false if there is none */
int kit_wait(int milliseconds);            /* without running */

/* Records. The kit frees them at the end, or inside `closed` if a case says kit_forget there. */
kit_stream *kit_stream_new(const char *name, const void *owner);
kit_stream *kit_pair(const char *name, const void *owner,
                     struct peer **ret_peer);            /* adopted, not receiving */
kit_stream *kit_adopt(const char *name, int descriptor); /* from `accepted` */
kit_listener *kit_listener_new(const char *name, const void *owner);
kit_listener *kit_listen(const char *name); /* on 127.0.0.1, port chosen, no credit */
kit_watch *kit_watch_new(const void *owner);
int kit_listen_at(kit_listener *listener, berth_address address, uint16_t port);

/* Frees a record now: for `inside_closed`, since nobody may touch it after that. */
void kit_forget(kit_stream *stream);

/* From now on events may come inside others: for cases that turn the loop inside an event. */
void kit_allow_nesting(void);

/* The operations, with a look-out for events inside the call. */
int kit_connect(kit_stream *stream, uint16_t port);
void kit_receive_start(kit_stream *stream);
void kit_receive_stop(kit_stream *stream);
/* Sends some bytes, which lie in one chunk or in several. */
void kit_send(kit_stream *stream, const void *data, size_t size);
ptrdiff_t kit_await_room(kit_stream *stream);
/* The first of the chunks that the bytes lie in, `count` of them or fewer; valid until the next
 * send of the stream. */
const berth__chunk *kit_chunks(kit_stream *stream, const void *data, size_t size, unsigned count);
ptrdiff_t kit_put(int descriptor, const void *data, size_t size);
/* Sends until the peer's kernel takes no more, and some of it lies in the stream's own queue, which
 * is made large. No send is in flight then. Returns how many bytes were sent. */
size_t kit_overfill(kit_stream *stream);
int kit_shutdown(kit_stream *stream);
void kit_close(kit_stream *stream);
void kit_close_by_reset(kit_stream *stream);
void kit_credit(kit_listener *listener, unsigned credit);
void kit_close_listener(kit_listener *listener);
int kit_watch_start(kit_watch *watch, int descriptor, unsigned events);
void kit_watch_close(kit_watch *watch);

/* Sends all of it, over as many sends as it takes. */
void kit_send_all(kit_stream *stream, const void *data, size_t size);

/* Bytes that tell their place: a transfer with a gap or a swap does not compare equal. */
uint8_t *kit_pattern(size_t size, uint32_t seed);

#endif
