/*
 * The wire format of the Fortune examples: any bytes give valid UTF-8, any text gives a block that
 * a receiver can read, and what has once been through stays as it is.
 *
 * The input is taken as a text, and as the bytes of a block.
 */
#include "check.h"

#include "../../examples/fortune_wire.c"

#include <string.h>

/* Sends a text; the caller frees what a receiver makes of it. NULL if it is too long to be sent. */
static char *send_over(const char *text, size_t length, size_t *ret_length)
{
    size_t size = 0;
    uint8_t *block = fortune_block_new(text, length, &size);
    if (block == NULL)
        return NULL;
    uint32_t count = 0;
    CHECK(size >= FORTUNE_HEADER);
    CHECK(fortune_header_read(block, &count));
    CHECK(count == size - FORTUNE_HEADER);
    char *received = fortune_text_new(block + FORTUNE_HEADER, count, ret_length);
    CHECK(received != NULL);
    CHECK(received[*ret_length] == '\0');
    free(block);
    return received;
}

/* What was received once is valid, so that it must come out of another journey unchanged. */
static void check_stable(const char *text, size_t length)
{
    size_t again_length = 0;
    char *again = send_over(text, length, &again_length);
    if (again == NULL)
        return;
    CHECK(again_length == length);
    CHECK(memcmp(again, text, length) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t length = 0;
    char *text = send_over((const char *)data, size, &length);
    if (text != NULL)
        check_stable(text, length);
    free(text);

    text = fortune_text_new(data, size, &length);
    CHECK(text != NULL);
    check_stable(text, length);
    free(text);

    uint32_t count = 0;
    if (size >= FORTUNE_HEADER && fortune_header_read(data, &count))
        CHECK(count <= FORTUNE_MOST && count % 2 == 0);
    return 0;
}
