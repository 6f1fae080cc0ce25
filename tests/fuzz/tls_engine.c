/*
 * The engine of OpenSSL. The first byte says what is done:
 *
 * - Below 128 an engine gets the rest as what its peer sends, once whole and once in pieces. It
 *   must come to the same end, use no more than there is, and never be open: nobody finishes a
 *   handshake by chance.
 * - From 128 on two engines talk, and the rest is read by three bytes each: pass bytes on, change
 *   some, lose some, send, end. What arrives must be the beginning of what was sent; if nothing was
 *   changed or lost, nothing fails, and all of it arrives.
 *
 * Keys and random numbers differ from run to run, and with them what is on the wire behind a hello;
 * what is checked does not depend on them.
 */
#include "check.h"

#include <openssl/err.h>
#include <string.h>

#include "authority.h"
#include "pair.h"

enum {
    CLIENT = 1, /* bits of the first byte */
    OLD = 2,    /* TLS 1.2 */
    MUTUAL = 4,
    PAIR = 128,
    MOST_STEPS = 200
};

static struct identity authority;
static struct identity identity;

/* One of each kind, made when it is first wanted and kept. */
static berth_tls *configuration(bool server, bool old, bool mutual)
{
    static berth_tls *made[8];
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    berth_tls **place = &made[(server ? 1 : 0) | (old ? 2 : 0) | (mutual ? 4 : 0)];
    if (*place != NULL)
        return *place;
    if (identity.key[0] == '\0') {
        identity_authority(&authority);
        identity_for(&identity, "example.org", &authority);
    }
    berth_tls_options options = {
        .authorities = authority.certificate,
        .highest = old ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3,
        .protocols = protocols,
    };
    if (server || mutual) {
        options.certificate = identity.certificate;
        options.key = identity.key;
    }
    if (server && mutual)
        options.verify = BERTH_TLS_VERIFY_REQUIRED;
    *place = berth_tls_new(server ? BERTH_TLS_SERVER : BERTH_TLS_CLIENT, &options, NULL);
    CHECK(*place != NULL);
    return *place;
}

static void check_failure(const struct end *end)
{
    if (!end->failed)
        return;
    const berth__engine_failure *failure = end->operations->failure(end->engine);
    CHECK(failure->text[0] != '\0');
    CHECK(failure->class != BERTH_ERROR_NONE);
    CHECK(failure->class != BERTH_ERROR_SOCKET_RESOURCE);
}

/* ---- any bytes ------------------------------------------------------------------------------- */

static void feed_any(struct end *end, uint8_t choice, size_t piece, const uint8_t *data,
                     size_t size)
{
    berth_tls *tls = configuration((choice & CLIENT) == 0, choice & OLD, choice & MUTUAL);
    CHECK(end_begin(end, tls, &(berth__engine_setup){.name = "example.org"}));
    if (choice & CLIENT)
        (void)end_feed(end, NULL, 0);
    for (size_t at = 0; at < size && !end->failed && !end->ended; at += piece)
        (void)end_feed(end, data + at, size - at < piece ? size - at : piece);
    CHECK(end->opened == 0 && end->plain.size == 0 && !end->ended);
    check_failure(end);
}

static void any_bytes(uint8_t choice, const uint8_t *data, size_t size)
{
    static struct end whole;
    static struct end pieces;
    if (size < 1)
        return;
    feed_any(&whole, choice, size, data + 1, size - 1);
    feed_any(&pieces, choice, data[0] % 61u + 1, data + 1, size - 1);
    CHECK(whole.failed == pieces.failed);
    CHECK(whole.passed == pieces.passed);
    if (whole.failed)
        CHECK(strcmp(end_text(&whole), end_text(&pieces)) == 0);
    end_free(&whole);
    end_free(&pieces);
}

/* ---- two that talk --------------------------------------------------------------------------- */

static struct pair pair;
static bool spoilt;    /* something was changed or lost */
static size_t sent[2]; /* by the client, by the server */
static bool closed[2];

static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 7 + place / 256);
}

static void send(int side, size_t size)
{
    struct end *end = side == 0 ? &pair.client : &pair.server;
    static uint8_t data[40000];
    if (end->opened == 0 || end->failed || closed[side])
        return;
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(sent[side] + i);
    CHECK(end_send(end, data, size));
    sent[side] += size;
}

static void step(const uint8_t *bytes)
{
    int side = bytes[0] & 1;
    struct end *from = side == 0 ? &pair.client : &pair.server;
    struct end *to = side == 0 ? &pair.server : &pair.client;
    size_t number = (size_t)bytes[1] << 8 | bytes[2];
    switch (bytes[0] >> 1 & 7) {
    case 0:
    case 1:
    case 2:
        (void)pair_pass(from, to, number);
        break;
    case 3:
        (void)pair_pass(from, to, SIZE_MAX);
        break;
    case 4:
        send(side, number % 40000);
        break;
    case 5:
        if (from->opened != 0 && !from->failed)
            end_close(from);
        closed[side] = true;
        break;
    case 6:
        if (number < from->wire.size) {
            from->wire.data[number] ^= (uint8_t)(1u << (bytes[1] & 7));
            spoilt = true;
        }
        break;
    default:
        if (from->wire.size > 0) {
            from->wire.size -= number % from->wire.size + 1;
            spoilt = true;
        }
        break;
    }
    from->room = number % 3 == 0 ? 0 : number;
    from->operations->relax(from->engine);
}

static void check_plain(const struct end *end, size_t all)
{
    CHECK(end->plain.size <= all);
    for (size_t i = 0; i < end->plain.size; i++)
        CHECK(end->plain.data[i] == byte_at(i));
}

static void two(uint8_t choice, const uint8_t *data, size_t size)
{
    spoilt = closed[0] = closed[1] = false;
    sent[0] = sent[1] = 0;
    CHECK(pair_begin(&pair, configuration(false, choice & OLD, choice & MUTUAL),
                     &(berth__engine_setup){.name = "example.org"},
                     configuration(true, choice & OLD, choice & MUTUAL), NULL));
    if (choice & CLIENT) /* most of what there is lies behind the handshake */
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
    for (size_t i = 0; i + 3 <= size && i < 3 * MOST_STEPS; i += 3)
        step(data + i);
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    check_plain(&pair.server, sent[0]);
    check_plain(&pair.client, sent[1]);
    check_failure(&pair.client);
    check_failure(&pair.server);
    if (!spoilt) {
        CHECK(!pair.client.failed && !pair.server.failed);
        CHECK(pair.server.plain.size == sent[0]);
        CHECK(pair.client.plain.size == sent[1]);
    }
    pair_end(&pair);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] & PAIR)
        two(data[0], data + 1, size - 1);
    else
        any_bytes(data[0], data + 1, size - 1);
    CHECK(ERR_peek_error() == 0);
    return 0;
}
