/*
 * Subnets from text: what is taken can be written and read again, contains its own address, and no
 * other subnet value breaks formatting or the question what lies inside.
 *
 * The input is the text of a subnet, up to its first newline, and of an address behind that.
 */
#include "check.h"

#include <berth/address.h>
#include <berth/subnet.h>

#include <string.h>

static void check_format(berth_subnet subnet)
{
    char whole[BERTH_SUBNET_TEXT_SIZE];
    char cut[BERTH_SUBNET_TEXT_SIZE + 1];
    CHECK(berth_subnet_format(subnet, whole, sizeof whole) == whole);
    CHECK(memchr(whole, '\0', sizeof whole) != NULL);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        memset(cut, 'x', sizeof cut);
        berth_subnet_format(subnet, cut, size);
        CHECK(memchr(cut, '\0', size) != NULL);
        CHECK(cut[size] == 'x');
    }
}

static void check_parsed(berth_subnet subnet, berth_address address)
{
    char written[BERTH_SUBNET_TEXT_SIZE];
    berth_subnet reread;
    check_format(subnet);
    CHECK(berth_subnet_contains(subnet, subnet.address));
    CHECK(berth_subnet_parse(berth_subnet_format(subnet, written, sizeof written), &reread));
    CHECK(berth_address_equal(subnet.address, reread.address));
    CHECK(subnet.prefix == reread.prefix);
    CHECK(berth_subnet_contains(subnet, address) == berth_subnet_contains(reread, address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    size_t length = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, length);
    text[length] = '\0';
    char *second = strchr(text, '\n');
    if (second != NULL)
        *second++ = '\0';
    berth_address address = {.family = BERTH_ADDRESS_FAMILY_NULL};
    berth_subnet subnet;
    if (!berth_address_parse(second, &address))
        address.family = BERTH_ADDRESS_FAMILY_NULL;
    if (berth_subnet_parse(text, &subnet))
        check_parsed(subnet, address);
    return 0;
}
