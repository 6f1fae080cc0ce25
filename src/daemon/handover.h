/*
 * Inside a hand-over: the protocol, and the record of the process that offers.
 *
 * Both speak over one connection of a SOCK_SEQPACKET Unix socket, whose messages have a head and
 * data. The successor asks for each message, and gets one answer:
 *
 *     HELLO -> CONTENTS      how many listeners, and how many bytes of blobs
 *     NEXT  -> LISTENERS     some of them, in SCM_RIGHTS, and their names, each ended by a zero
 *     NEXT  -> BLOBS         when all listeners are through: some of the bytes
 *     READY -> DONE          when all is through
 *
 * REFUSED, with a text, can come in place of each answer, and by itself; it is the last message.
 * A successor whose READY is not answered in time serves all the same: it says READY once more and
 * closes. One that has closed behind a single READY is dead.
 * Since there is never more than one answer on its way, the offering process does not have to wait
 * for room, and a successor that reads nothing holds nothing but its own descriptor.
 *
 * The head of a message, and HELLO and REFUSED, are the same in all versions. Both sides are
 * processes of one machine, but may have been built for different ones of its instruction sets: all
 * members have sizes of their own.
 *
 * The bytes of blobs are for each: the sizes of its name and of its content, 4 bytes each, the
 * name, the content.
 *
 * The offering side:
 *
 *     OFFERED -> TAKING -> TAKEN -> SUCCEEDED
 *        \__________/________/                   a successor that failed
 */
#ifndef BERTH_SRC_HANDOVER_H
#define BERTH_SRC_HANDOVER_H

#include <berth/handover.h>
#include <berth/timer.h>
#include <berth/watch.h>

#include "inherited.h"

#include "base/local_place.h"
#include "loop/object.h"
#include "server/server.h"
#include "workers/workers.h"

#include <sys/socket.h>
#include <sys/un.h>

enum {
    BERTH__HANDOVER_VERSION = 1,
    BERTH__HANDOVER_TEXT_SIZE = 256,
    BERTH__HANDOVER_MOST_PASSED = 253, /* of one message: the kernel's limit */
    BERTH__HANDOVER_MOST_DATA = BERTH__HANDOVER_MOST_PASSED * (BERTH_MOST_INHERITED_NAME + 1),
    BERTH__HANDOVER_PIECE = 32768,        /* of blobs, in one message */
    BERTH__HANDOVER_TRANSFER_LIMIT = 5000 /* milliseconds */
};

typedef enum berth__message_kind {
    BERTH__MESSAGE_HELLO = 1,
    BERTH__MESSAGE_REFUSED = 2,
    BERTH__MESSAGE_CONTENTS = 3,
    BERTH__MESSAGE_NEXT = 4,
    BERTH__MESSAGE_LISTENERS = 5,
    BERTH__MESSAGE_BLOBS = 6,
    BERTH__MESSAGE_READY = 7,
    BERTH__MESSAGE_DONE = 8
} berth__message_kind;

typedef struct berth__head {
    char magic[8];
    uint32_t version;
    uint32_t kind;
    uint32_t listeners; /* CONTENTS: of all; LISTENERS: with this message */
    uint32_t bytes;     /* CONTENTS: of all blobs */
} berth__head;

/* As it is received. */
typedef struct berth__message {
    berth__head head;
    size_t size; /* of data */
    size_t count;
    bool cut; /* some of it, or of its descriptors, was lost */
    int descriptors[BERTH__HANDOVER_MOST_PASSED];
    char data[BERTH__HANDOVER_MOST_DATA];
} berth__message;

/* ---- messages: handover_message.c ------------------------------------------------------------ */

/* Each returns an errno. */
int berth__handover_send(int connection, const berth__head *head, const void *data, size_t size);
int berth__handover_pass(int connection, const berth__head *head, const void *data, size_t size,
                         const int *descriptors);
/* A message with descriptors; ENOTCONN for the end. What has come is the caller's, though `cut`. */
int berth__handover_receive(int connection, berth__message *ret_message);
void berth__handover_close_received(berth__message *message);

berth__head berth__handover_head(berth__message_kind kind);
bool berth__handover_is_head(const berth__head *head);

/* The other side. False if it cannot be asked. */
bool berth__handover_peer(int connection, struct ucred *ret_peer);

/* Puts a blob where there is room for all of it; returns its end. And steps to the next one: NULL
 * at the end, or, with *ret_bad, if the rest is none. */
#define BERTH__BLOB_HEAD 8u
uint8_t *berth__blob_put(uint8_t *place, const char *name, const void *bytes, size_t size);

typedef struct berth__blob_view {
    const char *name; /* without a zero */
    size_t name_size;
    const uint8_t *bytes;
    size_t size;
    const uint8_t *next;
} berth__blob_view;

bool berth__blob_at(const uint8_t *place, const uint8_t *end, berth__blob_view *ret_view);

/* Overwrites it, and releases it. */
void berth__release_secret(void *bytes, size_t size);

/* ---- the place of an offer: handover_place.c ------------------------------------------------- */

typedef struct berth__offer_place {
    berth__local_name name;
    int listener; /* -1: none */
    berth__local_file file;
} berth__offer_place;

/* Returns an errno. */
int berth__offer_place_open(berth__offer_place *place, const char *path);
/* Removes the file if it is still its own and `removes`. */
void berth__offer_place_close(berth__offer_place *place, bool removes);

/* ---- the record of an offer ------------------------------------------------------------------ */

typedef struct berth__offered {
    struct berth__offered *next;
    /* Of a server or of a pool; it has none if that was freed. */
    berth__server_ref server;
    berth__workers_ref pool;
    char name[BERTH_MOST_INHERITED_NAME + 1];
} berth__offered;

typedef struct berth__blob {
    struct berth__blob *next;
    void *bytes;
    size_t size;
    char name[BERTH_MOST_INHERITED_NAME + 1];
} berth__blob;

/* What they count in a parcel, in bytes. */
size_t berth__blobs_size(const berth__blob *first);

/* What has been put together for the successor at hand. */
typedef struct berth__parcel {
    berth__batch *listeners; /* copies, which are closed when all are sent */
    size_t passed;           /* of them */
    uint8_t *bytes;
    size_t size;
    size_t sent;
} berth__parcel;

struct berth_handover {
    berth__object object;
    const berth_handover_handlers *handlers;
    void *user;
    berth__object *children; /* its watches and timers, which go with it */
    berth__offer_place place;
    berth_watch *listening;
    berth_timer *pause; /* of accepting, for want of a descriptor */
    berth__offered *offered;
    berth__blob *blobs;
    berth_handover_state state;
    uint32_t limit;          /* milliseconds, of a successor that has everything */
    uint32_t transfer_limit; /* and of one that has not */

    int connection; /* to the successor; -1 */
    berth_watch *watch;
    berth_timer *timer; /* of its limits */
    int64_t process;
    unsigned successors; /* that have connected: a handler may turn the loop, and another come */
    bool greeted;
    berth__parcel parcel;
    char text[BERTH__HANDOVER_TEXT_SIZE];
};

/* Puts together what a successor gets. Returns an errno. */
int berth__parcel_pack(berth__parcel *parcel, const berth_handover *handover);
void berth__parcel_clear(berth__parcel *parcel);
/* Sends the next of it; an errno, ENODATA if there is nothing left. */
int berth__parcel_send(berth__parcel *parcel, int connection);
static inline bool berth__parcel_is_empty(const berth__parcel *parcel)
{
    return (parcel->listeners == NULL || parcel->passed == parcel->listeners->count) &&
           parcel->sent == parcel->size;
}

#endif
