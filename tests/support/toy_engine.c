#include "toy_engine.h"

#include "handshake/client_hello.h"

#include <stdlib.h>
#include <string.h>

enum {
    LONGEST = 65535,
    HEAD = 3
};

struct berth__engine {
    struct toy *toy;
    berth__engine_setup setup;
    char name[256];
    char protocol[256];
    bool begun; /* a client: its hello is out; a server: it has had one */
    bool open;
    bool ended;
    bool failed;
    bool saw_problem;
    uint8_t *record; /* what there is of the next one */
    size_t filled;
    size_t read; /* of the data of a whole one, as far as it was delivered */
    berth__engine_failure failure;
};

atomic_size_t toy_sealed_records;

/* ---- records --------------------------------------------------------------------------------- */

size_t toy_record(uint8_t type, const void *data, size_t size, uint8_t *record)
{
    const uint8_t *bytes = data;
    uint8_t sum = 0;
    record[0] = type;
    record[1] = (uint8_t)(size >> 8);
    record[2] = (uint8_t)size;
    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
        record[HEAD + i] = bytes[i] ^ 0x5a;
    }
    record[HEAD + size] = sum;
    return HEAD + size + 1;
}

static uint8_t *put16(uint8_t *place, size_t value)
{
    place[0] = (uint8_t)(value >> 8);
    place[1] = (uint8_t)value;
    return place + 2;
}

/* The extension server_name. */
static uint8_t *put_name(uint8_t *place, const char *name)
{
    size_t size = strlen(name);
    place = put16(place, 0);
    place = put16(place, size + 5);
    place = put16(place, size + 3);
    *place++ = 0;
    place = put16(place, size);
    memcpy(place, name, size);
    return place + size;
}

/* The extension of ALPN. */
static uint8_t *put_protocol(uint8_t *place, const char *protocol)
{
    size_t size = strlen(protocol);
    place = put16(place, 16);
    place = put16(place, size + 3);
    place = put16(place, size + 1);
    *place++ = (uint8_t)size;
    memcpy(place, protocol, size);
    return place + size;
}

size_t toy_hello(const char *name, const char *protocol, uint8_t *record)
{
    static const uint8_t head[] = {22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3};
    memcpy(record, head, sizeof head);
    uint8_t *place = record + sizeof head;
    memset(place, 7, 32); /* random */
    place += 32;
    *place++ = 0;            /* no session */
    place = put16(place, 2); /* one suite */
    place = put16(place, 0x1301);
    *place++ = 1; /* no compression */
    *place++ = 0;
    uint8_t *extensions = place;
    place += 2;
    if (name != NULL && name[0] != '\0')
        place = put_name(place, name);
    if (protocol != NULL && protocol[0] != '\0')
        place = put_protocol(place, protocol);
    put16(extensions, (size_t)(place - extensions) - 2);
    size_t size = (size_t)(place - record);
    put16(record + 3, size - 5);
    put16(record + 7, size - 9);
    return size;
}

