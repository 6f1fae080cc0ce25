/*
 * Queries of the tracker, one in each line. Whatever they are, the answer is a dictionary that the
 * Torrent example's own parser accepts, and within the room that there is.
 *
 * The first byte chooses the room. A line that begins with 's' is a scrape; in others the first
 * byte is the last one of the address, of IPv6 if it is odd.
 */
#include "check.h"

#include "../../examples/tracker/tracker_answer.c"

#include "../../examples/torrent/bencode.h"

static void check_answer(const char *body, size_t size, size_t room)
{
    bencode value;
    const char *why;
    size_t where;
    CHECK(size <= room);
    if (size == 0) {
        CHECK(room < 128);
        return;
    }
    CHECK(bencode_read(body, size, &value, &why, &where));
    CHECK(value.size == size && bencode_kind_of(value) == BENCODE_DICTIONARY);
}

static berth_address address_from(uint8_t byte)
{
    uint8_t bytes[16] = {0x20, 1, [15] = byte};
    return byte % 2 ? berth_address_ipv6(bytes) : berth_address_ipv4(0x0a000000u + byte);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const swarm_limits limits = {20, 5, 10};
    if (size == 0)
        return 0;
    size_t room = data[0] == 0 ? TRACKER_MOST_BODY : data[0] * 4u;
    swarms *known = swarms_new(&limits, 7);
    char *body = malloc(room);
    const uint8_t *at = data + 1;
    const uint8_t *end = data + size;
    for (uint64_t now = 1000; at < end; now += 100) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        if (line_end > at) {
            http_text query = {(const char *)at + 1, (size_t)(line_end - at) - 1};
            size_t used = *at == 's'
                              ? tracker_scrape(known, query, body, room)
                              : tracker_announce(known, query, address_from(*at), now, body, room);
            check_answer(body, used, room);
        }
        swarms_forget_old(known, now);
        CHECK(swarms_peers(known) <= limits.peers);
        at = line_end + (line_end < end);
    }
    free(body);
    swarms_free(known);
    return 0;
}
