/*
 * What is asked of an engine. Before it is open it answers as one that is not encrypted; the peer's
 * certificate and the name are known as soon as they have come.
 *
 * The peer's certificate is encoded when it is asked for first, since most programs never do.
 */
#include "tls.h"

#include <openssl/x509.h>
#include <string.h>

berth_tls_version berth__tls_version(const berth__engine *engine)
{
    if (!engine->open)
        return BERTH_TLS_VERSION_NONE;
    return SSL_version(engine->ssl) == TLS1_3_VERSION ? BERTH_TLS_VERSION_1_3
                                                      : BERTH_TLS_VERSION_1_2;
}

const char *berth__tls_cipher(const berth__engine *engine)
{
    const SSL_CIPHER *cipher = engine->open ? SSL_get_current_cipher(engine->ssl) : NULL;
    return cipher != NULL ? SSL_CIPHER_get_name(cipher) : "";
}

/* It is one of the configuration's, which outlives the engine. */
const char *berth__tls_protocol(const berth__engine *engine)
{
    const uint8_t *chosen = NULL;
    unsigned size = 0;
    if (engine->open)
        SSL_get0_alpn_selected(engine->ssl, &chosen, &size);
    if (size == 0)
        return "";
    for (char *const *protocol = engine->tls->protocols; *protocol != NULL; protocol++) {
        if (strlen(*protocol) == size && memcmp(*protocol, chosen, size) == 0)
            return *protocol;
    }
    return "";
}

const char *berth__tls_server_name(const berth__engine *engine)
{
    return engine->name != NULL && !engine->address ? engine->name : "";
}

bool berth__tls_resumed(const berth__engine *engine)
{
    return engine->open && SSL_session_reused(engine->ssl) == 1;
}

bool berth__tls_peer_verified(const berth__engine *engine)
{
    return engine->open && engine->tls->verify != BERTH_TLS_VERIFY_NONE &&
           SSL_get0_peer_certificate(engine->ssl) != NULL &&
           SSL_get_verify_result(engine->ssl) == X509_V_OK;
}

const void *berth__tls_peer_certificate(const berth__engine *engine, size_t *ret_size)
{
    berth__engine *keeper = (berth__engine *)engine; /* engines are never constant */
    *ret_size = 0;
    if (engine->certificate == NULL) {
        const X509 *shown = SSL_get0_peer_certificate(engine->ssl);
        if (shown == NULL)
            return NULL;
        berth__tls_enter();
        keeper->certificate_size = i2d_X509(shown, &keeper->certificate);
        berth__tls_forget_errors();
        berth__tls_leave();
        if (keeper->certificate_size <= 0) {
            keeper->certificate = NULL;
            return NULL;
        }
    }
    *ret_size = (size_t)engine->certificate_size;
    return engine->certificate;
}

/* OpenSSL notes the name only when the server says that it knows it, which many do not. */
static bool name_session(const berth__engine *engine, SSL_SESSION *session)
{
    const char *name = berth__tls_server_name(engine);
    return name[0] == '\0' || SSL_SESSION_get0_hostname(session) != NULL ||
           SSL_SESSION_set1_hostname(session, name) == 1;
}

size_t berth__tls_session(const berth__engine *engine, void *data, size_t size)
{
    SSL_SESSION *session = engine->open ? SSL_get0_session(engine->ssl) : NULL;
    if (engine->tls->head.server || session == NULL || SSL_SESSION_is_resumable(session) != 1)
        return 0;
    berth__tls_enter();
    int needed = name_session(engine, session) ? i2d_SSL_SESSION(session, NULL) : 0;
    if (needed > 0 && (size_t)needed <= size) {
        uint8_t *at = data;
        needed = i2d_SSL_SESSION(session, &at);
    }
    berth__tls_forget_errors();
    berth__tls_leave();
    return needed > 0 ? (size_t)needed : 0;
}
