/*
 * The engine of OpenSSL: the operations of engine.h over an SSL object whose input and output are
 * the bytes of the call that is running (pipe.c).
 *
 * The normal course: `begin` makes the SSL object, which with its buffers is what a connection
 * costs, so it comes when there is something to do. `advance` shakes hands until that is done; from
 * then on it decrypts, record by record, until the room is full or the input used. `seal` makes one
 * record of what it gets. `end` sends close_notify; that of the peer ends `advance`, and what is
 * behind it is not looked at.
 *
 * What comes behind plaintext in one call, an end or a failure, is kept for the next call.
 *
 * Failures: see failure.c. Whatever OpenSSL has sent before it failed, an alert mostly, was
 * emitted. From inside a call only `verify` of the setup is called.
 */
#include "tls.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* ---- begin and free -------------------------------------------------------------------------- */

static void engine_free(berth__engine *engine)
{
    if (engine == NULL)
        return;
    berth__tls_enter();
    SSL_free(engine->ssl);
    OPENSSL_free(engine->name);
    OPENSSL_free(engine->certificate);
    OPENSSL_free(engine->failure);
    OPENSSL_free(engine);
    berth__tls_forget_errors();
    berth__tls_leave();
}

/* Whether it began with the same name, and with a configuration that verifies the same. */
static bool is_of_same(const berth__engine *engine, const SSL_SESSION *session)
{
    unsigned size;
    const uint8_t *context = SSL_SESSION_get0_id_context(session, &size);
    const char *name = SSL_SESSION_get0_hostname(session);
    return size == sizeof engine->tls->context &&
           memcmp(context, engine->tls->context, size) == 0 &&
           strcmp(name != NULL ? name : "", berth__tls_server_name(engine)) == 0;
}

/* A session that is of another or cannot be read is as none. */
static void offer_session(berth__engine *engine, const void *data, size_t size)
{
    const uint8_t *at = data;
    SSL_SESSION *session = size <= LONG_MAX ? d2i_SSL_SESSION(NULL, &at, (long)size) : NULL;
    if (session == NULL)
        return;
    if (is_of_same(engine, session))
        (void)SSL_set_session(engine->ssl, session);
    SSL_SESSION_free(session);
}

static bool begin_client(berth__engine *engine, const berth__engine_setup *setup)
{
    SSL_set_connect_state(engine->ssl);
    if (setup->name != NULL && !berth__tls_set_name(engine, setup->name))
        return false;
    if (setup->session != NULL && !engine->failed)
        offer_session(engine, setup->session, setup->session_size);
    return true;
}

static bool prepare(berth__engine *engine, const berth__engine_setup *setup)
{
    engine->ssl = SSL_new(engine->tls->openssl);
    if (engine->ssl == NULL)
        return false;
    BIO *pipe = berth__tls_pipe(engine);
    if (pipe == NULL)
        return false;
    SSL_set_bio(engine->ssl, pipe, pipe);
    if (!engine->tls->head.server)
        return begin_client(engine, setup);
    SSL_set_accept_state(engine->ssl);
    engine->started = true;
    return true;
}

static berth__engine *make(berth_tls *tls, const berth__engine_setup *wanted)
{
    berth__tls_forget_errors();
    berth__engine *engine = OPENSSL_zalloc(sizeof *engine);
    if (engine == NULL) {
        berth__tls_forget_errors();
        return NULL;
    }
    engine->tls = (berth__tls *)tls;
    engine->verify = wanted->verify;
    engine->context = wanted->context;
    bool made = prepare(engine, wanted);
    berth__tls_forget_errors();
    if (made)
        return engine;
    engine_free(engine);
    return NULL;
}

