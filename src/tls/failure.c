/*
 * Why something has failed, in the library's words. OpenSSL tells it by its queue of errors, as
 * numbers of reasons; what matters to people is said here, the rest in OpenSSL's words.
 *
 * The classes: SOCKET_RESOURCE for want of memory; TLS_INTERNAL where OpenSSL itself has failed;
 * TLS_HANDSHAKE_FAILED for everything until the connection is open, and for alerts about this
 * side's certificate, which may come after that; NETWORK for what an open connection breaks by.
 *
 * Nothing that the peer has chosen the bytes of is part of a text.
 */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const berth__engine_failure without_memory = {BERTH_ERROR_SOCKET_RESOURCE, "out of memory"};

/* ---- the queue ------------------------------------------------------------------------------- */

berth__tls_errors berth__tls_take_errors(void)
{
    berth__tls_errors errors = {0, false};
    for (unsigned long error; (error = ERR_get_error()) != 0;) {
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            errors.no_memory = true;
        if (errors.last == 0 || ERR_GET_LIB(error) == ERR_LIB_SSL ||
            ERR_GET_LIB(errors.last) != ERR_LIB_SSL)
            errors.last = error;
    }
    return errors;
}

void berth__tls_forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* ---- failures -------------------------------------------------------------------------------- */

void berth__tls_fail(berth__engine *engine, berth_error class, const char *format, ...)
{
    va_list values;
    if (engine->failure != NULL)
        return;
    engine->failure = OPENSSL_zalloc(sizeof *engine->failure);
    if (engine->failure == NULL)
        return;
    engine->failure->class = class;
    va_start(values, format);
    (void)vsnprintf(engine->failure->text, sizeof engine->failure->text, format, values);
    va_end(values);
}

const berth__engine_failure *berth__tls_failure(const berth__engine *engine)
{
    return engine->failure != NULL ? engine->failure : &without_memory;
}

/* ---- alerts ---------------------------------------------------------------------------------- */

typedef struct word {
    int number;
    const char *text;
} word;

static const char *find(const word *words, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].number == number)
            return words[i].text;
    }
    return NULL;
}

static const word alerts[] = {
    {SSL3_AD_UNEXPECTED_MESSAGE, "unexpected_message"},
    {SSL3_AD_BAD_RECORD_MAC, "bad_record_mac"},
    {TLS1_AD_DECRYPTION_FAILED, "decryption_failed"},
    {TLS1_AD_RECORD_OVERFLOW, "record_overflow"},
    {SSL3_AD_DECOMPRESSION_FAILURE, "decompression_failure"},
    {SSL3_AD_HANDSHAKE_FAILURE, "handshake_failure"},
    {SSL3_AD_NO_CERTIFICATE, "no_certificate"},
    {SSL3_AD_BAD_CERTIFICATE, "bad_certificate"},
    {SSL3_AD_UNSUPPORTED_CERTIFICATE, "unsupported_certificate"},
    {SSL3_AD_CERTIFICATE_REVOKED, "certificate_revoked"},
    {SSL3_AD_CERTIFICATE_EXPIRED, "certificate_expired"},
    {SSL3_AD_CERTIFICATE_UNKNOWN, "certificate_unknown"},
    {SSL3_AD_ILLEGAL_PARAMETER, "illegal_parameter"},
    {TLS1_AD_UNKNOWN_CA, "unknown_ca"},
    {TLS1_AD_ACCESS_DENIED, "access_denied"},
    {TLS1_AD_DECODE_ERROR, "decode_error"},
    {TLS1_AD_DECRYPT_ERROR, "decrypt_error"},
    {TLS1_AD_EXPORT_RESTRICTION, "export_restriction"},
    {TLS1_AD_PROTOCOL_VERSION, "protocol_version"},
    {TLS1_AD_INSUFFICIENT_SECURITY, "insufficient_security"},
    {TLS1_AD_INTERNAL_ERROR, "internal_error"},
    {TLS1_AD_INAPPROPRIATE_FALLBACK, "inappropriate_fallback"},
    {TLS1_AD_USER_CANCELLED, "user_canceled"},
    {TLS1_AD_NO_RENEGOTIATION, "no_renegotiation"},
    {TLS13_AD_MISSING_EXTENSION, "missing_extension"},
    {TLS1_AD_UNSUPPORTED_EXTENSION, "unsupported_extension"},
    {TLS1_AD_CERTIFICATE_UNOBTAINABLE, "certificate_unobtainable"},
    {TLS1_AD_UNRECOGNIZED_NAME, "unrecognized_name"},
    {TLS1_AD_BAD_CERTIFICATE_STATUS_RESPONSE, "bad_certificate_status_response"},
    {TLS1_AD_BAD_CERTIFICATE_HASH_VALUE, "bad_certificate_hash_value"},
    {TLS1_AD_UNKNOWN_PSK_IDENTITY, "unknown_psk_identity"},
    {TLS13_AD_CERTIFICATE_REQUIRED, "certificate_required"},
    {TLS1_AD_NO_APPLICATION_PROTOCOL, "no_application_protocol"},
};

