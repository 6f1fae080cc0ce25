/*
 * Certificates of peers: whether they are asked for, which name they have to be for, and what the
 * program says to problems of them.
 *
 * The name is checked as X509_check_host does, by alternative names and wildcards of whole labels,
 * or as an address if it is one. Each problem is put to `verify` of the engine; what that does not
 * ignore fails the handshake, with a text. What was ignored still counts as not verified, also when
 * the session is resumed: there the certificate is not shown again, so the problem is put once
 * more.
 */
#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
    DNS_LONGEST_NAME = 253,
    ADDRESS_SIZE = 16 /* bytes, at most */
};

/* ---- words ----------------------------------------------------------------------------------- */

/* A day of a certificate, "2026-01-02"; NULL if it cannot be told. */
static const char *day_of(const ASN1_TIME *time, char text[16])
{
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1 ||
        strftime(text, 16, "%Y-%m-%d", &parts) == 0)
        return "an unknown day";
    return text;
}

/* Of the peer's own certificate, or of one above it. */
static const char *whose(int depth)
{
    return depth == 0 ? "the peer's certificate" : "a certificate behind the peer's";
}

static void fail(berth__engine *engine, int number, int depth, const X509 *certificate)
{
    const berth_error class = BERTH_ERROR_TLS_HANDSHAKE_FAILED;
    char day[16];
    switch (number) {
    case X509_V_ERR_OUT_OF_MEM:
        berth__tls_fail(engine, BERTH_ERROR_SOCKET_RESOURCE, "out of memory");
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        berth__tls_fail(engine, class, "%s expired on %s", whose(depth),
                        day_of(certificate ? X509_get0_notAfter(certificate) : NULL, day));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        berth__tls_fail(engine, class, "%s is not valid before %s", whose(depth),
                        day_of(certificate ? X509_get0_notBefore(certificate) : NULL, day));
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        berth__tls_fail(engine, class, "the peer's certificate is not for the %s %.100s",
                        engine->address ? "address" : "name",
                        engine->name != NULL ? engine->name : "");
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        berth__tls_fail(engine, class, "the peer's certificate is signed by itself");
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        berth__tls_fail(engine, class, "the authority of the peer's certificate is unknown");
        break;
    default:
        berth__tls_fail(engine, class, "%s is not accepted: %s", whose(depth),
                        X509_verify_cert_error_string(number));
        break;
    }
}

/* ---- problems -------------------------------------------------------------------------------- */

/* Whether the program ignores it. Its own errors of OpenSSL are not ours. */
static bool is_ignored(berth__engine *engine, int number, int depth, X509 *certificate)
{
    if (engine->verify == NULL || number == X509_V_ERR_OUT_OF_MEM)
        return false;
    uint8_t *data = NULL;
    int size = certificate != NULL ? i2d_X509(certificate, &data) : 0;
    berth_tls_problem problem = {
        .depth = depth,
        .number = number,
        .text = X509_verify_cert_error_string(number),
        .certificate = size > 0 ? data : NULL,
        .size = size > 0 ? (size_t)size : 0,
    };
    (void)ERR_set_mark();
    berth__tls_leave();
    bool ignored = engine->verify(engine->context, &problem);
    berth__tls_enter();
    (void)ERR_pop_to_mark();
    OPENSSL_free(data);
    return ignored;
}

static int look(int good, X509_STORE_CTX *store)
{
    if (good)
        return 1;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    berth__engine *engine = berth__tls_engine_of(ssl);
    int number = X509_STORE_CTX_get_error(store);
    int depth = X509_STORE_CTX_get_error_depth(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (is_ignored(engine, number, depth, certificate))
        return 1;
    fail(engine, number, depth, certificate);
    return 0;
}

/* Of a client that does not want it checked. The session must not pass for one that was. */
static int look_away(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 1;
}

void berth__tls_set_verify(berth__tls *tls)
{
    if (tls->verify == BERTH_TLS_VERIFY_NONE) {
        SSL_CTX_set_verify(tls->openssl, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_cert_verify_callback(tls->openssl, look_away, NULL);
        return;
    }
    int mode = SSL_VERIFY_PEER;
    if (tls->verify == BERTH_TLS_VERIFY_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(tls->openssl, mode, look);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The bytes of an address that is written as text; returns how many, 0 if it is none. A scope is no
 * part of what a certificate may be for. */
static size_t address_of(const char *name, uint8_t address[ADDRESS_SIZE])
{
    char text[INET6_ADDRSTRLEN];
    size_t size = strcspn(name, "%");
    if (size >= sizeof text)
        return 0;
    memcpy(text, name, size);
    text[size] = '\0';
    if (inet_pton(AF_INET, text, address) == 1)
        return sizeof(struct in_addr);
    return inet_pton(AF_INET6, text, address) == 1 ? sizeof(struct in6_addr) : 0;
}

bool berth__tls_set_name(berth__engine *engine, const char *name)
{
    uint8_t address[ADDRESS_SIZE];
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == '.')
        length--; /* "example.org." is that name, and no certificate has it so */
    if (length == 0 || length > DNS_LONGEST_NAME) {
        berth__tls_fail(engine, BERTH_ERROR_TLS_INVALID_USER_DATA,
                        "a peer's name has 1 to %d bytes, not %zu", DNS_LONGEST_NAME, length);
        engine->failed = true;
        return true;
    }
    engine->name = OPENSSL_strndup(name, length);
    if (engine->name == NULL)
        return false;
    X509_VERIFY_PARAM *wanted = SSL_get0_param(engine->ssl);
    size_t size = address_of(engine->name, address);
    engine->address = size > 0;
    if (engine->address)
        return X509_VERIFY_PARAM_set1_ip(wanted, address, size) == 1;
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(wanted, engine->name, length) == 1 &&
           SSL_set_tlsext_host_name(engine->ssl, engine->name) == 1;
}

/* The name of this connection against the certificate that the session began with. */
static int problem_of_name(const berth__engine *engine, X509 *certificate)
{
    uint8_t address[ADDRESS_SIZE];
    if (engine->name == NULL)
        return X509_V_OK;
    if (engine->address) {
        size_t size = address_of(engine->name, address);
        return X509_check_ip(certificate, address, size, 0) == 1 ? X509_V_OK
                                                                 : X509_V_ERR_IP_ADDRESS_MISMATCH;
    }
    return X509_check_host(certificate, engine->name, strlen(engine->name),
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1
               ? X509_V_OK
               : X509_V_ERR_HOSTNAME_MISMATCH;
}

bool berth__tls_verify_resumed(berth__engine *engine)
{
    if (engine->tls->head.server || engine->tls->verify == BERTH_TLS_VERIFY_NONE)
        return true;
    X509 *certificate = SSL_get0_peer_certificate(engine->ssl);
    int number = (int)SSL_get_verify_result(engine->ssl);
    if (certificate == NULL)
        number = X509_V_ERR_APPLICATION_VERIFICATION;
    else if (number == X509_V_OK)
        number = problem_of_name(engine, certificate);
    if (number == X509_V_OK)
        return true;
    SSL_set_verify_result(engine->ssl, number);
    if (is_ignored(engine, number, 0, certificate))
        return true;
    fail(engine, number, 0, certificate);
    return false;
}
