/*
 * Servers and sockets with the engine of OpenSSL. What is around an engine is tested with a toy
 * (encryption.c, handshakes.c), the engine by itself (unit/tls_*.c); here both are together.
 */
#include "authority.h"
#include "children.h"
#include "pair.h"
#include "scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct identity authority;
static struct identity identity;

static berth_tls *make_server(berth_tls_verify verify)
{
    char text[BERTH_TLS_TEXT_SIZE];
    if (authority.key[0] == '\0') {
        identity_authority(&authority);
        identity_for(&identity, "example.org", &authority);
    }
    berth_tls_options options = {.certificate = identity.certificate,
                                 .key = identity.key,
                                 .authorities = authority.certificate,
                                 .verify = verify};
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
    ck_assert_msg(tls != NULL, "%s", text);
    return tls;
}

static berth_tls *make_client(bool certificate)
{
    char text[BERTH_TLS_TEXT_SIZE];
    berth_tls_options options = {.authorities = authority.certificate};
    if (certificate) {
        options.certificate = identity.certificate;
        options.key = identity.key;
    }
    berth_tls *tls = berth_tls_new(BERTH_TLS_CLIENT, &options, text);
    ck_assert_msg(tls != NULL, "%s", text);
    return tls;
}

static struct host *encrypting_host(berth_tls_verify verify)
{
    struct host *host = host_listening("h");
    berth_tls *tls = make_server(verify);
    ck_assert(berth_server_set_tls(host->server, tls));
    berth_tls_release(tls);
    return host;
}

static struct actor *caller(const struct host *host, const char *name, bool certificate,
                            const uint8_t *session, size_t size)
{
    struct actor *client = actor_new("c");
    berth_tls *tls = make_client(certificate);
    ck_assert(berth_socket_set_tls(client->socket, tls, name));
    berth_tls_release(tls);
    ck_assert(berth_socket_set_tls_session(client->socket, session, size));
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    return client;
}

CASE(openssl_both_ways, "tls.h", "a handshake, much both ways, and the ends")
{
    enum {
        MUCH = 300000
    };
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_REQUIRED);
    struct actor *client = caller(host, "example.org", true, NULL, 0);
    struct actor *server = host_take_actor(host, "s");
    client->quiet = server->quiet = true;
    UNTIL(client->encryptions == 1);
    ck_assert_int_eq(berth_socket_tls_version(server->socket), BERTH_TLS_VERSION_1_3);
    ck_assert_str_eq(berth_socket_tls_cipher(client->socket), "TLS_AES_128_GCM_SHA256");
    ck_assert_str_eq(berth_socket_tls_server_name(server->socket), "example.org");
    ck_assert(berth_socket_is_peer_verified(client->socket));
    ck_assert(berth_socket_is_peer_verified(server->socket));
    size_t size;
    ck_assert_ptr_nonnull(berth_socket_peer_certificate(server->socket, &size));
    ck_assert_uint_gt(size, 100);
    uint8_t *bytes = scene_pattern(MUCH, 7);
    ck_assert_int_eq(berth_socket_write(client->socket, bytes, MUCH), MUCH);
    ck_assert_int_eq(berth_socket_write(server->socket, bytes, MUCH), MUCH);
    UNTIL(client->received == MUCH && server->received == MUCH);
    ck_assert_mem_eq(client->input, bytes, MUCH);
    ck_assert_mem_eq(server->input, bytes, MUCH);
    UNTIL(client->written == MUCH && server->written == MUCH);
    actor_say(client, "last");
    berth_socket_disconnect_from_host(client->socket);
    UNTIL(client->disconnects == 1 && server->disconnects == 1);
    ck_assert_uint_eq(server->received, MUCH + 4);
    ck_assert(!berth_socket_tls_was_truncated(server->socket));
    ck_assert_uint_eq(client->errors, 0);
    free(bytes);
}

CASE(openssl_resumes, "tls.h", "a session that the client has kept, in each connection")
{
    static uint8_t session[8192];
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_DEFAULT);
    size_t size = 0;
    for (int i = 0; i < 3; i++) {
        struct actor *client = caller(host, "example.org", false, session, size);
        struct actor *server = host_take_actor(host, "s");
        actor_say(server, "hello");
        UNTIL(actor_has(client, "hello"));
        ck_assert(berth_socket_tls_was_resumed(client->socket) == (i > 0));
        ck_assert(berth_socket_tls_was_resumed(server->socket) == (i > 0));
        ck_assert(berth_socket_is_peer_verified(client->socket));
        size = berth_socket_tls_session(client->socket, session, sizeof session);
        ck_assert_uint_gt(size, 0);
        ck_assert_uint_le(size, sizeof session);
        berth_socket_disconnect_from_host(client->socket);
        UNTIL(client->disconnects == 1 && server->disconnects == 1);
        actor_free_socket(client);
        actor_free_socket(server);
    }
}

CASE(openssl_refuses_another_name, "tls.h", "the client says why, the server has heard the alert")
{
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_DEFAULT);
    struct actor *client = caller(host, "example.com", false, NULL, 0);
    UNTIL(client->errors == 1 && host->failures == 1);
    ck_assert_int_eq(client->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(client->socket),
                                 "the peer's certificate is not for the name example.com"));
    ck_assert_ptr_nonnull(strstr(host->failure_text, "the peer sent the alert bad_certificate"));
    ck_assert_str_eq(host->failure_name, "example.com");
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(openssl_ignores_a_problem, "tls.h", "that the program has ignored in verify_peer")
{
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_DEFAULT);
    struct actor *client = caller(host, "example.com", false, NULL, 0);
    client->trusts = true;
    UNTIL(client->encryptions == 1);
    ck_assert_uint_eq(client->problems, 1);
    ck_assert(!berth_socket_is_peer_verified(client->socket));
    struct actor *server = host_take_actor(host, "s");
    actor_say(client, "nevertheless");
    UNTIL(actor_has(server, "nevertheless"));
}

