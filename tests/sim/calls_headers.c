/*
 * PROXY headers: of peers in front of servers that read them, and of sockets that write them.
 *
 * Whether a server reads headers changes only while it does not listen, so that a connection has to
 * have one or not from its beginning, by the port that it goes to. A peer of such a server is
 * honest or a liar. Its header goes in whatever pieces it sends, also in one with the bytes behind.
 * What is expected: nobody hears of a connection before its header is whole, or of a liar ever;
 * those who lie, or are slow, end in their time; nobody else is turned away; names and values are
 * those of the header, and the bytes behind it are whole.
 *
 * What a socket writes comes before anything else to the peer that it has connected to, through a
 * proxy too. That can be read before the socket knows that it is connected, so that it is compared
 * as soon as both have come.
 */
#include "calls.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_SIZE 12u
#define HEAD_SIZE 16u /* of version 2 */
#define NAMES_SIZE 12u
#define VALUE_TYPE 0xe0
#define FIRST_PORT 1000u
#define FIRST_CLIENT 0xc0000200u
#define LOOPBACK 0x7f000001u
#define MOST_PATIENCE 400u
#define MOST_BYTES 4096u
/* One that does not ask the kernel, and those in which what was found has to run. */
#define HEADER_TURNS 4u

/* ---- headers --------------------------------------------------------------------------------- */

static berth_address source_of(unsigned client)
{
    return berth_address_ipv4(FIRST_CLIENT + client);
}

/* The line of version 1; a client of 0 is unknown. */
static size_t line(unsigned client, uint8_t *header)
{
    char *text = (char *)header;
    if (client == 0)
        return (size_t)snprintf(text, SIM_HEADER, "PROXY UNKNOWN\r\n");
    return (size_t)snprintf(text, SIM_HEADER, "PROXY TCP4 192.0.2.%u 198.51.100.7 %u 443\r\n",
                            client, FIRST_PORT + client);
}

/* Version 2 up to its values; a client of 0 makes it LOCAL. */
static size_t head(unsigned client, size_t values, uint8_t *header)
{
    size_t behind = values + (client > 0 ? NAMES_SIZE : 0);
    memcpy(header, SIGNATURE, SIGNATURE_SIZE);
    header[12] = client > 0 ? 0x21 : 0x20;
    header[13] = client > 0 ? 0x11 : 0;
    header[14] = (uint8_t)(behind >> 8);
    header[15] = (uint8_t)behind;
    if (client == 0)
        return HEAD_SIZE;
    unsigned port = FIRST_PORT + client;
    const uint8_t names[NAMES_SIZE] = {
        192, 0, 2, (uint8_t)client, 198, 51, 100, 7, (uint8_t)(port >> 8), (uint8_t)port, 1, 187};
    memcpy(header + HEAD_SIZE, names, NAMES_SIZE);
    return HEAD_SIZE + NAMES_SIZE;
}

static size_t put_value(uint8_t *place, uint8_t type, uint8_t size, uint8_t value)
{
    place[0] = type;
    place[1] = 0;
    place[2] = size;
    memset(place + 3, value, size);
    return 3u + size;
}

static size_t honest(unsigned version, unsigned client, bool is_long, uint8_t *header)
{
    if (version == 1)
        return line(client, header);
    size_t size = head(client, is_long ? 107 : 4, header);
    if (is_long)
        size += put_value(header + size, 4, 100, 0);
    return size + put_value(header + size, VALUE_TYPE, 1, (uint8_t)client);
}

/* Something that is no header, or nothing at all. */
static size_t lie(uint32_t which, uint8_t *header)
{
    static const char *const texts[] = {"GET / HTTP/1.0\r\n\r\n", "PROXY TCP4 1.2.3.4\r\n",
                                        "PROXY TCP4 192.0.2.1 198.51.100.7 1 99999\r\n",
                                        "PROXY TCP9 192.0.2.1 192.0.2.2 1 2\r\n"};
    if (which < 4) {
        size_t size = strlen(texts[which]);
        memcpy(header, texts[which], size);
        return size;
    }
    size_t size = head(1, 7, header);
    if (which == 4) { /* a checksum that is wrong */
        size += put_value(header + size, 3, 4, 7);
    } else if (which == 5) { /* a version that is not there yet */
        header[12] = 0x31;
    } else if (which == 6) { /* more than anybody keeps */
        header[14] = 0xff;
    } else if (which == 7) { /* a line without an end */
        memcpy(header, "PROXY TCP4 ", 11);
        memset(header + 11, '1', SIM_HEADER - 11);
        return SIM_HEADER;
    } else if (which < 11) { /* the last byte never comes */
        return honest(1 + which % 2, 1, false, header) - 1;
    } else {
        return 0;
    }
    return size;
}

