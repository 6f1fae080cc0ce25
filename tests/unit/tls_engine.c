/*
 * The engine of OpenSSL, two of them against each other without sockets: handshakes of both
 * versions, whole and cut at every byte, data both ways, ends, and peers that do not keep to the
 * protocol.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "authority.h"
#include "pair.h"

static struct identity authority;
static struct identity ecdsa;
static struct identity rsa;

static berth_tls *make(berth_tls_side side, const berth_tls_options *options)
{
    char text[BERTH_TLS_TEXT_SIZE] = "";
    berth_tls *tls = berth_tls_new(side, options, text);
    ck_assert_msg(tls != NULL, "%s", text);
    return tls;
}

static berth_tls *make_server(const struct identity *identity, berth_tls_version highest)
{
    berth_tls_options options = {
        .certificate = identity->certificate, .key = identity->key, .highest = highest};
    return make(BERTH_TLS_SERVER, &options);
}

static berth_tls *make_client(berth_tls_version highest)
{
    berth_tls_options options = {.authorities = authority.certificate, .highest = highest};
    return make(BERTH_TLS_CLIENT, &options);
}

static const berth__engine_setup example = {.name = "example.org"};

/* An open pair, of ECDSA. */
static berth_tls *server_tls;
static berth_tls *client_tls;
static struct pair pair;

static void begin(berth_tls_version highest)
{
    server_tls = make_server(&ecdsa, highest);
    client_tls = make_client(highest);
    ck_assert(pair_begin(&pair, client_tls, &example, server_tls, NULL));
}

static void open_pair(berth_tls_version highest)
{
    begin(highest);
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert_msg(!pair.client.failed, "%s", end_text(&pair.client));
    ck_assert_msg(!pair.server.failed, "%s", end_text(&pair.server));
    ck_assert_uint_eq(pair.client.opened, 1);
    ck_assert_uint_eq(pair.server.opened, 1);
}

