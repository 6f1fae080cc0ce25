/*
 * Announces and scrapes: see tracker_answer.h.
 *
 * A client that is wrong gets a failure with a reason, in status 200, as the protocol has it. The
 * address of a peer is the one that it comes from: one that it names itself could be anybody's.
 */
#include "tracker_answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_WANTED 50
#define MOST_WANTED 200
#define MOST_SCRAPED 64

/* ---- queries --------------------------------------------------------------------------------- */

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter |= 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Takes one KEY=VALUE off the query; false at its end. */
static bool take_pair(http_text *query, http_text *ret_key, http_text *ret_value)
{
    if (query->size == 0)
        return false;
    const char *end = memchr(query->data, '&', query->size);
    size_t size = end ? (size_t)(end - query->data) : query->size;
    const char *equals = memchr(query->data, '=', size);
    size_t key = equals ? (size_t)(equals - query->data) : size;
    size_t skipped = equals ? key + 1 : size;
    *ret_key = (http_text){query->data, key};
    *ret_value = (http_text){query->data + skipped, size - skipped};
    size_t used = end ? size + 1 : size;
    *query = (http_text){query->data + used, query->size - used};
    return true;
}

/* Decodes exactly `size` bytes; false if it is malformed, or more or fewer. */
static bool decode(http_text text, uint8_t *to, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int byte = (unsigned char)text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? digit_of(text.data[i + 1]) : -1;
            int low = high >= 0 ? digit_of(text.data[i + 2]) : -1;
            if (low < 0)
                return false;
            byte = high << 4 | low;
            i += 2;
        }
        if (count == size)
            return false;
        to[count++] = (uint8_t)byte;
    }
    return count == size;
}

static bool parse_number(http_text text, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)digit;
    }
    *ret_number = number;
    return text.size > 0;
}

static bool is_word(http_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* What has no room is left out, and `cut` says so. */
typedef struct output {
    char *data;
    size_t room;
    size_t used;
    bool cut;
} output;

static void put(output *to, const void *data, size_t size)
{
    if (to->cut || size > to->room - to->used) {
        to->cut = true;
        return;
    }
    memcpy(to->data + to->used, data, size);
    to->used += size;
}

static void print(output *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of 256 bytes at most. */
static void print(output *to, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof(line))
        to->cut = true;
    else
        put(to, line, (size_t)size);
}

static size_t refuse(output *to, const char *why)
{
    to->used = 0;
    to->cut = false;
    print(to, "d14:failure reason%zu:%se", strlen(why), why);
    return to->used;
}

static size_t complete(output *to)
{
    return to->cut ? refuse(to, "the answer is too long") : to->used;
}

typedef struct announced {
    uint8_t hash[SWARM_HASH_SIZE];
    bool has_hash;
    swarm_peer peer;
    uint64_t left;
    bool has_left;
    uint64_t wanted;
    bool compact;
    http_text event;
} announced;

/* Returns what is wrong, or NULL. */
static const char *parse_announce(http_text query, announced *made)
{
    http_text key;
    http_text value;
    uint64_t number = 0;
    *made = (announced){.wanted = USUAL_WANTED, .compact = true};
    while (take_pair(&query, &key, &value)) {
        if (is_word(key, "info_hash")) {
            if (!decode(value, made->hash, SWARM_HASH_SIZE))
                return "info_hash does not have 20 bytes";
            made->has_hash = true;
        } else if (is_word(key, "port")) {
            if (!parse_number(value, &number) || number == 0 || number > 65535)
                return "port is not a number from 1 to 65535";
            made->peer.port = (uint16_t)number;
        } else if (is_word(key, "left")) {
            if (!parse_number(value, &made->left))
                return "left is not a number";
            made->has_left = true;
        } else if (is_word(key, "numwant")) {
            /* Some clients send -1 for "as you like". */
            made->wanted = parse_number(value, &number) ? number : USUAL_WANTED;
        } else if (is_word(key, "compact")) {
            made->compact = !is_word(value, "0");
        } else if (is_word(key, "event")) {
            made->event = value;
        }
    }
    if (!made->has_hash)
        return "info_hash is missing";
    if (made->peer.port == 0)
        return "port is missing";
    if (made->wanted > MOST_WANTED)
        made->wanted = MOST_WANTED;
    made->peer.complete = made->has_left && made->left == 0;
    return NULL;
}

static void set_address(swarm_peer *peer, berth_address address)
{
    uint32_t ipv4;
    memset(peer->address, 0, sizeof(peer->address));
    peer->ipv6 = !berth_address_to_ipv4(address, &ipv4);
    if (peer->ipv6) {
        memcpy(peer->address, address.bytes, 16);
        return;
    }
    for (int i = 0; i < 4; i++)
        peer->address[i] = (uint8_t)(ipv4 >> (24 - 8 * i));
}

/* The peers of one family as a string of addresses and ports. */
static void print_compact(output *to, const char *key, const swarm_peer *peers, uint32_t count,
                          bool ipv6)
{
    size_t width = ipv6 ? 16 : 4;
    uint32_t those = 0;
    for (uint32_t i = 0; i < count; i++)
        those += peers[i].ipv6 == ipv6;
    print(to, "%zu:%s%zu:", strlen(key), key, those * (width + 2));
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t port[2] = {(uint8_t)(peers[i].port >> 8), (uint8_t)peers[i].port};
        if (peers[i].ipv6 != ipv6)
            continue;
        put(to, peers[i].address, width);
        put(to, port, sizeof(port));
    }
}