/* ---- servers --------------------------------------------------------------------------------- */

static bool is_topic(void)
{
    return (sim.topics >> TOPIC_HEADERS & 1) != 0;
}

/* Where it listens now. */
static bool reads(const struct server_model *model)
{
    return sim_listens_locally(model) ? model->trusts_local : model->trusts;
}

static struct server_model *reader_at(uint16_t port)
{
    for (size_t i = 0; i < SIM_SERVERS && port != 0; i++) {
        struct server_model *model = &sim.servers[i];
        if (model->server != NULL && model->closing == 0 && reads(model) && sim_port(model) == port)
            return model;
    }
    return NULL;
}

static uint64_t awaited_by(const struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    return counts.awaiting_header;
}

uint64_t sim_headers_awaited(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        const struct server_model *model = &sim.servers[i];
        sum += model->server != NULL ? awaited_by(model) + sim_tls_shaking(model) : 0;
    }
    return sum;
}

static void note_patience(struct server_model *model, uint32_t milliseconds)
{
    bool first = !model->trusts && !model->trusts_local;
    model->has_trusted = true;
    model->patience = first || milliseconds < model->patience ? milliseconds : model->patience;
    bool longer = first || milliseconds > model->most_patience;
    model->most_patience = longer ? milliseconds : model->most_patience;
    model->awaited_since = berth_loop_now(sim.loop);
}

/* The last two contain everybody who has an address. */
static void set_patience(struct server_model *model, uint32_t milliseconds)
{
    const berth_subnet nets[] = {{.address = berth_address_ipv4(0x0a000000), .prefix = 8},
                                 {.address = berth_address_ipv4(0x7f000000), .prefix = 8},
                                 {.address = berth_address_ipv4(0)},
                                 {.address = BERTH_ADDRESS_ANY_IPV6}};
    bool set = berth_server_set_proxy_protocol(model->server, nets, 4, milliseconds);
    sim_check(set || sim_lossy(), "nobody can be trusted");
    if (!set)
        return;
    note_patience(model, milliseconds);
    model->trusts = true;
}

/* Neither this nor the subnets change whom the other lets in. */
static void set_local_patience(struct server_model *model, uint32_t milliseconds)
{
    bool set = berth_server_set_local_proxy_protocol(model->server, true, milliseconds);
    sim_check(set || sim_lossy(), "Unix sockets cannot be trusted");
    if (!set)
        return;
    note_patience(model, milliseconds);
    model->trusts_local = true;
}

/* Before it listens. */
void sim_headers_server(struct server_model *model, uint64_t word)
{
    if (!is_topic())
        return;
    bool trusts = sim_choose(&word, 4) > 0;
    uint32_t patience = 1 + sim_choose(&word, MOST_PATIENCE);
    sim_say("server %zu %s headers", sim_index_of(model), trusts ? "reads" : "reads no");
    if (trusts)
        set_patience(model, patience);
    else if (berth_server_set_proxy_protocol(model->server, NULL, 0, 0))
        model->trusts = false;
    if (sim.local_reads)
        set_local_patience(model, patience);
}

static void set_server(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    uint32_t patience = 1 + sim_choose(&word, MOST_PATIENCE);
    if (!berth_server_is_listening(model->server)) {
        sim_headers_server(model, word);
    } else if (reads(model)) {
        sim_say("server %zu waits %u ms for a header", sim_index_of(model), patience);
        if (sim_listens_locally(model))
            set_local_patience(model, patience);
        else
            set_patience(model, patience);
    }
}

/* Those who may have been turned away. */
void sim_headers_doubt(struct server_model *model)
{
    uint16_t port = sim_port(model);
    uint64_t now = berth_loop_now(sim.loop);
    for (size_t i = 0; i < sim.connection_count && reads(model); i++) {
        struct connection *each = &sim.connections[i];
        const struct way *way = &each->way[0];
        bool doubtful = way->cut || way->ended || way->closed || each->torn ||
                        now >= each->connected_at + model->patience;
        if (!each->headed || each->to != port || each->accepted || each->doubted || !doubtful)
            continue;
        each->doubted = true;
        model->doubted++;
    }
}

