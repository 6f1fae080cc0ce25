/*
 * The PROXY header as proxy_protocol.h describes it.
 *
 * The first byte determines the version: no version 2 signature begins like the line of version 1,
 * and a byte that fits neither fails at once. A line is taken byte by byte until its CRLF, a
 * version 2 header in two pieces: its head of sixteen bytes, which has the length of the rest, and
 * the rest.
 *
 * Text is read strictly, as the specification asks: single blanks, canonical dotted IPv4, decimal
 * ports without a leading zero. Values must fill their part exactly; a type may come twice, and the
 * first counts.
 */
#include "proxy_protocol.h"

#include <stdio.h>
#include <string.h>

#include "refusal.h"

enum {
    /* Of the protocol, in version 1 or 2. */
    V2_HEAD_SIZE = 16,
    V1_LINE_SIZE = 107, /* CRLF included */
    V2_IPV4_SIZE = 12,  /* two addresses and two ports */
    V2_IPV6_SIZE = 36,
    V2_VALUE_HEAD = 3, /* of a value: type and length */
    TYPE_CHECKSUM = 0x03,
    V2_CHECKSUM_SIZE = 4,
    VERSION_2_LOCAL = 0x20,
    VERSION_2_PROXY = 0x21,
    UNIX_FAMILY = 3, /* the last of the families */
    DATAGRAM = 2,    /* the last of the protocols */
    TCP_IPV4 = 0x11,
    TCP_IPV6 = 0x21
};

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char opening[] = "PROXY ";

static void refuse(berth__proxy_header *header, int refusal)
{
    header->step = BERTH__HANDSHAKE_REFUSED;
    header->refusal = refusal;
}

void berth__proxy_header_begin(berth__proxy_header *header)
{
    header->step = BERTH__HANDSHAKE_RECEIVE;
    header->refusal = 0;
    header->version = 0;
    header->names = (berth__proxy_names){0};
    header->values = header->filled = 0;
    header->expected = 1;
}

static uint16_t number_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* ---- checksum -------------------------------------------------------------------------------- */

/* CRC32c, bit by bit: a header is short and comes once a connection. */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

/* Of a whole header whose checksum is at `place` and counts as zero. */
static uint32_t checksum_of(const uint8_t *header, size_t size, size_t place)
{
    static const uint8_t zero[V2_CHECKSUM_SIZE];
    size_t behind = place + V2_CHECKSUM_SIZE;
    uint32_t crc = crc32c(UINT32_MAX, header, place);
    crc = crc32c(crc, zero, sizeof zero);
    return ~crc32c(crc, header + behind, size - behind);
}

/* ---- version 1 ------------------------------------------------------------------------------- */

/* Takes the word up to the next blank, or up to the end for the last. False if there is none. */
static bool take_word(char **rest, bool last, char **ret_word)
{
    char *word = *rest;
    char *blank = strchr(word, ' ');
    if (*word == '\0' || blank == word || (blank == NULL) != last)
        return false;
    if (blank != NULL)
        *blank = '\0';
    *rest = blank != NULL ? blank + 1 : word + strlen(word);
    *ret_word = word;
    return true;
}

static bool read_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (text[0] == '0' && text[1] != '\0')
        return false;
    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        port = port * 10 + (uint32_t)(*digit - '0');
        if (port > UINT16_MAX)
            return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool read_address(const char *text, berth_address_family family, berth_address *ret_address)
{
    berth_address address;
    char canonical[BERTH_ADDRESS_TEXT_SIZE];
    /* The parser takes white space around an address and a scope behind it. */
    if (text[strspn(text, "0123456789ABCDEFabcdef:.")] != '\0' ||
        !berth_address_parse(text, &address) || address.family != family)
        return false;
    /* Nor does it insist on dotted numbers; what comes back out is nothing else. */
    if (family == BERTH_ADDRESS_FAMILY_IPV4 &&
        strcmp(berth_address_format(address, canonical, sizeof canonical), text) != 0)
        return false;
    *ret_address = address;
    return true;
}

