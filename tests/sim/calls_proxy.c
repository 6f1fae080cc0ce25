/*
 * Connections through proxies that the test plays, and settings of proxies that must not matter.
 *
 * A proxy is an end of the test's with a handshake before it: it takes what the client says,
 * answers in pieces, late, wrongly or not at all, and when it has said yes it is the target too, a
 * peer like others. At the end of a program all proxies are honest. Everything goes to loopback
 * addresses, so that a proxy of the process or of a server is never used (berth/proxy.h): they are
 * set to ports where nobody listens.
 *
 * Servers listen through SOCKS5 proxies on the simulated kernel only: berth_server_listen waits for
 * the proxy, which there can answer meanwhile (meanwhile.c; on real ones behaviour,
 * listening_through_a_proxy.c). A proxy that listens brings one peer, sooner or later, and with
 * that becomes the peer.
 */
#include "calls.h"
#include "world.h"

#include <errno.h>
#include <string.h>

#define PROXIES 6u
#define BOUND_SIZE 10u /* of a reply with an address */
#define NOBODY 1u      /* a port */
/* That it is bound to a name leaves a socket the address of its descriptor. */
#define REPLY "\5\0\0\3\1n\0\1"

static struct proxy {
    struct end *end;
    bool http;
    bool binds;                  /* has been asked to listen */
    bool has_peer;               /* that it has listened for */
    struct server_model *server; /* for whom */
    unsigned answers;            /* that were begun */
    unsigned char got[600];
    size_t size;
    unsigned char text[BOUND_SIZE];
    const void *reply;
    size_t left; /* of the reply */
} proxies[PROXIES];

static struct server_model *binding; /* is waiting for the proxy that it will listen through */
static uint16_t next_bound;

void sim_proxies_begin(void)
{
    memset(proxies, 0, sizeof proxies);
    binding = NULL;
    next_bound = 0;
    sim.proxy_port = 0;
    berth_proxy_set_application(NULL);
}

void sim_proxies_end(void)
{
    for (size_t i = 0; i < PROXIES; i++) {
        if (proxies[i].end != NULL)
            world->close(proxies[i].end);
    }
    if (sim.proxy_port != 0)
        world->unlisten(sim.proxy_port);
    sim_proxies_begin();
}

/* ---- the proxy's side ------------------------------------------------------------------------ */

static bool accept_client(struct proxy *proxy)
{
    struct end *end = sim.proxy_port != 0 ? world->accept(sim.proxy_port) : NULL;
    if (end == NULL)
        return false;
    *proxy = (struct proxy){.end = end};
    sim_say("proxy %td has a client", proxy - proxies);
    return true;
}

static void drop(struct proxy *proxy, bool reset)
{
    sim_cut(sim_connection(world->peer_port(proxy->end), sim.proxy_port));
    if (reset)
        world->reset(proxy->end);
    else
        world->close(proxy->end);
    *proxy = (struct proxy){0};
}

/* Bytes of the message that the client has to say now; more than there are while it is not whole.
 */
static size_t message_size(const struct proxy *proxy)
{
    const unsigned char *got = proxy->got;
    size_t size = proxy->size;
    if (proxy->http) {
        bool whole = size >= 4 && memcmp(got + size - 4, "\r\n\r\n", 4) == 0;
        return whole ? size : size + 1;
    }
    if (proxy->answers == 0)
        return size < 2 ? 2 : 2u + got[1];
    if (size < 5)
        return 5;
    return got[3] == 3 ? 7u + got[4] : got[3] == 4 ? 22 : 10;
}

static void reply_with(struct proxy *proxy, const unsigned char *text)
{
    memcpy(proxy->text, text, BOUND_SIZE);
    proxy->reply = proxy->text;
    proxy->left = BOUND_SIZE;
}

/* For whom a BIND is: the port is that of the server, but the first time. */
static struct server_model *server_for(uint16_t port)
{
    for (size_t i = 0; i < SIM_SERVERS && port != 0; i++) {
        struct server_model *model = &sim.servers[i];
        if (model->server != NULL && model->through && berth_server_port(model->server) == port)
            return model;
    }
    return binding;
}