void sim_headers_look(struct server_model *model)
{
    const berth_server_counts *counts = &model->counts;
    /* Some have come and gone since the last look. */
    uint64_t refused = counts->rejected_header + counts->failed + counts->rejected_greeting;
    if (refused > model->refused_before)
        sim_going((unsigned)(refused - model->refused_before));
    model->refused_before = refused;
    if (!model->has_trusted) {
        sim_check(counts->rejected_header + counts->awaiting_header == 0,
                  "a server reads headers of its own accord");
        return;
    }
    sim_headers_doubt(model);
    sim_check(counts->rejected_header <= model->doubted || sim_lossy(),
              "%llu connections are turned away for their header, %lu of them rightly",
              (unsigned long long)counts->rejected_header, model->doubted);
    /* While a server is paused no time runs, but in a blocking wait. */
    bool odd = model->paused || model->stopped || model->waits > 0;
    if (counts->accepted != model->accepted_before || odd || model->was_odd)
        model->awaited_since = berth_loop_now(sim.loop);
    model->was_odd = odd;
    model->accepted_before = counts->accepted;
}

void sim_headers_turn(uint64_t start)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        struct server_model *model = &sim.servers[i];
        if (model->server == NULL || model->closing > 0 || !model->has_trusted || model->paused ||
            model->stopped || model->waits > 0 || awaited_by(model) == 0)
            continue;
        berth_server_counts counts;
        berth_server_statistics(model->server, &counts);
        bool late = counts.accepted == model->accepted_before &&
                    model->awaited_since + model->most_patience + 1 <= start;
        model->headers_overdue = late ? model->headers_overdue + 1 : 0;
        sim_check(model->headers_overdue <= HEADER_TURNS,
                  "server %zu awaits a header for longer than it may", i);
    }
}

/* A socket that came to a place which led elsewhere when it knew that it was connected: it shows
 * only now that its header is read. */
static void learn(const struct server_model *model, struct connection *connection)
{
    bool is_new = connection->local && !connection->of_peer && connection->named;
    if (is_new && !connection->headed && reads(model)) {
        connection->headed = connection->doubted = true;
        connection->lies = connection->preface.none;
    }
}

void sim_headers_arrive(const struct server_model *model, struct connection *connection)
{
    learn(model, connection);
    sim_check(!connection->lies, "a connection comes in spite of its header");
    sim_check(!connection->headed || !connection->of_peer || connection->whole,
              "a connection comes before its header");
}

bool sim_headers_client(const struct server_model *model, const struct connection *connection,
                        uint32_t *ret_address)
{
    if (connection->through != NULL)
        return false;
    bool named = reads(model) && connection->client > 0;
    *ret_address = named ? FIRST_CLIENT + connection->client : LOOPBACK;
    return !reads(model) || connection->named;
}

/* The names of one that was taken. */
void sim_headers_taken(const struct socket_model *model)
{
    const struct connection *connection = model->connection;
    if (!connection->headed || !connection->named || model->state != BERTH_STATE_CONNECTED)
        return;
    uint16_t port = berth_socket_transport_peer_port(model->socket);
    sim_check(port == connection->port || port == 0, "the port of a balancer is %u", port);
    if (connection->client == 0)
        return;
    sim_check(berth_address_equal(berth_socket_peer_address(model->socket),
                                  source_of(connection->client)) &&
                  berth_socket_peer_port(model->socket) == FIRST_PORT + connection->client,
              "the names are not those of the header");
    size_t size;
    const uint8_t *value = berth_socket_proxy_header_value(model->socket, VALUE_TYPE, &size);
    bool has = connection->of_peer && connection->version == 2;
    sim_check((value != NULL) == has && (!has || (size == 1 && *value == connection->client)),
              "the values are not those of the header");
}

/* ---- peers ----------------------------------------------------------------------------------- */

/* Sends `total` bytes of what is left of the header and of the bytes behind it; returns how many of
 * the latter have gone. */
static ptrdiff_t send_some(struct peer_model *peer, const uint8_t *bytes, size_t size, size_t total)
{
    static uint8_t both[SIM_HEADER + MOST_BYTES];
    size_t left = peer->header_size - peer->header_sent;
    memcpy(both, peer->header + peer->header_sent, left);
    if (size > 0)
        memcpy(both + left, bytes, size);
    ptrdiff_t sent = sim_peer_send(peer, both, total);
    size_t of_header = sent <= 0 ? 0 : (size_t)sent < left ? (size_t)sent : left;
    peer->header_sent += of_header;
    peer->connection->whole = peer->header_sent == peer->header_size;
    return sent > 0 ? sent - (ptrdiff_t)of_header : sent;
}

