/*
 * What peers speak on encrypted connections: the records of the toy engine (support/toy_engine.h),
 * made and read by hand.
 *
 * A peer has a line: what it still has to send, which leaves in whatever pieces the kernel takes,
 * and the record that it is about to read. It is either end of a handshake, for it begins one that
 * connects, or answers one that is connected to. Most are honest. A liar says at some point of its
 * handshake something that is wrong, or nothing more: with him no handshake may ever be complete.
 * An honest one may send something wrong later, or end without saying so first.
 *
 * What the library sends has to be whole records in the right order, and none behind its end.
 */
#include "model.h"
#include "world.h"

#include "handshake/client_hello.h"
#include "toy_engine.h"

#include <errno.h>
#include <string.h>

enum {
    HEAD = 3,
    MOST_OUT = 12000,
    MOST_DATA = 16384,
    MOST_SENT = 4000, /* at once */
    MOST_HELLO = 512
};

/* How a peer shakes hands. */
enum fate {
    HONEST,
    SILENT,       /* says nothing at all */
    HALF,         /* a part of its first flight */
    PLAIN,        /* no TLS */
    MALFORMED,    /* lengths that do not fit */
    TOO_LONG,     /* a hello that has no end */
    EARLY,        /* data before its time */
    UNFINISHED,   /* nothing behind the first flight */
    FALSE_FINISH, /* something wrong instead of the second one */
    ALERT,        /* an alert instead of it */
    FATES
};

static struct line {
    size_t filled;
    size_t sent;
    size_t flight; /* the last one of the handshake ends there */
    size_t got;
    enum fate fate;
    uint8_t out[MOST_OUT];
    uint8_t in[MOST_DATA + HEAD + 2];
    uint64_t asked_at; /* in front of the byte of this number */
    unsigned tickets;  /* read: that of the handshake, and answers */
    bool begun;        /* it has said its first word, or heard it */
    bool open;
    bool ended;  /* the library's end was read */
    bool said;   /* and its own sent */
    bool wrong;  /* something wrong was sent since it is open */
    bool warned; /* an alert was read */
} lines[SIM_ALL_PEERS];

static uint64_t moved;

uint64_t sim_tls_moved(void)
{
    uint64_t sum = moved * 1000; /* lest what comes and what goes cancel out */
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const berth_socket *socket = sim.sockets[i].socket;
        sum += socket != NULL ? berth_socket_encrypted_bytes_to_write(socket) : 0;
    }
    return sum;
}

static struct line *line_of(const struct peer_model *peer)
{
    return &lines[peer - sim.peers];
}

static bool is_topic(void)
{
    return (sim.topics >> TOPIC_TLS & 1) != 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void flush(struct peer_model *peer)
{
    struct line *line = line_of(peer);
    while (line->sent < line->filled && !peer->ended) {
        size_t size = line->filled - line->sent;
        size = size < MOST_SENT ? size : MOST_SENT;
        ptrdiff_t sent = sim_headers_send(peer, line->out + line->sent, size);
        if (sent <= 0)
            break;
        line->sent += (size_t)sent;
        moved += (size_t)sent;
    }
    if (line->open && line->sent >= line->flight)
        peer->connection->shaken[peer->side] = true;
    if (line->sent == line->filled)
        line->sent = line->filled = line->flight = 0;
}

static uint8_t *room_for(struct line *line, size_t size)
{
    memmove(line->out, line->out + line->sent, line->filled - line->sent);
    line->filled -= line->sent;
    line->flight -= line->flight < line->sent ? line->flight : line->sent;
    line->sent = 0;
    return line->filled + size <= MOST_OUT ? line->out + line->filled : NULL;
}

static bool put(struct line *line, uint8_t type, const void *data, size_t size)
{
    uint8_t *place = room_for(line, size + HEAD + 1);
    if (place != NULL)
        line->filled += toy_record(type, data, size, place);
    return place != NULL;
}

static void put_hello(const struct peer_model *peer, struct line *line)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: somebody\r\n\r\n";
    uint8_t hello[MOST_HELLO];
    char name[SIM_NAME];
    sim_tls_name(peer->connection, name);
    size_t size = toy_hello(name, "sim", hello);
    if (line->fate == HALF)
        size = 1 + peer->connection->tls_name % (size - 1);
    if (line->fate == MALFORMED)
        hello[43] = 0xff; /* the length of its session */
    if (line->fate == TOO_LONG)
        hello[6] = 0xff; /* that of the message */
    if (line->fate == PLAIN) {
        size = sizeof request - 1;
        memcpy(hello, request, size);
        hello[0] = peer->connection->tls_name % 2 == 0 ? 'G' : 'x';
    }
    memcpy(room_for(line, size), hello, size);
    line->filled += size;
    if (line->fate == EARLY)
        (void)put(line, 'd', "early", 5);
}

/* The first word of whoever has connected. */
static void begin(struct peer_model *peer)
{
    struct line *line = line_of(peer);
    if (line->begun || peer->side == 1 || peer->ended)
        return;
    line->begun = true;
    if (line->fate != SILENT)
        put_hello(peer, line);
}

