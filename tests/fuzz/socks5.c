/*
 * SOCKS5 replies of any shape. The first byte chooses the request, the second how the input is cut;
 * the rest is what the proxy says. The handshake must not use more than it announced with `wanted`,
 * and must come to the same end however the input is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(berth__socks5 *socks5, uint8_t choice, size_t cut, const uint8_t *data, size_t size,
                size_t *ret_used)
{
    berth__socks5_request request = {
        .command = choice & 1 ? BERTH__SOCKS5_BIND : BERTH__SOCKS5_CONNECT,
        .name = choice & 2 ? "host.example" : NULL,
        .address = choice & 4 ? BERTH_ADDRESS_LOOPBACK_IPV6 : BERTH_ADDRESS_LOOPBACK,
        .port = 1080,
        .user = choice & 8 ? "user" : NULL,
        .password = choice & 16 ? "password" : NULL,
    };
    uint8_t output[BERTH__SOCKS5_OUTPUT_SIZE];
    size_t used = 0;
    berth__socks5_begin(socks5, &request);
    while (socks5->step == BERTH__HANDSHAKE_SEND || used < size) {
        if (berth__socks5_output(socks5, output) > sizeof output)
            abort();
        size_t part = size - used < cut ? size - used : cut;
        /* A copy of its own size, so that reading behind it is seen. */
        uint8_t *copy = malloc(part > 0 ? part : 1);
        if (copy == NULL)
            abort();
        memcpy(copy, data + used, part);
        size_t wanted = berth__socks5_wanted(socks5);
        size_t taken = berth__socks5_input(socks5, copy, part);
        free(copy);
        if (taken > part || (wanted > 0 && part > 0 && taken == 0))
            abort();
        used += taken;
        if (taken == 0 && socks5->step != BERTH__HANDSHAKE_SEND)
            break;
        if (part == 0)
            break;
    }
    *ret_used = used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static berth__socks5 whole;
    static berth__socks5 pieces;
    size_t used[2];
    run(&whole, data[0], SIZE_MAX, data + 2, size - 2, &used[0]);
    run(&pieces, data[0], data[1] % 7u + 1, data + 2, size - 2, &used[1]);
    if (whole.step != pieces.step || whole.refusal != pieces.refusal)
        abort();
    if (whole.step == BERTH__HANDSHAKE_DONE &&
        (used[0] != used[1] || whole.replied_port != pieces.replied_port))
        abort();
    return 0;
}
