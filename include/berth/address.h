/*
 * A host address as a value: IPv4, IPv6 with an optional scope, or one of the wildcards.
 *
 * Values are copied and own nothing. A zeroed value is the null address. The functions here make no
 * system call and may be called on any thread. A port is not part of an address.
 */
#ifndef BERTH_ADDRESS_H
#define BERTH_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Family of an address. */
typedef enum berth_address_family {
    BERTH_ADDRESS_FAMILY_NULL = 0, /**< no address */
    BERTH_ADDRESS_FAMILY_IPV4 = 1,
    BERTH_ADDRESS_FAMILY_IPV6 = 2,
    BERTH_ADDRESS_FAMILY_ANY = 3,  /**< the wildcard of both families */
    BERTH_ADDRESS_FAMILY_LOCAL = 4 /**< a Unix-domain socket, without bytes: see local.h */
} berth_address_family;

/** Size of a scope in bytes, terminator included: the name of an interface, or its index in
 * decimal. */
#define BERTH_ADDRESS_SCOPE_SIZE 16

/** Size of the text of any address in bytes, terminator included. */
#define BERTH_ADDRESS_TEXT_SIZE 64

/** Size of the text of any address with a port, such as "[fe80::1%eth0]:80", in bytes, terminator
 * included. */
#define BERTH_ENDPOINT_TEXT_SIZE 72

/** An address. The members may be read; use the functions to make and compare addresses. The layout
 * is fixed. */
typedef struct berth_address {
    uint8_t family;                       /**< a berth_address_family */
    uint8_t bytes[16];                    /**< network order; IPv4 uses the first four */
    char scope[BERTH_ADDRESS_SCOPE_SIZE]; /**< IPv6 only: the text after '%', or empty */
} berth_address;

/** Special addresses. */
typedef enum berth_special_address {
    BERTH_SPECIAL_NULL = 0,
    BERTH_SPECIAL_BROADCAST = 1,     /**< 255.255.255.255 */
    BERTH_SPECIAL_LOOPBACK = 2,      /**< 127.0.0.1 */
    BERTH_SPECIAL_LOOPBACK_IPV6 = 3, /**< ::1 */
    BERTH_SPECIAL_ANY = 4,           /**< wildcard of both families */
    BERTH_SPECIAL_ANY_IPV6 = 5,      /**< :: and only IPv6 */
    BERTH_SPECIAL_ANY_IPV4 = 6       /**< 0.0.0.0 and only IPv4 */
} berth_special_address;

/** No address. */
#define BERTH_ADDRESS_NULL berth_address_special(BERTH_SPECIAL_NULL)
/** 255.255.255.255. */
#define BERTH_ADDRESS_BROADCAST berth_address_special(BERTH_SPECIAL_BROADCAST)
/** 127.0.0.1. */
#define BERTH_ADDRESS_LOOPBACK berth_address_special(BERTH_SPECIAL_LOOPBACK)
/** ::1. */
#define BERTH_ADDRESS_LOOPBACK_IPV6 berth_address_special(BERTH_SPECIAL_LOOPBACK_IPV6)
/** The wildcard of both families. */
#define BERTH_ADDRESS_ANY berth_address_special(BERTH_SPECIAL_ANY)
/** "::", and only IPv6. */
#define BERTH_ADDRESS_ANY_IPV6 berth_address_special(BERTH_SPECIAL_ANY_IPV6)
/** 0.0.0.0, and only IPv4. */
#define BERTH_ADDRESS_ANY_IPV4 berth_address_special(BERTH_SPECIAL_ANY_IPV4)

/**
 * Returns a special address.
 *
 * @param which  for a value that is not a special address the null address is returned
 */
BERTH_API berth_address berth_address_special(berth_special_address which);

/** Returns the IPv4 address of a number in host order: 0x7f000001 is 127.0.0.1. */
BERTH_API berth_address berth_address_ipv4(uint32_t number);

/**
 * Returns the IPv6 address of sixteen bytes in network order, without a scope.
 *
 * @param bytes  exactly sixteen bytes
 */
BERTH_API berth_address berth_address_ipv6(const uint8_t bytes[16]);

/**
 * Parses an address.
 *
 * Blanks around it are ignored. IPv4 as inet_aton accepts it: one to four parts, decimal, octal
 * (leading 0) or hexadecimal (0x). IPv6 in full or with one "::", with a dotted IPv4 tail, and with
 * "%scope": a number or the name of an interface, one to fifteen bytes of printable ASCII without a
 * blank, '/', ':' or '%'. Names, brackets, ports and prefixes are refused.
 *
 * @param text         a terminated string; NULL is refused
 * @param ret_address  set on success only
 * @return whether the text is an address
 */
