/*
 * Converts UTF-8 to a block, and back: see fortune_wire.h for the format and the errors.
 *
 * Both directions work character by character. One function reads a character from the input,
 * another appends it to the output. The output is allocated once, with the maximum size.
 */
#include "fortune_wire.h"

#include <errno.h>
#include <stdlib.h>

#define REPLACEMENT 0xfffdu

/*
 * Reads one character of UTF-8. `at` must be before `end`.
 *
 * Invalid input (a stray byte, a truncated sequence, an overlong form, a surrogate, a value beyond
 * U+10FFFF) is read as one U+FFFD for the bytes up to the one that does not fit, as Unicode
 * recommends.
 */
static const uint8_t *take_utf8(const uint8_t *at, const uint8_t *end, uint32_t *ret_character)
{
    uint8_t first = *at++;
    unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    uint32_t character = more ? first & (0x3fu >> more) : first;
    *ret_character = REPLACEMENT;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
        return at;
    for (; more > 0; more--) {
        if (at == end || *at < least || *at > most)
            return at;
        character = character << 6 | (*at++ & 0x3f);
        least = 0x80;
        most = 0xbf;
    }
    *ret_character = character;
    return at;
}

static uint8_t *put_unit(uint8_t *to, uint32_t unit)
{
    *to++ = (uint8_t)(unit >> 8);
    *to++ = (uint8_t)unit;
    return to;
}

static uint8_t *put_utf16(uint8_t *to, uint32_t character)
{
    if (character < 0x10000)
        return put_unit(to, character);
    character -= 0x10000;
    to = put_unit(to, 0xd800 | character >> 10);
    return put_unit(to, 0xdc00 | (character & 0x3ff));
}

uint8_t *fortune_block_new(const char *text, size_t length, size_t *ret_size)
{
    if (length > 3 * FORTUNE_MOST) { /* no character shrinks below two thirds */
        errno = EMSGSIZE;
        return NULL;
    }
    uint8_t *block = malloc(FORTUNE_HEADER + 2 * length); /* a byte becomes two at most */
    if (!block)
        return NULL;
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + length;
    uint8_t *to = block + FORTUNE_HEADER;
    while (at < end) {
        uint32_t character;
        at = take_utf8(at, end, &character);
        to = put_utf16(to, character);
    }
    size_t count = (size_t)(to - block) - FORTUNE_HEADER;
    if (count > FORTUNE_MOST) {
        free(block);
        errno = EMSGSIZE;
        return NULL;
    }
    put_unit(put_unit(block, (uint32_t)count >> 16), (uint32_t)count & 0xffff);
    *ret_size = FORTUNE_HEADER + count;
    return block;
}

bool fortune_header_read(const uint8_t header[FORTUNE_HEADER], uint32_t *ret_count)
{
    uint32_t count = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
                     (uint32_t)header[2] << 8 | (uint32_t)header[3];
    if (count == UINT32_MAX)
        count = 0;
    *ret_count = count;
    return count <= FORTUNE_MOST && count % 2 == 0;
}

/* Reads one character of UTF-16; there must be a unit before `end`. Half a surrogate pair is read
 * as U+FFFD. */
static const uint8_t *take_utf16(const uint8_t *at, const uint8_t *end, uint32_t *ret_character)
{
    uint32_t unit = (uint32_t)at[0] << 8 | at[1];
    at += 2;
    *ret_character = unit;
    if (unit < 0xd800 || unit > 0xdfff)
        return at;
    *ret_character = REPLACEMENT;
    if (unit >= 0xdc00 || end - at < 2 || (at[0] & 0xfc) != 0xdc)
        return at;
    uint32_t low = (uint32_t)(at[0] & 3) << 8 | at[1];
    *ret_character = 0x10000 + ((unit & 0x3ff) << 10 | low);
    return at + 2;
}

static char *put_utf8(char *to, uint32_t character)
{
    unsigned more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0x00, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[more] | character >> (6 * more));
    while (more > 0) {
        more--;
        *to++ = (char)(0x80 | (character >> (6 * more) & 0x3f));
    }
    return to;
}

char *fortune_text_new(const uint8_t *bytes, size_t size, size_t *ret_length)
{
    char *text = malloc(size / 2 * 3 + 1); /* a unit becomes three bytes at most */
    if (!text)
        return NULL;
    char *to = text;
    const uint8_t *end = bytes + size / 2 * 2;
    while (bytes < end) {
        uint32_t character;
        bytes = take_utf16(bytes, end, &character);
        to = put_utf8(to, character);
    }
    *to = '\0';
    *ret_length = (size_t)(to - text);
    return text;
}
