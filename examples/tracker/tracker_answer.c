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

static size_t print(char *body, size_t used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t print(char *body, size_t used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    used += (size_t)vsnprintf(body + used, TRACKER_MOST_BODY - used, format, arguments);
    va_end(arguments);
    return used;
}

static size_t refuse(char *body, const char *why)
{
    return print(body, 0, "d14:failure reason%zu:%se", strlen(why), why);
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
static size_t print_compact(char *body, size_t used, const char *key, const swarm_peer *peers,
                            uint32_t count, bool ipv6)
{
    size_t width = ipv6 ? 16 : 4;
    uint32_t those = 0;
    for (uint32_t i = 0; i < count; i++)
        those += peers[i].ipv6 == ipv6;
    used = print(body, used, "%zu:%s%zu:", strlen(key), key, those * (width + 2));
    for (uint32_t i = 0; i < count; i++) {
        if (peers[i].ipv6 != ipv6)
            continue;
        memcpy(body + used, peers[i].address, width);
        body[used + width] = (char)(peers[i].port >> 8);
        body[used + width + 1] = (char)peers[i].port;
        used += width + 2;
    }
    return used;
}

static size_t print_list(char *body, size_t used, const swarm_peer *peers, uint32_t count)
{
    used = print(body, used, "5:peersl");
    for (uint32_t i = 0; i < count; i++) {
        char text[BERTH_ADDRESS_TEXT_SIZE];
        const uint8_t *at = peers[i].address;
        berth_address address =
            peers[i].ipv6 ? berth_address_ipv6(at)
                          : berth_address_ipv4((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
                                               (uint32_t)at[2] << 8 | at[3]);
        berth_address_format(address, text, sizeof(text));
        used = print(body, used, "d2:ip%zu:%s4:porti%uee", strlen(text), text, peers[i].port);
    }
    return print(body, used, "e");
}

size_t tracker_announce(swarms *known, http_text query, berth_address address, uint64_t now,
                        char *body)
{
    announced made;
    swarm_peer peers[MOST_WANTED];
    const char *why = parse_announce(query, &made);
    if (why)
        return refuse(body, why);
    set_address(&made.peer, address);
    if (is_word(made.event, "stopped")) {
        swarm_leave(known, made.hash, &made.peer);
        made.wanted = 0;
    } else {
        why = swarm_announce(known, made.hash, &made.peer, is_word(made.event, "completed"), now);
    }
    if (why)
        return refuse(body, why);
    uint32_t count = swarm_pick(known, made.hash, &made.peer, peers, (uint32_t)made.wanted);
    swarm_counts counts = swarm_count(known, made.hash);
    size_t used = print(body, 0, "d8:completei%" PRIu32 "e10:incompletei%" PRIu32 "e8:intervali%de",
                        counts.complete, counts.incomplete, SWARM_INTERVAL);
    used = print(body, used, "12:min intervali%de", SWARM_LEAST_INTERVAL);
    if (made.compact) {
        used = print_compact(body, used, "peers", peers, count, false);
        used = print_compact(body, used, "peers6", peers, count, true);
    } else {
        used = print_list(body, used, peers, count);
    }
    return print(body, used, "e");
}

size_t tracker_scrape(swarms *known, http_text query, char *body)
{
    http_text key;
    http_text value;
    uint8_t hash[SWARM_HASH_SIZE];
    int count = 0;
    size_t used = print(body, 0, "d5:filesd");
    while (take_pair(&query, &key, &value)) {
        if (!is_word(key, "info_hash"))
            continue;
        if (!decode(value, hash, sizeof(hash)))
            return refuse(body, "info_hash does not have 20 bytes");
        if (++count > MOST_SCRAPED)
            return refuse(body, "more than 64 torrents are asked for");
        swarm_counts counts = swarm_count(known, hash);
        used = print(body, used, "20:");
        memcpy(body + used, hash, sizeof(hash));
        used =
            print(body, used + sizeof(hash),
                  "d8:completei%" PRIu32 "e10:downloadedi%" PRIu32 "e10:incompletei%" PRIu32 "ee",
                  counts.complete, counts.downloaded, counts.incomplete);
    }
    if (count == 0)
        return refuse(body, "info_hash is missing");
    return print(body, used, "ee");
}