static void answer_bind(struct proxy *proxy)
{
    uint16_t port = (uint16_t)(proxy->got[8] << 8 | proxy->got[9]);
    proxy->server = server_for(port);
    if (port == 0)
        port = ++next_bound;
    const unsigned char text[BOUND_SIZE] = {
        5, 0, 0, 1, 10, 0, 0, 1, (uint8_t)(port >> 8), (uint8_t)port};
    reply_with(proxy, text);
    proxy->binds = true;
    proxy->answers++;
    proxy->size = 0;
    sim_say("proxy %td listens at port %u", proxy - proxies, port);
}

static void answer(struct proxy *proxy)
{
    sim_check(proxy->http || proxy->got[0] == 5, "a client of a SOCKS5 proxy begins with %u",
              proxy->got[0]);
    sim_check(!proxy->http || memcmp(proxy->got, "CONNECT ", 8) == 0, "no CONNECT");
    if (!proxy->http && proxy->answers == 1 && proxy->got[1] == 2) {
        answer_bind(proxy);
        return;
    }
    bool last = proxy->http || proxy->answers == 1;
    proxy->reply = proxy->http ? "HTTP/1.1 200 OK\r\n\r\n" : last ? REPLY : "\5\0";
    proxy->left = proxy->http ? 19 : last ? sizeof REPLY - 1 : 2;
    proxy->answers += proxy->http ? 2 : 1;
    proxy->size = 0;
}

/* It has said yes: from here on it is the target. */
static void promote(struct proxy *proxy)
{
    struct connection *connection = sim_connection(world->peer_port(proxy->end), sim.proxy_port);
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL)
            continue;
        sim_say("proxy %td has become peer %zu", proxy - proxies, i);
        *peer =
            (struct peer_model){.end = proxy->end, .side = !proxy->binds, .connection = connection};
        connection->through = proxy->binds ? proxy->server : NULL;
        *proxy = (struct proxy){0};
        return;
    }
    drop(proxy, true);
}

/* One step, of as many bytes at most; whether anything has moved. */
static bool serve(struct proxy *proxy, size_t most)
{
    if (proxy->left > 0) {
        size_t size = proxy->left < most ? proxy->left : most;
        ptrdiff_t sent = world->send(proxy->end, proxy->reply, size);
        if (sent < 0 && sent != -EAGAIN) {
            drop(proxy, false);
            return false;
        }
        proxy->reply = (const char *)proxy->reply + (sent > 0 ? sent : 0);
        proxy->left -= sent > 0 ? (size_t)sent : 0;
        if (proxy->left == 0 && (proxy->binds ? proxy->has_peer : proxy->answers == 2))
            promote(proxy);
        return sent > 0;
    }
    if (proxy->size == sizeof proxy->got || (proxy->binds && proxy->size > 0)) {
        drop(proxy, false);
        return false;
    }
    /* Not a byte more than the message: what follows may be the connection's already. */
    ptrdiff_t count = world->receive(proxy->end, proxy->got + proxy->size, 1);
    if (count == 0 || (count < 0 && count != -EAGAIN)) {
        drop(proxy, false);
        return false;
    }
    if (count < 0)
        return false;
    if (!proxy->binds && proxy->answers == 0 && proxy->size == 0)
        proxy->http = proxy->got[0] == 'C';
    proxy->size++;
    if (!proxy->binds && proxy->size >= message_size(proxy))
        answer(proxy);
    return true;
}

void sim_proxies_serve(size_t most)
{
    for (size_t i = 0; i < PROXIES; i++) {
        if (proxies[i].end == NULL)
            accept_client(&proxies[i]);
        for (unsigned steps = 0; proxies[i].end != NULL && steps < 800; steps++) {
            if (!serve(&proxies[i], most))
                break;
        }
    }
}

/* The peer has come that it has listened for. */
static void bring_peer(struct proxy *proxy)
{
    static const unsigned char come[BOUND_SIZE] = {5, 0, 0, 1, 198, 51, 100, 7, 9, 9};
    if (proxy->left > 0)
        return;
    reply_with(proxy, come);
    proxy->has_peer = true;
    (void)serve(proxy, SIZE_MAX);
}