BERTH_API bool berth_address_parse(const char *text, berth_address *ret_address);

/**
 * Formats an address: the null address as "", the wildcard of both families as "0.0.0.0", IPv6 in
 * lower case with its longest run of zero groups shortened, IPv4-mapped IPv6 with a dotted tail,
 * that of a Unix socket as "local".
 *
 * @param text  the buffer; always terminated if size > 0
 * @param size  size of the buffer in bytes; BERTH_ADDRESS_TEXT_SIZE is always enough
 * @return `text`
 */
BERTH_API char *berth_address_format(berth_address address, char *text, size_t size);

/**
 * Formats an address and a port: "127.0.0.1:80", "[::1]:80"; without the port for a Unix socket:
 * "local".
 *
 * @param text  the buffer; always terminated if size > 0
 * @param size  size of the buffer in bytes; BERTH_ENDPOINT_TEXT_SIZE is always enough
 * @return `text`
 */
BERTH_API char *berth_endpoint_format(berth_address address, uint16_t port, char *text,
                                      size_t size);

/**
 * Returns whether two addresses have the same family and the same bytes. 127.0.0.1, its IPv4-mapped
 * form and ::1 all differ, and so do the three wildcards. Scopes are ignored. All addresses of
 * Unix sockets are equal.
 */
BERTH_API bool berth_address_equal(berth_address a, berth_address b);

/** Differences that berth_address_equal_as ignores; flags. */
typedef enum berth_address_tolerance {
    BERTH_TOLERATE_NOTHING = 0,     /**< as berth_address_equal */
    BERTH_TOLERATE_MAPPED = 1,      /**< "::ffff:1.2.3.4" is 1.2.3.4 */
    BERTH_TOLERATE_COMPATIBLE = 2,  /**< "::1.2.3.4" is 1.2.3.4; "::1" is not 0.0.0.1 */
    BERTH_TOLERATE_UNSPECIFIED = 4, /**< 0.0.0.0, :: and the wildcard of both families are one */
    BERTH_TOLERATE_LOOPBACK = 8,    /**< 127.0.0.1 is ::1 */
    BERTH_TOLERATE_ALL = 255        /**< all of these */
} berth_address_tolerance;

/**
 * Returns whether two addresses are equal apart from certain differences. Each rule is applied by
 * itself; they are not combined: "::ffff:127.0.0.1" does not equal "::1".
 *
 * @param tolerated  a combination of berth_address_tolerance
 */
BERTH_API bool berth_address_equal_as(berth_address a, berth_address b, unsigned tolerated);

/** Returns whether this is the null address. */
BERTH_API bool berth_address_is_null(berth_address address);

/**
 * @name Kinds
 *
 * An IPv4-mapped IPv6 address is of the same kind as its IPv4 address. The null address, the
 * wildcards, those of Unix sockets, the rest of 0/8, and 240/4 without the broadcast address are of
 * no kind.
 *
 * @{
 */

/** Returns whether this is 127/8 or ::1. */
BERTH_API bool berth_address_is_loopback(berth_address address);

/** Returns whether this is 224/4 or ff00::/8. */
BERTH_API bool berth_address_is_multicast(berth_address address);

/** Returns whether this is 255.255.255.255. */
BERTH_API bool berth_address_is_broadcast(berth_address address);

/** Returns whether this is 169.254/16 or fe80::/10. */
BERTH_API bool berth_address_is_link_local(berth_address address);

/** Returns whether this is fec0::/10, which is global too. */
BERTH_API bool berth_address_is_site_local(berth_address address);

/** Returns whether this is fc00::/7, which is global too. */
BERTH_API bool berth_address_is_unique_local(berth_address address);

/** Returns whether this is none of the first four: any other host's address, private ones such as
 * 10/8 included. */
BERTH_API bool berth_address_is_global(berth_address address);

/** @} */

/**
 * Gets an IPv4 address as a number in host order. Also accepts IPv4-mapped IPv6 addresses, and the
 * wildcards, whose number is 0.
 *
 * @param ret_number  set on success only
 * @return false for the null address and for other IPv6 addresses
 */
BERTH_API bool berth_address_to_ipv4(berth_address address, uint32_t *ret_number);

BERTH_END_DECLARATIONS

#endif
