/*
 * Calls that write, and what they must take.
 *
 * Memory that is borrowed is counted until it is released; it is overwritten then, so that whoever
 * still sends it sends what was not written. Files are parts of one that grows with each write, and
 * are written in simulated programs only, where no descriptor is counted but those of connections.
 */
#include "calls.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_BYTES 4096u
#define LONG_BYTES 17000u /* which the kernel may take inside the write */

static uint8_t bytes[LONG_BYTES];

enum way_to_write {
    AS_ONE,
    IN_PIECES,
    BORROWED,
    FROM_A_FILE
};

static long borrowed; /* blocks that were not released */
static int file = -1;
static uint64_t file_size;

void sim_mind_marks(struct socket_model *model)
{
    bool above = berth_socket_bytes_to_write(model->socket) > model->low;
    model->drains = model->high > 0 && (model->drains || above);
}

/* How much of a write is taken: all, unless there is a mark, or no way to send it at all. */
static void check_write(struct socket_model *model, size_t size, size_t queued, ptrdiff_t taken,
                        bool is_block)
{
    size_t room = queued < model->high ? model->high - queued : 0;
    if (is_block && room > 0)
        room = size;
    size_t most = model->high > 0 && room < size ? room : size;
    sim_check(taken < 0 || taken == (ptrdiff_t)most || sim_lossy(),
              "%td of %zu bytes are taken, with room for %zu", taken, size, most);
    sim_check(taken < 0 || !model->shut, "a socket writes behind the end of its output");
    sim_check(taken < 0 || model->high == 0 || queued > model->high || is_block ||
                  berth_socket_bytes_to_write(model->socket) <= model->high,
              "the output is beyond its high mark");
    bool beyond = model->limits.output > 0 && size + queued > model->limits.output;
    bool lacks = taken < 0 && berth_socket_error(model->socket) == BERTH_ERROR_SOCKET_RESOURCE;
    bool over = lacks && strstr(berth_socket_error_string(model->socket), "too much output");
    sim_check(!over || beyond, "%zu bytes and %zu are beyond %zu", size, queued,
              model->limits.output);
    sim_check(!lacks || over || sim_lossy(), "a write fails, and nothing is lacking");
    if (over) {
        /* The kernel may have got a part of it first, which is announced later. */
        size_t left = berth_socket_bytes_to_write(model->socket);
        model->overflowed = sim_way_out(model)->cut = true;
        sim_way_out(model)->put += left > queued ? left - queued : 0;
    }
    /* One beyond the limit is offered to the kernel before it returns. */
    bool refused = taken < 0 && berth_socket_error(model->socket) == BERTH_ERROR_REMOTE_HOST_CLOSED;
    sim_check(!refused || beyond || sim_lossy(), "a write meets the end of a connection too early");
    if (refused)
        sim_way_out(model)->refused = sim_way_out(model)->cut = true;
    if (taken >= 0)
        sim_mind_marks(model);
}

/* Pieces of which some are empty. */
static ptrdiff_t put_pieces(berth_socket *socket, uint32_t size, uint32_t cuts)
{
    enum {
        MOST_PIECES = 12
    };
    berth_piece pieces[MOST_PIECES];
    uint32_t done = 0;
    uint32_t count = 0;
    while (count < cuts && count < MOST_PIECES - 1) {
        uint32_t part = count % 3 == 1 ? 0 : (size - done) / 2;
        pieces[count++] = (berth_piece){part > 0 ? bytes + done : NULL, part};
        done += part;
    }
    pieces[count++] = (berth_piece){bytes + done, size - done};
    return berth_socket_write_pieces(socket, pieces, count);
}

static void release(const void *data, size_t size, void *user)
{
    (void)user;
    memset((void *)(uintptr_t)data, 0xa5, size);
    free((void *)(uintptr_t)data);
    borrowed--;
    sim_check(borrowed >= 0, "a block is released twice");
}

