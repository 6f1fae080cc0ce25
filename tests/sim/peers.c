/*
 * What happens outside of the library: the deeds of peers, and the faults of the kernel.
 *
 * Deeds act at once, as another process would, and come between turns or inside a handler alike.
 */
#include "model.h"
#include "world.h"

#include "base/fault.h"

#include <errno.h>
#include <limits.h>

#define MOST_BYTES 4096u
#define MOST_FLOODED 600u /* in one step */

static uint8_t bytes[MOST_BYTES];

static struct peer_model *some_peer(uint64_t *word, bool alive)
{
    uint32_t first = sim_choose(word, SIM_PEERS);
    for (uint32_t i = 0; i < SIM_PEERS; i++) {
        struct peer_model *peer = &sim.peers[(first + i) % SIM_PEERS];
        if ((peer->end != NULL) == alive)
            return peer;
    }
    return NULL;
}

void sim_connect_peer(uint64_t word)
{
    struct peer_model *peer = some_peer(&word, false);
    struct server_model *server = &sim.servers[sim_choose(&word, SIM_SERVERS)];
    if (peer == NULL || server->server == NULL || server->closing > 0)
        return;
    uint16_t port = sim_port(server);
    bool local = sim_listens_locally(server);
    bool foreign = false;
    struct end *end = local ? sim_local_connect_peer(server, &foreign) : world->connect(port);
    sim_say("peer %td connects to server %td%s", peer - sim.peers, server - sim.servers,
            end == NULL ? ", in vain" : "");
    if (end == NULL)
        return;
    *peer = (struct peer_model){.end = end, .port = port};
    peer->connection = local ? sim_local_connection(world->port(end), port)
                             : sim_connection(world->port(end), port);
    peer->connection->foreign = foreign;
    sim_headers_peer(peer, word);
    sim_tls_peer(peer);
}

void sim_connect_peers(uint64_t word)
{
    for (uint32_t more = sim_choose(&word, 5); more > 0; more--)
        sim_connect_peer(word + more);
}

bool sim_end_peer_of(const struct connection *connection, int side)
{
    for (size_t i = 0; i < SIM_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end == NULL || peer->connection != connection || peer->side == side ||
            peer->ended || !world->is_established(peer->end))
            continue;
        if (!sim_tls_end(peer, sim.step % 4 != 0))
            return false;
        sim_say("peer %zu half-closes", i);
        world->shutdown(peer->end);
        peer->ended = peer->connection->way[peer->side].ended = true;
        return true;
    }
    return false;
}

static bool accept_peer(struct peer_model *peer)
{
    struct end *end = world->accept(sim.port);
    bool local = end == NULL && (sim.topics >> TOPIC_LOCAL & 1) != 0;
    if (local)
        end = world->accept_local();
    if (end == NULL)
        return false;
    sim_say("peer %td is connected to", peer - sim.peers);
    *peer = (struct peer_model){.end = end, .side = 1};
    peer->connection = local ? sim_local_connection(world->peer_port(end), SIM_LOCAL_PORT)
                             : sim_connection(world->peer_port(end), sim.port);
    sim_tls_peer(peer);
    return true;
}

static void accept_deed(uint64_t word)
{
    struct peer_model *peer = some_peer(&word, false);
    if (peer != NULL)
        accept_peer(peer);
}

ptrdiff_t sim_peer_send(struct peer_model *peer, const void *data, size_t size)
{
    ptrdiff_t sent = world->send(peer->end, data, size);
    peer->told_of_reset = peer->told_of_reset || sent == -ECONNRESET;
    return sent;
}

static void send_from(struct peer_model *peer, uint32_t size)
{
    struct way *way = &peer->connection->way[peer->side];
    sim_fill(way, bytes, size);
    ptrdiff_t sent = sim_tls_send(peer, bytes, size);
    sim_say("peer %td sends %u bytes: %td", peer - sim.peers, size, sent);
    if (sent > 0)
        sim_put(peer->connection, peer->side, (size_t)sent);
}

static void send_bytes(uint64_t word)
{
    struct peer_model *peer = some_peer(&word, true);
    uint32_t size = 1 + sim_choose(&word, sim_choose(&word, 3) == 0 ? MOST_BYTES : 40);
    if (peer != NULL && !peer->ended)
        send_from(peer, size);
}

void sim_peers_speak(uint64_t word)
{
    for (size_t i = 0; i < SIM_PEERS; i++) {
        if (sim.peers[i].end != NULL && !sim.peers[i].ended)
            send_from(&sim.peers[i], 1 + sim_choose(&word, 40));
    }
}

