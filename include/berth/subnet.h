/*
 * A block of addresses, a value: an address and the number of its significant leading bits. Used to
 * list peers that are trusted or limited.
 *
 * The functions here make no system call and may be called on any thread.
 */
#ifndef BERTH_SUBNET_H
#define BERTH_SUBNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** A block of addresses. A zeroed value contains nothing. The layout is fixed. */
typedef struct berth_subnet {
    berth_address address; /**< IPv4 or IPv6; bits after the prefix are ignored */
    uint8_t prefix;        /**< 0 to 32 for IPv4, 0 to 128 for IPv6 */
} berth_subnet;

/** Bytes that hold the text of any subnet, terminator included. */
#define BERTH_SUBNET_TEXT_SIZE 68

/**
 * Parses a subnet: "10.0.0.0/8", "10/8", "10.", "10.1", "192.168.1.0/255.255.255.0",
 * "2001:db8::/32", or a single address, which is a subnet of one address.
 *
 * Blanks around it are ignored. IPv4 addresses have one to four decimal parts here, and missing
 * parts are those at the end: "10.1" is 10.1.0.0/16, not 10.0.0.1 as in berth_address_parse. A part
 * with a leading zero, as in "010.0.0.0/8", is refused, because berth_address_parse reads it as
 * octal. A mask must be contiguous. Bits after the prefix are cleared.
 *
 * @param text        a terminated string; NULL is refused
 * @param ret_subnet  set on success only
 * @return whether the text is a subnet
 */
BERTH_API bool berth_subnet_parse(const char *text, berth_subnet *ret_subnet);

/**
 * Formats a subnet: "10.0.0.0/8". A subnet whose address is null or the wildcard of both families
 * contains nothing and is formatted as "".
 *
 * @param text  the buffer; always terminated if size > 0
 * @param size  size of the buffer in bytes; BERTH_SUBNET_TEXT_SIZE is always enough
 * @return `text`
 */
BERTH_API char *berth_subnet_format(berth_subnet subnet, char *text, size_t size);

/**
 * Returns whether a subnet contains an address. An IPv4 subnet also contains the IPv4-mapped IPv6
 * forms of its addresses, because a listener of both families sees IPv4 peers in that form.
 * Otherwise the families must be the same. Scopes are ignored. The wildcard of both families is in
 * no subnet.
 */
BERTH_API bool berth_subnet_contains(berth_subnet subnet, berth_address address);

BERTH_END_DECLARATIONS

#endif
