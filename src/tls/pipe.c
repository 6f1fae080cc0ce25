/*
 * The pipe between OpenSSL and the caller of an engine: a BIO that reads the input of the call that
 * is running, and hands what it is given to `emit`. It has no memory of its own, so a record is
 * copied once on its way in, into OpenSSL's buffer, and once on its way out.
 *
 * OpenSSL reads the head of a record first and then its rest, never more. So what it has not asked
 * for stays the caller's, and a connection that is quiet has nothing in its buffers.
 *
 * When there is no input it asks to be called again. It fails for good when `emit` does, and when
 * an open connection gets record after record without plaintext: each costs work, and gives nothing
 * that the caller could bound it by.
 */
#include "tls.h"

#include <openssl/bio.h>
#include <string.h>

enum {
    HEAD = 5 /* bytes of a record's head */
};

static bool is_too_much(berth__engine *engine, int size)
{
    if (!engine->open || size != HEAD)
        return false;
    if (engine->fruitless < BERTH__TLS_MOST_FRUITLESS) {
        engine->fruitless++;
        return false;
    }
    engine->flooded = true;
    return true;
}

/* OpenSSL asks for a head, then for what that announces, each until it has all of it. */
static void note_place(berth__engine *engine, size_t asked, size_t got)
{
    if (engine->lacking == 0) {
        engine->in_head = !engine->in_head;
        engine->lacking = (uint16_t)asked;
    }
    engine->lacking = (uint16_t)(engine->lacking - got);
}

/* What is looked at when the peer does not speak TLS. */
static void note_first(berth__engine *engine, const uint8_t *data, size_t size)
{
    size_t room = sizeof engine->first - engine->first_size;
    size_t part = size < room ? size : room;
    memcpy(engine->first + engine->first_size, data, part);
    engine->first_size = (uint8_t)(engine->first_size + part);
}

static int take(BIO *bio, char *data, int size)
{
    berth__engine *engine = BIO_get_data(bio);
    berth__engine_io *io = engine->io;
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (io == NULL || io->input_size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (is_too_much(engine, size))
        return -1;
    size_t part = io->input_size < (size_t)size ? io->input_size : (size_t)size;
    if (engine->first_size < sizeof engine->first)
        note_first(engine, io->input, part);
    if (engine->open)
        note_place(engine, (size_t)size, part);
    memcpy(data, io->input, part);
    io->input += part;
    io->input_size -= part;
    return (int)part;
}

static int give(BIO *bio, const char *data, int size)
{
    berth__engine *engine = BIO_get_data(bio);
    berth__engine_io *io = engine->io;
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (io == NULL)
        return -1;
    if (engine->no_memory || !io->emit(io->sink, data, (size_t)size)) {
        engine->no_memory = true;
        return -1;
    }
    return size;
}

static long control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH || what == BIO_CTRL_DUP;
}

BIO_METHOD *berth__tls_pipe_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "berth");
    if (method == NULL)
        return NULL;
    if (BIO_meth_set_read(method, take) && BIO_meth_set_write(method, give) &&
        BIO_meth_set_ctrl(method, control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *berth__tls_pipe(berth__engine *engine)
{
    BIO *bio = BIO_new(engine->tls->pipe);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, engine);
    BIO_set_init(bio, 1);
    return bio;
}

berth__engine *berth__tls_engine_of(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}
