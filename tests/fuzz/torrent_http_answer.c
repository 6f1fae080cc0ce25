/*
 * Answers to HTTP requests, as the Torrent example's tracker client takes them. However the input
 * is cut, the outcome is the same; the body is within its bound, and so are the headers.
 *
 * The first byte chooses the pieces in which the input comes, and how long the body may be.
 */
#include "check.h"

#include "../../examples/torrent/http_answer.c"

static void take(http_answer *self, const uint8_t *data, size_t size, size_t piece, size_t most)
{
    http_answer_open(self, most);
    for (size_t at = 0; at < size; at += piece)
        http_answer_take(self, data + at, size - at < piece ? size - at : piece);
    CHECK(self->size <= most);
    CHECK(self->line_size < HTTP_MOST_LINE);
    CHECK(self->state == HTTP_BROKEN ||
          self->headers <= MOST_HEADERS + MOST_LINES_OF_CHUNK * self->size);
    http_answer_end(self);
    CHECK(self->state == HTTP_DONE || self->state == HTTP_BROKEN);
    CHECK((self->state == HTTP_BROKEN) == (self->why != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static http_answer whole;
    static http_answer pieces;
    if (size == 0)
        return 0;
    size_t most = data[0] % 2 ? 16 : 4096;
    take(&whole, data + 1, size - 1, size, most);
    take(&pieces, data + 1, size - 1, data[0] / 2u % 16 + 1, most);
    CHECK(whole.state == pieces.state && whole.status == pieces.status);
    CHECK((whole.location == NULL) == (pieces.location == NULL));
    if (whole.location)
        CHECK(strcmp(whole.location, pieces.location) == 0);
    if (whole.state == HTTP_DONE) {
        CHECK(whole.size == pieces.size);
        CHECK(whole.size == 0 || memcmp(whole.body, pieces.body, whole.size) == 0);
        CHECK(whole.size == 0 || whole.status == 200);
    }
    http_answer_close(&whole);
    http_answer_close(&pieces);
    return 0;
}