/* The text after "PROXY ", terminated. */
static bool read_line(char *rest, berth__proxy_names *ret_names)
{
    char *protocol = rest;
    if (strncmp(rest, "UNKNOWN", 7) == 0 && (rest[7] == '\0' || rest[7] == ' '))
        return true;
    char *words[4];
    if (!take_word(&rest, false, &protocol))
        return false;
    for (int i = 0; i < 4; i++) {
        if (!take_word(&rest, i == 3, &words[i]))
            return false;
    }
    berth_address_family family;
    if (strcmp(protocol, "TCP4") == 0)
        family = BERTH_ADDRESS_FAMILY_IPV4;
    else if (strcmp(protocol, "TCP6") == 0)
        family = BERTH_ADDRESS_FAMILY_IPV6;
    else
        return false;
    berth__proxy_names names;
    if (!read_address(words[0], family, &names.source) ||
        !read_address(words[1], family, &names.destination) ||
        !read_port(words[2], &names.source_port) || !read_port(words[3], &names.destination_port))
        return false;
    *ret_names = names;
    return true;
}

/* Whether the latest byte of the line is allowed there. */
static bool may_follow(const berth__proxy_header *header)
{
    size_t place = header->filled - 1u;
    uint8_t byte = header->bytes[place];
    if (place < sizeof opening - 1)
        return byte == (uint8_t)opening[place];
    return byte != '\0' && (byte != '\n' || header->bytes[place - 1] == '\r');
}

/* One more byte of the line has come. */
static void check_line(berth__proxy_header *header)
{
    char line[V1_LINE_SIZE];
    if (!may_follow(header)) {
        refuse(header, BERTH__REFUSAL_HEADER_MALFORMED);
        return;
    }
    if (header->bytes[header->filled - 1] != '\n') {
        header->expected++;
        if (header->filled == V1_LINE_SIZE)
            refuse(header, BERTH__REFUSAL_HEADER_SIZE);
        return;
    }
    size_t length = header->filled - 2u;
    memcpy(line, header->bytes, length);
    line[length] = '\0';
    header->step = BERTH__HANDSHAKE_DONE;
    if (!read_line(line + sizeof opening - 1, &header->names))
        refuse(header, BERTH__REFUSAL_HEADER_MALFORMED);
}

/* ---- version 2 ------------------------------------------------------------------------------- */

/* Walks the values. Each must lie within `size`; the checksum is looked at as it comes by. */
static bool check_values(berth__proxy_header *header, int *ret_refusal)
{
    const uint8_t *bytes = header->bytes;
    size_t place = header->values;
    size_t end = header->filled;
    *ret_refusal = BERTH__REFUSAL_HEADER_MALFORMED;
    while (place < end) {
        if (end - place < V2_VALUE_HEAD)
            return false;
        size_t size = number_at(bytes + place + 1);
        if (size > end - place - V2_VALUE_HEAD)
            return false;
        const uint8_t *value = bytes + place + V2_VALUE_HEAD;
        if (bytes[place] == TYPE_CHECKSUM) {
            if (size != V2_CHECKSUM_SIZE)
                return false;
            uint32_t stated = (uint32_t)number_at(value) << 16 | number_at(value + 2);
            *ret_refusal = BERTH__REFUSAL_HEADER_CHECKSUM;
            if (checksum_of(bytes, end, (size_t)(value - bytes)) != stated)
                return false;
            *ret_refusal = BERTH__REFUSAL_HEADER_MALFORMED;
        }
        place += V2_VALUE_HEAD + size;
    }
    return true;
}

static void read_names(berth__proxy_header *header, bool ipv6)
{
    const uint8_t *place = header->bytes + V2_HEAD_SIZE;
    size_t size = ipv6 ? 16 : 4;
    berth__proxy_names *names = &header->names;
    names->source.family = ipv6 ? BERTH_ADDRESS_FAMILY_IPV6 : BERTH_ADDRESS_FAMILY_IPV4;
    names->destination.family = names->source.family;
    memcpy(names->source.bytes, place, size);
    memcpy(names->destination.bytes, place + size, size);
    names->source_port = number_at(place + 2 * size);
    names->destination_port = number_at(place + 2 * size + 2);
}