/* Before some data: a record that the library's engine answers. */
static void ask(const struct peer_model *peer, struct line *line)
{
    const struct way *way = &peer->connection->way[peer->side];
    if ((way->key + way->put) % 5 != 0 || !put(line, 'u', "", 0))
        return;
    peer->connection->asked++;
    line->asked_at = way->put;
}

ptrdiff_t sim_tls_send(struct peer_model *peer, const uint8_t *bytes, size_t size)
{
    struct line *line = line_of(peer);
    /* Whether a socket encrypts is known when it is connected. */
    if (is_topic() && peer->side == 1 && !peer->connection->known)
        return -EAGAIN;
    if (!peer->connection->tls)
        return sim_headers_send(peer, bytes, size);
    begin(peer);
    flush(peer);
    if (!line->open || line->said || line->wrong)
        return -EAGAIN;
    ask(peer, line);
    if (!put(line, 'd', bytes, size))
        return -EAGAIN;
    flush(peer);
    return (ptrdiff_t)size;
}

void sim_tls_finish(void)
{
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end == NULL || !peer->connection->tls || peer->ended)
            continue;
        begin(peer);
        flush(peer);
    }
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void read_hello(const struct peer_model *peer, struct line *line)
{
    berth__client_hello_values values;
    char name[SIM_NAME];
    sim_check(line->in[0] == 22, "a socket does not begin with a hello");
    sim_check(berth__client_hello_read(line->in, line->got, &values) == 0, "a hello is wrong");
    sim_tls_name(peer->connection, name);
    sim_check(strcmp(values.name, name) == 0, "a socket asks for %s instead of %s", values.name,
              name);
    line->begun = true;
    if (line->fate == HONEST)
        (void)put(line, 's', "server", 6);
    else if (line->fate == EARLY)
        (void)put(line, 'd', "early", 5);
    else if (line->fate == ALERT)
        (void)put(line, 'a', "no", 2);
    else if (line->fate != SILENT && line->fate != HALF && line->fate != UNFINISHED)
        (void)put(line, line->fate == PLAIN ? 'x' : 'c', "wrong", 5);
}

/* The other side's flight, behind the first word. */
static void shake(struct line *line, uint8_t type, int side)
{
    sim_check(!line->open, "a handshake goes on behind its end");
    sim_check(type == (side == 0 ? 's' : 'c'), "a record '%c' in a handshake", type);
    if (line->fate == UNFINISHED)
        return;
    if (line->fate != HONEST) {
        (void)put(line, line->fate == ALERT ? 'a' : 'e' + 1, "wrong", 5);
        return;
    }
    (void)put(line, side == 0 ? 'c' : 't', "flight", 6);
    line->flight = line->filled;
    line->open = true;
}

static void take_record(struct peer_model *peer, struct line *line)
{
    if (peer->side == 1 && !line->begun) {
        read_hello(peer, line);
        return;
    }
    uint8_t type = line->in[0];
    sim_say("peer %td reads a record '%c' of %zu bytes", peer - sim.peers, type, line->got);
    sim_check(line->in[0] == 21 || toy_decode(line->in, line->got), "a record has a wrong sum");
    sim_check(!line->ended || type == 'a', "a record '%c' comes behind the end", type);
    switch (type) {
    case 'd':
        sim_check(line->open, "data before the handshake is complete");
        sim_match(&peer->connection->way[1 - peer->side], line->in + HEAD, line->got - HEAD - 1,
                  "a peer");
        break;
    case 'e':
        line->ended = true;
        break;
    case 'a':
    case 21: /* of TLS, since no engine was there yet */
        line->warned = true;
        sim_check(sim_tls_may_fail(peer->connection), "an alert comes without a cause");
        break;
    case 't':
        line->tickets++;
        sim_check(line->open && line->tickets <= (peer->side == 0) + peer->connection->asked,
                  "a ticket of nobody");
        break;
    default:
        shake(line, type, peer->side);
    }
}

/* Bytes that the record at hand has in all, as far as is known. */
static size_t needed(const struct line *line, int side)
{
    size_t head = (side == 1 && !line->begun) || (line->got > 0 && line->in[0] == 21) ? 5 : HEAD;
    if (line->got < head)
        return head;
    const uint8_t *length = line->in + head - 2;
    size_t size = (size_t)(length[0] << 8 | length[1]);
    sim_check(size <= MOST_DATA, "a record of %zu bytes", size);
    return head == 5 ? head + size : head + size + 1;
}

void sim_tls_receive(struct peer_model *peer, const uint8_t *bytes, size_t size)
{
    struct connection *connection = peer->connection;
    struct way *way = &connection->way[1 - peer->side];
    struct line *line = line_of(peer);
    size_t clear = size;
    if (connection->tls && !(connection->still_clear && peer->side == 0))
        clear = way->got < connection->clear[1 - peer->side]
                    ? connection->clear[1 - peer->side] - way->got
                    : 0;
    clear = clear < size ? clear : size;
    sim_match(way, bytes, clear, "a peer");
    bytes += clear;
    size -= clear;
    moved += size;
    while (size > 0) {
        size_t lacking = needed(line, peer->side) - line->got;
        size_t part = lacking < size ? lacking : size;
        memcpy(line->in + line->got, bytes, part);
        line->got += part;
        bytes += part;
        size -= part;
        if (line->got < needed(line, peer->side))
            continue;
        take_record(peer, line);
        line->got = 0;
    }
    if (connection->tls)
        flush(peer);
}