static void finish(void)
{
    pair_end(&pair);
    berth_tls_release(server_tls);
    berth_tls_release(client_tls);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* ---- handshakes ------------------------------------------------------------------------------ */

static void ask(const struct end *end, berth_tls_version version, bool resumed)
{
    const berth__engine_operations *ask = end->operations;
    ck_assert_int_eq(ask->version(end->engine), version);
    ck_assert_str_ne(ask->cipher(end->engine), "");
    ck_assert_str_eq(ask->protocol(end->engine), "");
    ck_assert_str_eq(ask->server_name(end->engine), "example.org");
    ck_assert(ask->resumed(end->engine) == resumed);
    ck_assert(!ask->has_plain(end->engine));
}

static void check_open(struct pair *open, berth_tls_version version, bool resumed)
{
    ck_assert_msg(!open->client.failed, "%s", end_text(&open->client));
    ck_assert_msg(!open->server.failed, "%s", end_text(&open->server));
    ck_assert_uint_eq(open->client.opened, 1);
    ck_assert_uint_eq(open->server.opened, 1);
    ask(&open->client, version, resumed);
    ask(&open->server, version, resumed);
    const berth__engine_operations *ask = open->client.operations;
    size_t size;
    ck_assert(ask->peer_verified(open->client.engine));
    ck_assert(!ask->peer_verified(open->server.engine));
    ck_assert_ptr_nonnull(ask->peer_certificate(open->client.engine, &size));
    ck_assert_uint_gt(size, 100);
    ck_assert_ptr_null(ask->peer_certificate(open->server.engine, &size));
    ck_assert_uint_eq(size, 0);
}

/* A session of it; the caller frees it. */
static uint8_t *session_of(const struct end *end, size_t *ret_size)
{
    *ret_size = end->operations->session(end->engine, NULL, 0);
    ck_assert_uint_gt(*ret_size, 0);
    uint8_t *session = malloc(*ret_size);
    ck_assert_ptr_nonnull(session);
    ck_assert_uint_eq(end->operations->session(end->engine, session, *ret_size - 1), *ret_size);
    ck_assert_uint_eq(end->operations->session(end->engine, session, *ret_size), *ret_size);
    return session;
}

static void full_and_resumed(const struct identity *identity, berth_tls_version version)
{
    server_tls = make_server(identity, version);
    client_tls = make_client(version);
    uint8_t *session = NULL;
    size_t size = 0;
    for (int round = 0; round < 3; round++) {
        berth__engine_setup setup = example;
        setup.session = session;
        setup.session_size = size;
        ck_assert(pair_begin(&pair, client_tls, &setup, server_tls, NULL));
        ck_assert_int_eq(pair.client.operations->version(pair.client.engine),
                         BERTH_TLS_VERSION_NONE);
        ck_assert_str_eq(pair.client.operations->cipher(pair.client.engine), "");
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        check_open(&pair, version, round > 0);
        free(session);
        session = session_of(&pair.client, &size);
        ck_assert_uint_eq(pair.server.operations->session(pair.server.engine, NULL, 0), 0);
        pair_end(&pair);
    }
    free(session);
    finish();
}

START_TEST(full_and_resumed_handshakes)
{
    full_and_resumed(&ecdsa, BERTH_TLS_VERSION_1_2);
    full_and_resumed(&ecdsa, BERTH_TLS_VERSION_1_3);
    full_and_resumed(&rsa, BERTH_TLS_VERSION_1_2);
    full_and_resumed(&rsa, BERTH_TLS_VERSION_1_3);
}
END_TEST

/* The client reads the server's tickets, and writes at once; all in pieces of each size. */
static void in_pieces(berth_tls_version version, const struct identity *identity)
{
    server_tls = make_server(identity, version);
    client_tls = make_client(version);
    for (size_t piece = 1; piece < 40; piece++) {
        ck_assert(pair_begin(&pair, client_tls, &example, server_tls, NULL));
        pair_run(&pair, piece, piece == 1 ? 1 : piece * 3);
        check_open(&pair, version, false);
        ck_assert(end_send(&pair.client, "from the client", 15));
        ck_assert(end_send(&pair.server, "from the server", 15));
        pair_run(&pair, piece, piece);
        ck_assert(end_got(&pair.server, "from the client", 15));
        ck_assert(end_got(&pair.client, "from the server", 15));
        pair_end(&pair);
    }
    finish();
}

START_TEST(handshakes_in_pieces)
{
    in_pieces(BERTH_TLS_VERSION_1_2, &ecdsa);
    in_pieces(BERTH_TLS_VERSION_1_3, &ecdsa);
    in_pieces(BERTH_TLS_VERSION_1_3, &rsa);
}
END_TEST

/* Hands a flight over in two parts, cut there. */
static void pass_cut(struct end *from, struct end *to, size_t cut)
{
    (void)pair_pass(from, to, cut);
    if (to->opened == 0 && cut < from->wire.size)
        ck_assert(!to->failed);
    while (pair_pass(from, to, SIZE_MAX) > 0)
        ;
}

/* Each flight is cut at each of its bytes: the first, then the second, then the third. */
static void cut_flights(berth_tls_version version)
{
    server_tls = make_server(&ecdsa, version);
    client_tls = make_client(version);
    for (int flight = 0; flight < 4; flight++) {
        size_t size = 1;
        for (size_t cut = 1; cut <= size; cut++) {
            ck_assert(pair_begin(&pair, client_tls, &example, server_tls, NULL));
            for (int i = 0; i < 4; i++) {
                struct end *from = i % 2 == 0 ? &pair.client : &pair.server;
                struct end *to = i % 2 == 0 ? &pair.server : &pair.client;
                if (i == flight)
                    size = from->wire.size;
                pass_cut(from, to, i == flight ? cut : SIZE_MAX);
            }
            pair_run(&pair, SIZE_MAX, SIZE_MAX);
            check_open(&pair, version, false);
            pair_end(&pair);
        }
    }
    finish();
}

START_TEST(every_flight_cut_at_every_byte)
{
    cut_flights(_i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3);
}
END_TEST

/* ---- data ------------------------------------------------------------------------------------ */

enum {
    BULK = 300000
};

static uint8_t bulk[BULK];

static void fill_bulk(void)
{
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = (uint8_t)(i * 31 + i / 251);
}

START_TEST(bulk_both_ways)
{
    static const size_t rooms[] = {0, 1, 7, 1000, 16383};
    fill_bulk();
    open_pair(_i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        size_t size = rooms[i] == 1 ? 40000 : BULK;
        pair.client.room = pair.server.room = rooms[i];
        ck_assert(end_send(&pair.client, bulk, size));
        ck_assert(end_send(&pair.server, bulk, size));
        pair_run(&pair, 5000 + 7 * i, SIZE_MAX);
        ck_assert(end_got(&pair.client, bulk, size));
        ck_assert(end_got(&pair.server, bulk, size));
        pair.client.operations->relax(pair.client.engine);
        pair.server.operations->relax(pair.server.engine);
    }
    finish();
}
END_TEST

START_TEST(a_record_takes_22_bytes_more)
{
    open_pair(BERTH_TLS_VERSION_1_3);
    ck_assert(end_send(&pair.server, bulk, 64));
    ck_assert_uint_eq(pair.server.wire.size, 64 + 22);
    ck_assert(end_send(&pair.client, bulk, 16384));
    ck_assert_uint_eq(pair.client.wire.size, 16384 + 22);
    finish();
}
END_TEST

/* Has one record for a room of `room`: what does not fit comes without input. */
START_TEST(what_has_no_room_stays_inside)
{
    open_pair(BERTH_TLS_VERSION_1_3);
    const berth__engine_operations *server = pair.server.operations;
    ck_assert(end_send(&pair.client, "0123456789", 10));
    uint8_t plain[4];
    berth__engine_io io = {.input = pair.client.wire.data,
                           .input_size = pair.client.wire.size,
                           .plain = plain,
                           .room = sizeof plain};
    static const char *const parts[] = {"0123", "4567", "89"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(server->advance(pair.server.engine, &io), BERTH__ENGINE_PLAIN);
        ck_assert_uint_eq(io.plain_size, strlen(parts[i]));
        ck_assert_mem_eq(plain, parts[i], io.plain_size);
        ck_assert_uint_eq(io.input_size, 0);
        ck_assert(server->has_plain(pair.server.engine) == (i < 2));
        server->relax(pair.server.engine); /* may not lose any of it */
    }
    ck_assert_int_eq(server->advance(pair.server.engine, &io), BERTH__ENGINE_MORE);
    finish();
}
END_TEST

/* Called in the place of OpenSSL's, which is called by it. */
static unsigned freed_buffers;

int SSL_free_buffers(SSL *ssl)
{
    int (*real)(SSL *) = NULL;
    void *found = dlsym(RTLD_NEXT, "SSL_free_buffers");
    memcpy(&real, &found, sizeof real);
    freed_buffers++;
    return real(ssl);
}

START_TEST(memory_is_given_up_between_records)
{
    open_pair(_i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3);
    const berth__engine_operations *server = pair.server.operations;
    ck_assert(end_send(&pair.client, "0123456789", 10));
    size_t size = pair.client.wire.size;
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    for (size_t first = 0; first < size; first++) {
        for (size_t second = 0; first + second < size; second += first < 6 ? 1 : size) {
            ck_assert(end_send(&pair.client, "0123456789", 10));
            freed_buffers = 0;
            (void)pair_pass(&pair.client, &pair.server, first);
            (void)pair_pass(&pair.client, &pair.server, second);
            server->relax(pair.server.engine);
            ck_assert_uint_eq(freed_buffers, first + second == 0);
            pair_run(&pair, SIZE_MAX, SIZE_MAX);
            server->relax(pair.server.engine);
            ck_assert_uint_eq(freed_buffers, first + second == 0 ? 2 : 1);
        }
    }
    finish();
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------------ */

START_TEST(each_side_ends_by_itself)
{
    open_pair(_i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3);
    ck_assert(end_send(&pair.client, "last", 4));
    end_close(&pair.client);
    size_t size = pair.client.wire.size;
    end_close(&pair.client);
    ck_assert_uint_eq(pair.client.wire.size, size); /* once */
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(pair.server.ended);
    ck_assert(!pair.client.ended);
    ck_assert(end_got(&pair.server, "last", 4));

    /* The other direction goes on. */
    ck_assert(end_send(&pair.server, "answer", 6));
    end_close(&pair.server);
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(pair.client.ended);
    ck_assert(end_got(&pair.client, "answer", 6));
    ck_assert(!pair.client.failed && !pair.server.failed);
    finish();
}
END_TEST

START_TEST(what_is_behind_the_end_is_not_looked_at)
{
    open_pair(BERTH_TLS_VERSION_1_3);
    end_close(&pair.client);
    uint8_t data[200] = {0};
    size_t size = pair.client.wire.size;
    ck_assert_uint_lt(size, 100);
    memcpy(data, pair.client.wire.data, size);
    memset(data + size, 'x', 100);
    ck_assert_uint_eq(end_feed(&pair.server, data, size + 100), size);
    ck_assert(pair.server.ended);
    ck_assert_uint_eq(end_feed(&pair.server, data, size), 0); /* twice */
    ck_assert(pair.server.ended && !pair.server.failed);
    finish();
}
END_TEST

START_TEST(an_end_while_shaking)
{
    begin(BERTH_TLS_VERSION_1_3);
    size_t size = pair.client.wire.size;
    end_close(&pair.client);
    end_close(&pair.server);
    ck_assert_uint_eq(pair.client.wire.size, size);
    ck_assert_uint_eq(pair.server.wire.size, 0);

    /* A plain alert close_notify instead of a hello. */
    ck_assert_uint_eq(end_feed(&pair.server, "\x15\x03\x03\x00\x02\x01\x00", 7), 7);
    ck_assert(pair.server.failed);
    ck_assert_str_eq(end_text(&pair.server), "the peer ended the connection during the handshake");
    ck_assert_uint_eq(end_feed(&pair.client, "\x15\x03\x03\x00\x02\x01\x00", 7), 7);
    ck_assert(pair.client.failed);
    ck_assert_str_eq(end_text(&pair.client), "the peer ended the connection during the handshake");
    finish();
}
END_TEST

/* Some peers close as soon as the handshake is done, before the tickets have come. */
START_TEST(tickets_come_behind_the_end)
{
    begin(BERTH_TLS_VERSION_1_3);
    pair_pass(&pair.client, &pair.server, SIZE_MAX);
    pair_pass(&pair.server, &pair.client, SIZE_MAX);
    ck_assert_uint_eq(pair.client.opened, 1);
    end_close(&pair.client);
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(pair.server.ended && !pair.client.failed);
    ck_assert_uint_eq(pair.server.opened, 1);
    finish();
}
END_TEST

/* ---- bad peers ------------------------------------------------------------------------------- */

START_TEST(a_changed_record)
{
    open_pair(_i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3);
    ck_assert(end_send(&pair.client, "first", 5));
    size_t first = pair.client.wire.size;
    ck_assert(end_send(&pair.client, "second", 6));
    pair.client.wire.data[first + 9] ^= 1;
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(end_got(&pair.server, "first", 5));
    ck_assert(pair.server.failed);
    ck_assert_str_eq(end_text(&pair.server), "a record of the peer is damaged");
    ck_assert_int_eq(pair.server.operations->failure(pair.server.engine)->class,
                     BERTH_ERROR_NETWORK);
    /* It has said so. */
    ck_assert(pair.client.failed);
    ck_assert_str_eq(end_text(&pair.client), "the peer sent the alert bad_record_mac");
    ck_assert(!end_send(&pair.server, "more", 4));
    finish();
}
END_TEST

static const struct {
    const char *sent;
    size_t size;
    const char *text;
} strangers[] = {
    {"GET / HTTP/1.0\r\n\r\n", 18, "the peer speaks plain HTTP"},
    {"POST / HTTP/1.1\r\n", 17, "the peer speaks plain HTTP"},
    {"CONNECT example.org:443 HTTP/1.1\r\n", 34, "the peer speaks plain HTTP"},
    {"PRI * HTTP/2.0\r\n", 16, "the peer speaks plain HTTP"},
    {"DELETE /x HTTP/1.1\r\n", 20, "the peer speaks plain HTTP"},
    {"HTTP/1.1 400 Bad Request\r\n", 26, "the peer speaks plain HTTP"},
    {"SSH-2.0-OpenSSH_9.2\r\n", 21, "the peer speaks SSH"},
    {"220 mail.example.org ESMTP\r\n", 28, "the peer does not speak TLS"},
    {"EHLO example.org\r\n", 18, "the peer does not speak TLS"},
    {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, "the peer does not speak TLS"},
    {"\x15\x03\x01\x00\x02\x02\x28", 7, "the peer sent the alert handshake_failure"},
    {"\x15\x03\x01\x00\x02\x02\x46", 7, "the peer sent the alert protocol_version"},
    {"\x15\x03\x01\x00\x02\x02\x30", 7, "the peer sent the alert unknown_ca"},
    {"\x15\x03\x01\x00\x02\x02\xc8", 7, "the peer sent the alert number 200"},
};

/* Whole and byte by byte, to a server and to a client. */
START_TEST(peers_that_do_not_speak_tls)
{
    for (int side = 0; side < 2; side++) {
        for (size_t cut = 1; cut < 40; cut += 38) {
            begin(BERTH_TLS_VERSION_1_3);
            struct end *end = side == 0 ? &pair.server : &pair.client;
            for (size_t i = 0; i < strangers[_i].size && !end->failed; i += cut) {
                size_t rest = strangers[_i].size - i;
                (void)end_feed(end, strangers[_i].sent + i, rest < cut ? rest : cut);
            }
            ck_assert(end->failed);
            ck_assert_str_eq(end_text(end), strangers[_i].text);
            ck_assert_int_eq(end->operations->failure(end->engine)->class,
                             BERTH_ERROR_TLS_HANDSHAKE_FAILED);
            finish();
        }
    }
}
END_TEST

/* What OpenSSL alone has to say to a client that offers an old version only. */
static SSL *old_client(SSL_CTX **ret_openssl, int version)
{
    SSL_CTX *openssl = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(openssl, 0);
    ck_assert_int_eq(SSL_CTX_set_min_proto_version(openssl, version), 1);
    ck_assert_int_eq(SSL_CTX_set_max_proto_version(openssl, version), 1);
    ck_assert_int_eq(SSL_CTX_set_cipher_list(openssl, "ALL:@SECLEVEL=0"), 1);
    SSL *ssl = SSL_new(openssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    *ret_openssl = openssl;
    return ssl;
}

START_TEST(a_client_of_an_old_version)
{
    static const char *const texts[] = {
        "no version in common (the peer offers up to TLS 1.1)",
        "no version in common (the peer offers up to TLS 1.0)",
    };
    SSL_CTX *openssl;
    SSL *ssl = old_client(&openssl, _i == 0 ? TLS1_1_VERSION : TLS1_VERSION);
    begin(BERTH_TLS_VERSION_1_3);
    (void)SSL_do_handshake(ssl);
    char *data;
    long size = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
    ck_assert_int_gt(size, 0);
    (void)end_feed(&pair.server, data, (size_t)size);
    ERR_clear_error();
    ck_assert(pair.server.failed);
    ck_assert_str_eq(end_text(&pair.server), texts[_i]);
    ck_assert_uint_gt(pair.server.wire.size, 0); /* an alert */
    SSL_free(ssl);
    SSL_CTX_free(openssl);
    finish();
}
END_TEST

START_TEST(no_version_in_common)
{
    berth_tls_options options = {
        .certificate = ecdsa.certificate, .key = ecdsa.key, .lowest = BERTH_TLS_VERSION_1_3};
    server_tls = make(BERTH_TLS_SERVER, &options);
    client_tls = make_client(BERTH_TLS_VERSION_1_2);
    ck_assert(pair_begin(&pair, client_tls, &example, server_tls, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert_str_eq(end_text(&pair.server),
                     "no version in common (the peer offers up to TLS 1.2)");
    ck_assert_str_eq(end_text(&pair.client), "the peer sent the alert protocol_version");
    finish();
}
END_TEST

/* What the peer's OpenSSL may send that a program's never would: found by the object inside. */
struct inside {
    SSL *ssl; /* the first member of the engine */
};

static SSL *inside(const struct end *end)
{
    return ((struct inside *)end->engine)->ssl;
}

START_TEST(key_updates)
{
    open_pair(BERTH_TLS_VERSION_1_3);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(SSL_key_update(inside(&pair.client), SSL_KEY_UPDATE_REQUESTED), 1);
        ck_assert(end_send(&pair.client, "x", 1)); /* the update goes before it */
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        ck_assert(end_got(&pair.server, "x", 1));
        ck_assert(end_send(&pair.server, "y", 1));
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        ck_assert(end_got(&pair.client, "y", 1));
    }
    finish();
}
END_TEST

/* Has the client's OpenSSL write into memory of its own from here on. */
static BIO *write_aside(void)
{
    BIO *aside = BIO_new(BIO_s_mem());
    ck_assert_ptr_nonnull(aside);
    SSL_set0_wbio(inside(&pair.client), aside);
    return aside;
}

/* Gives what is there to the server. */
static void pass_aside(BIO *aside)
{
    char *data;
    long size = BIO_get_mem_data(aside, &data);
    ck_assert_int_gt(size, 0);
    (void)end_feed(&pair.server, data, (size_t)size);
    ck_assert_int_eq(BIO_reset(aside), 1);
}

START_TEST(a_flood_of_key_updates)
{
    open_pair(BERTH_TLS_VERSION_1_3);
    BIO *aside = write_aside();
    int updates = 0;
    while (!pair.server.failed && updates < 1000) {
        int kind = _i == 0 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED;
        ck_assert_int_eq(SSL_key_update(inside(&pair.client), kind), 1);
        ck_assert_int_eq(SSL_do_handshake(inside(&pair.client)), 1);
        pass_aside(aside);
        updates++;
    }
    ck_assert(pair.server.failed);
    ck_assert_int_gt(updates, 30);
    ck_assert_int_lt(updates, 100);
    ck_assert_str_eq(end_text(&pair.server), "too many records of the peer without content");
    ck_assert_int_eq(pair.server.operations->failure(pair.server.engine)->class,
                     BERTH_ERROR_NETWORK);
    finish();
}
END_TEST

/* Records that may come during a handshake and say nothing. */
static void flood(struct end *end, const char *record, size_t size)
{
    int records = 0;
    while (!end->failed && records < 1000) {
        (void)end_feed(end, record, size);
        records++;
    }
    ck_assert_int_lt(records, 100);
    ck_assert_uint_eq(end->opened, 0);
}

START_TEST(floods_while_shaking)
{
    begin(BERTH_TLS_VERSION_1_3);
    pair_pass(&pair.client, &pair.server, SIZE_MAX);
    flood(&pair.server, "\x14\x03\x03\x00\x01\x01", 6); /* change_cipher_spec */
    flood(&pair.client, "\x14\x03\x03\x00\x01\x01", 6);
    finish();
    begin(BERTH_TLS_VERSION_1_2);
    flood(&pair.client, "\x15\x03\x03\x00\x02\x01\x5a", 7); /* a warning: user_canceled */
    flood(&pair.server, "\x16\x03\x01\x00\x00", 5);         /* nothing */
    finish();
}
END_TEST

/* A hello in records of a byte each. */
START_TEST(a_message_in_many_records)
{
    begin(_i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3);
    enum {
        HEAD = 5
    };
    for (size_t i = HEAD; i < pair.client.wire.size; i++) {
        uint8_t record[HEAD + 1];
        memcpy(record, pair.client.wire.data, HEAD);
        record[3] = 0;
        record[4] = 1;
        record[HEAD] = pair.client.wire.data[i];
        ck_assert(!pair.server.failed);
        (void)end_feed(&pair.server, record, sizeof record);
    }
    pair.client.wire.size = 0;
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    check_open(&pair, _i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3, false);
    finish();
}
END_TEST

START_TEST(renegotiation_is_refused)
{
    open_pair(BERTH_TLS_VERSION_1_2);
    BIO *aside = write_aside();
    SSL *ssl = inside(&pair.client);
    (void)SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
    ck_assert_int_eq(SSL_renegotiate(ssl), 1);
    (void)SSL_do_handshake(ssl);
    ck_assert_uint_eq(pair.server.wire.size, 0);
    pass_aside(aside);
    ck_assert(!pair.server.failed);
    ck_assert_uint_gt(pair.server.wire.size, 0); /* an alert */
    ck_assert_uint_lt(pair.server.wire.size, 50);
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert_uint_eq(pair.server.opened, 1);
    finish();
}
END_TEST

/* ---- output that is not taken ---------------------------------------------------------------- */

START_TEST(output_is_not_taken)
{
    for (long taken = 0; taken < 3; taken++) {
        server_tls = make_server(&ecdsa, BERTH_TLS_VERSION_1_3);
        client_tls = make_client(BERTH_TLS_VERSION_1_3);
        ck_assert(pair_begin(&pair, client_tls, &example, server_tls, NULL));
        pair.server.emits_left = taken;
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        if (!pair.server.failed)
            ck_assert(!end_send(&pair.server, "x", 1));
        ck_assert(pair.server.failed);
        ck_assert_int_eq(pair.server.operations->failure(pair.server.engine)->class,
                         BERTH_ERROR_SOCKET_RESOURCE);
        ck_assert_str_eq(end_text(&pair.server), "out of memory");
        finish();
    }
}
END_TEST

/* ---- fork ------------------------------------------------------------------------------------ */

static atomic_bool in_call;
static atomic_bool forks;
static atomic_bool has_forked;

static bool comes(const atomic_bool *flag, int milliseconds)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < milliseconds && !atomic_load(flag); i++)
        (void)nanosleep(&pause, NULL);
    return atomic_load(flag);
}

/* Stays in the call of OpenSSL that it was called from while the other thread would fork if it did
 * not wait. */
static void stay(void)
{
    atomic_store(&in_call, true);
    (void)comes(&forks, 20000);
    (void)comes(&has_forked, 20);
    atomic_store(&in_call, false);
}

static bool emit_late(void *sink, const void *data, size_t size)
{
    (void)sink;
    (void)data;
    (void)size;
    stay();
    return true;
}

/* Whether fork waits until the other thread, which will be in a call, is in none. */
static bool fork_waits(void)
{
    int status = -1;
    if (!comes(&in_call, 20000))
        return false;
    atomic_store(&forks, true);
    pid_t child = fork();
    if (child == 0)
        _exit(atomic_load(&in_call) ? EXIT_FAILURE : EXIT_SUCCESS);
    atomic_store(&has_forked, true);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void *greet(void *engine)
{
    uint8_t plain[BERTH__ENGINE_RECORD];
    berth__engine_io io = {.plain = plain, .room = sizeof plain, .emit = emit_late};
    (void)client_tls->operations->advance(engine, &io);
    return NULL;
}

/* OpenSSL's locks that the thread holds would be held in the child for ever. */
START_TEST(fork_waits_for_calls_of_other_threads)
{
    client_tls = make_client(BERTH_TLS_VERSION_1_3);
    berth__engine *engine = client_tls->operations->begin(client_tls, &example);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, greet, engine), 0);
    ck_assert(fork_waits());
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    client_tls->operations->free(engine);
    berth_tls_release(client_tls);
}
END_TEST

static _Thread_local bool stays;

/* Called in the place of OpenSSL's, when the process ends too. */
void OPENSSL_thread_stop(void)
{
    void (*real)(void) = NULL;
    void *found = dlsym(RTLD_NEXT, "OPENSSL_thread_stop");
    memcpy(&real, &found, sizeof real);
    if (stays)
        stay();
    real();
}

static void *make_and_end(void *unused)
{
    berth_tls_release(make_client(BERTH_TLS_VERSION_1_3));
    stays = true;
    return unused;
}

/* OpenSSL frees what is the thread's, under a lock. */
START_TEST(fork_waits_for_the_end_of_other_threads)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, make_and_end, NULL), 0);
    ck_assert(fork_waits());
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* What the program is asked inside a call may take long, and is not waited for. */
static bool fork_inside(void *context, const berth_tls_problem *problem)
{
    int status = -1;
    (void)problem;
    pid_t child = fork();
    if (child == 0) {
        berth_tls *own = make_client(BERTH_TLS_VERSION_1_3);
        berth_tls_release(own);
        _exit(EXIT_SUCCESS);
    }
    *(bool *)context = waitpid(child, &status, 0) == child && status == 0;
    return true;
}

