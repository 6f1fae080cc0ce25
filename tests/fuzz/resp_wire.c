/*
 * Commands of RESP2 of any shape. The first byte says how the input is cut; given piece by piece,
 * each command, its arguments and the error behind the last one have to be the same as given whole.
 */
#include "check.h"

#include "../../examples/resp_wire.c"

typedef struct outcome {
    size_t commands;
    size_t used;
    size_t arguments;
    uint64_t sum; /* of where arguments lie and how long they are */
    bool wrong;
} outcome;

static void note(outcome *made, const resp_parser *parser, const char *data, size_t size)
{
    made->commands++;
    for (size_t number = 0; number < parser->count; number++) {
        resp_text text = resp_argument(parser, data, number);
        int64_t ignored = 0;
        CHECK(text.data >= data && text.size <= size - (size_t)(text.data - data));
        made->arguments++;
        made->sum = made->sum * 31 + (size_t)(text.data - data) * 7 + text.size;
        if (resp_integer(text, &ignored)) {
            char again[24];
            int length = snprintf(again, sizeof again, "%lld", (long long)ignored);
            CHECK((size_t)length == text.size && memcmp(again, text.data, text.size) == 0);
        }
    }
}

static outcome run(const char *data, size_t size, size_t step)
{
    outcome made = {0};
    resp_parser parser = {0};
    size_t there = 0;
    resp_result result = RESP_MORE;
    while (result != RESP_WRONG && (there < size || result == RESP_COMMAND)) {
        if (result == RESP_MORE)
            there = size - there < step ? size : there + step;
        /* A copy of its own size, at another place each time. */
        size_t part = there - made.used;
        char *copy = malloc(part + 1);
        CHECK(copy != NULL);
        memcpy(copy, data + made.used, part);
        result = resp_parse(&parser, copy, part);
        CHECK(result == RESP_MORE || result == RESP_COMMAND || result == RESP_WRONG);
        CHECK(parser.at <= part);
        CHECK((result == RESP_WRONG) == (parser.wrong != NULL));
        if (result == RESP_COMMAND) {
            CHECK(parser.at > 0);
            note(&made, &parser, copy, part);
            made.used += parser.at;
            resp_next(&parser);
        }
        free(copy);
    }
    made.wrong = result == RESP_WRONG;
    resp_clear(&parser);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    outcome whole = run((const char *)data + 1, size - 1, SIZE_MAX);
    outcome pieces = run((const char *)data + 1, size - 1, data[0] % 7u + 1);
    CHECK(whole.commands == pieces.commands && whole.used == pieces.used);
    CHECK(whole.arguments == pieces.arguments && whole.sum == pieces.sum);
    CHECK(whole.wrong == pieces.wrong);
    return 0;
}
