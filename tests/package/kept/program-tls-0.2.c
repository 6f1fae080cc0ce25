/*
 * A program of version 0.2 with TLS, kept as it was compiled then: `program-tls-0.2` beside this
 * file. Libraries that call themselves libberth.so.0 and libberth-tls.so.0 have to run it.
 *
 * It uses the options of a configuration, ticket keys, and what handlers are shown: the hello of a
 * client, a failed handshake, a problem of a certificate. Ends with 0 if all is as it was, with 77
 * if the backend is not to be had; else it says what is not.
 *
 * Do not compile it again once 0.2 is released: that would test another version.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

/* For kept.test, signed by itself, for a hundred years; nobody else has ever used the key. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBlTCCATugAwIBAgIUUb9xCDcZc286roXqyUeV1Yvju0AwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJa2VwdC50ZXN0MCAXDTI2MTEzMDA1NTgzNloYDzIxMjYxMTA2\n"
    "MDU1ODM2WjAUMRIwEAYDVQQDDAlrZXB0LnRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAATF4cupFSq66M185UnBISA9Cfmi2VVeV2Nl9Kgg3GpSRPfzuM9VCBRd\n"
    "X0BqwYifHH7oYOMznA3gU4O/oViHqts6o2kwZzAdBgNVHQ4EFgQUiMasmcv57lSz\n"
    "plxoszi9FodppVUwHwYDVR0jBBgwFoAUiMasmcv57lSzplxoszi9FodppVUwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglrZXB0LnRlc3QwCgYIKoZIzj0EAwID\n"
    "SAAwRQIgL2/ccuC3HRWL725zDHfWSPUeJaf50XWSCA2VIlkVn5ECIQCosOtGVkUh\n"
    "7bbDxBXYvjqU1iue73ycQHeUX0+THf4CPw==\n"
    "-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcVqD3LpwPvReQI9h\n"
                          "xmqiAbvSnGOJdes8FEA7fqe4DAihRANCAATF4cupFSq66M185UnBISA9Cfmi2VVe\n"
                          "V2Nl9Kgg3GpSRPfzuM9VCBRdX0BqwYifHH7oYOMznA3gU4O/oViHqts6\n"
                          "-----END PRIVATE KEY-----\n";

static struct {
    berth_tls *tls;
    berth_server *server;
    berth_socket *clear; /* a client that speaks no TLS */
    int hellos, failures, problems, encrypted, echoed;
} seen;

static void check(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "does not hold any more: %s\n", what);
    exit(1);
}

static void too_late(berth_timer *timer, void *user)
{
    (void)timer, (void)user;
    check(false, "an end within a minute");
}

static berth_tls *choose(berth_server *server, const berth_tls_hello *hello, void *user)
{
    check(user == &seen && strcmp(hello->server_name, "kept.test") == 0 && hello->protocols[0] &&
              strcmp(hello->protocols[0], "echo") == 0 && !hello->protocols[1] &&
              berth_address_is_loopback(hello->peer) && hello->peer_port != 0,
          "the hello of a client");
    seen.hellos++;
    return berth_server_base_client_hello(server, hello);
}

static void failed(berth_server *server, const berth_tls_failure *failure, void *user)
{
    (void)server;
    check(user == &seen && failure->error == BERTH_ERROR_TLS_HANDSHAKE_FAILED && *failure->text &&
              *failure->server_name == '\0' && berth_address_is_loopback(failure->peer) &&
              failure->peer_port == berth_socket_local_port(seen.clear),
          "a handshake that has failed");
    seen.failures++;
    if (seen.echoed)
        berth_loop_stop(NULL, 7);
}

static void echo(berth_socket *socket, void *user)
{
    char bytes[16];
    (void)user;
    ptrdiff_t size = berth_socket_read(socket, bytes, sizeof(bytes));
    berth_socket_write(socket, bytes, (size_t)size);
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = echo,
                                                   .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    check(socket && berth_socket_is_encrypted(socket), "a connection that is encrypted");
    berth_socket_set_handlers(socket, &handlers, user);
}

static bool ignore(berth_socket *socket, const berth_tls_problem *problem, void *user)
{
    (void)socket;
    check(user == &seen && problem->depth == 0 && problem->number != 0 && *problem->text &&
              problem->certificate && problem->size > 0,
          "a problem of a certificate");
    seen.problems++;
    return true;
}

