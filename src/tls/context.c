/*
 * Configurations: an SSL_CTX, made of the program's options and never changed from then on but for
 * the keys of tickets (tickets.c).
 *
 * What is not an option: the security level is 2; renegotiation, compression and early data are
 * off; the server's order of ciphers counts, in which AES with 128 bits comes first, and ChaCha20
 * does for a client that puts it first; sessions are kept by clients only. A session can be resumed
 * with each configuration that has the same keys of tickets and asks for the same of its clients:
 * so one that began where no certificate was wanted is of no use where one is.
 *
 * Failures are told by errno and a text; whatever was made until then is freed.
 */
#include "tls.h"

#include <berth/version.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_TICKETS = 2,
    NO_TICKETS = 255,
    DEFAULT_LIFETIME = 7200,       /* seconds */
    TLS_LONGEST_LIFETIME = 604800, /* seconds */
    ALPN_LONGEST_PROTOCOL = 255
};

/* Forward secret and authenticated, of TLS 1.2; and all of TLS 1.3. */
static const char safe_ciphers[] = "ECDHE+AES128+AESGCM:ECDHE+CHACHA20:ECDHE+AES256+AESGCM";
static const char all_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";

/* ---- failures -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int refuse(char *text, int error, const char *format,
                                                        ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, BERTH_TLS_TEXT_SIZE, format, values);
    va_end(values);
    return error;
}

static int refuse_memory(char *text)
{
    return refuse(text, ENOMEM, "out of memory");
}

/* Of a list of names in OpenSSL's words. */
static int refuse_list(char *text, const char *what, const char *list)
{
    if (berth__tls_take_errors().no_memory)
        return refuse_memory(text);
    return refuse(text, EINVAL, "cannot use the %s \"%.150s\": OpenSSL knows none of that name",
                  what, list);
}

/* ---- options --------------------------------------------------------------------------------- */

static int number_of(berth_tls_version version, int usual)
{
    switch (version) {
    case BERTH_TLS_VERSION_NONE:
        return usual;
    case BERTH_TLS_VERSION_1_2:
        return TLS1_2_VERSION;
    case BERTH_TLS_VERSION_1_3:
        return TLS1_3_VERSION;
    default:
        return -1;
    }
}

static int set_versions(berth__tls *tls, const berth_tls_options *options, char *text)
{
    int lowest = number_of(options->lowest, TLS1_2_VERSION);
    int highest = number_of(options->highest, TLS1_3_VERSION);
    if (lowest < 0 || highest < 0)
        return refuse(text, EINVAL, "there is no such version of TLS");
    if (lowest > highest)
        return refuse(text, EINVAL, "the lowest version of TLS is above the highest");
    if (SSL_CTX_set_min_proto_version(tls->openssl, lowest) != 1 ||
        SSL_CTX_set_max_proto_version(tls->openssl, highest) != 1)
        return refuse(text, EINVAL, "OpenSSL lacks these versions of TLS");
    return 0;
}

static int set_lists(berth__tls *tls, const berth_tls_options *options, char *text)
{
    const char *ciphers = options->ciphers != NULL ? options->ciphers : safe_ciphers;
    const char *suites = options->suites != NULL ? options->suites : all_suites;
    if (SSL_CTX_set_cipher_list(tls->openssl, ciphers) != 1)
        return refuse_list(text, "ciphers", ciphers);
    if (SSL_CTX_set_ciphersuites(tls->openssl, suites) != 1)
        return refuse_list(text, "suites", suites);
    if (options->groups != NULL && SSL_CTX_set1_groups_list(tls->openssl, options->groups) != 1)
        return refuse_list(text, "groups", options->groups);
    return 0;
}

static int copy_protocols(berth__tls *tls, const char *const *protocols, char *text)
{
    size_t size = 0;
    size_t count = 0;
    for (; protocols[count] != NULL; count++) {
        size_t length = strlen(protocols[count]);
        if (count == BERTH__TLS_MOST_PROTOCOLS)
            return refuse(text, EINVAL, "there are more than %d application protocols",
                          BERTH__TLS_MOST_PROTOCOLS);
        if (length == 0 || length > ALPN_LONGEST_PROTOCOL)
            return refuse(text, EINVAL, "an application protocol has 1 to %d bytes, not %zu",
                          ALPN_LONGEST_PROTOCOL, length);
        size += length + 1;
    }
    if (count == 0)
        return 0;
    char *at = OPENSSL_malloc(size);
    if (at == NULL)
        return refuse_memory(text);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(protocols[i]) + 1;
        tls->protocols[i] = memcpy(at, protocols[i], length);
        at += length;
    }
    return 0;
}

static int set_certificate(berth__tls *tls, const berth_tls_options *options, char *text)
{
    if (options->certificate != NULL)
        return berth__tls_read_certificate(tls->openssl, options->certificate, options->key, text);
    if (options->key != NULL)
        return refuse(text, EINVAL, "there is a key without a certificate");
    if (tls->head.server)
        return refuse(text, EINVAL, "a server needs a certificate");
    return 0;
}