START_TEST(verify_forks)
{
    bool forked = false;
    berth__engine_setup setup = {
        .name = "other.example.org", .verify = fork_inside, .context = &forked};
    server_tls = make_server(&ecdsa, BERTH_TLS_VERSION_1_3);
    client_tls = make_client(BERTH_TLS_VERSION_1_3);
    ck_assert(pair_begin(&pair, client_tls, &setup, server_tls, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(forked);
    ck_assert_uint_eq(pair.client.opened, 1);
    pair_end(&pair);
    berth_tls_release(client_tls);
    berth_tls_release(server_tls);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, full_and_resumed_handshakes);
    tcase_add_test(tests, handshakes_in_pieces);
    tcase_add_loop_test(tests, every_flight_cut_at_every_byte, 0, 2);
    tcase_add_loop_test(tests, bulk_both_ways, 0, 2);
    tcase_add_test(tests, a_record_takes_22_bytes_more);
    tcase_add_test(tests, what_has_no_room_stays_inside);
    tcase_add_loop_test(tests, memory_is_given_up_between_records, 0, 2);
    tcase_add_loop_test(tests, each_side_ends_by_itself, 0, 2);
    tcase_add_test(tests, what_is_behind_the_end_is_not_looked_at);
    tcase_add_test(tests, an_end_while_shaking);
    tcase_add_test(tests, tickets_come_behind_the_end);
    tcase_add_loop_test(tests, a_changed_record, 0, 2);
    tcase_add_loop_test(tests, peers_that_do_not_speak_tls, 0,
                        (int)(sizeof strangers / sizeof strangers[0]));
    tcase_add_loop_test(tests, a_client_of_an_old_version, 0, 2);
    tcase_add_test(tests, no_version_in_common);
    tcase_add_test(tests, key_updates);
    tcase_add_loop_test(tests, a_flood_of_key_updates, 0, 2);
    tcase_add_test(tests, floods_while_shaking);
    tcase_add_loop_test(tests, a_message_in_many_records, 0, 2);
    tcase_add_test(tests, renegotiation_is_refused);
    tcase_add_test(tests, output_is_not_taken);
    tcase_add_test(tests, fork_waits_for_calls_of_other_threads);
    tcase_add_test(tests, fork_waits_for_the_end_of_other_threads);
    tcase_add_test(tests, verify_forks);
}

int main(void)
{
    identity_authority(&authority);
    identity_for(&ecdsa, "example.org", &authority);
    identity_make(&rsa, &(struct identity_wish){.kind = IDENTITY_RSA, .name = "example.org"},
                  &authority);
    Suite *suite = suite_create("tls_engine");
    TCase *tests = tcase_create("tls_engine");
    add_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
