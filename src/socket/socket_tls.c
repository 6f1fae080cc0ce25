/*
 * What a program sets and asks of the encryption of a socket. The encrypted connection itself is in
 * secure.c.
 *
 * Settings are for the connections that the socket begins, and stay for the next ones; nothing of
 * them is used by one that is open. Answers are those of the connection at hand, and when it is
 * over those of a connection that is not encrypted, but for what has become of it: why a handshake
 * has failed, and whether the peer's end was cut.
 */
#include "secure.h"

#include "base/memory.h"
#include "base/system_error.h"

#include <errno.h>
#include <string.h>

berth__encryption *berth__socket_encryption(berth_socket *socket)
{
    berth__remote *remote = berth__socket_remote(socket);
    if (remote != NULL && remote->encryption == NULL)
        remote->encryption = berth__allocate_zero(sizeof *remote->encryption);
    return remote != NULL ? remote->encryption : NULL;
}

void berth__encryption_free(berth__encryption *encryption)
{
    if (encryption == NULL)
        return;
    berth_tls_release(encryption->tls);
    berth__release(encryption->name);
    berth__release(encryption->session);
    berth__release(encryption->failure);
    berth__release(encryption);
}

static berth__encryption *encryption_of(const berth_socket *socket)
{
    return socket->remote != NULL ? socket->remote->encryption : NULL;
}

const char *berth__secure_reason(const berth_socket *socket)
{
    const berth__encryption *encryption = encryption_of(socket);
    if (encryption == NULL || encryption->failure == NULL)
        return berth_error_text((berth_error)socket->error);
    return encryption->failure;
}

static bool refuse(berth_socket *socket, int error)
{
    berth_error class = error == ENOMEM ? BERTH_ERROR_SOCKET_RESOURCE : BERTH_ERROR_OPERATION;
    berth__socket_set_error(socket, class, error, BERTH__ATTEMPT_ENCRYPT);
    return false;
}

/* ---- settings -------------------------------------------------------------------------------- */

bool berth_socket_set_tls(berth_socket *socket, berth_tls *tls, const char *name)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_ENCRYPT))
        return false;
    if (tls != NULL && tls->server)
        return refuse(socket, EINVAL);
    if (tls == NULL && encryption_of(socket) == NULL)
        return true;
    berth__encryption *encryption = berth__socket_encryption(socket);
    char *copy = name != NULL ? berth__copy_text(name) : NULL;
    if (encryption == NULL || (name != NULL && copy == NULL)) {
        berth__release(copy);
        return refuse(socket, ENOMEM);
    }
    berth_tls *old = encryption->tls;
    encryption->tls = berth_tls_hold(tls);
    berth_tls_release(old);
    berth__release(encryption->name);
    encryption->name = copy;
    return true;
}

bool berth_socket_set_tls_session(berth_socket *socket, const void *session, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_ENCRYPT))
        return false;
    berth__encryption *encryption = berth__socket_encryption(socket);
    void *copy = encryption != NULL && size > 0 ? berth__allocate(size) : NULL;
    if (encryption == NULL || (size > 0 && copy == NULL))
        return refuse(socket, ENOMEM);
    if (size > 0)
        memcpy(copy, session, size);
    berth__release(encryption->session);
    encryption->session = copy;
    encryption->session_size = size;
    return true;
}

/* Whether the connection at hand can be encrypted now: 0 or an errno. */
static int may_start(const berth_socket *socket)
{
    if (socket->state != BERTH_STATE_CONNECTED || socket->pending || socket->shut)
        return ENOTCONN;
    if (socket->stream->ready.secured)
        return EALREADY;
    if (socket->input.first != NULL || berth__socket_has_output(socket) || socket->stream->sending)
        return EBUSY;
    return socket->input_ended ? ENOTCONN : 0;
}

static bool start(berth_socket *socket, berth_tls *tls, const char *name, bool server)
{
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_ENCRYPT))
        return false;
    int error = tls == NULL || tls->server != server ? EINVAL : may_start(socket);
    if (error != 0)
        return refuse(socket, error);
    const berth__encryption *encryption = encryption_of(socket);
    berth__secure_plan plan = {.tls = tls, .name = name};
    if (!server && encryption != NULL) {
        plan.session = encryption->session;
        plan.session_size = encryption->session_size;
    }
    return berth__secure_begin(socket, &plan) || refuse(socket, ENOMEM);
}

bool berth_socket_start_client_encryption(berth_socket *socket, berth_tls *tls, const char *name)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return start(socket, tls, name, false);
}

bool berth_socket_start_server_encryption(berth_socket *socket, berth_tls *tls)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return start(socket, tls, NULL, true);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* The engine of a connection whose handshake is complete, else NULL. */
static const berth__secure *open_of(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && secure->open ? secure : NULL;
}

bool berth_socket_is_encrypted(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return open_of(socket) != NULL;
}

berth_tls_version berth_socket_tls_version(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL ? secure->tls->operations->version(secure->engine)
                          : BERTH_TLS_VERSION_NONE;
}

const char *berth_socket_tls_cipher(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL ? secure->tls->operations->cipher(secure->engine) : "";
}

const char *berth_socket_tls_protocol(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL ? secure->tls->operations->protocol(secure->engine) : "";
}

const char *berth_socket_tls_server_name(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL ? secure->tls->operations->server_name(secure->engine) : "";
}

bool berth_socket_tls_was_resumed(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL && secure->tls->operations->resumed(secure->engine);
}

bool berth_socket_is_peer_verified(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL && secure->tls->operations->peer_verified(secure->engine);
}

const void *berth_socket_peer_certificate(const berth_socket *socket, size_t *ret_size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    *ret_size = 0;
    return secure != NULL ? secure->tls->operations->peer_certificate(secure->engine, ret_size)
                          : NULL;
}

bool berth_socket_tls_was_truncated(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__encryption *encryption = encryption_of(socket);
    return encryption != NULL && encryption->truncated;
}

size_t berth_socket_encrypted_bytes_to_write(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL ? berth__chain_size(&secure->sealed) : 0;
}

size_t berth_socket_tls_session(const berth_socket *socket, void *data, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__secure *secure = open_of(socket);
    return secure != NULL ? secure->tls->operations->session(secure->engine, data, size) : 0;
}
