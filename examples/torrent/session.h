/*
 * What all torrents of the process share: the loop, the threads for the disk, the port that is
 * listened on, the peer id, the limits, and the count of connections.
 *
 * The normal course: session_open listens and makes the threads; each torrent is added and checks
 * its files; session_run runs the loop until every torrent has ended: it is complete and has seeded
 * enough, or SIGINT, SIGTERM or SIGHUP has come, and the trackers know (5 s at most). A second
 * signal ends the program at once.
 *
 * A tick each second does what is not urgent, for all peers: choking, keep-alives, peers that are
 * silent or deliver nothing, dials that are due, the resume file, the display. Trackers have a
 * timer of their own.
 */
#ifndef TORRENT_SESSION_H
#define TORRENT_SESSION_H

#include <berth/berth.h>

#include "disk.h"
#include "route.h"
#include "wire.h"

struct connector;
struct peer;
struct torrent;

#define MOST_TORRENTS 64
#define MOST_GIVEN_PEERS 64

typedef struct settings {
    const char *program;
    const char *folder;
    berth_address address;               /* to listen on */
    uint16_t port;                       /* 0: the first free one of 6881 to 6889 */
    const char *peers[MOST_GIVEN_PEERS]; /* HOST:PORT each */
    size_t peer_count;
    bool use_trackers;
    double ratio;            /* to be reached before the end; below 0: seed for ever */
    uint64_t download_limit; /* bytes a second; 0: none */
    uint64_t upload_limit;
    uint32_t most_peers;
    uint32_t most_per_address;
    uint32_t most_dialling;
    uint32_t upload_slots;
    int threads;
    bool check_only;
    bool log;
    const berth_proxy *proxy; /* NULL: none */
    const char *authorities;  /* of the certificates of trackers; NULL: the system's */
    const char *backend;
} settings;

typedef struct session {
    const settings *settings;
    berth_loop *loop;
    berth_workers *threads;
    berth_server *server;
    berth_timer *tick;
    berth_rate *download_rate; /* NULL: no limit */
    berth_rate *upload_rate;
    uint8_t peer_id[PEER_ID_SIZE];
    uint16_t port; /* that is listened on */
    route way;
    struct torrent *torrents[MOST_TORRENTS];
    size_t torrent_count;
    size_t ended;          /* torrents that have */
    bool ending;           /* a signal has come, or all is done */
    bool failed;           /* a torrent could not be completed */
    disk_queue disk_queue; /* of the disks of all torrents */
    uint32_t most_peers;   /* as given, but no more than there may be descriptors for */
    uint32_t peers;        /* connections, those being made too */
    uint32_t dialling;     /* of them, being made */
    struct peer *arrivals; /* accepted, and of no torrent yet */
    struct peer *gone;     /* to be freed when no handler uses them any more */
    bool checking_end;     /* a task for session_check_end was posted */
    bool burying;          /* a task for that was posted */
} session;

/* On failure prints a line and exits, as options.h describes. */
void session_open(session *self, const settings *settings);
/* Adds a torrent by the path of its file; on failure prints a line and the session has failed. */
void session_add(session *self, const char *path);
/* Returns the exit status: 0 complete, 1 not. */
int session_run(session *self);
void session_close(session *self);

uint64_t session_now(const session *self); /* milliseconds */

/* The torrent of a hash; NULL if there is none, or it takes no peers. */
struct torrent *session_find(const session *self, const uint8_t hash[HASH_SIZE]);

/* Fewer bytes wait to be written: peers of all torrents may be read again. */
void session_disk_relieved(session *self);

/* A connection has ended, or one that was being made is there. */
void session_peer_left(session *self, bool was_dialling);
void session_dialled(session *self);

/* Keeps a peer that has gone until the handlers have returned and its reads have come back; NULL:
 * one of those kept may be freed now. */
void session_bury(session *self, struct peer *peer);
void session_log(const session *self, const struct peer *peer, const char *why);

/* A torrent has ended: its trackers know and its disk is closed. */
void session_torrent_ended(session *self, const struct torrent *torrent, bool complete);
/* Ends the session if every torrent is complete and has seeded enough. */
void session_check_end(session *self);
/* Gives the connector one of --peer. */
void session_given_peer(const session *self, size_t number, struct connector *connector);

/* A line on standard output, which the display does not overwrite. */
void session_say(const session *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
