/*
 * Reading a ClientHello: see client_hello.h.
 *
 * Two passes. While bytes come, only records and the length of the message are looked at, so that a
 * peer that sends byte by byte costs no more than one that sends all at once, and the state is
 * small. When all is there, the fragments are moved together in place, and a cursor goes through
 * the message; each vector of it is a cursor of its own, which must end where its length says.
 */
#include "client_hello.h"

#include <string.h>

#include "refusal.h"

/* Of the protocol, by RFC 8446. */
#define TLS_HANDSHAKE_RECORD 22u
#define TLS_MAJOR_VERSION 3u
#define TLS_CLIENT_HELLO 1u
#define TLS_MOST_FRAGMENT 16384u
#define TLS_MESSAGE_HEAD 4u

#define TLS_EXTENSION_NAME 0u
#define TLS_EXTENSION_PROTOCOLS 16u

#define TLS_MOST_SESSION 32u
#define TLS_RANDOM_SIZE 32u

/* ---- records --------------------------------------------------------------------------------- */

void berth__client_hello_begin(berth__client_hello *hello)
{
    *hello = (berth__client_hello){.step = BERTH__HANDSHAKE_RECEIVE};
}

static void refuse(berth__client_hello *hello, int refusal)
{
    hello->step = BERTH__HANDSHAKE_REFUSED;
    hello->refusal = (uint16_t)refusal;
}

/* Whether bytes are the beginning of a request: 1; not: -1; or may become one: 0. */
static int is_http(const uint8_t *data, size_t size)
{
    static const char methods[][5] = {"GET ", "HEAD", "POST", "PUT ", "DELE",
                                      "CONN", "OPTI", "TRAC", "PATC", "PRI "};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        size_t compared = size < 4 ? size : 4;
        if (memcmp(data, methods[i], compared) == 0)
            return size >= 4 ? 1 : 0;
    }
    return -1;
}

/* The head of the first record has so many bytes. */
static void look_at_first(berth__client_hello *hello)
{
    const uint8_t *head = hello->head;
    bool is_other_record = head[0] >= 20 && head[0] <= 23 && head[0] != TLS_HANDSHAKE_RECORD;
    if (head[0] == TLS_HANDSHAKE_RECORD || is_other_record) {
        if (hello->filled == 2 && head[1] != TLS_MAJOR_VERSION)
            refuse(hello, BERTH__REFUSAL_HELLO_NOT_TLS);
        else if (hello->filled == 2 && is_other_record)
            refuse(hello, BERTH__REFUSAL_HELLO_MALFORMED);
        return;
    }
    int http = is_http(head, hello->filled);
    if (http != 0)
        refuse(hello, http > 0 ? BERTH__REFUSAL_HELLO_HTTP : BERTH__REFUSAL_HELLO_NOT_TLS);
}

static void take_head(berth__client_hello *hello, uint8_t byte)
{
    hello->head[hello->filled++] = byte;
    hello->used++;
    if (!hello->begun)
        look_at_first(hello);
    if (hello->filled < sizeof hello->head || hello->step != BERTH__HANDSHAKE_RECEIVE)
        return;
    unsigned size = (unsigned)hello->head[3] << 8 | hello->head[4];
    if (hello->head[0] != TLS_HANDSHAKE_RECORD || hello->head[1] != TLS_MAJOR_VERSION ||
        size == 0 || size > TLS_MOST_FRAGMENT) {
        refuse(hello, BERTH__REFUSAL_HELLO_MALFORMED);
        return;
    }
    hello->begun = true;
    hello->filled = 0;
    hello->record = (uint16_t)size;
}

/* A byte of the type and length that the message begins with. */
static void take_message_head(berth__client_hello *hello, uint8_t byte)
{
    if (hello->message == 0 && byte != TLS_CLIENT_HELLO)
        refuse(hello, BERTH__REFUSAL_HELLO_MALFORMED);
    if (hello->message > 0)
        hello->expected = hello->expected << 8 | byte;
    hello->message++;
    if (hello->message < TLS_MESSAGE_HEAD)
        return;
    hello->expected += TLS_MESSAGE_HEAD;
    if (hello->expected > BERTH__CLIENT_HELLO_SIZE - sizeof hello->head)
        refuse(hello, BERTH__REFUSAL_HELLO_SIZE);
}

/* Returns how many bytes were used. */
static size_t take_fragment(berth__client_hello *hello, const uint8_t *data, size_t size)
{
    size_t count = 1;
    if (hello->message < TLS_MESSAGE_HEAD) {
        take_message_head(hello, data[0]);
    } else {
        size_t rest = hello->expected - hello->message;
        count = size < rest ? size : rest;
        count = count < hello->record ? count : hello->record;
        size_t most = BERTH__CLIENT_HELLO_SIZE - hello->used;
        count = count < most ? count : most;
        hello->message = (uint16_t)(hello->message + count);
    }
    hello->record = (uint16_t)(hello->record - count);
    hello->used = (uint16_t)(hello->used + count);
    if (hello->step == BERTH__HANDSHAKE_RECEIVE && hello->message >= TLS_MESSAGE_HEAD &&
        hello->message == hello->expected)
        hello->step = BERTH__HANDSHAKE_DONE;
    return count;
}