/* Bytes of the addresses of a family and protocol: those of Unix sockets are skipped, and what has
 * an unspecified family has no layout at all. */
static size_t size_of_names(uint8_t family)
{
    switch (family >> 4) {
    case 1:
        return V2_IPV4_SIZE;
    case 2:
        return V2_IPV6_SIZE;
    case UNIX_FAMILY:
        return 216;
    default:
        return 0;
    }
}

static void read_version_2(berth__proxy_header *header)
{
    const uint8_t *bytes = header->bytes;
    uint8_t family = bytes[13];
    size_t rest = header->filled - (size_t)V2_HEAD_SIZE;
    bool local = bytes[12] == VERSION_2_LOCAL;
    size_t names = size_of_names(family);
    /* "Must be rejected as invalid by receivers"; of a LOCAL header the family is ignored. */
    if (!local && (family >> 4 > UNIX_FAMILY || (family & 0x0f) > DATAGRAM)) {
        refuse(header, BERTH__REFUSAL_HEADER_MALFORMED);
        return;
    }
    /* The sender of a LOCAL header may leave the addresses out whatever the family says. */
    if (names > rest && !local) {
        refuse(header, BERTH__REFUSAL_HEADER_MALFORMED);
        return;
    }
    bool skip_all = names > rest || names == 0;
    header->values = skip_all ? header->filled : (uint16_t)(V2_HEAD_SIZE + names);
    int refusal;
    if (!check_values(header, &refusal)) {
        refuse(header, refusal);
        return;
    }
    if (!local && (family == TCP_IPV4 || family == TCP_IPV6))
        read_names(header, family == TCP_IPV6);
    header->step = BERTH__HANDSHAKE_DONE;
}

