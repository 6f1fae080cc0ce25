#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * (bytes->size + size);
        bytes->data = realloc(bytes->data, bytes->room);
        if (bytes->data == NULL)
            abort();
    }
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void drop(struct bytes *bytes, size_t size)
{
    bytes->size -= size;
    if (bytes->size > 0)
        memmove(bytes->data, bytes->data + size, bytes->size);
}

static bool emit(void *sink, const void *data, size_t size)
{
    struct end *end = sink;
    if (end->emits_left == 0)
        return false;
    if (end->emits_left > 0)
        end->emits_left--;
    append(&end->wire, data, size);
    return true;
}

bool end_begin(struct end *end, berth_tls *tls, const berth__engine_setup *setup)
{
    static const berth__engine_setup nothing = {0};
    memset(end, 0, sizeof *end);
    end->emits_left = -1;
    end->operations = tls->operations;
    end->engine = tls->operations->begin(tls, setup != NULL ? setup : &nothing);
    return end->engine != NULL;
}

void end_free(struct end *end)
{
    if (end->engine != NULL)
        end->operations->free(end->engine);
    free(end->wire.data);
    free(end->plain.data);
    memset(end, 0, sizeof *end);
}

/* One call; its result is kept. False: there is nothing more to be had without input. */
static bool advance(struct end *end, berth__engine_io *io)
{
    static _Thread_local uint8_t place[BERTH__ENGINE_RECORD];
    io->plain = place;
    io->room = end->room != 0 && end->room < sizeof place ? end->room : sizeof place;
    io->plain_size = 0;
    switch (end->operations->advance(end->engine, io)) {
    case BERTH__ENGINE_PLAIN:
        if (io->plain_size == 0 || io->plain_size > io->room)
            abort();
        append(&end->plain, place, io->plain_size);
        return true;
    case BERTH__ENGINE_OPENED:
        end->opened++;
        return true;
    case BERTH__ENGINE_MORE:
        if (io->input_size != 0)
            abort();
        return false;
    case BERTH__ENGINE_ENDED:
        end->ended = true;
        return false;
    case BERTH__ENGINE_FAILED:
        end->failed = true;
        return false;
    }
    abort();
}

size_t end_feed(struct end *end, const void *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    berth__engine_io io = {.input = copy, .input_size = size, .emit = emit, .sink = end};
    while (advance(end, &io))
        ;
    free(copy);
    end->passed += size - io.input_size;
    return size - io.input_size;
}

bool end_send(struct end *end, const void *data, size_t size)
{
    const uint8_t *at = data;
    berth__engine_io io = {.emit = emit, .sink = end};
    while (size > 0) {
        ptrdiff_t sealed = end->operations->seal(end->engine, at, size, &io);
        if (sealed < 0) {
            end->failed = true;
            return false;
        }
        if (sealed == 0 || (size_t)sealed > size)
            abort();
        at += sealed;
        size -= (size_t)sealed;
    }
    return true;
}

void end_close(struct end *end)
{
    berth__engine_io io = {.emit = emit, .sink = end};
    end->operations->end(end->engine, &io);
}

bool pair_begin(struct pair *pair, berth_tls *client, const berth__engine_setup *client_setup,
                berth_tls *server, const berth__engine_setup *server_setup)
{
    memset(pair, 0, sizeof *pair);
    if (!end_begin(&pair->client, client, client_setup) ||
        !end_begin(&pair->server, server, server_setup))
        return false;
    (void)end_feed(&pair->client, NULL, 0);
    return true;
}

void pair_end(struct pair *pair)
{
    end_free(&pair->client);
    end_free(&pair->server);
}

size_t pair_pass(struct end *from, struct end *to, size_t most)
{
    size_t part = from->wire.size < most ? from->wire.size : most;
    if (part > 0 && !to->ended && !to->failed)
        (void)end_feed(to, from->wire.data, part);
    drop(&from->wire, part);
    return part;
}

void pair_run(struct pair *pair, size_t to_server, size_t to_client)
{
    while (pair_pass(&pair->client, &pair->server, to_server) +
               pair_pass(&pair->server, &pair->client, to_client) >
           0)
        ;
}

bool end_got(struct end *end, const void *data, size_t size)
{
    bool same = end->plain.size == size && (size == 0 || memcmp(end->plain.data, data, size) == 0);
    if (!same)
        fprintf(stderr, "got %zu bytes instead of %zu, or others\n", end->plain.size, size);
    end->plain.size = 0;
    return same;
}

const char *end_text(const struct end *end)
{
    return end->operations->failure(end->engine)->text;
}
