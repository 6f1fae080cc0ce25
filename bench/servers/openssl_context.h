/*
 * OpenSSL's side of a server that uses it directly: the certificate, no cache of sessions beside
 * the tickets, and what the command line asks for. The file holds nothing that runs while a
 * benchmark is measured.
 */
#ifndef BERTH_BENCH_SERVERS_OPENSSL_CONTEXT_H
#define BERTH_BENCH_SERVERS_OPENSSL_CONTEXT_H

#include "common.h"

#include <errno.h>

#include <openssl/ssl.h>

static inline SSL_CTX *openssl_context(const struct server_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, options->tls) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, options->tls, SSL_FILETYPE_PEM) != 1)
        server_fail("cannot use the certificate", EINVAL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, options->read_ahead);
    if (options->release)
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

#endif