static void check_head(berth__proxy_header *header)
{
    const uint8_t *bytes = header->bytes;
    size_t compared = header->filled < sizeof signature ? header->filled : sizeof signature;
    bool known =
        header->filled <= 12 || bytes[12] == VERSION_2_LOCAL || bytes[12] == VERSION_2_PROXY;
    if (memcmp(bytes, signature, compared) != 0 || !known) {
        refuse(header, BERTH__REFUSAL_HEADER_MALFORMED);
        return;
    }
    if (header->filled != V2_HEAD_SIZE)
        return;
    size_t whole = V2_HEAD_SIZE + (size_t)number_at(bytes + 14);
    if (whole > sizeof header->bytes)
        refuse(header, BERTH__REFUSAL_HEADER_SIZE);
    else
        header->expected = (uint16_t)whole;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void look(berth__proxy_header *header)
{
    if (header->version == 0) {
        header->version = header->bytes[0] == signature[0] ? 2 : 1;
        if (header->version == 2)
            header->expected = V2_HEAD_SIZE;
    }
    if (header->version == 1) {
        check_line(header);
        return;
    }
    if (header->filled <= V2_HEAD_SIZE)
        check_head(header);
    if (header->step == BERTH__HANDSHAKE_RECEIVE && header->filled >= V2_HEAD_SIZE &&
        header->filled == header->expected)
        read_version_2(header);
}

size_t berth__proxy_header_input(berth__proxy_header *header, const uint8_t *data, size_t size)
{
    size_t used = 0;
    while (used < size && header->step == BERTH__HANDSHAKE_RECEIVE) {
        size_t part = (size_t)header->expected - header->filled;
        part = part < size - used ? part : size - used;
        memcpy(header->bytes + header->filled, data + used, part);
        header->filled = (uint16_t)(header->filled + part);
        used += part;
        look(header);
    }
    return used;
}

const uint8_t *berth__proxy_header_value(const uint8_t *values, size_t size, uint8_t type,
                                         size_t *ret_size)
{
    size_t place = 0;
    while (size - place >= V2_VALUE_HEAD) {
        size_t length = number_at(values + place + 1);
        if (length > size - place - V2_VALUE_HEAD)
            return NULL;
        if (values[place] == type) {
            *ret_size = length;
            return values + place + V2_VALUE_HEAD;
        }
        place += V2_VALUE_HEAD + length;
    }
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The family that both names have; NULL for none that can be written. */
static berth_address_family common_family(const berth__proxy_names *names)
{
    bool same = names->source.family == names->destination.family;
    bool real = names->source.family == BERTH_ADDRESS_FAMILY_IPV4 ||
                names->source.family == BERTH_ADDRESS_FAMILY_IPV6;
    return same && real ? (berth_address_family)names->source.family : BERTH_ADDRESS_FAMILY_NULL;
}

static size_t write_line(const berth__proxy_names *names, uint8_t *output)
{
    char *line = (char *)output;
    berth_address_family family = common_family(names);
    if (family == BERTH_ADDRESS_FAMILY_NULL)
        return (size_t)snprintf(line, BERTH__PROXY_OUTPUT_SIZE, "PROXY UNKNOWN\r\n");
    berth_address source = names->source;
    berth_address destination = names->destination;
    source.scope[0] = destination.scope[0] = '\0'; /* means nothing on another host */
    char texts[2][BERTH_ADDRESS_TEXT_SIZE];
    return (size_t)snprintf(line, BERTH__PROXY_OUTPUT_SIZE, "PROXY TCP%c %s %s %u %u\r\n",
                            family == BERTH_ADDRESS_FAMILY_IPV4 ? '4' : '6',
                            berth_address_format(source, texts[0], sizeof texts[0]),
                            berth_address_format(destination, texts[1], sizeof texts[1]),
                            (unsigned)names->source_port, (unsigned)names->destination_port);
}

static uint8_t *put_number(uint8_t *place, uint16_t number)
{
    *place++ = (uint8_t)(number >> 8);
    *place++ = (uint8_t)number;
    return place;
}

static uint8_t *put_names(uint8_t *place, const berth__proxy_names *names, size_t size)
{
    memcpy(place, names->source.bytes, size);
    memcpy(place + size, names->destination.bytes, size);
    place = put_number(place + 2 * size, names->source_port);
    return put_number(place, names->destination_port);
}

static size_t write_version_2(const berth__proxy_names *names, uint8_t *output)
{
    berth_address_family family = common_family(names);
    bool ipv6 = family == BERTH_ADDRESS_FAMILY_IPV6;
    uint8_t *place = output + sizeof signature;
    memcpy(output, signature, sizeof signature);
    *place++ = family == BERTH_ADDRESS_FAMILY_NULL ? VERSION_2_LOCAL : VERSION_2_PROXY;
    *place++ = family == BERTH_ADDRESS_FAMILY_NULL ? 0 : ipv6 ? TCP_IPV6 : TCP_IPV4;
    uint8_t *length = place;
    place += 2;
    if (family == BERTH_ADDRESS_FAMILY_NULL) { /* no layout, so no checksum either */
        put_number(length, 0);
        return V2_HEAD_SIZE;
    }
    place = put_names(place, names, ipv6 ? 16 : 4);
    *place++ = TYPE_CHECKSUM;
    place = put_number(place, V2_CHECKSUM_SIZE);
    put_number(length, (uint16_t)(place + V2_CHECKSUM_SIZE - output - V2_HEAD_SIZE));
    size_t at = (size_t)(place - output);
    memset(place, 0, V2_CHECKSUM_SIZE);
    uint32_t checksum = checksum_of(output, at + V2_CHECKSUM_SIZE, at);
    place = put_number(place, (uint16_t)(checksum >> 16));
    place = put_number(place, (uint16_t)checksum);
    return (size_t)(place - output);
}

size_t berth__proxy_header_write(int version, const berth__proxy_names *names,
                                 uint8_t output[BERTH__PROXY_OUTPUT_SIZE])
{
    return version == 1 ? write_line(names, output) : write_version_2(names, output);
}