/* Reads all that is there; whether the peer has seen the end. */
static bool read_all(struct peer_model *peer)
{
    struct way *way = &peer->connection->way[1 - peer->side];
    for (;;) {
        ptrdiff_t count = world->receive(peer->end, bytes, MOST_BYTES);
        if (count == -EAGAIN)
            return false;
        if (count == 0 && peer->told_of_reset)
            count = -ECONNRESET;
        if (count > 0) {
            size_t used = sim_headers_receive(peer, bytes, (size_t)count);
            sim_tls_receive(peer, bytes + used, (size_t)count - used);
            continue;
        }
        sim_check(count < 0 || !sim_complete(way) || way->got >= way->put,
                  "a peer sees the end after %llu of %llu bytes", (unsigned long long)way->got,
                  (unsigned long long)way->put);
        sim_check(!peer->connection->local || way->got >= way->sent,
                  "an end has destroyed output that the kernel had");
        if (count < 0) {
            sim_judge_rest(peer->connection, peer->side,
                           peer->was_reset ? peer->reset_time : sim_now());
            sim_cut(peer->connection);
        } else {
            sim_tls_end_seen(peer);
        }
        peer->over = true;
        return true;
    }
}

void sim_peers_flood(void)
{
    for (size_t i = 0; i < SIM_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (!peer->floods || peer->end == NULL || peer->ended)
            continue;
        peer->flooded = peer->flood_step == sim.step ? peer->flooded + 1 : 0;
        peer->flood_step = sim.step;
        if (peer->flooded > MOST_FLOODED)
            continue;
        struct way *way = &peer->connection->way[peer->side];
        sim_fill(way, bytes, 100);
        ptrdiff_t sent = sim_tls_send(peer, bytes, 100);
        if (sent > 0)
            sim_put(peer->connection, peer->side, (size_t)sent);
    }
}

void sim_peers_read(void)
{
    bool any = true; /* may wait to be accepted */
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        if (sim.peers[i].end != NULL)
            read_all(&sim.peers[i]);
        else
            any = any && accept_peer(&sim.peers[i]);
    }
}

/* With SYN cookies a kernel that had no room for a connection has forgotten it, while its peer
 * holds it for established: what the peer sends brings it back. */
void sim_peers_nudge(void)
{
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end == NULL || peer->port == 0 || peer->ended || peer->connection->accepted ||
            peer->connection->way[0].put > 0)
            continue;
        struct way *way = &peer->connection->way[0];
        sim_fill(way, bytes, 1);
        way->put += sim_tls_send(peer, bytes, 1) == 1;
    }
}

static void read_bytes(uint64_t word)
{
    struct peer_model *peer = some_peer(&word, true);
    if (peer == NULL)
        return;
    if (sim_choose(&word, 3) > 0) {
        sim_say("peer %td reads all there is", peer - sim.peers);
        read_all(peer);
        return;
    }
    ptrdiff_t count = world->receive(peer->end, bytes, 1 + sim_choose(&word, 100));
    sim_say("peer %td reads %td bytes", peer - sim.peers, count);
    peer->told_of_reset = peer->told_of_reset || count == -ECONNRESET;
    if (count <= 0)
        return;
    size_t used = sim_headers_receive(peer, bytes, (size_t)count);
    sim_tls_receive(peer, bytes + used, (size_t)count - used);
}

/* What it sent comes even so, but for a reset, which there is where it leaves something unread. */
static void close_local(struct peer_model *peer, bool reads)
{
    struct way *out = &peer->connection->way[peer->side];
    const struct way *in = &peer->connection->way[1 - peer->side];
    if (reads)
        read_all(peer);
    bool ends = sim_tls_end(peer, sim.step % 4 != 0);
    out->ended = out->closed = true;
    out->cut = out->cut || !ends || in->put + in->putting > in->got || sim_tls_is_owed(peer) ||
               (peer->side == 1 && !sim_headers_adopt(peer));
    world->close(peer->end);
}