static ptrdiff_t lend(berth_socket *socket, uint32_t size)
{
    uint8_t *copy = malloc(size);
    if (copy == NULL)
        return -1;
    memcpy(copy, bytes, size);
    borrowed++;
    long before = borrowed;
    ptrdiff_t taken = berth_socket_write_borrowed(socket, copy, size, release, NULL);
    sim_check(borrowed == before, "a block is released inside a write");
    if (taken <= 0) {
        free(copy);
        borrowed--;
    }
    return taken;
}

static ptrdiff_t put_file(berth_socket *socket, uint32_t size)
{
    if (file < 0)
        file = memfd_create("berth-sim", MFD_CLOEXEC);
    if (file < 0 || pwrite(file, bytes, size, (off_t)file_size) != (ssize_t)size)
        return berth_socket_write(socket, bytes, size);
    uint64_t offset = file_size;
    file_size += size;
    return berth_socket_write_file(socket, file, offset, size);
}

void sim_outputs_end(void)
{
    sim_check(borrowed == 0, "%ld blocks were not released", borrowed);
    borrowed = 0;
    if (file >= 0)
        (void)!ftruncate(file, 0);
    file_size = 0;
}

static ptrdiff_t put(berth_socket *socket, uint32_t size, enum way_to_write how, uint32_t cuts)
{
    switch (how) {
    case IN_PIECES:
        return put_pieces(socket, size, cuts);
    case BORROWED:
        return lend(socket, size);
    case FROM_A_FILE:
        return put_file(socket, size);
    case AS_ONE:
        break;
    }
    return berth_socket_write(socket, bytes, size);
}

/* One of three writes is none of the usual kind. */
static enum way_to_write choose_how(uint64_t *word)
{
    if (sim_choose(word, 3) != 0)
        return AS_ONE;
    enum way_to_write how = (enum way_to_write)(1 + sim_choose(word, 3));
    return how == FROM_A_FILE && !world->is_simulated ? BORROWED : how;
}

void sim_write_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    bool is_long = sim_choose(&word, 16) == 0;
    model->given = model->given || is_long || model->limits.output > 0;
    uint32_t most = sim_choose(&word, 4) == 0 ? MOST_BYTES : 40;
    uint32_t size = is_long ? LONG_BYTES : 1 + sim_choose(&word, most);
    size_t before = berth_socket_bytes_to_write(model->socket);
    if (model->high > before && sim_choose(&word, 4) == 0)
        size = (uint32_t)(model->high - before); /* just what there is room for */
    enum way_to_write how = choose_how(&word);
    uint32_t cuts = how == IN_PIECES ? sim_choose(&word, 12) : 0;
    model->batches++;
    uint32_t times = 1 + (!is_long && sim_choose(&word, 8) == 0) * sim_choose(&word, 20);
    for (uint32_t i = 0; i < times; i++) {
        struct way *way = sim_way_out(model);
        /* Who was given the descriptor cannot know that its output was ended before. */
        if (way->ended && !model->shut &&
            (model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING))
            return;
        sim_fill(way, bytes, size);
        size_t queued = berth_socket_bytes_to_write(model->socket);
        /* Output beyond its limit is given to the kernel at once, piece by piece. */
        size_t limit = model->limits.output;
        if (limit > 0 && queued + size > limit)
            model->batches += cuts + (i > 0);
        model->batches += how == FROM_A_FILE ? 2 : 0; /* each has a send of its own */
        size_t room = berth_socket_room(model->socket);
        way->putting = size;
        ptrdiff_t taken = put(model->socket, size, how, cuts);
        way->putting = 0;
        static const char *const ways[] = {"", " in pieces", " borrowed", " from a file"};
        sim_say("socket %zu writes %u bytes%s: %td", sim_number_of(model), size, ways[how], taken);
        sim_check(taken <= 0 || room > 0, "a write is taken without room");
        sim_check(room == 0 || taken != 0, "a write is refused, with room");
        check_write(model, size, queued, taken, how >= BORROWED);
        if (taken < 0)
            return;
        sim_check(model->state != BERTH_STATE_UNCONNECTED, "an unconnected socket writes");
        if (model->connection != NULL)
            sim_put(model->connection, model->side, (size_t)taken);
        else
            way->put += (size_t)taken;
        struct way *in = sim_way_in(model);
        if (in != NULL)
            in->cut = in->cut || in->closed;
    }
}
