/*
 * Subnets as values: read from text, written as text, asked whether an address is in them.
 *
 * Reading differs from that of addresses: the parts of an IPv4 subnet that are not there are its
 * last ones, so that "10.1" is 10.1.0.0/16; each part is decimal, and has no leading zero, which
 * would make it octal in an address. It fails on anything else and leaves its output alone. A
 * prefix that is too long for its family makes a subnet that contains nothing, so that no list of
 * trusted senders grows by a mistake.
 */
#include <berth/subnet.h>

#include <stdio.h>
#include <string.h>

/* Bits of an address of the family; 0 for a family that has none. */
static unsigned width(uint8_t family)
{
    if (family == BERTH_ADDRESS_FAMILY_IPV4)
        return 32;
    return family == BERTH_ADDRESS_FAMILY_IPV6 ? 128 : 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A decimal number up to `most`; moves the text on. Nothing else than digits begins one. */
static bool read_number(const char **text, unsigned most, unsigned *ret_number)
{
    unsigned number = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (unsigned)(*at - '0');
        if (number > most)
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *ret_number = number;
    return true;
}

/* One to four parts, with a dot between them, and behind them if it is fewer than four. Returns how
 * many, 0 if it is something else. */
static unsigned read_parts(const char *text, uint32_t *ret_number)
{
    uint32_t number = 0;
    unsigned count = 0;
    unsigned part;
    do {
        if (count == 4 || (text[0] == '0' && text[1] >= '0' && text[1] <= '9') ||
            !read_number(&text, 255, &part))
            return 0;
        number |= part << (24 - 8 * count++);
        if (*text != '.')
            break;
        text++;
    } while (*text != '\0');
    if (*text != '\0' || (count == 4 && text[-1] == '.'))
        return 0;
    *ret_number = number;
    return count;
}

/* The prefix of a mask. */
static bool prefix_of_mask(uint32_t mask, unsigned *ret_prefix)
{
    unsigned prefix = 0;
    while (prefix < 32 && (mask & (UINT32_C(0x80000000) >> prefix)) != 0)
        prefix++;
    if (prefix < 32 && mask << prefix != 0)
        return false;
    *ret_prefix = prefix;
    return true;
}

static bool read_prefix(const char *text, uint8_t family, unsigned *ret_prefix)
{
    uint32_t mask;
    if (family == BERTH_ADDRESS_FAMILY_IPV4 && strchr(text, '.') != NULL)
        return read_parts(text, &mask) == 4 && prefix_of_mask(mask, ret_prefix);
    return read_number(&text, width(family), ret_prefix) && *text == '\0';
}

static void clear_behind(berth_address *address, unsigned prefix)
{
    for (unsigned bit = prefix; bit < width(address->family); bit++)
        address->bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

/* Copies the text without the blanks around it. False if it is too long to be a subnet. */
static bool copy_trimmed(const char *text, char *copy, size_t size)
{
    static const char blanks[] = " \t\n\v\f\r";
    text += strspn(text, blanks);
    size_t length = strlen(text);
    while (length > 0 && strchr(blanks, text[length - 1]) != NULL)
        length--;
    if (length >= size)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return true;
}

bool berth_subnet_parse(const char *text, berth_subnet *ret_subnet)
{
    char copy[BERTH_SUBNET_TEXT_SIZE + 16]; /* a mask is longer than a prefix */
    if (text == NULL || !copy_trimmed(text, copy, sizeof copy))
        return false;
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    berth_address address;
    unsigned prefix;
    if (strchr(copy, ':') != NULL) {
        if (!berth_address_parse(copy, &address))
            return false;
        prefix = width(address.family);
    } else {
        uint32_t number;
        unsigned parts = read_parts(copy, &number);
        if (parts == 0)
            return false;
        address = berth_address_ipv4(number);
        prefix = 8 * parts;
    }
    if (slash != NULL && !read_prefix(slash + 1, address.family, &prefix))
        return false;
    clear_behind(&address, prefix);
    *ret_subnet = (berth_subnet){.address = address, .prefix = (uint8_t)prefix};
    return true;
}

/* ---- writing and asking ---------------------------------------------------------------------- */

char *berth_subnet_format(berth_subnet subnet, char *text, size_t size)
{
    char address[BERTH_ADDRESS_TEXT_SIZE];
    if (size == 0)
        return text;
    berth_address_format(subnet.address, address, sizeof address);
    /* The wildcard of both families lies in no subnet; its text would be read as everybody. */
    if (width(subnet.address.family) == 0)
        text[0] = '\0';
    else
        snprintf(text, size, "%s/%u", address, (unsigned)subnet.prefix);
    return text;
}

bool berth_subnet_contains(berth_subnet subnet, berth_address address)
{
    uint32_t number;
    if (subnet.address.family == BERTH_ADDRESS_FAMILY_IPV4 &&
        address.family == BERTH_ADDRESS_FAMILY_IPV6 &&
        !berth_address_equal(address, BERTH_ADDRESS_ANY_IPV6) &&
        berth_address_to_ipv4(address, &number))
        address = berth_address_ipv4(number);
    if (address.family != subnet.address.family || subnet.prefix > width(address.family) ||
        width(address.family) == 0)
        return false;
    clear_behind(&address, subnet.prefix);
    clear_behind(&subnet.address, subnet.prefix);
    return berth_address_equal(address, subnet.address);
}
