/*
 * The name that a client of TLS asks for (SNI, RFC 6066), by the rules that the core and engines
 * have in common. They are here as a whole, since an engine is in a library of its own, which does
 * not see the functions of the core.
 *
 * A name has letters, digits, '-', '_' and '.', no empty label, and 253 bytes at most; a dot at its
 * end is left out. An address in its place is no name.
 */
#ifndef BERTH_SERVER_NAME_H
#define BERTH_SERVER_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Bytes that hold a name, with its terminator: names of the DNS have 253 at most. */
#define BERTH__SERVER_NAME_SIZE 254u

/* Writes a name in small letters; false if it is invalid. */
static inline bool berth__server_name_read(const char *data, size_t size,
                                           char ret_name[BERTH__SERVER_NAME_SIZE])
{
    bool is_number = true; /* digits and dots: an address */
    bool begins = true;    /* a label */
    if (size > 0 && data[size - 1] == '.')
        size--;
    if (size == 0 || size >= BERTH__SERVER_NAME_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        unsigned char small = byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + 32) : byte;
        bool digit = byte >= '0' && byte <= '9';
        bool letter = small >= 'a' && small <= 'z';
        if (!letter && !digit && byte != '-' && byte != '_' && (byte != '.' || begins))
            return false;
        begins = byte == '.';
        is_number = is_number && (digit || begins);
        ret_name[i] = (char)small;
    }
    ret_name[size] = '\0';
    return !begins && !is_number;
}

/* Whether it is an address. Clients send one though they should not, and expect what is for no
 * name. */
static inline bool berth__server_name_is_address(const char *data, size_t size)
{
    if (size == 0 || data[0] == '.')
        return false;
    bool has_colon = memchr(data, ':', size) != NULL; /* IPv6 */
    for (size_t i = 0; i < size; i++) {
        bool digit = data[i] >= '0' && data[i] <= '9';
        bool letter = (data[i] >= 'a' && data[i] <= 'f') || (data[i] >= 'A' && data[i] <= 'F');
        if (!digit && data[i] != '.' && !(has_colon && (letter || data[i] == ':')))
            return false;
    }
    return true;
}

#endif