static void act_as_proxy(uint64_t word)
{
    struct proxy *proxy = &proxies[sim_choose(&word, PROXIES)];
    uint32_t how = sim_choose(&word, 8);
    if (proxy->end == NULL) {
        accept_client(proxy);
    } else if (how < 5 && proxy->binds) {
        sim_say("proxy %td brings a peer", proxy - proxies);
        bring_peer(proxy);
    } else if (how < 5) {
        sim_say("proxy %td goes on", proxy - proxies);
        uint32_t steps = 1 + sim_choose(&word, 60);
        for (uint32_t i = 0; i < steps && proxy->end != NULL; i++)
            (void)serve(proxy, 1 + how);
    } else if (how == 5) {
        static const char *const lies[] = {"\5\377", "\4\0\0\0",     "HTTP/1.1 407 No\r\n\r\n",
                                           "\r\n",   "\5\0\5\5\0\1", "HTTP/1.0 503 Later\r\n\r\n"};
        const char *lie = lies[sim_choose(&word, 6)];
        sim_say("proxy %td lies", proxy - proxies);
        if (proxy->left == 0) /* else it may be the rest of an honest reply */
            world->send(proxy->end, lie, strlen(lie) + 1);
        drop(proxy, false);
    } else {
        sim_say("proxy %td vanishes", proxy - proxies);
        drop(proxy, how == 6);
    }
}

/* ---- the library's side ---------------------------------------------------------------------- */

static bool listen_once(void)
{
    return sim.proxy_port != 0 || world->listen(&sim.proxy_port, 3);
}

static void connect_through(uint64_t word)
{
    struct socket_model *model =
        sim_choose(&word, 3) == 0 ? sim_some_socket(&word) : sim_new_socket();
    if (model == NULL || !listen_once())
        return;
    if (model->socket == NULL)
        model->socket = berth_socket_new(sim.loop, &sim_socket_handlers, model);
    if (model->socket == NULL || model->owed > 0 || model->state != BERTH_STATE_UNCONNECTED)
        return;
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1"};
    proxy.type = sim_choose(&word, 2) == 0 ? BERTH_PROXY_HTTP : BERTH_PROXY_SOCKS5;
    proxy.port = sim_choose(&word, 8) == 0 ? NOBODY : sim.proxy_port;
    if (sim_choose(&word, 3) == 0)
        proxy.user = proxy.password = "me";
    if (!berth_socket_set_proxy(model->socket, &proxy)) {
        sim_check(sim_lossy(), "a proxy cannot be set");
        return;
    }
    if (!sim_prepare(model, proxy.port)) {
        berth_socket_set_proxy(model->socket, NULL);
        return;
    }
    berth_proxy kept = berth_socket_proxy(model->socket);
    sim_check(kept.type == proxy.type && kept.port == proxy.port, "a proxy was not kept");
    sim_say("socket %zu connects through a proxy", sim_number_of(model));
    sim_leave_connection(model);
    model->target = proxy.port;
    berth_socket *socket = model->socket;
    bool named = sim_choose(&word, 2) == 0;
    model->calls++;
    if (named)
        berth_socket_connect_to_host(socket, "somebody.test", 80);
    else
        berth_socket_connect_to_address(socket, berth_address_ipv4(0x0a000001), 80);
    model->calls--;
    /* The next connection is none of the proxy's again. */
    if (model->socket == socket)
        berth_socket_set_proxy(socket, NULL);
}

bool sim_proxies_meanwhile(void)
{
    if (binding != NULL)
        sim_proxies_serve(SIZE_MAX);
    return binding != NULL;
}

/* The kernel may tell a port once only. */
static bool is_of_proxy(uint16_t port)
{
    return port != 0 && port == sim.proxy_port && world->end_of != NULL;
}

uint16_t sim_port_of(int descriptor)
{
    uint16_t port = world->connecting_port(descriptor);
    return is_of_proxy(port) ? world->port(world->end_of(descriptor)) : port;
}

