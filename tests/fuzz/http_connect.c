/*
 * Answers of an HTTP proxy of any shape. The first byte chooses the request, the second how the
 * input is cut; the rest is what the proxy says. However it is cut, the handshake must come to the
 * same end and use as many bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/http_connect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(berth__http_connect *http, uint8_t choice, size_t cut, const uint8_t *data,
                size_t size, size_t *ret_used)
{
    berth__http_request request = {
        .name = choice & 1 ? "host.example" : NULL,
        .address = choice & 2 ? BERTH_ADDRESS_LOOPBACK_IPV6 : BERTH_ADDRESS_LOOPBACK,
        .port = 443,
        .user = choice & 4 ? "user" : NULL,
        .password = choice & 8 ? "password" : NULL,
    };
    uint8_t output[BERTH__HTTP_OUTPUT_SIZE];
    size_t used = 0;
    berth__http_connect_begin(http, &request);
    while (used < size) {
        berth__http_connect_again(http);
        if (berth__http_connect_output(http, output) > sizeof output)
            abort();
        size_t part = size - used < cut ? size - used : cut;
        /* A copy of its own size, so that reading behind it is seen. */
        uint8_t *copy = malloc(part);
        if (copy == NULL)
            abort();
        memcpy(copy, data + used, part);
        size_t taken = berth__http_connect_input(http, copy, part);
        free(copy);
        if (taken > part)
            abort();
        used += taken;
        if (http->step == BERTH__HANDSHAKE_DONE || http->step == BERTH__HANDSHAKE_REFUSED)
            break;
    }
    *ret_used = used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static berth__http_connect whole;
    static berth__http_connect pieces;
    size_t used[2];
    run(&whole, data[0], SIZE_MAX, data + 2, size - 2, &used[0]);
    run(&pieces, data[0], data[1] % 7u + 1, data + 2, size - 2, &used[1]);
    if (used[0] != used[1] || whole.step != pieces.step || whole.refusal != pieces.refusal)
        abort();
    return 0;
}