static void encrypted(berth_socket *socket, void *user)
{
    (void)user;
    seen.encrypted++;
    check(berth_socket_tls_version(socket) == BERTH_TLS_VERSION_1_3 &&
              strcmp(berth_socket_tls_protocol(socket), "echo") == 0,
          "version and protocol of a connection");
    berth_socket_write(socket, "hello", 5);
}

static void hear(berth_socket *socket, void *user)
{
    char bytes[8];
    (void)user;
    if (berth_socket_bytes_available(socket) < 5)
        return;
    check(berth_socket_read(socket, bytes, sizeof(bytes)) == 5 && memcmp(bytes, "hello", 5) == 0,
          "what was echoed");
    seen.echoed++;
    if (seen.failures)
        berth_loop_stop(NULL, 7);
}

static void say_something_else(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, "GET / HTTP/1.0\r\n\r\n", 18);
}

static berth_tls *configuration(berth_tls_side side, const berth_tls_options *options)
{
    char text[BERTH_TLS_TEXT_SIZE];
    berth_tls *tls = berth_tls_new(side, options, text);
    if (!tls)
        fprintf(stderr, "%s\n", text);
    check(tls != NULL, "making a configuration");
    return tls;
}

static void listen_encrypted(void)
{
    static const char *const protocols[] = {"echo", NULL};
    static const berth_server_handlers handlers = {
        .new_connection = serve, .client_hello = choose, .handshake_failed = failed};
    static const berth_tls_options options = {.certificate = certificate,
                                              .key = key,
                                              .protocols = protocols,
                                              .tickets = 1,
                                              .ticket_lifetime = 60,
                                              .stop_at_truncation = true};
    static const berth_tls_ticket_key keys[1] = {{.name = {1}, .secret = {2}}};
    berth_tls *tls = configuration(BERTH_TLS_SERVER, &options);
    check(berth_tls_set_ticket_keys(tls, keys, 1), "setting the keys of tickets");
    seen.server = berth_server_new(NULL, &handlers, &seen);
    check(berth_server_set_tls(seen.server, tls) &&
              berth_server_listen(seen.server, BERTH_ADDRESS_LOOPBACK, 0),
          "listening with TLS");
    berth_tls_release(tls);
}

/* One that knows nobody: the certificate has a problem, which is ignored. */
static void connect_encrypted(void)
{
    static const char *const protocols[] = {"echo", NULL};
    static const berth_tls_options options = {.protocols = protocols,
                                              .lowest = BERTH_TLS_VERSION_1_3};
    static const berth_socket_handlers handlers = {
        .ready_read = hear, .encrypted = encrypted, .verify_peer = ignore};
    berth_socket *client = berth_socket_new(NULL, &handlers, &seen);
    seen.tls = configuration(BERTH_TLS_CLIENT, &options);
    check(berth_socket_set_tls(client, seen.tls, "kept.test") &&
              berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK,
                                              berth_server_port(seen.server)),
          "connecting with TLS");
    berth_tls_release(seen.tls);
}

static void connect_in_the_clear(void)
{
    static const berth_socket_handlers handlers = {.connected = say_something_else};
    seen.clear = berth_socket_new(NULL, &handlers, NULL);
    berth_socket_connect_to_address(seen.clear, BERTH_ADDRESS_LOOPBACK,
                                    berth_server_port(seen.server));
}

int main(void)
{
    const char *backend = getenv("BERTH_BACKEND");
    char reason[160];
    if (backend && !berth_loop_backend_available(backend, reason, sizeof(reason))) {
        puts(reason);
        return 77;
    }
    berth_timer_start(berth_timer_new(NULL, too_late, NULL), 60000, 0);
    listen_encrypted();
    connect_encrypted();
    connect_in_the_clear();
    check(berth_loop_run(NULL) == 7, "the code of a stop");
    check(seen.hellos == 1 && seen.failures == 1 && seen.problems >= 1 && seen.encrypted == 1 &&
              seen.echoed == 1,
          "each handler is called as often as it was");
    printf("the program with TLS of %s runs with %s\n", BERTH_VERSION_STRING, berth_version());
    return 0;
}
