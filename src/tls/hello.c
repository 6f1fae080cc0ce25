/*
 * Hellos: what a server learns from a client's before OpenSSL decides on it (the name, and the
 * highest version, for the text of a failure), and the choice of the application's protocol.
 *
 * A server with protocols takes the first of its own that the client has; one that offers only
 * others is refused with the alert no_application_protocol. A client that offers none goes on
 * without one. What does not parse is left to OpenSSL, which refuses it.
 */
#include "tls.h"

#include <string.h>

/* ---- the name and the version ---------------------------------------------------------------- */

static size_t number(const uint8_t *data)
{
    return (size_t)data[0] << 8 | data[1];
}

/* Keeps the name of SNI: a list of one, which is type, length and name. An address, and what the
 * core would refuse where it reads a hello itself, counts as none. A second hello, behind a
 * HelloRetryRequest, has the name of the first. False when out of memory. */
static bool keep_name(berth__engine *engine, const uint8_t *data, size_t size)
{
    enum {
        HEAD = 5
    };
    const char *text = (const char *)data + HEAD;
    char name[BERTH__SERVER_NAME_SIZE];
    if (engine->name != NULL || size < HEAD || number(data) != size - 2 ||
        data[2] != TLSEXT_NAMETYPE_host_name || number(data + 3) != size - HEAD ||
        berth__server_name_is_address(text, size - HEAD) ||
        !berth__server_name_read(text, size - HEAD, name))
        return true;
    engine->name = OPENSSL_strdup(name);
    return engine->name != NULL;
}

/* The highest of supported_versions: a length of one byte and the versions. */
static uint16_t highest(const uint8_t *data, size_t size)
{
    uint16_t found = 0;
    for (size_t i = 1; i + 1 < size; i += 2) {
        uint16_t version = (uint16_t)number(data + i);
        if (version > found && version >= SSL3_VERSION && version <= TLS1_3_VERSION)
            found = version;
    }
    return found;
}

static int look(SSL *ssl, int *alert, void *unused)
{
    berth__engine *engine = berth__tls_engine_of(ssl);
    const uint8_t *data;
    size_t size;
    (void)unused;
    engine->offered = (uint16_t)SSL_client_hello_get0_legacy_version(ssl);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &size) == 1 &&
        highest(data, size) != 0)
        engine->offered = highest(data, size);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) == 1 &&
        !keep_name(engine, data, size)) {
        engine->no_memory = true;
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Which name it is was decided by the choice of the configuration; here it is only acknowledged. */
/* NOLINTNEXTLINE(readability-non-const-parameter): it has OpenSSL's type */
static int acknowledge(SSL *ssl, int *alert, void *unused)
{
    (void)ssl;
    (void)alert;
    (void)unused;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- protocols ------------------------------------------------------------------------------- */

static const uint8_t *find(const uint8_t *list, unsigned size, const char *protocol)
{
    size_t length = strlen(protocol);
    for (size_t i = 0; i < size && list[i] <= size - i - 1; i += 1u + list[i]) {
        if (list[i] == length && memcmp(list + i + 1, protocol, length) == 0)
            return list + i;
    }
    return NULL;
}

static int choose(SSL *ssl, const uint8_t **ret_chosen, uint8_t *ret_size, const uint8_t *list,
                  unsigned size, void *unused)
{
    const berth__tls *tls = berth__tls_engine_of(ssl)->tls;
    (void)unused;
    for (char *const *protocol = tls->protocols; *protocol != NULL; protocol++) {
        const uint8_t *found = find(list, size, *protocol);
        if (found != NULL) {
            *ret_size = found[0];
            *ret_chosen = found + 1;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A client's list, as it is sent. */
static bool offer(berth__tls *tls)
{
    size_t size = 0;
    for (char *const *protocol = tls->protocols; *protocol != NULL; protocol++)
        size += 1 + strlen(*protocol);
    uint8_t *list = OPENSSL_malloc(size);
    if (list == NULL)
        return false;
    uint8_t *at = list;
    for (char *const *protocol = tls->protocols; *protocol != NULL; protocol++) {
        *at = (uint8_t)strlen(*protocol);
        memcpy(at + 1, *protocol, *at);
        at += 1u + *at;
    }
    bool done = SSL_CTX_set_alpn_protos(tls->openssl, list, (unsigned)size) == 0;
    OPENSSL_free(list);
    return done;
}

bool berth__tls_set_hello(berth__tls *tls)
{
    if (!tls->head.server)
        return tls->protocols[0] == NULL || offer(tls);
    SSL_CTX_set_client_hello_cb(tls->openssl, look, NULL);
    SSL_CTX_set_tlsext_servername_callback(tls->openssl, acknowledge);
    if (tls->protocols[0] != NULL)
        SSL_CTX_set_alpn_select_cb(tls->openssl, choose, NULL);
    return true;
}
