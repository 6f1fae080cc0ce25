/*
 * ClientHellos of any shape. The first byte says how the input is cut; the rest is the input.
 * However it is cut, the same must come out; what is read is a name of the form that is promised,
 * and protocols that lie in the input.
 */
#include <string.h>

#include "check.h"
#include "handshake/client_hello.h"
#include "handshake/refusal.h"

static size_t run(berth__client_hello *hello, size_t cut, const uint8_t *data, size_t size)
{
    size_t used = 0;
    berth__client_hello_begin(hello);
    while (used < size && hello->step == BERTH__HANDSHAKE_RECEIVE) {
        size_t part = size - used < cut ? size - used : cut;
        /* A copy of its own size, so that reading behind it is seen. */
        uint8_t *copy = malloc(part);
        CHECK(copy != NULL);
        memcpy(copy, data + used, part);
        size_t taken = berth__client_hello_input(hello, copy, part);
        free(copy);
        CHECK(taken <= part);
        CHECK(taken > 0 || hello->step == BERTH__HANDSHAKE_REFUSED);
        used += taken;
    }
    return used;
}

static void look_at(const berth__client_hello_values *values, const uint8_t *input, size_t size)
{
    char name[BERTH__SERVER_NAME_SIZE];
    size_t length = strlen(values->name);
    CHECK(length == 0 ||
          (berth__server_name_read(values->name, length, name) && strcmp(name, values->name) == 0));
    const char *begin = (const char *)input;
    size_t count = 0;
    for (; values->protocols[count] != NULL; count++) {
        const char *protocol = values->protocols[count];
        CHECK(protocol >= begin && protocol < begin + size);
        length = strlen(protocol);
        CHECK(length > 0 && length <= 255 && protocol + length < begin + size);
    }
    CHECK(count <= BERTH__MOST_PROTOCOLS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    berth__client_hello whole;
    berth__client_hello pieces;
    size_t used = run(&whole, SIZE_MAX, data + 1, size - 1);
    size_t used_in_pieces = run(&pieces, data[0] % 7u + 1, data + 1, size - 1);
    CHECK(whole.step == pieces.step && whole.refusal == pieces.refusal && used == used_in_pieces);
    CHECK(used <= BERTH__CLIENT_HELLO_SIZE);
    if (whole.step != BERTH__HANDSHAKE_DONE)
        return 0;
    static berth__client_hello_values values;
    uint8_t *input = malloc(used);
    CHECK(input != NULL);
    memcpy(input, data + 1, used);
    int refusal = berth__client_hello_read(input, used, &values);
    CHECK(refusal == 0 || berth__is_refusal(refusal));
    if (refusal == 0)
        look_at(&values, input, used);
    free(input);
    return 0;
}