/* It has connected to a server. */
void sim_headers_peer(struct peer_model *peer, uint64_t word)
{
    struct connection *connection = peer->connection;
    struct server_model *server = reader_at(peer->port);
    connection->of_peer = true;
    connection->connected_at = sim_now();
    if (server == NULL)
        return;
    connection->headed = connection->named = true;
    connection->version = 1 + sim_choose(&word, 2);
    connection->client = sim_choose(&word, 8);
    if (sim_choose(&word, 4) == 0) {
        uint32_t which = sim_choose(&word, 14);
        peer->header_size = lie(which, peer->header);
        peer->is_mute = which > 7 && which < 11;
        connection->lies = connection->doubted = connection->way[0].cut = true;
        server->doubted++;
    } else {
        bool is_long = sim_choose(&word, 2) == 0;
        peer->header_size = honest(connection->version, connection->client, is_long, peer->header);
    }
    sim_say("peer %td %s, in %zu bytes", peer - sim.peers,
            connection->lies ? "will lie" : "has a header", peer->header_size);
    if (sim_choose(&word, 2) == 0)
        (void)send_some(peer, NULL, 0, peer->header_size);
}

/* Few bytes are a piece of the header; more have what is left of it in front. */
ptrdiff_t sim_headers_send(struct peer_model *peer, const uint8_t *bytes, size_t size)
{
    size_t left = peer->header_size - peer->header_sent;
    if (left == 0 && peer->is_mute)
        return -EAGAIN;
    if (left == 0)
        return sim_peer_send(peer, bytes, size);
    bool alone = size < 20 || peer->is_mute;
    return send_some(peer, bytes, size, !alone ? left + size : left < size ? left : size);
}

void sim_headers_finish(void)
{
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL && !peer->ended && peer->header_sent < peer->header_size)
            (void)send_some(peer, NULL, 0, peer->header_size - peer->header_sent);
    }
}

static void send_piece(uint64_t word)
{
    uint32_t first = sim_choose(&word, SIM_PEERS);
    for (uint32_t i = 0; i < SIM_PEERS; i++) {
        struct peer_model *peer = &sim.peers[(first + i) % SIM_PEERS];
        if (peer->end == NULL || peer->ended || peer->header_sent == peer->header_size)
            continue;
        static const uint8_t none[20];
        (void)sim_headers_send(peer, none, 1 + sim_choose(&word, 19));
        sim_say("peer %td has sent %zu of %zu bytes of its header", peer - sim.peers,
                peer->header_sent, peer->header_size);
        return;
    }
}

/* It goes over to the library, with what has gone of its header. */
bool sim_headers_adopt(const struct peer_model *peer)
{
    struct connection *connection = peer->connection;
    if (peer->is_mute || connection->tls)
        return false;
    if (peer->side == 1 && (sim.topics >> TOPIC_TLS & 1) != 0 && !connection->known)
        return false;
    if (peer->side == 1)
        return !is_topic() || connection->preface.whole || connection->preface.none;
    /* What the socket writes might be the rest of it. */
    if (connection->headed && !connection->whole && peer->header_sent > 0)
        return false;
    if (connection->headed && !connection->whole && !connection->lies) {
        struct server_model *server = reader_at(connection->to);
        connection->lies = connection->way[0].cut = true;
        if (server != NULL && !connection->doubted)
            server->doubted++;
        connection->doubted = true;
    }
    return true;
}

/* ---- sockets --------------------------------------------------------------------------------- */

/* Which server a path leads to is known afterwards only. */
static void count_doubt(struct server_model *server)
{
    for (size_t i = 0; i < SIM_SERVERS && sim.local_reads; i++)
        sim.servers[i].doubted++;
    if (server != NULL && !sim.local_reads)
        server->doubted++;
}