static bool emit_record(berth__engine_io *io, uint8_t type, const void *data, size_t size)
{
    uint8_t *record = malloc(HEAD + size + 1);
    if (record == NULL)
        abort();
    size = toy_record(type, data, size, record);
    bool done = io->emit(io->sink, record, size);
    free(record);
    return done;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static berth__engine_result fail(berth__engine *engine, const char *text)
{
    engine->failed = true;
    engine->failure.class = BERTH_ERROR_TLS_HANDSHAKE_FAILED;
    strncpy(engine->failure.text, text, sizeof engine->failure.text - 1);
    return BERTH__ENGINE_FAILED;
}

static berth__engine_result alert(berth__engine *engine, berth__engine_io *io, const char *text)
{
    (void)emit_record(io, 'a', text, strlen(text));
    return fail(engine, text);
}

/* Bytes that the record at hand has in all, as far as is known. */
static size_t needed(const berth__engine *engine)
{
    const uint8_t *record = engine->record;
    if (engine->toy->tls.server && !engine->begun)
        return engine->filled < 5 ? 5 : (size_t)(5 + (record[3] << 8 | record[4]));
    return engine->filled < HEAD ? HEAD : (size_t)(HEAD + (record[1] << 8 | record[2]) + 1);
}

/* Moves input into the record until that is whole. */
static bool fill(berth__engine *engine, berth__engine_io *io)
{
    while (engine->filled < needed(engine)) {
        size_t lacking = needed(engine) - engine->filled;
        size_t part = io->input_size < lacking ? io->input_size : lacking;
        if (part == 0)
            return false;
        memcpy(engine->record + engine->filled, io->input, part);
        engine->filled += part;
        io->input += part;
        io->input_size -= part;
    }
    return true;
}

bool toy_decode(uint8_t *record, size_t size)
{
    uint8_t sum = 0;
    size_t end = size - 1;
    for (size_t i = HEAD; i < end; i++) {
        record[i] ^= 0x5a;
        sum = (uint8_t)(sum + record[i]);
    }
    return sum == record[end];
}

static void next_record(berth__engine *engine)
{
    engine->filled = engine->read = 0;
}

static berth__engine_result take_data(berth__engine *engine, berth__engine_io *io)
{
    size_t left = engine->filled - 1 - HEAD - engine->read;
    size_t part = left < io->room ? left : io->room;
    memcpy(io->plain, engine->record + HEAD + engine->read, part);
    io->plain_size = part;
    engine->read += part;
    if (part == left)
        next_record(engine);
    return part > 0 ? BERTH__ENGINE_PLAIN : BERTH__ENGINE_MORE;
}

/* The server has had the client's hello. */
static berth__engine_result answer_hello(berth__engine *engine, berth__engine_io *io)
{
    berth__client_hello_values values;
    engine->begun = true;
    if (berth__client_hello_read(engine->record, engine->filled, &values) == 0)
        memcpy(engine->name, values.name, sizeof values.name);
    next_record(engine);
    if (engine->toy->refuses)
        return alert(engine, io, "the toy refuses");
    return emit_record(io, 's', "server", 6) ? BERTH__ENGINE_MORE : fail(engine, "no memory");
}

/* The client has had the server's flight. */
static berth__engine_result answer_server(berth__engine *engine, berth__engine_io *io)
{
    static const berth_tls_problem problem = {.number = 10, .text = "the toy mistrusts"};
    next_record(engine);
    if (engine->toy->mistrusts) {
        engine->saw_problem = true;
        if (!engine->setup.verify(engine->setup.context, &problem))
            return alert(engine, io, "the toy mistrusts");
    }
    if (engine->toy->refuses)
        return alert(engine, io, "the toy refuses");
    engine->open = true;
    return emit_record(io, 'c', "client", 6) ? BERTH__ENGINE_OPENED : fail(engine, "no memory");
}

static berth__engine_result break_down(berth__engine *engine, berth__engine_io *io)
{
    engine->toy->breaks = false;
    if (engine->toy->broke != NULL)
        engine->toy->broke(engine->toy, engine->name);
    (void)alert(engine, io, "the toy is broken");
    engine->failure.class = BERTH_ERROR_TLS_INTERNAL;
    return BERTH__ENGINE_FAILED;
}

static berth__engine_result take_record(berth__engine *engine, berth__engine_io *io)
{
    bool server = engine->toy->tls.server;
    if (server && !engine->begun)
        return engine->record[0] == 22 ? answer_hello(engine, io)
                                       : alert(engine, io, "no hello of the toy");
    if (engine->read == 0 && engine->filled > 0 && !toy_decode(engine->record, engine->filled))
        return alert(engine, io, "the toy's sum is wrong");
    switch (engine->record[0]) {
    case 's':
        return server || engine->open ? alert(engine, io, "unexpected") : answer_server(engine, io);
    case 'c':
        if (!server || engine->open)
            return alert(engine, io, "unexpected");
        next_record(engine);
        engine->open = true;
        if (!engine->toy->gives_none && !emit_record(io, 't', "ticket", 6))
            return fail(engine, "no memory");
        if (engine->toy->opened != NULL)
            engine->toy->opened(engine->toy, engine->name);
        return BERTH__ENGINE_OPENED;
    case 't':
        next_record(engine);
        return BERTH__ENGINE_MORE;
    case 'u':
        next_record(engine);
        return emit_record(io, 't', "update", 6) ? BERTH__ENGINE_MORE : fail(engine, "no memory");
    case 'd':
        if (!engine->open)
            return alert(engine, io, "unexpected");
        return engine->toy->breaks ? break_down(engine, io) : take_data(engine, io);
    case 'e':
        engine->ended = true;
        next_record(engine);
        return BERTH__ENGINE_ENDED;
    case 'a':
        return fail(engine, "the peer has sent an alert");
    default:
        return alert(engine, io, "no record of the toy");
    }
}

static berth__engine_result advance(berth__engine *engine, berth__engine_io *io)
{
    if (engine->failed)
        abort();
    io->plain_size = 0;
    if (!engine->toy->tls.server && !engine->begun) {
        uint8_t hello[1024];
        engine->begun = true;
        size_t size = toy_hello(engine->name, engine->toy->protocol, hello);
        if (!io->emit(io->sink, hello, size))
            return fail(engine, "no memory");
    }
    berth__engine_result result = BERTH__ENGINE_MORE;
    if (engine->read > 0)
        return take_data(engine, io);
    while (result == BERTH__ENGINE_MORE && fill(engine, io))
        result = take_record(engine, io);
    return result;
}

static ptrdiff_t seal(berth__engine *engine, const void *data, size_t size, berth__engine_io *io)
{
    if (!engine->open || engine->failed)
        abort();
    toy_sealed_records++;
    bool fails = engine->toy->seals > 0 && --engine->toy->seals == 0;
    if (!fails && emit_record(io, 'd', data, size))
        return (ptrdiff_t)size;
    (void)fail(engine, "no memory");
    return -1;
}

static void end(berth__engine *engine, berth__engine_io *io)
{
    if (engine->failed)
        abort();
    if (engine->open)
        (void)emit_record(io, 'e', "", 0);
}

/* ---- life and questions ---------------------------------------------------------------------- */

static berth__engine *begin(berth_tls *tls, const berth__engine_setup *setup)
{
    struct toy *toy = (struct toy *)tls;
    if (toy->lacks_memory)
        return NULL;
    berth__engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || (engine->record = malloc(HEAD + LONGEST + 1 + 5)) == NULL)
        abort();
    engine->toy = toy;
    engine->setup = *setup;
    if (setup->name != NULL)
        strncpy(engine->name, setup->name, sizeof engine->name - 1);
    toy->engines++;
    return engine;
}

