/*
 * Announces as bytes: see announce.h.
 */
#include "announce.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_INTERVAL 30
#define LONGEST_INTERVAL 7200
#define USUAL_INTERVAL 1800
#define LONGEST_TRACKER_ID 256

/* ---- the request ----------------------------------------------------------------------------- */

static char *escape(char *to, const void *data, size_t size)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0 && strchr(plain, bytes[i]))
            *to++ = (char)bytes[i];
        else
            to += sprintf(to, "%%%02X", bytes[i]);
    }
    *to = '\0';
    return to;
}

char *announce_url(const char *tracker, const announce *what)
{
    char hash[3 * HASH_SIZE + 1];
    char peer_id[3 * PEER_ID_SIZE + 1];
    char id[3 * LONGEST_TRACKER_ID + 1] = "";
    size_t size = strcspn(tracker, "#");
    size_t room = size + sizeof(id) + 512;
    char *url = malloc(room);
    if (!url)
        return NULL;
    escape(hash, what->hash, HASH_SIZE);
    escape(peer_id, what->peer_id, PEER_ID_SIZE);
    if (what->tracker_id && strlen(what->tracker_id) <= LONGEST_TRACKER_ID)
        escape(id, what->tracker_id, strlen(what->tracker_id));
    snprintf(url, room,
             "%.*s%cinfo_hash=%s&peer_id=%s&port=%u&uploaded=%" PRIu64 "&downloaded=%" PRIu64
             "&left=%" PRIu64 "&compact=1&numwant=%" PRIu32 "%s%s%s%s",
             (int)size, tracker, memchr(tracker, '?', size) ? '&' : '?', hash, peer_id, what->port,
             what->uploaded, what->downloaded, what->left, what->wanted,
             what->event ? "&event=" : "", what->event ? what->event : "",
             id[0] ? "&trackerid=" : "", id);
    return url;
}

/* ---- the answer ------------------------------------------------------------------------------ */

void announce_printable(char *to, size_t room, const void *text, size_t size)
{
    const uint8_t *bytes = text;
    size_t used = 0;
    for (size_t i = 0; i < size && used + 5 <= room; i++) {
        if (bytes[i] >= ' ' && bytes[i] != 127 && bytes[i] < 0x80)
            to[used++] = (char)bytes[i];
        else
            used += (size_t)sprintf(to + used, "\\x%02x", bytes[i]);
    }
    to[used] = '\0';
}

static int64_t interval_from(bencode answer, const char *key, int64_t otherwise)
{
    int64_t seconds;
    if (!bencode_find_integer(answer, key, &seconds))
        return otherwise;
    if (seconds < LEAST_INTERVAL)
        return LEAST_INTERVAL;
    return seconds > LONGEST_INTERVAL ? LONGEST_INTERVAL : seconds;
}

static bool can_be_dialled(berth_address address, uint16_t port)
{
    uint32_t ipv4;
    if (port == 0 || berth_address_is_null(address) || berth_address_is_multicast(address) ||
        berth_address_is_broadcast(address))
        return false;
    if (berth_address_to_ipv4(address, &ipv4))
        return ipv4 >> 24 != 0;
    return !berth_address_equal(address, BERTH_ADDRESS_ANY_IPV6);
}

static void report(berth_address address, uint16_t port, announce_peer peer, void *user)
{
    if (can_be_dialled(address, port))
        peer(user, address, port);
}

/* Compact lists: `width` bytes of address and two of port each. */
static bool read_compact(bencode bytes, size_t width, announce_peer peer, void *user)
{
    if (bytes.size % (width + 2) != 0)
        return false;
    for (size_t i = 0; i < bytes.size; i += width + 2) {
        const uint8_t *at = bytes.data + i;
        uint32_t ipv4 =
            (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        uint16_t port = (uint16_t)(at[width] << 8 | at[width + 1]);
        report(width == 4 ? berth_address_ipv4(ipv4) : berth_address_ipv6(at), port, peer, user);
    }
    return true;
}

/* A list of dictionaries; entries that are not understood are passed over. */
static void read_list(bencode list, announce_peer peer, void *user)
{
    bencode_walk walk = bencode_begin(list);
    bencode entry;
    while (bencode_next(&walk, NULL, &entry)) {
        char text[BERTH_ADDRESS_TEXT_SIZE];
        bencode ip;
        int64_t port;
        berth_address address;
        if (!bencode_find_string(entry, "ip", &ip) || ip.size >= sizeof(text) ||
            !bencode_find_integer(entry, "port", &port) || port < 1 || port > 65535)
            continue;
        memcpy(text, ip.data, ip.size);
        text[ip.size] = '\0';
        if (strlen(text) == ip.size && berth_address_parse(text, &address))
            report(address, (uint16_t)port, peer, user);
    }
}

static bool read_peers(bencode answer, announce_peer peer, void *user)
{
    bencode peers;
    bencode bytes;
    bool good = true;
    if (bencode_find(answer, "peers", &peers)) {
        if (bencode_string(peers, &bytes))
            good = read_compact(bytes, 4, peer, user);
        else if (bencode_kind_of(peers) == BENCODE_LIST)
            read_list(peers, peer, user);
        else
            good = false;
    }
    if (good && bencode_find_string(answer, "peers6", &bytes))
        good = read_compact(bytes, 16, peer, user);
    return good;
}

/* Not strndup, whose check by gcc's sanitizer reads a byte behind text that is not terminated. */
static char *copy_text(bencode text)
{
    char *copy = malloc(text.size + 1);
    if (copy) {
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
    }
    return copy;
}

bool announce_read(const void *data, size_t size, announce_answer *ret_answer, announce_peer peer,
                   void *user, char *error, size_t error_size)
{
    const char *why = NULL;
    size_t where = 0;
    bencode answer;
    bencode text;
    *ret_answer = (announce_answer){0};
    if (!bencode_read(data, size, &answer, &why, &where) ||
        bencode_kind_of(answer) != BENCODE_DICTIONARY) {
        snprintf(error, error_size, "the answer is not one of a tracker");
        return false;
    }
    if (bencode_find_string(answer, "failure reason", &text)) {
        char printable[200];
        announce_printable(printable, sizeof(printable), text.data, text.size);
        snprintf(error, error_size, "refused: %s", printable);
        return false;
    }
    ret_answer->interval = interval_from(answer, "interval", USUAL_INTERVAL);
    ret_answer->minimum_interval = interval_from(answer, "min interval", ret_answer->interval);
    if (ret_answer->interval < ret_answer->minimum_interval)
        ret_answer->interval = ret_answer->minimum_interval;
    if (bencode_find_string(answer, "warning message", &text))
        announce_printable(ret_answer->warning, sizeof(ret_answer->warning), text.data, text.size);
    if (!read_peers(answer, peer, user)) {
        snprintf(error, error_size, "the list of peers in the answer is malformed");
        return false;
    }
    if (bencode_find_string(answer, "tracker id", &text) && text.size <= LONGEST_TRACKER_ID)
        ret_answer->tracker_id = copy_text(text);
    return true;
}