static void end_peer(uint64_t word)
{
    struct peer_model *peer = some_peer(&word, true);
    if (peer == NULL)
        return;
    struct way *out = &peer->connection->way[peer->side];
    struct way *in = &peer->connection->way[1 - peer->side];
    uint32_t how = sim_choose(&word, 5);
    static const char *const names[] = {"resets", "closes", "reads all and closes", "half-closes"};
    sim_say("peer %td %s", peer - sim.peers, names[how < 4 ? how : 3]);
    if (how >= 3) {
        if (!world->is_established(peer->end) || !sim_tls_end(peer, sim.step % 4 != 0))
            return;
        world->shutdown(peer->end);
        peer->ended = out->ended = true;
        return;
    }
    in->cut = true;
    if (peer->connection->local) {
        close_local(peer, how == 2);
    } else if (how == 2) {
        read_all(peer);
        bool ends = sim_tls_end(peer, sim.step % 4 != 0);
        out->ended = out->closed = true;
        /* What is still to come finds nobody, and that destroys what was sent. */
        out->cut = out->cut || !ends || in->put + in->putting > in->got || sim_tls_is_owed(peer) ||
                   (peer->side == 1 && !sim_headers_adopt(peer));
        world->close(peer->end);
    } else {
        out->cut = true;
        peer->connection->torn = true;
        out->reset = how == 0 && world->is_established(peer->end);
        if (how == 0)
            world->reset(peer->end);
        else
            world->close(peer->end);
    }
    *peer = (struct peer_model){0};
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static void exhaust(uint64_t word)
{
    bool relieve = sim_choose(&word, 2) == 0;
    unsigned more = sim_choose(&word, 3);
    if (relieve)
        sim_say("descriptors are plentiful");
    else
        sim_say("%u descriptors are left", more);
    sim.short_of = sim.short_of || !relieve;
    world->leave_descriptors(relieve ? UINT_MAX : more);
}

static void fail_memory(uint64_t word)
{
    if (!sim.may_lose)
        return;
    long after = (long)sim_choose(&word, 12);
    long times = 1 + (long)sim_choose(&word, 3);
    sim_say("memory runs out after %ld allocations, %ld times", after, times);
    (void)sim_lossy(); /* arming begins to count anew */
    berth__fault_set_memory(after, times);
}

static void fail_accept(uint64_t word)
{
    static const int errors[] = {ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, EPERM};
    int error = errors[sim_choose(&word, sizeof errors / sizeof errors[0])];
    unsigned times = 1 + sim_choose(&word, 4);
    sim_say("the next %u accepts fail with errno %d", times, error);
    sim.other_lack = sim.other_lack || (error != EMFILE && error != ENFILE);
    world->fail_accept(error, times);
    sim.accepts_fail = false;
}

static void fail_all_accepts(uint64_t word)
{
    static const int errors[] = {ECONNABORTED, EMFILE, ENOBUFS, EPERM, EOPNOTSUPP};
    if (!(sim.topics >> TOPIC_TIME & 1))
        return;
    sim.accepts_fail = sim_choose(&word, 2) == 0;
    int error = errors[sim_choose(&word, sizeof errors / sizeof errors[0])];
    sim.other_lack = sim.other_lack || error != EMFILE;
    if (sim.accepts_fail)
        sim_say("from now on accepts fail with errno %d", error);
    else
        sim_say("accepts no longer fail");
    world->fail_accept(error, sim.accepts_fail ? UINT_MAX : 0);
}

static void flood(uint64_t word)
{
    struct peer_model *peer = some_peer(&word, true);
    if (peer == NULL || !(sim.topics >> TOPIC_TIME & 1))
        return;
    peer->floods = !peer->floods;
    sim_say("peer %td %s", peer - sim.peers, peer->floods ? "floods" : "no longer floods");
}

static void fail_send(uint64_t word)
{
    static const int errors[] = {ECONNRESET, EPIPE, ENOBUFS, ETIMEDOUT};
    if (!sim.may_lose)
        return;
    int error = errors[sim_choose(&word, 4)];
    sim_say("the next send fails with errno %d", error);
    world->fail_send(error, 1);
    sim.lossy = sim.broken = true;
}

static void jump(uint64_t word)
{
    uint64_t milliseconds = sim_choose(&word, 4) == 0 ? 40000 : sim_choose(&word, 100);
    sim_say("%llu ms pass", (unsigned long long)milliseconds);
    sim.moves++;
    world->advance(milliseconds);
}

void sim_deed_of_peer(uint64_t word)
{
    static void (*const deeds[])(uint64_t word) = {
        sim_connect_peer, accept_deed, send_bytes, send_bytes, send_bytes,
        send_bytes,       read_bytes,  read_bytes, end_peer,
    };
    uint32_t chosen = sim_choose(&word, sizeof deeds / sizeof deeds[0]);
    deeds[chosen](word);
}

void sim_deed(uint64_t word)
{
    static void (*const deeds[])(uint64_t word) = {
        sim_connect_peer,
        sim_connect_peer,
        sim_connect_peer,
        sim_connect_peer,
        accept_deed,
        accept_deed,
        send_bytes,
        send_bytes,
        send_bytes,
        send_bytes,
        sim_peers_speak,
        read_bytes,
        read_bytes,
        read_bytes,
        end_peer,
        end_peer,
        fail_all_accepts,
        flood,
        sim_meanwhile_plan,
        sim_meanwhile_plan,
        exhaust,
        fail_memory,
        fail_accept,
        fail_send,
        jump,
    };
    uint32_t chosen = sim_choose(&word, sizeof deeds / sizeof deeds[0]);
    deeds[chosen](word);
}