size_t berth__client_hello_input(berth__client_hello *hello, const uint8_t *data, size_t size)
{
    size_t used = 0;
    while (used < size && hello->step == BERTH__HANDSHAKE_RECEIVE) {
        if (hello->used == BERTH__CLIENT_HELLO_SIZE)
            refuse(hello, BERTH__REFUSAL_HELLO_SIZE);
        else if (hello->record == 0)
            take_head(hello, data[used++]);
        else
            used += take_fragment(hello, data + used, size - used);
    }
    return used;
}

/* ---- the message ----------------------------------------------------------------------------- */

typedef struct cursor {
    uint8_t *at;
    size_t left;
    bool wrong; /* more was taken than there was */
} cursor;

static uint8_t *take(cursor *from, size_t size)
{
    if (size > from->left) {
        from->wrong = true;
        size = from->left;
    }
    uint8_t *taken = from->at;
    from->at += size;
    from->left -= size;
    return taken;
}

static unsigned take_number(cursor *from, size_t bytes)
{
    unsigned number = 0;
    if (bytes > from->left) {
        (void)take(from, bytes);
        return 0;
    }
    for (const uint8_t *byte = take(from, bytes); bytes > 0; bytes--)
        number = number << 8 | *byte++;
    return number;
}

/* A vector whose length has so many bytes. */
static cursor take_vector(cursor *from, size_t bytes)
{
    size_t size = take_number(from, bytes);
    cursor vector = {.left = size};
    vector.at = take(from, size);
    vector.wrong = from->wrong;
    if (vector.wrong)
        vector.left = 0;
    return vector;
}

static bool is_whole(const cursor *read)
{
    return !read->wrong && read->left == 0;
}

static int read_name(cursor extension, berth__client_hello_values *values)
{
    cursor list = take_vector(&extension, 2);
    unsigned type = take_number(&list, 1);
    cursor name = take_vector(&list, 2);
    if (!is_whole(&extension) || !is_whole(&list) || type != 0)
        return BERTH__REFUSAL_HELLO_MALFORMED;
    const char *text = (const char *)name.at;
    if (berth__server_name_is_address(text, name.left))
        return 0;
    return berth__server_name_read(text, name.left, values->name) ? 0 : BERTH__REFUSAL_HELLO_NAME;
}

/* Each becomes a text where it lies: moved by one, onto its length, it has room for a zero. */
static int read_protocols(cursor extension, berth__client_hello_values *values)
{
    size_t count = 0;
    cursor list = take_vector(&extension, 2);
    if (!is_whole(&extension) || list.wrong || list.left == 0)
        return BERTH__REFUSAL_HELLO_MALFORMED;
    while (list.left > 0) {
        char *text = (char *)list.at;
        cursor protocol = take_vector(&list, 1);
        if (list.wrong || protocol.left == 0)
            return BERTH__REFUSAL_HELLO_MALFORMED;
        if (count == BERTH__MOST_PROTOCOLS || memchr(protocol.at, '\0', protocol.left) != NULL)
            continue;
        memmove(text, protocol.at, protocol.left);
        text[protocol.left] = '\0';
        values->protocols[count++] = text;
    }
    values->protocols[count] = NULL;
    return 0;
}

static int read_extensions(cursor *extensions, berth__client_hello_values *values)
{
    bool has_name = false;
    bool has_protocols = false;
    int refusal = 0;
    while (refusal == 0 && extensions->left > 0) {
        unsigned type = take_number(extensions, 2);
        cursor extension = take_vector(extensions, 2);
        bool *has = type == TLS_EXTENSION_NAME        ? &has_name
                    : type == TLS_EXTENSION_PROTOCOLS ? &has_protocols
                                                      : NULL;
        if (extensions->wrong || (has != NULL && *has))
            return BERTH__REFUSAL_HELLO_MALFORMED;
        if (has == NULL)
            continue;
        *has = true;
        refusal =
            has == &has_name ? read_name(extension, values) : read_protocols(extension, values);
    }
    return refusal;
}

/* Moves the fragments together; returns the message. */
static cursor join(uint8_t *input, size_t size)
{
    cursor records = {.at = input, .left = size};
    size_t joined = 0;
    while (records.left > 0) {
        (void)take(&records, 3);
        size_t length = take_number(&records, 2);
        length = length < records.left ? length : records.left;
        memmove(input + joined, take(&records, length), length);
        joined += length;
    }
    return (cursor){.at = input, .left = joined};
}

int berth__client_hello_read(uint8_t *input, size_t size, berth__client_hello_values *ret_values)
{
    cursor message = join(input, size);
    ret_values->name[0] = '\0';
    ret_values->protocols[0] = NULL;
    (void)take(&message, TLS_MESSAGE_HEAD);
    (void)take(&message, 2 + TLS_RANDOM_SIZE);
    cursor session = take_vector(&message, 1);
    cursor suites = take_vector(&message, 2);
    cursor compressions = take_vector(&message, 1);
    if (message.wrong || session.left > TLS_MOST_SESSION || suites.left == 0 ||
        suites.left % 2 != 0 || compressions.left == 0)
        return BERTH__REFUSAL_HELLO_MALFORMED;
    if (message.left == 0)
        return 0; /* as old clients have it */
    cursor extensions = take_vector(&message, 2);
    if (!is_whole(&message))
        return BERTH__REFUSAL_HELLO_MALFORMED;
    return read_extensions(&extensions, ret_values);
}
