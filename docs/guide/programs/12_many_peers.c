/*
 * A program that is a server and a client of many peers at once. It lends two shares of bytes to
 * whoever greets with the name of one, all on one port, and fetches each of them six times from
 * itself. What it fetches goes to a pool of threads as jobs, which only add the bytes up here.
 *
 * Another place to fetch from refuses connections. It is tried three times, and then given up.
 *
 * The exit status is 0 if all bytes have come and were right, and no limit was exceeded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

#define GREETING 8 /* bytes: the name of a share */
#define SHARE_SIZE ((size_t)1 << 20)
#define BLOCK ((size_t)16 << 10)
#define MOST_WAITING ((size_t)128 << 10) /* bytes of blocks in jobs; one block more can be */
#define FETCHES 12
#define PLACES (FETCHES + 1)
#define MOST_DIALLING 3
#define TICK 20 /* milliseconds */

typedef struct share {
    char name[GREETING + 1];
    unsigned char *bytes;
    unsigned long sum;
    int borrowed; /* by sockets */
} share;

typedef struct place { /* to fetch from */
    share *wanted;
    uint16_t port;
    bool used;
    int failures;
    int again; /* number of the tick before which it is not dialled */
    size_t stored;
    unsigned long sum;
} place;

typedef struct peer {
    berth_socket *socket; /* NULL: it has gone */
    place *place;         /* NULL: it was accepted */
    struct peer *next;    /* of all peers, or of those that have gone */
    struct peer **link;
    size_t received;
    int jobs; /* that use it */
    bool dialling;
    bool paused;
} peer;

typedef struct block {
    peer *peer;
    unsigned long sum;
    unsigned char bytes[BLOCK];
} block;

static struct node {
    berth_workers *workers;
    berth_rate *rate; /* of all that is lent */
    share shares[2];
    place places[PLACES];
    peer *peers;
    peer *gone;
    bool burying;
    int ticks;
    int dialling;
    int most_dialling;
    int finished; /* places */
    int right;
    size_t waiting;
    size_t most_waiting;
} node;

/* ---- ends of peers --------------------------------------------------------------------------- */

static void move_to(peer **list, peer *one)
{
    if (one->link)
        *one->link = one->next;
    if (one->link && one->next)
        one->next->link = one->link;
    one->next = *list;
    one->link = list;
    if (one->next)
        one->next->link = &one->next;
    *list = one;
}

/* Frees those that have gone, when no handler and no job uses them any more. */
static void bury(void *user)
{
    (void)user;
    node.burying = false;
    for (peer **link = &node.gone, *one; (one = *link);) {
        if (one->jobs > 0) {
            link = &one->next;
            continue;
        }
        *link = one->next;
        if (one->next)
            one->next->link = link;
        free(one);
    }
}

static void bury_soon(void)
{
    if (!node.burying) /* without memory the tick does it */
        node.burying = berth_loop_post(NULL, bury, NULL);
}

static void finish_place(place *at)
{
    at->used = true; /* for good */
    node.right += at->stored == SHARE_SIZE && at->sum == at->wanted->sum;
    if (++node.finished == PLACES)
        berth_loop_stop(NULL, 0);
}

/* Called in any handler, any number of times. */
static void drop(peer *one)
{
    if (!one->socket)
        return;
    berth_socket_free(one->socket);
    one->socket = NULL;
    node.dialling -= one->dialling;
    if (one->place && one->received < SHARE_SIZE) {
        place *at = one->place;
        at->used = false;
        at->again = node.ticks + (1 << at->failures);
        if (++at->failures == 3)
            finish_place(at);
    }
    move_to(&node.gone, one);
    bury_soon();
}

/* ---- lending --------------------------------------------------------------------------------- */

static void released(const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    ((share *)user)->borrowed--;
}

/* Which share the peer has come for is known when its greeting has arrived. */
static void welcome(peer *one)
{
    char name[GREETING];
    if (berth_socket_peek(one->socket, name, GREETING) < GREETING)
        return; /* it stays in the input */
    berth_socket_skip(one->socket, GREETING);
    for (size_t i = 0; i < 2; i++) {
        share *it = &node.shares[i];
        if (memcmp(name, it->name, GREETING) != 0)
            continue;
        if (berth_socket_write_borrowed(one->socket, it->bytes, SHARE_SIZE, released, it) > 0)
            it->borrowed++;
        return;
    }
    drop(one); /* it is not for us */
}

/* ---- fetching -------------------------------------------------------------------------------- */

static void receive(peer *one);

static void work(berth_job *job, void *user) /* on a thread of the pool */
{
    block *it = user;
    (void)job;
    for (size_t i = 0; i < BLOCK; i++)
        it->sum += it->bytes[i];
}

static void worked(berth_job *job, bool cancelled, void *user)
{
    block *it = user;
    peer *from = it->peer;
    place *at = from->place;
    (void)job;
    (void)cancelled;
    node.waiting -= BLOCK;
    at->sum += it->sum;
    at->stored += BLOCK;
    free(it);
    if (at->stored == SHARE_SIZE)
        finish_place(at);
    if (--from->jobs == 0 && !from->socket)
        bury_soon();
    if (node.waiting > MOST_WAITING / 2)
        return;
    for (peer *next, *other = node.peers; other; other = next) {
        next = other->next; /* it may drop itself */
        if (!other->paused)
            continue;
        other->paused = false;
        berth_socket_resume_reading(other->socket);
        receive(other); /* what came before the pause is not announced again */
    }
}

