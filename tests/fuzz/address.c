/*
 * Addresses from text: what is taken can be written and read again, as the same address.
 *
 * The input is the text. Formatting also has to hold with every size of memory, and with values
 * that no parser makes: the input's first bytes taken as an address.
 */
#include "check.h"

#include <berth/address.h>

#include <string.h>

static void check_format(berth_address address)
{
    char whole[BERTH_ENDPOINT_TEXT_SIZE];
    char cut[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(address, 65535, whole, sizeof whole);
    CHECK(memchr(whole, '\0', sizeof whole) != NULL);
    CHECK(berth_address_format(address, whole, BERTH_ADDRESS_TEXT_SIZE) == whole);
    size_t length = strlen(whole);
    for (size_t size = 1; size <= length + 1; size++) {
        memset(cut, 'x', sizeof cut);
        berth_address_format(address, cut, size);
        CHECK(memchr(cut, '\0', size) != NULL);
        CHECK(size == sizeof cut || cut[size] == 'x');
    }
}

/* An address is of one kind, or of none, but for the two kinds that are global too. */
static void check_kinds(berth_address address)
{
    bool global = berth_address_is_global(address);
    CHECK(berth_address_is_loopback(address) + berth_address_is_multicast(address) +
              berth_address_is_broadcast(address) + berth_address_is_link_local(address) + global <=
          1);
    CHECK(!berth_address_is_site_local(address) || global);
    CHECK(!berth_address_is_unique_local(address) || global);
}

static void check_equality(berth_address one, berth_address other)
{
    for (unsigned tolerated = 0; tolerated < 16; tolerated++) {
        CHECK(berth_address_equal_as(one, one, tolerated));
        CHECK(berth_address_equal_as(one, other, tolerated) ==
              berth_address_equal_as(other, one, tolerated));
        CHECK(!berth_address_equal(one, other) || berth_address_equal_as(one, other, tolerated));
    }
}

static void check_parsed(const char *text)
{
    berth_address address;
    if (!berth_address_parse(text, &address))
        return;
    check_format(address);
    check_kinds(address);
    check_equality(address, BERTH_ADDRESS_LOOPBACK);
    char written[BERTH_ADDRESS_TEXT_SIZE];
    char again[BERTH_ADDRESS_TEXT_SIZE];
    berth_address_format(address, written, sizeof written);
    berth_address reread;
    CHECK(berth_address_parse(written, &reread));
    CHECK(berth_address_equal(address, reread));
    CHECK(strcmp(address.scope, reread.scope) == 0);
    CHECK(strcmp(written, berth_address_format(reread, again, sizeof again)) == 0);

    uint32_t number = 0;
    bool is_ipv4 = berth_address_to_ipv4(address, &number);
    if (address.family == BERTH_ADDRESS_FAMILY_IPV4) {
        CHECK(is_ipv4);
        CHECK(berth_address_equal(address, berth_address_ipv4(number)));
        CHECK(berth_address_is_loopback(address) == (number >> 24 == 127));
        check_equality(address, berth_address_ipv4(number ^ 1));
    }
    CHECK(!berth_address_is_null(address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    size_t length = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, length);
    text[length] = '\0';
    check_parsed(text);

    berth_address raw = {.family = BERTH_ADDRESS_FAMILY_NULL};
    if (size < 17)
        return 0;
    raw.family = data[0] % 4;
    memcpy(raw.bytes, data + 1, sizeof raw.bytes);
    length = size - 17 < sizeof raw.scope - 1 ? size - 17 : sizeof raw.scope - 1;
    memcpy(raw.scope, data + 17, length);
    check_format(raw);
    check_kinds(raw);
    check_equality(raw, BERTH_ADDRESS_ANY);
    return 0;
}