struct connection *sim_accepted(const struct server_model *model, int descriptor)
{
    uint16_t port = world->connecting_port(descriptor);
    if (sim_listens_locally(model))
        return sim_local_accepted(model, port);
    sim_check(port != 0, "descriptor %d is no connection", descriptor);
    if (is_of_proxy(port))
        return sim_connection(world->port(world->end_of(descriptor)), sim.proxy_port);
    return sim_connection(port, berth_server_port(model->server));
}

void sim_unbound(struct server_model *model)
{
    if (!model->through || berth_server_is_listening(model->server))
        return;
    sim_say("server %zu listens through its proxy no longer", sim_index_of(model));
    model->through = false;
    model->troubled = false; /* that was the end of it, and no episode */
    for (size_t i = 0; i < sim.connection_count; i++) {
        struct connection *each = &sim.connections[i];
        if (each->through == model && !each->accepted)
            sim_cut(each);
    }
    sim_going(1);
}

/* One that does not listen, or a new one. */
static struct server_model *silent_server(void)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        struct server_model *model = &sim.servers[i];
        if (model->closing > 0 || model->waits > 0)
            continue;
        if (model->server == NULL)
            sim_make_server(model);
        if (model->server != NULL && !berth_server_is_listening(model->server))
            return model;
    }
    return NULL;
}

static void bring_peers(uint64_t word)
{
    for (uint32_t times = sim_choose(&word, 4); times > 0 && !sim.leaving; times--) {
        for (size_t i = 0; i < PROXIES; i++) {
            if (proxies[i].end != NULL && proxies[i].binds)
                bring_peer(&proxies[i]);
        }
        sim_turn(1);
        sim_proxies_serve(SIZE_MAX);
    }
}

static void listen_through(uint64_t word)
{
    struct server_model *model = silent_server();
    if (model == NULL || binding != NULL || !listen_once() || !sim_meanwhile_install())
        return;
    const berth_proxy proxy = {
        .type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = sim.proxy_port};
    if (!berth_server_set_proxy(model->server, &proxy))
        return;
    sim_say("server %zu listens through a proxy", sim_index_of(model));
    next_bound = next_bound > 0 ? next_bound : 20000;
    model->through = true; /* before a peer comes */
    model->troubled = false;
    binding = model;
    struct sim_stay stay;
    sim_stay_begin(&stay, 5000, true);
    bool done = berth_server_listen(model->server, BERTH_ADDRESS_ANY, 0);
    (void)sim_stay_end(&stay);
    binding = NULL;
    model->through = done;
    model->stopped = model->stopped && !done;
    sim_check(done || berth_server_error(model->server) != BERTH_ERROR_NONE,
              "listen fails without an error");
    sim_going(!done);
    sim_say(done ? "it listens" : "in vain");
    if (done)
        bring_peers(word);
}

static void set_idle_proxies(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    const berth_proxy nobody = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = NOBODY};
    bool none = sim_choose(&word, 3) == 0;
    berth_proxy_set_application(none ? NULL : &nobody);
    sim.process_has_proxy = sim.process_has_proxy || !none;
    sim_check(berth_proxy_application(NULL).type == (none ? BERTH_PROXY_NONE : nobody.type),
              "the proxy of the process was not kept");
    if (model == NULL)
        return;
    sim_say("server %zu has a proxy that it has no use for", sim_index_of(model));
    bool set = berth_server_set_proxy(model->server, none ? NULL : &nobody);
    berth_proxy kept = berth_server_proxy(model->server);
    sim_check(!set || kept.type == (none ? BERTH_PROXY_DEFAULT : nobody.type),
              "the proxy of a server was not kept");
    if (model->has_trusted)
        return;
    /* Nobody of this net connects, so no connection is looked at. */
    const berth_subnet strangers = {.address = berth_address_ipv4(0x0a000000), .prefix = 8};
    set = berth_server_set_proxy_protocol(model->server, &strangers, none ? 0 : 1, 10);
    sim_check(set || sim_lossy(), "nobody can be trusted");
}

void sim_call_of_proxies(uint64_t word)
{
    uint32_t what = sim_choose(&word, 12);
    if (what < 3)
        connect_through(word);
    else if (what > 9)
        listen_through(word);
    else if (what < 9)
        act_as_proxy(word);
    else
        set_idle_proxies(word);
}
