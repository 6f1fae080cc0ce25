/*
 * text.h: pure functions over bytes; nothing here fails.
 *
 * Only ASCII passes unescaped: a byte above it may be half of a control character of UTF-8.
 */
#include "text.h"

#include <string.h>

#include <berth/address.h>

static bool is_printable(char byte)
{
    return byte >= ' ' && byte <= '~';
}

bool berth__is_scope_byte(char byte)
{
    return is_printable(byte) && byte != ' ' && byte != '/' && byte != ':' && byte != '%';
}

bool berth__is_scope(const char *scope, size_t size)
{
    if (size == 0 || size >= BERTH_ADDRESS_SCOPE_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!berth__is_scope_byte(scope[i]))
            return false;
    }
    return true;
}

bool berth__has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

char *berth__escape(const char *text, char *place, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *at = place;
    if (size == 0)
        return place;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool plain = is_printable(*text) && byte != '\\';
        size_t needed = plain ? 1 : 4;
        if ((size_t)(at - place) + needed >= size)
            break;
        if (plain) {
            *at++ = *text;
            continue;
        }
        memcpy(at, "\\x", 2);
        at[2] = digits[byte >> 4];
        at[3] = digits[byte & 15];
        at += 4;
    }
    *at = '\0';
    return place;
}
