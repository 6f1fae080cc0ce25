/*
 * What the files of libberth-tls share: a configuration, an engine, and what goes between them.
 *
 *     context.c    a configuration is made of the program's options
 *     pem.c        certificates, keys and authorities are read
 *     tickets.c    keys of tickets
 *     pipe.c       OpenSSL's input and output are the bytes of a call: a BIO
 *     engine.c     the operations of engine.h
 *     hello.c      what a server learns from a client's hello, and ALPN
 *     verify.c     certificates of peers
 *     failure.c    why something has failed, in words
 *     questions.c  what is asked of an engine
 *     fork.c       fork waits for calls of other threads
 *
 * All memory is OpenSSL's (OPENSSL_malloc), so that who replaces that function has all of it. Any
 * of it may be refused: an engine then fails with SOCKET_RESOURCE, or with what OpenSSL makes of
 * it.
 *
 * OpenSSL keeps a queue of errors for each thread, and decides by it. It is empty when a call into
 * OpenSSL begins, and when a function of this library returns.
 *
 * A call that may take a lock of OpenSSL's is between berth__tls_enter and berth__tls_leave.
 */
#ifndef BERTH_SRC_TLS_H
#define BERTH_SRC_TLS_H

#include "engine/engine.h"

#include <openssl/ssl.h>

/* Bounds of ours; the protocol has none. */
enum {
    BERTH__TLS_MOST_KEYS = 16,
    BERTH__TLS_MOST_PROTOCOLS = 32,
    BERTH__TLS_CONTEXT_SIZE = 32, /* of a digest, and at most SSL_MAX_SID_CTX_LENGTH */
    /* Records without plaintext, one behind the other, that an open connection may send. */
    BERTH__TLS_MOST_FRUITLESS = 64
};

/* A configuration. Only the keys change, under a lock. */
typedef struct berth__tls {
    berth_tls head;
    SSL_CTX *openssl;
    BIO_METHOD *pipe;
    berth_tls_verify verify;
    uint8_t context[BERTH__TLS_CONTEXT_SIZE];       /* that a session has in common with it */
    char *protocols[BERTH__TLS_MOST_PROTOCOLS + 1]; /* of ALPN, best first; the first owns all */
    EVP_CIPHER *ticket_cipher;
    size_t key_count;
    berth_tls_ticket_key keys[BERTH__TLS_MOST_KEYS];
} berth__tls;

struct berth__engine {
    SSL *ssl;
    const berth__tls *tls;
    berth__engine_io *io; /* of the call that is running; else NULL */
    bool (*verify)(void *context, const berth_tls_problem *problem);
    void *context;
    char *name;                     /* client: that is asked for; server: that of SNI; or NULL */
    uint8_t *certificate;           /* DER, once it was asked for */
    int certificate_size;           /* of that */
    berth__engine_failure *failure; /* NULL, while it has not failed or there was no memory */
    uint16_t fruitless;             /* see BERTH__TLS_MOST_FRUITLESS */
    uint16_t offered;               /* server: the client's highest version, 0x0303 for 1.2 */
    uint8_t first[8];               /* what the peer sent first */
    uint8_t first_size;
    uint16_t lacking; /* bytes of the head or the rest of a record, whichever is being read; 0 at */
    bool in_head;     /* the end of a head, if so, or between records */
    bool started;     /* a client has sent its hello */
    bool open;
    bool ended;  /* by the peer */
    bool closed; /* by this side */
    bool failed;
    bool address;   /* the name is an address */
    bool flooded;   /* too many fruitless records */
    bool no_memory; /* the output was not taken */
};

extern const berth__engine_operations berth__tls_operations;

/* ---- pipe.c ---------------------------------------------------------------------------------- */

BIO_METHOD *berth__tls_pipe_method(void);
BIO *berth__tls_pipe(berth__engine *engine); /* NULL when out of memory */
berth__engine *berth__tls_engine_of(const SSL *ssl);

/* ---- pem.c ----------------------------------------------------------------------------------- */

/* These return 0, or an errno with the text (BERTH_TLS_TEXT_SIZE bytes) written. */
int berth__tls_read_certificate(SSL_CTX *openssl, const char *certificate, const char *key,
                                char *text);
/* Of a server, their names are sent to clients. Writes what distinguishes these authorities from
 * others, 32 bytes. NULL: the system's. */
int berth__tls_read_authorities(SSL_CTX *openssl, const char *authorities, bool server,
                                uint8_t *digest, char *text);

/* ---- tickets.c ------------------------------------------------------------------------------- */

bool berth__tls_begin_tickets(berth__tls *tls); /* with a random key; false: see the error queue */
void berth__tls_end_tickets(berth__tls *tls);
void berth__tls_renew_tickets(void); /* in a child: whoever has the lock is not there */

/* ---- fork.c ---------------------------------------------------------------------------------- */

/* Around calls, which may be inside each other. In between, fork on another thread waits. */
void berth__tls_enter(void);
void berth__tls_leave(void);
void berth__tls_watch_forks(void); /* before the first of these */

/* ---- hello.c --------------------------------------------------------------------------------- */

bool berth__tls_set_hello(
    berth__tls *tls); /* of protocols and, for servers, of the client's hello */

/* ---- verify.c -------------------------------------------------------------------------------- */

void berth__tls_set_verify(berth__tls *tls);
/* Sets the name that a client asks for and checks. False when out of memory. */
bool berth__tls_set_name(berth__engine *engine, const char *name);
/* Of a resumed session there is no certificate to be verified: what was found when it began counts.
 * False: it has failed. */
bool berth__tls_verify_resumed(berth__engine *engine);

/* ---- failure.c ------------------------------------------------------------------------------- */

/* The queue of errors, which is emptied. */
typedef struct berth__tls_errors {
    unsigned long last; /* the last one, of the library of TLS if there is one of that; 0: none */
    bool no_memory;
} berth__tls_errors;

berth__tls_errors berth__tls_take_errors(void);
void berth__tls_forget_errors(void);

/* The engine fails; what was the first reason stays. */
__attribute__((format(printf, 3, 4))) void berth__tls_fail(berth__engine *engine, berth_error class,
                                                           const char *format, ...);
/* The same, for what OpenSSL has found. */
void berth__tls_fail_by_queue(berth__engine *engine);
const berth__engine_failure *berth__tls_failure(const berth__engine *engine);

/* ---- questions.c ----------------------------------------------------------------------------- */

berth_tls_version berth__tls_version(const berth__engine *engine);
const char *berth__tls_cipher(const berth__engine *engine);
const char *berth__tls_protocol(const berth__engine *engine);
const char *berth__tls_server_name(const berth__engine *engine);
bool berth__tls_resumed(const berth__engine *engine);
bool berth__tls_peer_verified(const berth__engine *engine);
const void *berth__tls_peer_certificate(const berth__engine *engine, size_t *ret_size);
size_t berth__tls_session(const berth__engine *engine, void *data, size_t size);

#endif