/* It is about to connect. False: it cannot have the header that it needs. */
bool sim_headers_connect(struct socket_model *model, uint16_t port)
{
    if (!is_topic())
        return true;
    struct server_model *server = reader_at(port);
    uint64_t word = (sim.step + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ sim.keys;
    word ^= word >> 29;
    bool may = server != NULL || sim_is_tests(port) || port == sim.proxy_port;
    uint32_t chosen = sim_choose(&word, 4);
    bool has = may && chosen < (server != NULL ? 3 : 2);
    model->header_version = has ? 1 + sim_choose(&word, 2) : 0;
    model->client = sim_choose(&word, 8);
    berth_proxy_header header = {.version = (int)model->header_version,
                                 .source_port = (uint16_t)(FIRST_PORT + model->client),
                                 .destination = berth_address_ipv4(0xc6336407),
                                 .destination_port = 443};
    if (model->client > 0)
        header.source = source_of(model->client);
    count_doubt(server);
    sim_say("socket %zu has %s header", sim_number_of(model), has ? "a" : "no");
    bool set = berth_socket_set_proxy_header(model->socket, has ? &header : NULL);
    sim_check(set || sim_lossy(), "a header cannot be set");
    return set;
}

static void compare(const struct connection *connection)
{
    const struct preface *preface = &connection->preface;
    uint8_t wanted[SIM_HEADER];
    bool is_line = connection->version == 1;
    size_t size = is_line ? line(connection->client, wanted)
                          : head(connection->client, connection->client > 0 ? 7 : 0, wanted);
    size_t checksum = is_line || connection->client == 0 ? 0 : 7;
    sim_check(preface->size == size + checksum && memcmp(preface->got, wanted, size) == 0,
              "a socket has written another header");
}

/* It is connected, and its connection known. */
void sim_headers_begin(const struct socket_model *model)
{
    struct connection *connection = model->connection;
    if (!is_topic())
        return;
    connection->version = model->header_version;
    connection->client = model->client;
    connection->named = true;
    struct preface *preface = &connection->preface;
    preface->none = connection->version == 0;
    sim_check(!preface->none || preface->size == 0, "a socket writes a header that it has not");
    if (preface->whole)
        compare(connection);
    if (reader_at(connection->to) == NULL)
        return;
    connection->headed = connection->doubted = true; /* when it was made */
    connection->lies = preface->none;
    connection->way[0].cut = connection->way[0].cut || connection->lies;
    sim_check(!connection->lies || !connection->accepted,
              "a connection has come without its header");
}

static bool is_whole(const struct preface *preface)
{
    if (preface->got[0] == 'P')
        return preface->got[preface->size - 1] == '\n';
    return preface->size >= HEAD_SIZE &&
           preface->size == HEAD_SIZE + (size_t)(preface->got[14] << 8) + preface->got[15];
}

size_t sim_headers_receive(const struct peer_model *peer, const uint8_t *bytes, size_t size)
{
    struct connection *connection = peer->connection;
    struct preface *preface = &connection->preface;
    size_t used = 0;
    if (!is_topic() || peer->side == 0 || preface->none)
        return 0;
    for (; used < size && !preface->whole; used++) {
        sim_check(preface->size < SIM_HEADER, "a socket writes a header without an end");
        preface->got[preface->size++] = bytes[used];
        preface->whole = is_whole(preface);
        if (preface->whole && connection->named)
            compare(connection);
    }
    return used;
}

static void set_in_vain(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    const berth_proxy_header header = {.version = 3};
    sim_check(!berth_socket_set_proxy_header(model->socket, &header), "version 3 is known");
}

/* Long enough for many a header to be late. */
static void let_time_pass(uint64_t word)
{
    uint64_t milliseconds = 50 + sim_choose(&word, MOST_PATIENCE);
    if (sim.depth > 0)
        return;
    sim_say("headers have %llu ms", (unsigned long long)milliseconds);
    sim_let_time_pass(milliseconds);
}

/* Several at once, most of whom have their header with them; so that limits are met. */
static void bring_crowd(uint64_t word)
{
    uint32_t count = 2 + sim_choose(&word, 4);
    uint64_t mixed = word;
    if (sim_choose(&word, 2) == 0)
        sim_limit_accepting(word);
    for (uint32_t i = 0; i < count; i++) {
        mixed = mixed * UINT64_C(0xd1342543de82ef95) + 1;
        sim_connect_peer(mixed ^ mixed >> 31);
    }
    for (uint32_t turns = sim_choose(&word, 4); turns > 0 && !sim.leaving; turns--)
        sim_turn(1);
}

void sim_call_of_headers(uint64_t word)
{
    uint32_t what = sim_choose(&word, 10);
    if (what < 3)
        send_piece(word);
    else if (what < 4)
        sim_connect_peer(word);
    else if (what < 6)
        bring_crowd(word);
    else if (what < 7)
        set_server(word);
    else if (what < 8)
        let_time_pass(word);
    else if (what < 9)
        sim_limit_accepting(word);
    else
        set_in_vain(word);
}