static void free_engine(berth__engine *engine)
{
    engine->toy->engines--;
    free(engine->record);
    free(engine);
}

static void destroy(berth_tls *tls)
{
    struct toy *toy = (struct toy *)tls;
    if (toy->engines > 0)
        abort();
    free(toy);
}

static void relax(berth__engine *engine)
{
    engine->toy->relaxed++;
}

static bool has_plain(const berth__engine *engine)
{
    return engine->read > 0;
}

static const berth__engine_failure *failure(const berth__engine *engine)
{
    return &engine->failure;
}

static berth_tls_version version(const berth__engine *engine)
{
    (void)engine;
    return BERTH_TLS_VERSION_1_3;
}

static const char *cipher(const berth__engine *engine)
{
    return engine->toy->suite != NULL ? engine->toy->suite : "TOY";
}

static const char *protocol(const berth__engine *engine)
{
    return engine->protocol;
}

static const char *server_name(const berth__engine *engine)
{
    return engine->name;
}

static bool resumed(const berth__engine *engine)
{
    return engine->setup.session_size > 0;
}

static bool peer_verified(const berth__engine *engine)
{
    return !engine->saw_problem;
}

static const void *peer_certificate(const berth__engine *engine, size_t *ret_size)
{
    *ret_size = engine->toy->tls.server ? 0 : 3;
    return engine->toy->tls.server ? NULL : "toy";
}

static size_t session(const berth__engine *engine, void *data, size_t size)
{
    if (engine->toy->tls.server)
        return 0;
    if (size >= 3)
        memcpy(data, "toy", 3);
    return 3;
}

static const berth__engine_operations operations = {
    .size = sizeof operations,
    .name = "toy",
    .destroy = destroy,
    .begin = begin,
    .free = free_engine,
    .advance = advance,
    .seal = seal,
    .end = end,
    .relax = relax,
    .has_plain = has_plain,
    .failure = failure,
    .version = version,
    .cipher = cipher,
    .protocol = protocol,
    .server_name = server_name,
    .resumed = resumed,
    .peer_verified = peer_verified,
    .peer_certificate = peer_certificate,
    .session = session,
};

struct toy *toy_new(bool server)
{
    struct toy *toy = calloc(1, sizeof *toy);
    if (toy == NULL)
        abort();
    toy->tls.operations = &operations;
    toy->tls.server = server;
    atomic_init(&toy->tls.holders, 1);
    return toy;
}