static void print_list(output *to, const swarm_peer *peers, uint32_t count)
{
    print(to, "5:peersl");
    for (uint32_t i = 0; i < count; i++) {
        char ip[BERTH_ADDRESS_TEXT_SIZE];
        const uint8_t *at = peers[i].address;
        berth_address address =
            peers[i].ipv6 ? berth_address_ipv6(at)
                          : berth_address_ipv4((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
                                               (uint32_t)at[2] << 8 | at[3]);
        berth_address_format(address, ip, sizeof(ip));
        print(to, "d2:ip%zu:%s4:porti%uee", strlen(ip), ip, peers[i].port);
    }
    print(to, "e");
}

size_t tracker_announce(swarms *known, http_text query, berth_address address, uint64_t now,
                        char *body, size_t room)
{
    announced made;
    swarm_peer peers[MOST_WANTED];
    output to = {.data = body, .room = room};
    const char *why = parse_announce(query, &made);
    if (why)
        return refuse(&to, why);
    set_address(&made.peer, address);
    if (is_word(made.event, "stopped")) {
        swarm_leave(known, made.hash, &made.peer);
        made.wanted = 0;
    } else {
        why = swarm_announce(known, made.hash, &made.peer, is_word(made.event, "completed"), now);
    }
    if (why)
        return refuse(&to, why);
    uint32_t count = swarm_pick(known, made.hash, &made.peer, peers, (uint32_t)made.wanted);
    swarm_counts counts = swarm_count(known, made.hash);
    print(&to, "d8:completei%" PRIu32 "e10:incompletei%" PRIu32 "e8:intervali%de", counts.complete,
          counts.incomplete, SWARM_INTERVAL);
    print(&to, "12:min intervali%de", SWARM_LEAST_INTERVAL);
    if (made.compact) {
        print_compact(&to, "peers", peers, count, false);
        print_compact(&to, "peers6", peers, count, true);
    } else {
        print_list(&to, peers, count);
    }
    print(&to, "e");
    return complete(&to);
}

/* ---- scrapes --------------------------------------------------------------------------------- */

typedef struct scraped {
    uint8_t hash[SWARM_HASH_SIZE];
} scraped;

static int by_hash(const void *one, const void *other)
{
    return memcmp(one, other, SWARM_HASH_SIZE);
}

size_t tracker_scrape(swarms *known, http_text query, char *body, size_t room)
{
    http_text key;
    http_text value;
    scraped asked[MOST_SCRAPED];
    size_t count = 0;
    output to = {.data = body, .room = room};
    while (take_pair(&query, &key, &value)) {
        if (!is_word(key, "info_hash"))
            continue;
        if (count == MOST_SCRAPED)
            return refuse(&to, "more than 64 torrents are asked for");
        if (!decode(value, asked[count++].hash, SWARM_HASH_SIZE))
            return refuse(&to, "info_hash does not have 20 bytes");
    }
    if (count == 0)
        return refuse(&to, "info_hash is missing");
    /* The keys of a dictionary ascend, and none is there twice. */
    qsort(asked, count, sizeof(asked[0]), by_hash);
    print(&to, "d5:filesd");
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && by_hash(&asked[i - 1], &asked[i]) == 0)
            continue;
        swarm_counts counts = swarm_count(known, asked[i].hash);
        print(&to, "20:");
        put(&to, asked[i].hash, SWARM_HASH_SIZE);
        print(&to, "d8:completei%" PRIu32 "e10:downloadedi%" PRIu32 "e10:incompletei%" PRIu32 "ee",
              counts.complete, counts.downloaded, counts.incomplete);
    }
    print(&to, "ee");
    return complete(&to);
}
