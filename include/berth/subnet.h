/*
 * A block of addresses as a value: an address and the number of its leading bits that count.
 *
 * For lists of whom to trust or to limit. All functions are pure and may be called on any thread.
 */
#ifndef BERTH_SUBNET_H
#define BERTH_SUBNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** A block of addresses. A zeroed value contains nothing. */
typedef struct berth_subnet {
    berth_address address; /**< IPv4 or IPv6; bits behind the prefix do not count */
    uint8_t prefix;        /**< 0 to 32 for IPv4, 0 to 128 for IPv6 */
} berth_subnet;

/** Bytes that hold the text of any subnet, terminator included. */
#define BERTH_SUBNET_TEXT_SIZE 68

/**
 * Reads a subnet from text: "10.0.0.0/8", "10/8", "10.", "10.1", "192.168.1.0/255.255.255.0",
 * "2001:db8::/32", or a single address, which is a subnet of one.
 *
 * Blanks around it are ignored. IPv4 has one to four decimal parts here, and parts that are missing
 * are those at the end: "10.1" is 10.1.0.0/16, not 10.0.0.1 as in berth_address_parse. A part with
 * a leading zero, as in "010.0.0.0/8", is refused, since berth_address_parse reads it as octal. A
 * mask must be contiguous. Bits behind the prefix are cleared.
 *
 * @param text        a terminated string; NULL is refused
 * @param ret_subnet  set on success only
 * @return whether the text is a subnet
 */
BERTH_API bool berth_subnet_parse(const char *text, berth_subnet *ret_subnet);

/**
 * Writes a subnet as text: "10.0.0.0/8"; "" for one whose address is null or the wildcard of both
 * families, which contains nothing.
 *
 * @param text  where to write; always terminated if size > 0
 * @param size  bytes there; BERTH_SUBNET_TEXT_SIZE is always enough
 * @return `text`
 */
BERTH_API char *berth_subnet_format(berth_subnet subnet, char *text, size_t size);

/**
 * Whether the address lies in the subnet. An IPv4-mapped IPv6 address lies in an IPv4 subnet if its
 * IPv4 address does, since a listener of both families knows IPv4 peers by such. Otherwise families
 * have to be the same; scopes do not count; wildcards of both families lie in no subnet.
 */
BERTH_API bool berth_subnet_contains(berth_subnet subnet, berth_address address);

BERTH_END_DECLARATIONS

#endif
