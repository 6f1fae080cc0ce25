/*
 * PROXY headers of any shape. The first byte says how the input is cut; the rest is the input.
 * However it is cut, the same header must come out; and a header that was read, written again and
 * read once more must tell the same names.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run(berth__proxy_header *header, size_t cut, const uint8_t *data, size_t size)
{
    size_t used = 0;
    berth__proxy_header_begin(header);
    while (used < size && header->step == BERTH__HANDSHAKE_RECEIVE) {
        size_t part = size - used < cut ? size - used : cut;
        /* A copy of its own size, so that reading behind it is seen. */
        uint8_t *copy = malloc(part);
        if (copy == NULL)
            abort();
        memcpy(copy, data + used, part);
        size_t taken = berth__proxy_header_input(header, copy, part);
        free(copy);
        if (taken > part || taken == 0)
            abort();
        used += taken;
    }
    return used;
}

static bool same(const berth__proxy_names *a, const berth__proxy_names *b)
{
    return berth_address_equal(a->source, b->source) && a->source_port == b->source_port &&
           berth_address_equal(a->destination, b->destination) &&
           a->destination_port == b->destination_port;
}

static void write_and_read(const berth__proxy_names *names)
{
    static berth__proxy_header again;
    for (int version = 1; version <= 2; version++) {
        uint8_t output[BERTH__PROXY_OUTPUT_SIZE];
        size_t size = berth__proxy_header_write(version, names, output);
        if (size > sizeof output || run(&again, SIZE_MAX, output, size) != size ||
            again.step != BERTH__HANDSHAKE_DONE || !same(names, &again.names))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    static berth__proxy_header whole;
    static berth__proxy_header pieces;
    size_t used = run(&whole, SIZE_MAX, data + 1, size - 1);
    size_t used_in_pieces = run(&pieces, data[0] % 7u + 1, data + 1, size - 1);
    if (whole.step != pieces.step || whole.refusal != pieces.refusal)
        abort();
    if (whole.step != BERTH__HANDSHAKE_DONE)
        return 0;
    if (used != used_in_pieces || !same(&whole.names, &pieces.names))
        abort();
    for (unsigned type = 0; type < 256 && whole.version == 2; type++) {
        size_t length = 0;
        const uint8_t *value =
            berth__proxy_header_value(whole.bytes + whole.values,
                                      (size_t)whole.filled - whole.values, (uint8_t)type, &length);
        if (value != NULL && value + length > whole.bytes + whole.filled)
            abort();
    }
    write_and_read(&whole.names);
    return 0;
}
