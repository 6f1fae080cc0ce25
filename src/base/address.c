/*
 * Addresses as values: made, read from text, written as text, compared.
 *
 * All is pure: no system call, no allocation, no state, any thread. Parsing fails on anything that
 * is not an address, and then leaves its output alone. Writing never fails: text that is too long
 * for its place is cut, and always terminated.
 *
 * IPv4 text is read as inet_aton reads it, because that is what the model does ("127.1", "0x7f.1",
 * "010.0.0.1" is 8.0.0.1); the functions of the C library are not used since each of them differs
 * somewhere: inet_aton ignores what follows a blank, inet_pton refuses the short forms, and neither
 * knows scopes. A dotted tail of an IPv6 address is plain: four decimal parts.
 *
 * A value of a family that does not exist is treated as the null address. Kinds and looser
 * comparisons are in address_kind.c.
 */
#include <berth/address.h>

#include "text.h"

#include <string.h>

enum {
    GROUPS = 8 /* of sixteen bits */
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* ---- making ---------------------------------------------------------------------------------- */

berth_address berth_address_special(berth_special_address which)
{
    berth_address address = {0};
    switch (which) {
    case BERTH_SPECIAL_NULL:
        break;
    case BERTH_SPECIAL_BROADCAST:
        return berth_address_ipv4(0xffffffff);
    case BERTH_SPECIAL_LOOPBACK:
        return berth_address_ipv4(0x7f000001);
    case BERTH_SPECIAL_LOOPBACK_IPV6:
        address.family = BERTH_ADDRESS_FAMILY_IPV6;
        address.bytes[15] = 1;
        break;
    case BERTH_SPECIAL_ANY:
        address.family = BERTH_ADDRESS_FAMILY_ANY;
        break;
    case BERTH_SPECIAL_ANY_IPV6:
        address.family = BERTH_ADDRESS_FAMILY_IPV6;
        break;
    case BERTH_SPECIAL_ANY_IPV4:
        address.family = BERTH_ADDRESS_FAMILY_IPV4;
        break;
    }
    return address;
}

berth_address berth_address_ipv4(uint32_t number)
{
    berth_address address = {.family = BERTH_ADDRESS_FAMILY_IPV4};
    for (unsigned i = 0; i < 4; i++)
        address.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return address;
}

berth_address berth_address_ipv6(const uint8_t bytes[16])
{
    berth_address address = {.family = BERTH_ADDRESS_FAMILY_IPV6};
    memcpy(address.bytes, bytes, sizeof(address.bytes));
    return address;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Text that is still to be read. */
typedef struct input {
    const char *at;
    const char *end;
} input;

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool take(input *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* Value of a digit; 16 for what is none. */
static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

/* Reads digits as far as they go. Returns how many, 0 also when the number is above `most`. */
static size_t read_digits(input *in, unsigned base, uint32_t most, uint32_t *ret_number)
{
    uint64_t number = 0;
    const char *begin = in->at;
    while (in->at < in->end && digit(*in->at) < base) {
        number = number * base + digit(*in->at);
        if (number > most)
            return 0;
        in->at++;
    }
    *ret_number = (uint32_t)number;
    return (size_t)(in->at - begin);
}

static bool read_ipv4_part(input *in, uint32_t *ret_part)
{
    unsigned base = 10;
    if (in->end - in->at >= 2 && in->at[0] == '0') {
        bool hexadecimal = in->at[1] == 'x' || in->at[1] == 'X';
        base = hexadecimal ? 16 : 8;
        in->at += hexadecimal ? 2 : 0;
    }
    return read_digits(in, base, UINT32_MAX, ret_part) > 0;
}

static bool parse_ipv4(input in, berth_address *ret_address)
{
    uint32_t number = 0;
    uint32_t part = 0;
    unsigned shift = 32; /* bits that the parts before have left */
    for (unsigned count = 0; count < 4; count++) {
        if (!read_ipv4_part(&in, &part))
            return false;
        if (in.at == in.end) {
            if (((uint64_t)part >> shift) != 0)
                return false;
            *ret_address = berth_address_ipv4(number | part);
            return true;
        }
        if (!take(&in, '.') || part > 255)
            return false;
        shift -= 8;
        number |= part << shift;
    }
    return false;
}

/* The dotted tail of an IPv6 address: as two groups. */
static bool read_tail(input *in, uint16_t *ret_groups)
{
    uint32_t part[4];
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0 && !take(in, '.'))
            return false;
        const char *begin = in->at;
        size_t digits = read_digits(in, 10, 255, &part[i]);
        if (digits == 0 || (digits > 1 && *begin == '0'))
            return false;
    }
    ret_groups[0] = (uint16_t)(part[0] << 8 | part[1]);
    ret_groups[1] = (uint16_t)(part[2] << 8 | part[3]);
    return in->at == in->end;
}

/* Reads the groups; *ret_gap is the number of groups before "::", or GROUPS without one. */
static bool read_groups(input *in, uint16_t *groups, size_t *ret_count, size_t *ret_gap)
{
    size_t count = 0;
    size_t gap = GROUPS;
    if (take(in, ':')) {
        if (!take(in, ':'))
            return false;
        gap = 0;
    }
    while (in->at < in->end && count < GROUPS) {
        input group = *in;
        uint32_t value = 0;
        size_t digits = read_digits(in, 16, UINT32_MAX, &value);
        if (in->at < in->end && *in->at == '.') {
            if (count > GROUPS - 2 || !read_tail(&group, groups + count))
                return false;
            *in = group;
            count += 2;
            break;
        }
        if (digits == 0 || digits > 4)
            return false;
        groups[count++] = (uint16_t)value;
        if (in->at == in->end)
            break;
        if (!take(in, ':') || in->at == in->end)
            return false;
        if (take(in, ':')) {
            if (gap != GROUPS || count == GROUPS)
                return false;
            gap = count;
        }
    }
    *ret_count = count;
    *ret_gap = gap;
    return in->at == in->end && (gap == GROUPS) == (count == GROUPS);
}

static bool parse_ipv6(input in, berth_address *ret_address)
{
    uint16_t groups[GROUPS];
    size_t count = 0;
    size_t gap = 0;
    if (!read_groups(&in, groups, &count, &gap))
        return false;
    berth_address address = {.family = BERTH_ADDRESS_FAMILY_IPV6};
    for (size_t i = 0; i < count; i++) {
        size_t place = i < gap ? i : i + GROUPS - count;
        address.bytes[2 * place] = (uint8_t)(groups[i] >> 8);
        address.bytes[2 * place + 1] = (uint8_t)groups[i];
    }
    *ret_address = address;
    return true;
}

static bool parse_scope(input in, berth_address *address)
{
    size_t size = (size_t)(in.end - in.at);
    if (!berth__is_scope(in.at, size))
        return false;
    memcpy(address->scope, in.at, size);
    return true;
}

bool berth_address_parse(const char *text, berth_address *ret_address)
{
    berth_address address = {0};
    if (!text)
        return false;
    input in = {.at = text, .end = text + strlen(text)};
    while (in.at < in.end && is_blank(*in.at))
        in.at++;
    while (in.end > in.at && is_blank(in.end[-1]))
        in.end--;
    size_t size = (size_t)(in.end - in.at);
    if (!memchr(in.at, ':', size)) {
        if (!parse_ipv4(in, &address))
            return false;
        *ret_address = address;
        return true;
    }
    const char *percent = memchr(in.at, '%', size);
    input scope = {.at = percent ? percent + 1 : in.end, .end = in.end};
    in.end = percent ? percent : in.end;
    if (!parse_ipv6(in, &address) || (percent && !parse_scope(scope, &address)))
        return false;
    *ret_address = address;
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Text being written: always terminated, cut at the end of its place. */
typedef struct output {
    char *at;
    char *last; /* where the terminator must be at the latest */
} output;

static void put_char(output *out, char c)
{
    if (out->at == out->last)
        return;
    *out->at++ = c;
    *out->at = '\0';
}

static void put_text(output *out, const char *text, size_t most)
{
    for (size_t i = 0; i < most && text[i]; i++)
        put_char(out, text[i]);
}

/* A value can be made by hand, with any bytes; what is written goes into protocols and logs. */
static void put_scope(output *out, const char *scope)
{
    for (size_t i = 0; i < BERTH_ADDRESS_SCOPE_SIZE - 1 && scope[i]; i++) {
        if (berth__is_scope_byte(scope[i]))
            put_char(out, scope[i]);
        else
            put_char(out, '?');
    }
}

static void put_number(output *out, unsigned number, unsigned base)
{
    char digits[16];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (count > 0)
        put_char(out, digits[--count]);
}

static void put_ipv4(output *out, const uint8_t *bytes)
{
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            put_char(out, '.');
        put_number(out, bytes[i], 10);
    }
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static bool is_mapped(const berth_address *address)
{
    return address->family == BERTH_ADDRESS_FAMILY_IPV6 &&
           memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* The longest run of zero groups, the first of several; no run if none has two. */
static void find_zeros(const uint8_t *bytes, size_t *ret_begin, size_t *ret_end)
{
    *ret_begin = *ret_end = GROUPS;
    for (size_t begin = 0; begin < GROUPS; begin++) {
        size_t end = begin;
        while (end < GROUPS && bytes[2 * end] == 0 && bytes[2 * end + 1] == 0)
            end++;
        if (end - begin >= 2 && end - begin > *ret_end - *ret_begin) {
            *ret_begin = begin;
            *ret_end = end;
        }
    }
}

static void put_ipv6(output *out, const berth_address *address)
{
    const uint8_t *bytes = address->bytes;
    size_t begin;
    size_t end;
    find_zeros(bytes, &begin, &end);
    /* "::1.2.3.4", but "::1" and "::100" are no IPv4 addresses. */
    bool compatible = all_zero(bytes, 12) && !all_zero(bytes + 12, 2);
    if (compatible || is_mapped(address)) {
        put_text(out, compatible ? "::" : "::ffff:", 7);
        put_ipv4(out, bytes + 12);
    } else {
        for (size_t i = 0; i < GROUPS; i++) {
            if (i == begin) {
                put_text(out, "::", 2);
                i = end - 1;
                continue;
            }
            if (i > 0 && i != end)
                put_char(out, ':');
            put_number(out, (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1], 16);
        }
    }
    if (address->scope[0]) {
        put_char(out, '%');
        put_scope(out, address->scope);
    }
}

static void put_address(output *out, const berth_address *address)
{
    switch (address->family) {
    case BERTH_ADDRESS_FAMILY_IPV4:
        put_ipv4(out, address->bytes);
        break;
    case BERTH_ADDRESS_FAMILY_IPV6:
        put_ipv6(out, address);
        break;
    case BERTH_ADDRESS_FAMILY_ANY:
        put_text(out, "0.0.0.0", 7);
        break;
    case BERTH_ADDRESS_FAMILY_LOCAL:
        put_text(out, "local", 5);
        break;
    default:
        break;
    }
}

char *berth_address_format(berth_address address, char *text, size_t size)
{
    if (size == 0)
        return text;
    output out = {.at = text, .last = text + size - 1};
    *text = '\0';
    put_address(&out, &address);
    return text;
}

char *berth_endpoint_format(berth_address address, uint16_t port, char *text, size_t size)
{
    if (size == 0)
        return text;
    bool brackets = address.family == BERTH_ADDRESS_FAMILY_IPV6;
    output out = {.at = text, .last = text + size - 1};
    *text = '\0';
    if (brackets)
        put_char(&out, '[');
    put_address(&out, &address);
    if (brackets)
        put_char(&out, ']');
    if (address.family == BERTH_ADDRESS_FAMILY_LOCAL)
        return text;
    put_char(&out, ':');
    put_number(&out, port, 10);
    return text;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static size_t significant_bytes(uint8_t family)
{
    if (family == BERTH_ADDRESS_FAMILY_IPV4)
        return 4;
    return family == BERTH_ADDRESS_FAMILY_IPV6 ? 16 : 0;
}

bool berth_address_is_null(berth_address address)
{
    return address.family == BERTH_ADDRESS_FAMILY_NULL ||
           address.family > BERTH_ADDRESS_FAMILY_LOCAL;
}

bool berth_address_equal(berth_address a, berth_address b)
{
    if (berth_address_is_null(a) || berth_address_is_null(b))
        return berth_address_is_null(a) && berth_address_is_null(b);
    return a.family == b.family && memcmp(a.bytes, b.bytes, significant_bytes(a.family)) == 0;
}

bool berth_address_to_ipv4(berth_address address, uint32_t *ret_number)
{
    const uint8_t *bytes = address.bytes;
    bool wildcard = address.family == BERTH_ADDRESS_FAMILY_ANY ||
                    berth_address_equal(address, BERTH_ADDRESS_ANY_IPV6);
    bool mapped = is_mapped(&address);
    if (!wildcard && !mapped && address.family != BERTH_ADDRESS_FAMILY_IPV4)
        return false;
    if (mapped)
        bytes += 12;
    uint32_t number = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                      (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
    *ret_number = wildcard ? 0 : number;
    return true;
}