static bool is_about_certificate(int alert)
{
    return (alert >= SSL3_AD_NO_CERTIFICATE && alert <= SSL3_AD_CERTIFICATE_UNKNOWN) ||
           alert == TLS1_AD_UNKNOWN_CA || alert == TLS1_AD_ACCESS_DENIED ||
           alert == TLS1_AD_DECRYPT_ERROR || alert == TLS13_AD_CERTIFICATE_REQUIRED;
}

/* What the peer breaks, or has no share in. */
static berth_error class_of(const berth__engine *engine)
{
    return engine->open ? BERTH_ERROR_NETWORK : BERTH_ERROR_TLS_HANDSHAKE_FAILED;
}

static void fail_by_alert(berth__engine *engine, int alert)
{
    const char *name = find(alerts, sizeof alerts / sizeof alerts[0], alert);
    berth_error class =
        is_about_certificate(alert) ? BERTH_ERROR_TLS_HANDSHAKE_FAILED : class_of(engine);
    if (name != NULL)
        berth__tls_fail(engine, class, "the peer sent the alert %s", name);
    else
        berth__tls_fail(engine, class, "the peer sent the alert number %d", alert);
}

/* ---- reasons --------------------------------------------------------------------------------- */

static const word reasons[] = {
    {SSL_R_NO_SHARED_CIPHER, "no cipher in common"},
    {SSL_R_NO_CIPHERS_AVAILABLE, "no cipher is left to offer"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no group for the exchange of keys in common"},
    {SSL_R_NO_SUITABLE_GROUPS, "no group for the exchange of keys in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no signature algorithm in common"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no signature algorithm in common"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no application protocol in common"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer has shown no certificate"},
    {SSL_R_CERTIFICATE_VERIFY_FAILED, "the peer's certificate is not accepted"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record of the peer is damaged"},
    {SSL_R_BAD_SIGNATURE, "the signature of the peer is wrong"},
    {SSL_R_DIGEST_CHECK_FAILED, "the peer's end of the handshake is wrong"},
    {SSL_R_RECORD_TOO_SMALL, "too many records of the peer without content"},
    {SSL_R_TOO_MANY_WARN_ALERTS, "too many records of the peer without content"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "a message of the peer is too long"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "a record of the peer is too long"},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "a record of the peer is too long"},
    {SSL_R_DATA_LENGTH_TOO_LONG, "a record of the peer is too long"},
};

static const char *version_name(unsigned version)
{
    switch (version) {
    case SSL3_VERSION:
        return "SSL 3.0";
    case TLS1_VERSION:
        return "TLS 1.0";
    case TLS1_1_VERSION:
        return "TLS 1.1";
    case TLS1_2_VERSION:
        return "TLS 1.2";
    case TLS1_3_VERSION:
        return "TLS 1.3";
    default:
        return version < SSL3_VERSION ? "SSL 2.0" : "an unknown one";
    }
}

static bool is_about_version(int reason)
{
    return reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW ||
           reason == SSL_R_VERSION_TOO_HIGH || reason == SSL_R_WRONG_SSL_VERSION ||
           reason == SSL_R_UNKNOWN_PROTOCOL || reason == SSL_R_BAD_PROTOCOL_VERSION_NUMBER ||
           reason == SSL_R_NO_PROTOCOLS_AVAILABLE;
}

static bool begins(const berth__engine *engine, const char *text)
{
    size_t size = strlen(text);
    return engine->first_size >= size && memcmp(engine->first, text, size) == 0;
}

/* Whether the first bytes are no record at all, and what they are instead. */
static const char *instead_of_tls(const berth__engine *engine)
{
    static const char *const methods[] = {"GET ",    "POST ",    "HEAD ",  "PUT ",
                                          "DELETE ", "OPTIONS",  "PATCH ", "CONNECT",
                                          "TRACE ",  "PRI * HT", "HTTP/"};
    /* By four bytes OpenSSL decides, and more may not have been looked at. */
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (begins(engine, methods[i]) ||
            (engine->first_size >= 4 && engine->first_size < strlen(methods[i]) &&
             memcmp(engine->first, methods[i], engine->first_size) == 0))
            return "the peer speaks plain HTTP";
    }
    if (begins(engine, "SSH-"))
        return "the peer speaks SSH";
    bool is_record = engine->first_size == 0 ||
                     (engine->first[0] >= SSL3_RT_CHANGE_CIPHER_SPEC &&
                      engine->first[0] <= SSL3_RT_APPLICATION_DATA &&
                      (engine->first_size == 1 || engine->first[1] == SSL3_VERSION_MAJOR));
    bool is_old_hello = engine->first_size > 2 && (engine->first[0] & 0x80) != 0 &&
                        engine->first[2] == SSL2_MT_CLIENT_HELLO;
    return is_record || is_old_hello ? NULL : "the peer does not speak TLS";
}

/* OpenSSL takes an alert in the place of a hello for anything; it is what the peer has to say. */
static bool fail_by_first_alert(berth__engine *engine)
{
    enum {
        HEAD = 5,
        SIZE = 2
    };
    const uint8_t *first = engine->first;
    if (!engine->tls->head.server || engine->open || engine->offered != 0 ||
        engine->first_size < HEAD + SIZE || first[0] != SSL3_RT_ALERT || first[4] != SIZE)
        return false;
    if (first[HEAD + 1] == SSL_AD_CLOSE_NOTIFY)
        berth__tls_fail(engine, BERTH_ERROR_TLS_HANDSHAKE_FAILED,
                        "the peer ended the connection during the handshake");
    else
        fail_by_alert(engine, first[HEAD + 1]);
    return true;
}

static void fail_by_reason(berth__engine *engine, int reason)
{
    if (fail_by_first_alert(engine))
        return;
    const char *text = engine->open ? NULL : instead_of_tls(engine);
    if (text == NULL)
        text = find(reasons, sizeof reasons / sizeof reasons[0], reason);
    if (text != NULL) {
        berth__tls_fail(engine, class_of(engine), "%s", text);
    } else if (is_about_version(reason) && engine->offered != 0) {
        berth__tls_fail(engine, class_of(engine), "no version in common (the peer offers up to %s)",
                        version_name(engine->offered));
    } else if (is_about_version(reason)) {
        berth__tls_fail(engine, class_of(engine), "no version in common");
    } else {
        const char *words = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
        berth__tls_fail(engine, class_of(engine), "the peer violates TLS: %s",
                        words != NULL ? words : "unknown error");
    }
}

void berth__tls_fail_by_queue(berth__engine *engine)
{
    berth__tls_errors errors = berth__tls_take_errors();
    int reason = ERR_GET_REASON(errors.last);
    if (errors.no_memory || engine->no_memory) {
        berth__tls_fail(engine, BERTH_ERROR_SOCKET_RESOURCE, "out of memory");
    } else if (engine->flooded) {
        fail_by_reason(engine, SSL_R_RECORD_TOO_SMALL);
    } else if (ERR_GET_LIB(errors.last) != ERR_LIB_SSL || ERR_FATAL_ERROR(errors.last)) {
        const char *words = ERR_reason_error_string(errors.last);
        berth__tls_fail(engine, BERTH_ERROR_TLS_INTERNAL, "OpenSSL: %s",
                        words != NULL ? words : "unknown error");
    } else if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX) {
        fail_by_alert(engine, reason - SSL_AD_REASON_OFFSET);
    } else {
        fail_by_reason(engine, reason);
    }
}
