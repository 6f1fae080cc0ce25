/*
 * Calls that write, and what they must take.
 */
#include "calls.h"

#include <string.h>

#define MOST_BYTES 4096u
#define LONG_BYTES 17000u /* which the kernel may take inside the write */

static uint8_t bytes[LONG_BYTES];

/* How much of a write is taken: all, unless there is a mark, or no way to send it at all. */
static void check_write(struct socket_model *model, size_t size, size_t queued, ptrdiff_t taken)
{
    size_t room = queued < model->high ? model->high - queued : 0;
    size_t most = model->high > 0 && room < size ? room : size;
    sim_check(taken < 0 || taken == (ptrdiff_t)most || sim_lossy(),
              "%td of %zu bytes are taken, with room for %zu", taken, size, most);
    sim_check(taken < 0 || !model->shut, "a socket writes behind the end of its output");
    sim_check(taken < 0 || model->high == 0 || queued > model->high ||
                  berth_socket_bytes_to_write(model->socket) <= model->high,
              "the output is beyond its high mark");
    bool beyond = model->limits.output > 0 && size + queued > model->limits.output;
    bool lacks = taken < 0 && berth_socket_error(model->socket) == BERTH_ERROR_SOCKET_RESOURCE;
    sim_check(!lacks || beyond || model->limits.output == 0 || sim_lossy(),
              "%zu bytes and %zu are beyond %zu", size, queued, model->limits.output);
    if (lacks && beyond) {
        /* The kernel may have got a part of it first. */
        model->overflowed = sim_way_out(model)->cut = true;
        sim_way_out(model)->put += size;
    }
    model->refused = model->refused || (taken >= 0 && most < size);
}

/* Writes as one, or in pieces of which some are empty. */
static ptrdiff_t put(berth_socket *socket, uint32_t size, uint32_t cuts)
{
    enum {
        MOST_PIECES = 12
    };
    berth_piece pieces[MOST_PIECES];
    uint32_t done = 0;
    uint32_t count = 0;
    if (cuts == 0)
        return berth_socket_write(socket, bytes, size);
    while (count < cuts && count < MOST_PIECES - 1) {
        uint32_t part = count % 3 == 1 ? 0 : (size - done) / 2;
        pieces[count++] = (berth_piece){part > 0 ? bytes + done : NULL, part};
        done += part;
    }
    pieces[count++] = (berth_piece){bytes + done, size - done};
    return berth_socket_write_pieces(socket, pieces, count);
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
    uint32_t cuts = sim_choose(&word, 3) == 0 ? sim_choose(&word, 12) : 0;
    model->batches++;
    uint32_t times = 1 + (!is_long && sim_choose(&word, 8) == 0) * sim_choose(&word, 20);
    for (uint32_t i = 0; i < times; i++) {
        struct way *way = sim_way_out(model);
        /* Who was given the descriptor cannot know that its output was ended before. */
        if (way->ended && !model->shut && model->state == BERTH_STATE_CONNECTED)
            return;
        sim_fill(way, bytes, size);
        size_t queued = berth_socket_bytes_to_write(model->socket);
        /* Output beyond its limit is given to the kernel at once, piece by piece. */
        size_t limit = model->limits.output;
        if (limit > 0 && queued + size > limit)
            model->batches += cuts + (i > 0);
        way->putting = size;
        ptrdiff_t taken = put(model->socket, size, cuts);
        way->putting = 0;
        sim_say("socket %zu writes %u bytes in %u cuts: %td", sim_number_of(model), size, cuts,
                taken);
        check_write(model, size, queued, taken);
        if (taken < 0)
            return;
        sim_check(model->state != BERTH_STATE_UNCONNECTED, "an unconnected socket writes");
        way->put += (size_t)taken;
        struct way *in = sim_way_in(model);
        if (in != NULL)
            in->cut = in->cut || in->closed;
    }
}