/* Both ends see it once the client sends: in TLS 1.3 it is open before the server has looked. */
CASE(openssl_wants_a_certificate, "tls.h", "and the client has none")
{
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_REQUIRED);
    struct actor *client = caller(host, "example.org", false, NULL, 0);
    UNTIL(host->failures == 1 && client->disconnects == 1);
    ck_assert_ptr_nonnull(strstr(host->failure_text, "the peer has shown no certificate"));
    ck_assert_int_eq(client->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(client->socket),
                                 "the peer sent the alert certificate_required"));
}

CASE(openssl_and_plain_text, "tls.h", "a client that speaks HTTP, and a server that does")
{
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_DEFAULT);
    struct peer *peer = world_connect(host->port);
    peer_say(peer, "GET / HTTP/1.0\r\n\r\n");
    UNTIL(host->failures == 1);
    ck_assert_ptr_nonnull(strstr(host->failure_text, "plain HTTP"));

    uint16_t port = world_listen(5);
    struct actor *client = actor_new("c");
    berth_tls *tls = make_client(false);
    ck_assert(berth_socket_set_tls(client->socket, tls, NULL));
    berth_tls_release(tls);
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(client->connects == 1);
    struct peer *other = world_accept(port);
    peer_say(other, "HTTP/1.1 400 Bad Request\r\n\r\n");
    UNTIL(client->disconnects == 1);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(client->socket), "the peer speaks plain HTTP"));
}

CASE(openssl_after_a_word, "tls.h", "a connection is encrypted when both have agreed on it")
{
    struct host *host = host_listening("h");
    berth_tls *server_tls = make_server(BERTH_TLS_VERIFY_DEFAULT);
    berth_tls *client_tls = make_client(false);
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    struct actor *server = host_take_actor(host, "s");
    actor_say(client, "STARTTLS");
    UNTIL(actor_has(server, "STARTTLS"));
    ck_assert(berth_socket_start_server_encryption(server->socket, server_tls));
    UNTIL(client->written == 8);
    ck_assert(berth_socket_start_client_encryption(client->socket, client_tls, "example.org"));
    berth_tls_release(server_tls);
    berth_tls_release(client_tls);
    UNTIL(client->encryptions == 1 && server->encryptions == 1);
    server->received = 0;
    actor_say(client, "secret");
    UNTIL(actor_has(server, "secret"));
}

/* What an engine of the test has emitted, in pieces of a byte. */
static void drip(struct end *end, struct peer *peer)
{
    for (size_t i = 0; i < end->wire.size; i++) {
        peer_send(peer, end->wire.data + i, 1);
        world_turn();
    }
    end->wire.size = 0;
}

static void take_in(struct end *end, struct peer *peer)
{
    uint8_t bytes[4096];
    size_t size = peer_receive_some(peer, bytes, sizeof bytes);
    if (size > 0)
        (void)end_feed(end, bytes, size);
    else
        world_turn();
}

CASE(openssl_byte_by_byte, "tls.h", "all that a client sends comes so")
{
    struct host *host = encrypting_host(BERTH_TLS_VERIFY_DEFAULT);
    struct peer *peer = world_connect(host->port);
    static struct end end;
    berth_tls *tls = make_client(false);
    ck_assert(end_begin(&end, tls, &(berth__engine_setup){.name = "example.org"}));
    (void)end_feed(&end, NULL, 0);
    drip(&end, peer);
    for (int i = 0; i < WORLD_TURNS && end.opened == 0; i++)
        take_in(&end, peer);
    ck_assert_uint_eq(end.opened, 1);
    drip(&end, peer);
    struct actor *server = host_take_actor(host, "s");
    ck_assert(end_send(&end, "slowly", 6));
    drip(&end, peer);
    UNTIL(actor_has(server, "slowly"));
    end_close(&end);
    drip(&end, peer);
    UNTIL(server->disconnects == 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(!berth_socket_tls_was_truncated(server->socket));
    end_free(&end);
    berth_tls_release(tls);
}

/* ---- keys of tickets, and fork -------------------------------------------------------------- */

static const berth_tls_ticket_key ticket_key = {.name = "a key"};
static berth_tls *shared;
static atomic_bool sets;

static void *set_again_and_again(void *unused)
{
    (void)unused;
    while (atomic_load(&sets))
        (void)berth_tls_set_ticket_keys(shared, &ticket_key, 1);
    return NULL;
}

static void set_once(void)
{
    MUST(berth_tls_set_ticket_keys(shared, &ticket_key, 1));
}

CASE(openssl_and_a_fork_while_a_thread_sets_keys, "reliability 23",
     "the child does not wait for that thread, which it does not have")
{
    real_kernel_only();
    pthread_t thread;
    shared = make_server(BERTH_TLS_VERIFY_NONE);
    atomic_store(&sets, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, set_again_and_again, NULL), 0);
    int status = 0;
    for (int i = 0; i < 40 && status == 0; i++) {
        pid_t child = begin_child();
        if (child == 0) {
            set_once();
            _exit(0);
        }
        if (waitpid(child, &status, 0) != child)
            status = -1;
    }
    atomic_store(&sets, false);
    pthread_join(thread, NULL);
    berth_tls_release(shared);
    ck_assert_int_eq(status, 0);
}