/* Takes blocks while the pool keeps up. */
static void receive(peer *one)
{
    while (one->socket && berth_socket_bytes_available(one->socket) >= BLOCK) {
        if (node.waiting >= MOST_WAITING) {
            one->paused = true;
            berth_socket_pause_reading(one->socket);
            return;
        }
        block *it = calloc(1, sizeof(*it));
        if (!it) {
            drop(one);
            return;
        }
        it->peer = one;
        berth_socket_read(one->socket, it->bytes, BLOCK);
        if (!berth_workers_submit(node.workers, NULL, work, worked, it)) {
            free(it);
            drop(one);
            return;
        }
        one->jobs++;
        one->received += BLOCK;
        node.waiting += BLOCK;
        if (node.waiting > node.most_waiting)
            node.most_waiting = node.waiting;
        if (one->received == SHARE_SIZE)
            drop(one);
    }
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_ready_read(berth_socket *socket, void *user)
{
    peer *one = user;
    (void)socket;
    if (one->place)
        receive(one);
    else
        welcome(one);
}

static void on_connected(berth_socket *socket, void *user)
{
    peer *one = user;
    one->dialling = false;
    node.dialling--;
    berth_socket_write(socket, one->place->wanted->name, GREETING);
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    (void)socket;
    (void)error;
    drop(user);
}

static void on_disconnected(berth_socket *socket, void *user)
{
    (void)socket;
    drop(user);
}

static peer *add_peer(berth_socket *socket)
{
    static const berth_socket_handlers handlers = {.ready_read = on_ready_read,
                                                   .connected = on_connected,
                                                   .error_occurred = on_error,
                                                   .disconnected = on_disconnected};
    peer *one = socket ? calloc(1, sizeof(*one)) : NULL;
    if (!one) {
        berth_socket_free(socket);
        return NULL;
    }
    one->socket = socket;
    move_to(&node.peers, one);
    berth_socket_set_handlers(socket, &handlers, one);
    return one;
}

static void on_new_connection(berth_server *server, void *user)
{
    static const berth_connection_limits limits = {.idle = 10000};
    (void)user;
    peer *one = add_peer(berth_server_next_pending_connection(server));
    if (!one)
        return;
    if (!berth_socket_set_limits(one->socket, &limits) ||
        !berth_socket_set_write_rate(one->socket, node.rate)) {
        drop(one);
        return;
    }
    welcome(one); /* its greeting may have come before */
}

/* ---- dialling and time ----------------------------------------------------------------------- */

static void dial(void)
{
    for (size_t i = 0; i < PLACES && node.dialling < MOST_DIALLING; i++) {
        place *at = &node.places[i];
        peer *one;
        if (at->used || at->again > node.ticks ||
            !(one = add_peer(berth_socket_new(NULL, NULL, NULL))))
            continue;
        at->used = true;
        one->place = at;
        one->dialling = true;
        if (++node.dialling > node.most_dialling)
            node.most_dialling = node.dialling;
        /* A failure is reported by error_occurred. */
        berth_socket_connect_to_address(one->socket, BERTH_ADDRESS_LOOPBACK, at->port);
    }
}

/* One timer for everything that is not urgent, of all peers. */
static void on_tick(berth_timer *timer, void *user)
{
    (void)timer;
    node.ticks++;
    bury(user);
    dial();
}

static bool make_share(share *it, const char *name)
{
    snprintf(it->name, sizeof(it->name), "%-*s", GREETING, name);
    it->bytes = malloc(SHARE_SIZE);
    for (size_t i = 0; it->bytes && i < SHARE_SIZE; i++)
        it->sum += it->bytes[i] = (unsigned char)(i * 31 + (unsigned char)*name);
    return it->bytes != NULL;
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = on_new_connection};
    node.workers = berth_workers_new(2, NULL, NULL);
    node.rate = berth_rate_new(NULL, 64 << 20, 1 << 20);
    berth_server *server = berth_server_new(NULL, &serving, NULL);
    berth_timer *timer = berth_timer_new(NULL, on_tick, NULL);
    if (!node.rate || !server || !timer || !make_share(&node.shares[0], "first") ||
        !make_share(&node.shares[1], "second")) {
        fprintf(stderr, "cannot make a server and what it sends: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }
    if (!node.workers || !berth_workers_start(node.workers)) {
        fprintf(stderr, "%s\n", berth_workers_error_string(node.workers));
        return 1;
    }
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    for (size_t i = 0; i < PLACES; i++)
        node.places[i] = (place){.wanted = &node.shares[i % 2],
                                 .port = i < FETCHES ? berth_server_port(server) : 1};
    berth_timer_start(timer, TICK, TICK);
    berth_loop_run(NULL);

    berth_server_free(server);
    while (node.peers)
        drop(node.peers);
    berth_workers_free(node.workers);
    berth_loop_free(berth_loop_current()); /* runs `worked`, `bury` and `released` for the rest */
    printf("%d of %d fetches were right; %d dials and %zu waiting bytes at most\n", node.right,
           FETCHES, node.most_dialling, node.most_waiting);
    bool good = node.right == FETCHES && node.most_dialling <= MOST_DIALLING &&
                node.most_waiting <= MOST_WAITING && !node.peers && !node.gone;
    for (size_t i = 0; i < 2; i++) {
        good = good && node.shares[i].borrowed == 0;
        free(node.shares[i].bytes);
    }
    return good ? 0 : 1;
}
