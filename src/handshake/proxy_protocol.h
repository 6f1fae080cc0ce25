/*
 * The PROXY header, versions 1 and 2, as HAProxy's specification has it: what a balancer writes in
 * front of a connection to say whose it is. Read here, and written.
 *
 * Reading: bytes go in until DONE or REFUSED; nothing behind the header is used. A header has
 * addresses if it is of TCP over IPv4 or IPv6; LOCAL and UNKNOWN, and families and protocols that
 * the specification has but that are not served here, are whole headers without. Version 2 may
 * carry further values (TLVs), which stay in `bytes` and are found by berth__proxy_header_value; a
 * checksum among them (CRC32c) must be right.
 *
 * It fails with anything that is no header, a version or a command that is unknown, in a PROXY
 * command a family or a protocol that the specification does not have, a length that does not hold
 * what it has to, a line of more than 107 bytes, a version 2 header of more than
 * BERTH__PROXY_HEADER_SIZE bytes.
 */
#ifndef BERTH_HANDSHAKE_PROXY_PROTOCOL_H
#define BERTH_HANDSHAKE_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>

#include "handshake.h"

/* The longest header that is read. The bound is ours: as much as nginx reads, while the protocol
 * has 64 KiB. Public as BERTH_MOST_PROXY_HEADER. */
#define BERTH__PROXY_HEADER_SIZE 4096u

/* Bytes that hold every header that is written. */
#define BERTH__PROXY_OUTPUT_SIZE 128u

/* Who is connected with whom. */
typedef struct berth__proxy_names {
    berth_address source; /* null: LOCAL or UNKNOWN */
    berth_address destination;
    uint16_t source_port;
    uint16_t destination_port;
} berth__proxy_names;

typedef struct berth__proxy_header {
    berth__handshake step; /* RECEIVE, DONE, REFUSED */
    int refusal;
    uint8_t version; /* 1 or 2; 0 while it is not known */
    berth__proxy_names names;
    uint16_t values;   /* where the values begin in `bytes` */
    uint16_t filled;   /* bytes of the header that have come */
    uint16_t expected; /* bytes it has, as far as it is known */
    uint8_t bytes[BERTH__PROXY_HEADER_SIZE];
} berth__proxy_header;

void berth__proxy_header_begin(berth__proxy_header *header);

/* Takes input; returns how many bytes were used. */
size_t berth__proxy_header_input(berth__proxy_header *header, const uint8_t *data, size_t size);

/* The first value of a type in a header that is whole; NULL if there is none. `values` and `size`
 * are its part behind the addresses. */
const uint8_t *berth__proxy_header_value(const uint8_t *values, size_t size, uint8_t type,
                                         size_t *ret_size);

/* Writes a header of version 1 or 2; version 2 with a checksum. Names of which one is null, or
 * which differ in family, are written as UNKNOWN, resp. LOCAL. Returns its size. */
size_t berth__proxy_header_write(int version, const berth__proxy_names *names,
                                 uint8_t output[BERTH__PROXY_OUTPUT_SIZE]);

#endif
