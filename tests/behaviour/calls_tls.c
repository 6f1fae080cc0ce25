/*
 * The table for TLS: servers, sockets, and their questions.
 */
#include "calls.h"
#include "toy_engine.h"

#include <string.h>

/* ---- servers --------------------------------------------------------------------------------- */

/* It does not stay: other calls would meet nobody in the queue. */
CALL(berth_server_set_tls)
{
    struct toy *toy = toy_new(true);
    bool alive = berth_server_set_tls(stage.server, &toy->tls);
    ck_assert(!alive || berth_server_tls(stage.server) == &toy->tls);
    ck_assert(berth_server_set_tls(stage.server, NULL) == alive);
    berth_tls_release(&toy->tls);
}

CALL(berth_server_tls)
{
    ck_assert_ptr_null(berth_server_tls(stage.server));
}

CALL(berth_server_set_tls_host)
{
    struct toy *toy = toy_new(true);
    bool alive = berth_server_set_tls_host(stage.server, "*.example.org", &toy->tls);
    ck_assert(berth_server_set_tls_host(stage.server, "*.example.org", NULL) == alive);
    berth_tls_release(&toy->tls);
}

CALL(berth_server_base_client_hello)
{
    const berth_tls_hello hello = {.server_name = "example.org"};
    ck_assert_ptr_null(berth_server_base_client_hello(stage.server, &hello));
}

CALL(berth_server_set_handshake_timeout)
{
    berth_server_set_handshake_timeout(stage.server, 0);
}

CALL(berth_server_handshake_timeout)
{
    ck_assert_uint_eq(berth_server_handshake_timeout(stage.server), 5000);
}

CALL(berth_server_set_max_handshakes)
{
    berth_server_set_max_handshakes(stage.server, 3);
}

CALL(berth_server_max_handshakes)
{
    ck_assert_int_gt(berth_server_max_handshakes(stage.server), 0);
}

CALL(berth_server_set_max_greetings)
{
    berth_server_set_max_greetings(stage.server, 0);
}

CALL(berth_server_max_greetings)
{
    ck_assert_int_gt(berth_server_max_greetings(stage.server), 0);
}

/* ---- sockets --------------------------------------------------------------------------------- */

CALL(berth_socket_set_tls)
{
    struct toy *toy = toy_new(false);
    (void)berth_socket_set_tls(stage.socket, &toy->tls, "name");
    (void)berth_socket_set_tls(stage.socket, NULL, NULL);
    berth_tls_release(&toy->tls);
}

CALL(berth_socket_start_client_encryption)
{
    struct toy *toy = toy_new(false);
    (void)berth_socket_start_client_encryption(stage.socket, &toy->tls, NULL);
    berth_tls_release(&toy->tls);
}

CALL(berth_socket_start_server_encryption)
{
    struct toy *toy = toy_new(true);
    (void)berth_socket_start_server_encryption(stage.socket, &toy->tls);
    berth_tls_release(&toy->tls);
}

CALL(berth_socket_wait_for_encrypted)
{
    (void)berth_socket_wait_for_encrypted(stage.socket, 0);
    if (stage.socket != NULL)
        (void)berth_socket_wait_for_encrypted(stage.socket, 1);
}

CALL(berth_socket_is_encrypted)
{
    (void)berth_socket_is_encrypted(stage.socket);
}

CALL(berth_socket_tls_version)
{
    ck_assert_int_le(berth_socket_tls_version(stage.socket), BERTH_TLS_VERSION_1_3);
}

CALL(berth_socket_tls_cipher)
{
    ck_assert_ptr_nonnull(berth_socket_tls_cipher(stage.socket));
}

CALL(berth_socket_tls_protocol)
{
    ck_assert_ptr_nonnull(berth_socket_tls_protocol(stage.socket));
}

CALL(berth_socket_tls_server_name)
{
    ck_assert_ptr_nonnull(berth_socket_tls_server_name(stage.socket));
}

CALL(berth_socket_tls_was_resumed)
{
    ck_assert(!berth_socket_tls_was_resumed(stage.socket));
}

CALL(berth_socket_is_peer_verified)
{
    (void)berth_socket_is_peer_verified(stage.socket);
}

CALL(berth_socket_peer_certificate)
{
    size_t size = 1;
    const void *certificate = berth_socket_peer_certificate(stage.socket, &size);
    ck_assert_int_eq(certificate == NULL, size == 0);
}

CALL(berth_socket_tls_was_truncated)
{
    (void)berth_socket_tls_was_truncated(stage.socket);
}

CALL(berth_socket_encrypted_bytes_to_write)
{
    (void)berth_socket_encrypted_bytes_to_write(stage.socket);
}

CALL(berth_socket_tls_session)
{
    uint8_t session[8];
    ck_assert_uint_le(berth_socket_tls_session(stage.socket, session, sizeof session), 3);
}

CALL(berth_socket_set_tls_session)
{
    (void)berth_socket_set_tls_session(stage.socket, "toy", 3);
    (void)berth_socket_set_tls_session(stage.socket, NULL, 0);
}