/* Also sets what a session has to have in common with the configuration that it is resumed with. */
static int set_verify(berth__tls *tls, const berth_tls_options *options, char *text)
{
    tls->verify = options->verify;
    if (tls->verify == BERTH_TLS_VERIFY_DEFAULT)
        tls->verify = tls->head.server ? BERTH_TLS_VERIFY_NONE : BERTH_TLS_VERIFY_REQUIRED;
    if (tls->verify > BERTH_TLS_VERIFY_REQUIRED)
        return refuse(text, EINVAL, "there is no such way to verify");
    if (tls->verify != BERTH_TLS_VERIFY_NONE) {
        int error = berth__tls_read_authorities(tls->openssl, options->authorities,
                                                tls->head.server, tls->context, text);
        if (error != 0)
            return error;
    }
    tls->context[0] = (uint8_t)tls->verify;
    berth__tls_set_verify(tls);
    if (SSL_CTX_set_session_id_context(tls->openssl, tls->context, sizeof tls->context) != 1)
        return refuse_memory(text);
    return 0;
}

static int set_tickets(berth__tls *tls, const berth_tls_options *options, char *text)
{
    uint32_t lifetime = options->ticket_lifetime != 0 ? options->ticket_lifetime : DEFAULT_LIFETIME;
    size_t tickets = options->tickets != 0 ? options->tickets : DEFAULT_TICKETS;
    if (lifetime > TLS_LONGEST_LIFETIME)
        return refuse(text, EINVAL, "a ticket lives for at most %d seconds, not %" PRIu32,
                      TLS_LONGEST_LIFETIME, lifetime);
    if (!tls->head.server)
        return 0;
    (void)SSL_CTX_set_timeout(tls->openssl, (long)lifetime);
    if (tickets == NO_TICKETS) {
        tickets = 0;
        (void)SSL_CTX_set_options(tls->openssl, SSL_OP_NO_TICKET);
    }
    if (SSL_CTX_set_num_tickets(tls->openssl, tickets) != 1 || !berth__tls_begin_tickets(tls))
        return refuse_memory(text);
    return 0;
}

static int set_all(berth__tls *tls, const berth_tls_options *options, char *text)
{
    SSL_CTX_set_security_level(tls->openssl, 2);
    (void)SSL_CTX_set_options(tls->openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                                SSL_OP_CIPHER_SERVER_PREFERENCE |
                                                SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_session_cache_mode(tls->openssl, SSL_SESS_CACHE_OFF);
    if (tls->head.server)
        (void)SSL_CTX_set_dh_auto(tls->openssl, 1); /* for a program that lists such ciphers */
    int error = set_versions(tls, options, text);
    if (error == 0)
        error = set_lists(tls, options, text);
    if (error == 0 && options->protocols != NULL)
        error = copy_protocols(tls, options->protocols, text);
    if (error == 0)
        error = set_certificate(tls, options, text);
    if (error == 0)
        error = set_verify(tls, options, text);
    if (error == 0)
        error = set_tickets(tls, options, text);
    if (error == 0 && !berth__tls_set_hello(tls))
        error = refuse_memory(text);
    return error;
}

/* ---- the public function --------------------------------------------------------------------- */

static void copy_options(berth_tls_options *copy, const berth_tls_options *options, size_t size)
{
    memset(copy, 0, sizeof *copy);
    if (options != NULL)
        memcpy(copy, options, size < sizeof *copy ? size : sizeof *copy);
}

static int make(berth__tls *tls, const berth_tls_options *options, char *text)
{
    tls->openssl = SSL_CTX_new(tls->head.server ? TLS_server_method() : TLS_client_method());
    tls->pipe = berth__tls_pipe_method();
    if (tls->openssl == NULL || tls->pipe == NULL)
        return refuse_memory(text);
    return set_all(tls, options, text);
}

berth_tls *berth_tls_new_sized(berth_tls_side side, const berth_tls_options *options, size_t size,
                               char *ret_text)
{
    char text[BERTH_TLS_TEXT_SIZE] = "";
    berth_tls_options copy;
    copy_options(&copy, options, size);
    berth__tls_watch_forks();
    berth__tls_enter();
    berth__tls_forget_errors();
    berth__tls *tls = OPENSSL_zalloc(sizeof *tls);
    int error = 0;
    if (strcmp(berth_version(), BERTH_VERSION_STRING) != 0) { /* they share what is not public */
        error = refuse(text, ENOTSUP, "libberth-tls %s does not work with libberth %s",
                       BERTH_VERSION_STRING, berth_version());
    } else if (side != BERTH_TLS_SERVER && side != BERTH_TLS_CLIENT) {
        error = refuse(text, EINVAL, "a configuration is for servers or for clients");
    } else if (tls == NULL) {
        error = refuse_memory(text);
    } else {
        tls->head.operations = &berth__tls_operations;
        tls->head.server = side == BERTH_TLS_SERVER;
        tls->head.stop_at_truncation = copy.stop_at_truncation;
        atomic_init(&tls->head.holders, 1);
        error = make(tls, &copy, text);
    }
    berth__tls_forget_errors();
    if (error != 0 && tls != NULL)
        berth__tls_operations.destroy(&tls->head);
    berth__tls_leave();
    if (error == 0)
        return &tls->head;
    if (ret_text != NULL)
        memcpy(ret_text, text, sizeof text);
    errno = error;
    return NULL;
}