static berth__engine *engine_begin(berth_tls *tls, const berth__engine_setup *setup)
{
    static const berth__engine_setup nothing = {0};
    berth__tls_enter();
    berth__engine *engine = make(tls, setup != NULL ? setup : &nothing);
    berth__tls_leave();
    return engine;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void enter(berth__engine *engine, berth__engine_io *io)
{
    assert(engine->io == NULL);
    berth__tls_enter();
    berth__tls_forget_errors();
    engine->io = io;
}

static void leave(berth__engine *engine)
{
    engine->io = NULL;
    berth__tls_forget_errors();
    berth__tls_leave();
}

static berth__engine_result fail(berth__engine *engine)
{
    berth__tls_fail_by_queue(engine);
    engine->failed = true;
    return BERTH__ENGINE_FAILED;
}

/* What a call of OpenSSL that gave nothing means. */
static berth__engine_result outcome(berth__engine *engine, int returned)
{
    switch (SSL_get_error(engine->ssl, returned)) {
    case SSL_ERROR_WANT_READ:
        return BERTH__ENGINE_MORE;
    case SSL_ERROR_ZERO_RETURN:
        if (engine->open) {
            engine->ended = true;
            return BERTH__ENGINE_ENDED;
        }
        berth__tls_fail(engine, BERTH_ERROR_TLS_HANDSHAKE_FAILED,
                        "the peer ended the connection during the handshake");
        return fail(engine);
    default:
        return fail(engine);
    }
}

static berth__engine_result shake(berth__engine *engine)
{
    if (engine->started && engine->io->input_size == 0)
        return BERTH__ENGINE_MORE;
    engine->started = true;
    int done = SSL_do_handshake(engine->ssl);
    if (engine->no_memory)
        return fail(engine);
    if (done != 1)
        return outcome(engine, done);
    if (SSL_session_reused(engine->ssl) && !berth__tls_verify_resumed(engine))
        return fail(engine);
    engine->open = true;
    return BERTH__ENGINE_OPENED;
}

static berth__engine_result decrypt(berth__engine *engine)
{
    berth__engine_io *io = engine->io;
    berth__engine_result result = BERTH__ENGINE_MORE;
    while (io->plain_size < io->room && (io->input_size > 0 || SSL_pending(engine->ssl) > 0)) {
        size_t got = 0;
        int done =
            SSL_read_ex(engine->ssl, io->plain + io->plain_size, io->room - io->plain_size, &got);
        if (done != 1) {
            result = outcome(engine, done);
            break;
        }
        io->plain_size += got;
        engine->fruitless = 0;
    }
    return io->plain_size > 0 ? BERTH__ENGINE_PLAIN : result;
}

static berth__engine_result engine_advance(berth__engine *engine, berth__engine_io *io)
{
    io->plain_size = 0;
    if (engine->failed)
        return BERTH__ENGINE_FAILED;
    if (engine->ended)
        return BERTH__ENGINE_ENDED;
    enter(engine, io);
    berth__engine_result result = engine->open ? decrypt(engine) : shake(engine);
    leave(engine);
    return result;
}

static ptrdiff_t engine_seal(berth__engine *engine, const void *data, size_t size,
                             berth__engine_io *io)
{
    size_t part = size < BERTH__ENGINE_RECORD ? size : BERTH__ENGINE_RECORD;
    size_t sealed = 0;
    if (engine->failed)
        return -1;
    assert(engine->open && !engine->closed);
    if (part == 0)
        return 0;
    enter(engine, io);
    if (SSL_write_ex(engine->ssl, data, part, &sealed) != 1)
        (void)fail(engine);
    leave(engine);
    return engine->failed ? -1 : (ptrdiff_t)sealed;
}

static void engine_end(berth__engine *engine, berth__engine_io *io)
{
    if (engine->failed || !engine->open || engine->closed)
        return;
    engine->closed = true;
    enter(engine, io);
    (void)SSL_shutdown(engine->ssl);
    if (engine->no_memory)
        (void)fail(engine);
    leave(engine);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static bool engine_has_plain(const berth__engine *engine)
{
    return engine->open && !engine->failed && SSL_pending(engine->ssl) > 0;
}

/* OpenSSL before 3.0.14 frees its buffer also where a record has come in part, or was read in part,
 * and uses it then (CVE-2024-4741). */
static void engine_relax(berth__engine *engine)
{
    bool between = engine->lacking == 0 && !engine->in_head;
    if (!engine->open || !between || SSL_pending(engine->ssl) != 0)
        return;
    berth__tls_enter();
    (void)SSL_free_buffers(engine->ssl);
    berth__tls_leave();
}

static void engine_destroy(berth_tls *tls)
{
    berth__tls *mine = (berth__tls *)tls;
    berth__tls_enter();
    SSL_CTX_free(mine->openssl);
    BIO_meth_free(mine->pipe);
    OPENSSL_free(mine->protocols[0]);
    berth__tls_end_tickets(mine);
    OPENSSL_free(mine);
    berth__tls_leave();
}

const berth__engine_operations berth__tls_operations = {
    .size = sizeof(berth__engine_operations),
    .name = "OpenSSL",
    .destroy = engine_destroy,
    .begin = engine_begin,
    .free = engine_free,
    .advance = engine_advance,
    .seal = engine_seal,
    .end = engine_end,
    .relax = engine_relax,
    .has_plain = engine_has_plain,
    .failure = berth__tls_failure,
    .version = berth__tls_version,
    .cipher = berth__tls_cipher,
    .protocol = berth__tls_protocol,
    .server_name = berth__tls_server_name,
    .resumed = berth__tls_resumed,
    .peer_verified = berth__tls_peer_verified,
    .peer_certificate = berth__tls_peer_certificate,
    .session = berth__tls_session,
};