/* The peer has seen the end, not a reset. */
void sim_tls_end_seen(const struct peer_model *peer)
{
    const struct connection *connection = peer->connection;
    const struct line *line = line_of(peer);
    if (!connection->opened[1 - peer->side] || !line->open || line->wrong)
        return;
    sim_check(line->ended || connection->torn || !sim_complete(&connection->way[1 - peer->side]),
              "the library ends without saying so");
    sim_check(line->ended || line->got == 0 || connection->torn ||
                  !sim_complete(&connection->way[1 - peer->side]),
              "the library ends inside a record");
}

/* ---- life ------------------------------------------------------------------------------------ */

/* One of four lies. */
static enum fate fate_of(const struct connection *connection)
{
    uint64_t word = connection->way[1].key * UINT64_C(0x9e3779b97f4a7c15);
    word ^= word >> 31;
    if (sim_choose(&word, 4) != 0)
        return HONEST;
    return 1 + sim_choose(&word, FATES - 1);
}

bool sim_tls_lies(const struct connection *connection)
{
    return fate_of(connection) != HONEST;
}

static void begin_line(const struct peer_model *peer)
{
    struct line *line = line_of(peer);
    *line = (struct line){.fate = fate_of(peer->connection)};
    if (line->fate != HONEST)
        sim_say("peer %td will shake hands in way %d", peer - sim.peers, (int)line->fate);
}

void sim_tls_peer(struct peer_model *peer)
{
    struct connection *connection = peer->connection;
    if (!is_topic())
        return;
    begin_line(peer);
    if (peer->side == 1 || !sim_tls_at(peer->port))
        return;
    connection->tls = true;
    connection->tls_name = sim_tls_new_name();
    sim_tls_mark(connection);
    if (connection->tls_name % 2 == 0)
        return;
    begin(peer);
    flush(peer);
}

void sim_tls_start(struct peer_model *peer)
{
    begin_line(peer);
    begin(peer);
    flush(peer);
}

bool sim_tls_end(struct peer_model *peer, bool orderly)
{
    struct connection *connection = peer->connection;
    struct line *line = line_of(peer);
    if (!is_topic() || (peer->side == 1 && !connection->known)) {
        if (is_topic()) /* it may be encrypted */
            connection->way[0].cut = connection->way[1].cut = true;
        return true;
    }
    if (!connection->tls)
        return true;
    flush(peer);
    if (orderly && line->open && !line->said && !line->wrong)
        line->said = put(line, 'e', "", 0);
    flush(peer);
    if (line->filled > 0)
        return false;
    if (!line->open)
        connection->way[0].cut = connection->way[1].cut = true;
    connection->truncated[peer->side] = !line->said;
    return true;
}

size_t sim_tls_unsent(const struct peer_model *peer)
{
    const struct line *line = line_of(peer);
    return peer->connection->tls ? line->filled - line->sent : 0;
}

bool sim_tls_lacks(const struct peer_model *peer, uint64_t heard, bool finished)
{
    const struct line *line = line_of(peer);
    bool answered = peer->connection->asked > 0 && (finished || heard > line->asked_at);
    if (!peer->connection->tls || !peer->connection->opened[1 - peer->side])
        return false;
    return !line->open ||
           line->tickets < (peer->side == 0) + (answered ? peer->connection->asked : 0);
}

bool sim_tls_is_open(const struct peer_model *peer)
{
    return line_of(peer)->open;
}

bool sim_tls_is_owed(const struct peer_model *peer)
{
    const struct line *line = line_of(peer);
    return peer->connection->tls &&
           (line->got > 0 || line->tickets < (peer->side == 0) + peer->connection->asked);
}

/* ---- what honest peers do wrong later -------------------------------------------------------- */

void sim_tls_go_wrong(struct peer_model *peer, uint32_t how)
{
    struct line *line = line_of(peer);
    if (!peer->connection->tls || !line->open || line->wrong || peer->ended)
        return;
    sim_say("peer %td does something wrong, in way %u", peer - sim.peers, how);
    if (how == 0 && line->said) { /* data behind the end are not looked at */
        (void)put(line, 'd', "behind", 6);
        flush(peer);
        return;
    }
    if (line->said)
        return;
    static const uint8_t types[] = {'d', 'x', 's', 'a'};
    if (!put(line, types[how % 4], "wrong", 5))
        return;
    if (how % 4 == 0)
        line->out[line->filled - 1]++;
    line->wrong = true;
    sim_cut(peer->connection);
    peer->connection->wrong_later = true;
    flush(peer);
}
