/*
 * What kind of address this is, and whether two of them mean the same.
 *
 * The kinds are ranges of the first bytes, in one table for each family; an IPv4-mapped address is
 * looked up as the IPv4 address that it means, since over a listener of both families every IPv4
 * peer has one. What is in no range is global, except where nothing is (0/8, 240/4, ::).
 *
 * All is pure, as in address.c, and never fails: the null address is of no kind and equals itself
 * only.
 */
#include <berth/address.h>

#include <string.h>

typedef enum kind {
    NO_KIND,
    LOOPBACK,
    MULTICAST,
    BROADCAST,
    LINK_LOCAL,
    SITE_LOCAL,
    UNIQUE_LOCAL,
    GLOBAL
} kind;

/* The first that fits counts. */
static const struct {
    uint32_t first;
    unsigned prefix;
    kind kind;
} ipv4_kinds[] = {
    {0x00000000, 8, NO_KIND},   {0x7f000000, 8, LOOPBACK},   {0xa9fe0000, 16, LINK_LOCAL},
    {0xe0000000, 4, MULTICAST}, {0xffffffff, 32, BROADCAST}, {0xf0000000, 4, NO_KIND},
};

static kind ipv4_kind(uint32_t number)
{
    for (size_t i = 0; i < sizeof ipv4_kinds / sizeof ipv4_kinds[0]; i++) {
        if ((number ^ ipv4_kinds[i].first) >> (32 - ipv4_kinds[i].prefix) == 0)
            return ipv4_kinds[i].kind;
    }
    return GLOBAL;
}

static kind ipv6_kind(const berth_address *address)
{
    unsigned first = (unsigned)address->bytes[0] << 8 | address->bytes[1];
    if (berth_address_equal(*address, BERTH_ADDRESS_LOOPBACK_IPV6))
        return LOOPBACK;
    if (first >> 8 == 0xff)
        return MULTICAST;
    if (first >> 6 == 0xfe80 >> 6)
        return LINK_LOCAL;
    if (first >> 6 == 0xfec0 >> 6)
        return SITE_LOCAL;
    return first >> 9 == 0xfc00 >> 9 ? UNIQUE_LOCAL : GLOBAL;
}

static kind kind_of(const berth_address *address)
{
    uint32_t number;
    if (berth_address_to_ipv4(*address, &number)) /* a wildcard gives 0 */
        return ipv4_kind(number);
    return address->family == BERTH_ADDRESS_FAMILY_IPV6 ? ipv6_kind(address) : NO_KIND;
}

bool berth_address_is_loopback(berth_address address)
{
    return kind_of(&address) == LOOPBACK;
}

bool berth_address_is_multicast(berth_address address)
{
    return kind_of(&address) == MULTICAST;
}

bool berth_address_is_broadcast(berth_address address)
{
    return kind_of(&address) == BROADCAST;
}

bool berth_address_is_link_local(berth_address address)
{
    return kind_of(&address) == LINK_LOCAL;
}

bool berth_address_is_site_local(berth_address address)
{
    return kind_of(&address) == SITE_LOCAL;
}

bool berth_address_is_unique_local(berth_address address)
{
    return kind_of(&address) == UNIQUE_LOCAL;
}

bool berth_address_is_global(berth_address address)
{
    kind found = kind_of(&address);
    return found == GLOBAL || found == SITE_LOCAL || found == UNIQUE_LOCAL;
}

/* ---- looser equality ------------------------------------------------------------------------- */

static bool is_unspecified(const berth_address *address)
{
    return berth_address_equal(*address, BERTH_ADDRESS_ANY) ||
           berth_address_equal(*address, BERTH_ADDRESS_ANY_IPV4) ||
           berth_address_equal(*address, BERTH_ADDRESS_ANY_IPV6);
}

/* Whether an IPv6 address means this IPv4 address by a rule that is tolerated. */
static bool stands_for(const berth_address *ipv6, const berth_address *ipv4, unsigned tolerated)
{
    static const uint8_t zeros[10];
    const uint8_t *bytes = ipv6->bytes;
    if (memcmp(bytes, zeros, sizeof zeros) != 0 || memcmp(bytes + 12, ipv4->bytes, 4) != 0)
        return false;
    if (bytes[10] == 0xff && bytes[11] == 0xff)
        return (tolerated & BERTH_TOLERATE_MAPPED) != 0;
    /* Of the compatible addresses ::1 means something else. */
    return bytes[10] == 0 && bytes[11] == 0 && (tolerated & BERTH_TOLERATE_COMPATIBLE) != 0 &&
           !berth_address_is_loopback(*ipv6);
}

bool berth_address_equal_as(berth_address a, berth_address b, unsigned tolerated)
{
    if (berth_address_equal(a, b))
        return true;
    if ((tolerated & BERTH_TOLERATE_UNSPECIFIED) && is_unspecified(&a) && is_unspecified(&b))
        return true;
    berth_address ipv4 = a.family == BERTH_ADDRESS_FAMILY_IPV4 ? a : b;
    berth_address ipv6 = a.family == BERTH_ADDRESS_FAMILY_IPV4 ? b : a;
    if (ipv4.family != BERTH_ADDRESS_FAMILY_IPV4 || ipv6.family != BERTH_ADDRESS_FAMILY_IPV6)
        return false;
    if ((tolerated & BERTH_TOLERATE_LOOPBACK) &&
        berth_address_equal(ipv4, BERTH_ADDRESS_LOOPBACK) &&
        berth_address_equal(ipv6, BERTH_ADDRESS_LOOPBACK_IPV6))
        return true;
    return stands_for(&ipv6, &ipv4, tolerated);
}
