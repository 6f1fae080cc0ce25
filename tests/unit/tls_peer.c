/*
 * What an engine thinks of its peer: certificates that are right and wrong, of servers and of
 * clients, names, what the program ignores; protocols of the application; and tickets by the keys
 * that seal them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "authority.h"
#include "handshake/client_hello.h"
#include "pair.h"

static struct identity authority;
static struct identity other_authority;
static struct identity good;
static struct identity client_identity;

static struct pair pair;
static berth_tls *server_tls;
static berth_tls *client_tls;

static berth_tls *make(berth_tls_side side, const berth_tls_options *options)
{
    char text[BERTH_TLS_TEXT_SIZE] = "";
    berth_tls *tls = berth_tls_new(side, options, text);
    ck_assert_msg(tls != NULL, "%s", text);
    return tls;
}

static void run(const berth_tls_options *server, const berth_tls_options *client,
                const berth__engine_setup *server_setup, const berth__engine_setup *client_setup)
{
    server_tls = make(BERTH_TLS_SERVER, server);
    client_tls = make(BERTH_TLS_CLIENT, client);
    ck_assert(pair_begin(&pair, client_tls, client_setup, server_tls, server_setup));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
}

static void finish(void)
{
    pair_end(&pair);
    berth_tls_release(server_tls);
    berth_tls_release(client_tls);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

static berth_tls_options options_of(const struct identity *identity)
{
    return (berth_tls_options){.certificate = identity->certificate, .key = identity->key};
}

/* ---- certificates of servers ----------------------------------------------------------------- */

/* A handshake with a server that has it, by a client that wants that name. */
static void meet(const struct identity *identity, const char *name)
{
    berth_tls_options server = options_of(identity);
    berth_tls_options client = {.authorities = authority.certificate};
    run(&server, &client, NULL, &(berth__engine_setup){.name = name});
}

static void refuses(const struct identity *identity, const char *name, const char *text,
                    const char *alert)
{
    char heard[100];
    snprintf(heard, sizeof heard, "the peer sent the alert %s", alert);
    meet(identity, name);
    ck_assert(pair.client.failed && pair.server.failed);
    ck_assert_str_eq(end_text(&pair.client), text);
    ck_assert_str_eq(end_text(&pair.server), heard);
    ck_assert_int_eq(pair.client.operations->failure(pair.client.engine)->class,
                     BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    finish();
}

START_TEST(names_that_fit)
{
    static const char *const names[] = {"example.org", "EXAMPLE.org", "example.org.", "127.0.0.1",
                                        NULL};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        meet(&good, names[i]);
        ck_assert_msg(!pair.client.failed, "%s: %s", names[i], end_text(&pair.client));
        ck_assert(pair.client.operations->peer_verified(pair.client.engine));
        const char *seen = pair.server.operations->server_name(pair.server.engine);
        ck_assert_str_eq(seen, i < 3 ? "example.org" : "");
        finish();
    }
}
END_TEST

START_TEST(wildcards)
{
    struct identity wild;
    identity_for(&wild, "*.example.org", &authority);
    meet(&wild, "www.example.org");
    ck_assert(!pair.client.failed);
    finish();
    refuses(&wild, "a.b.example.org", "the peer's certificate is not for the name a.b.example.org",
            "bad_certificate");
    identity_for(&wild, "w*.example.org", &authority);
    refuses(&wild, "www.example.org", "the peer's certificate is not for the name www.example.org",
            "bad_certificate");
}
END_TEST

START_TEST(names_that_do_not_fit)
{
    refuses(&good, "example.com", "the peer's certificate is not for the name example.com",
            "bad_certificate");
    refuses(&good, "sub.example.org", "the peer's certificate is not for the name sub.example.org",
            "bad_certificate");
    refuses(&good, "127.0.0.2", "the peer's certificate is not for the address 127.0.0.2",
            "bad_certificate");
    refuses(&good, "::1", "the peer's certificate is not for the address ::1", "bad_certificate");
}
END_TEST

START_TEST(dates)
{
    struct identity identity;
    char text[160];
    struct identity_wish wish = {.name = "example.org", .from_days = -30, .until_days = -10};
    identity_make(&identity, &wish, &authority);
    snprintf(text, sizeof text, "the peer's certificate expired on %s", identity_day(-10));
    refuses(&identity, "example.org", text, "certificate_expired");

    wish.from_days = 10;
    wish.until_days = 30;
    identity_make(&identity, &wish, &authority);
    snprintf(text, sizeof text, "the peer's certificate is not valid before %s", identity_day(10));
    refuses(&identity, "example.org", text, "bad_certificate");
}
END_TEST

START_TEST(authorities)
{
    struct identity identity;
    identity_for(&identity, "example.org", &other_authority);
    refuses(&identity, "example.org", "the authority of the peer's certificate is unknown",
            "unknown_ca");
    identity_for(&identity, "example.org", NULL);
    refuses(&identity, "example.org", "the peer's certificate is signed by itself", "unknown_ca");
    /* One that may sign nothing. */
    struct identity nobody;
    identity_for(&nobody, "nobody", &authority);
    identity_for(&identity, "example.org", &nobody);
    strcat(identity.certificate, nobody.certificate);
    meet(&identity, "example.org");
    ck_assert(pair.client.failed);
    ck_assert_ptr_nonnull(strstr(end_text(&pair.client), "is not accepted: invalid CA"));
    finish();
}
END_TEST

START_TEST(chains)
{
    struct identity middle;
    struct identity identity;
    identity_make(&middle, &(struct identity_wish){.name = "middle", .authority = true},
                  &authority);
    identity_for(&identity, "example.org", &middle);
    refuses(&identity, "example.org", "the authority of the peer's certificate is unknown",
            "unknown_ca");
    strcat(identity.certificate, middle.certificate);
    meet(&identity, "example.org");
    ck_assert_msg(!pair.client.failed, "%s", end_text(&pair.client));
    finish();
}
END_TEST

/* The hello of a client that asks for any bytes. Returns its size. */
static size_t hello_for(const char *name, uint8_t *bytes, size_t size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    BIO *input = BIO_new(BIO_s_mem());
    BIO *output = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, input, output);
    SSL_set_connect_state(ssl);
    ck_assert_int_eq(SSL_set_tlsext_host_name(ssl, name), 1);
    (void)SSL_do_handshake(ssl);
    int got = BIO_read(output, bytes, (int)size);
    ck_assert_int_gt(got, 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    return (size_t)got;
}

/* The name that the core reads in it; "" where it refuses it. */
static void read_as_the_core(const uint8_t *bytes, size_t size, char name[BERTH__SERVER_NAME_SIZE])
{
    static uint8_t copy[4096];
    berth__client_hello hello;
    berth__client_hello_values values;
    berth__client_hello_begin(&hello);
    ck_assert_uint_eq(berth__client_hello_input(&hello, bytes, size), size);
    ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_DONE);
    memcpy(copy, bytes, size);
    int refusal = berth__client_hello_read(copy, size, &values);
    strcpy(name, refusal == 0 ? values.name : "");
}

START_TEST(names_are_read_as_the_core_reads_them)
{
    static char longest[256];
    static const struct {
        const char *asked;
        const char *name;
    } names[] = {
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"under_score.x-y", "under_score.x-y"},
        {"1.example", "1.example"},
        {"example.org..", ""},
        {"a..b", ""},
        {".a", ""},
        {".", ""},
        {"a b", ""},
        {"a*b", ""},
        {"x:y", ""},
        {"b\303\274cher.example", ""},
        {"192.0.2.1", ""},
        {"192.0.2.1.", ""},
        {"2001:db8::1", ""},
        {longest, ""},
        {longest + 1, ""},
        {longest + 2, longest + 2},
    };
    memset(longest, 'a', sizeof longest - 1);
    berth_tls_options options = options_of(&good);
    berth_tls *tls = make(BERTH_TLS_SERVER, &options);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t bytes[4096];
        char expected[BERTH__SERVER_NAME_SIZE];
        struct end server;
        size_t size = hello_for(names[i].asked, bytes, sizeof bytes);
        read_as_the_core(bytes, size, expected);
        ck_assert_str_eq(expected, names[i].name);
        ck_assert(end_begin(&server, tls, NULL));
        (void)end_feed(&server, bytes, size);
        ck_assert_str_eq(server.operations->server_name(server.engine), expected);
        end_free(&server);
    }
    berth_tls_release(tls);
}
END_TEST

START_TEST(names_that_cannot_be_asked_for)
{
    char name[300];
    memset(name, 'a', sizeof name);
    for (size_t size = 0; size < 300; size += 254) {
        name[size] = '\0';
        meet(&good, name);
        name[size] = 'a';
        ck_assert(pair.client.failed);
        ck_assert_uint_eq(pair.client.wire.size, 0);
        ck_assert_int_eq(pair.client.operations->failure(pair.client.engine)->class,
                         BERTH_ERROR_TLS_INVALID_USER_DATA);
        finish();
    }
}
END_TEST

/* ---- what the program says ------------------------------------------------------------------- */

static int problems;
static int last_problem;
static bool answer;

static bool hear(void *context, const berth_tls_problem *problem)
{
    ck_assert_ptr_eq(context, &problems);
    ck_assert_ptr_nonnull(problem->certificate);
    ck_assert_uint_gt(problem->size, 100);
    ck_assert_str_ne(problem->text, "");
    last_problem = problem->number;
    problems++;
    ERR_put_error(ERR_LIB_USER, 0, 1, "", 0); /* what a program leaves */
    return answer;
}

/* With a verify handler, and maybe a session. */
static void meet_heard(const struct identity *identity, const uint8_t *session, size_t size)
{
    berth_tls_options server = options_of(identity);
    berth_tls_options client = {.authorities = authority.certificate};
    berth__engine_setup setup = {.name = "example.com",
                                 .verify = hear,
                                 .context = &problems,
                                 .session = session,
                                 .session_size = size};
    problems = 0;
    run(&server, &client, NULL, &setup);
}

START_TEST(problems_are_put_to_the_program)
{
    struct identity identity;
    identity_for(&identity, "example.org", NULL);
    answer = false;
    meet_heard(&identity, NULL, 0);
    ck_assert(pair.client.failed);
    ck_assert_int_eq(problems, 1);
    finish();

    answer = true;
    meet_heard(&identity, NULL, 0);
    ck_assert(!pair.client.failed);
    ck_assert_int_eq(problems, 2); /* of the name and of the authority */
    ck_assert(!pair.client.operations->peer_verified(pair.client.engine));
    ck_assert_uint_eq(pair.client.opened, 1);
    finish();

    identity_make(
        &identity,
        &(struct identity_wish){.name = "example.com", .from_days = -30, .until_days = -10},
        &authority);
    meet_heard(&identity, NULL, 0);
    ck_assert_int_eq(problems, 1);
    ck_assert_int_eq(last_problem, X509_V_ERR_CERT_HAS_EXPIRED);
    ck_assert_uint_eq(pair.client.opened, 1);
    ck_assert(!pair.client.operations->peer_verified(pair.client.engine));
    finish();

    meet_heard(&good, NULL, 0);
    ck_assert_int_eq(problems, 1);
    ck_assert_int_eq(last_problem, X509_V_ERR_HOSTNAME_MISMATCH);
    finish();
}
END_TEST

/* A connection of client_tls, which wants the wrong name. */
static void meet_again(const uint8_t *session, size_t size, bool ignores)
{
    berth__engine_setup setup = {.name = "example.com",
                                 .verify = hear,
                                 .context = &problems,
                                 .session = session,
                                 .session_size = size};
    answer = ignores;
    problems = 0;
    ck_assert(pair_begin(&pair, client_tls, &setup, server_tls, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(pair.client.failed == !ignores);
    ck_assert_msg(problems == 1, "%d: %s", problems, end_text(&pair.client));
    ck_assert_int_eq(last_problem, X509_V_ERR_HOSTNAME_MISMATCH);
    ck_assert(!pair.client.operations->peer_verified(pair.client.engine));
}

static uint8_t kept[8192];

static size_t keep_session(void)
{
    size_t size = pair.client.operations->session(pair.client.engine, kept, sizeof kept);
    ck_assert_uint_gt(size, 0);
    return size;
}

/* A session of a client that verifies nothing is none for one that does. */
START_TEST(sessions_that_were_not_verified)
{
    berth_tls_options server = options_of(&good);
    server.highest = _i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3;
    berth_tls_options client = {.verify = BERTH_TLS_VERIFY_NONE};
    run(&server, &client, NULL, &(berth__engine_setup){.name = "example.com"});
    ck_assert_uint_eq(pair.client.opened, 1);
    ck_assert(!pair.client.operations->peer_verified(pair.client.engine));
    size_t size = keep_session();
    pair_end(&pair);
    berth_tls_release(client_tls);

    client = (berth_tls_options){.authorities = authority.certificate};
    client_tls = make(BERTH_TLS_CLIENT, &client);
    meet_again(kept, size, false);
    pair_end(&pair);
    meet_again(kept, size, true);
    ck_assert(!pair.client.operations->resumed(pair.client.engine));
    finish();
}
END_TEST

/* Nor does one whose problems were ignored pass for good when it comes back. */
START_TEST(sessions_whose_problems_were_ignored)
{
    berth_tls_options server = options_of(&good);
    server.highest = _i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3;
    server_tls = make(BERTH_TLS_SERVER, &server);
    berth_tls_options client = {.authorities = authority.certificate};
    client_tls = make(BERTH_TLS_CLIENT, &client);
    meet_again(NULL, 0, true);
    size_t size = keep_session();
    pair_end(&pair);
    meet_again(kept, size, true);
    ck_assert(pair.client.operations->resumed(pair.client.engine));
    pair_end(&pair);
    meet_again(kept, size, false);
    ck_assert_str_eq(end_text(&pair.client),
                     "the peer's certificate is not for the name example.com");
    pair_end(&pair);

    /* Of another name it is not offered. */
    berth__engine_setup setup = {.name = "example.org", .session = kept, .session_size = size};
    ck_assert(pair_begin(&pair, client_tls, &setup, server_tls, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(!pair.client.failed);
    ck_assert(!pair.client.operations->resumed(pair.client.engine));
    ck_assert(pair.client.operations->peer_verified(pair.client.engine));
    finish();
}
END_TEST

START_TEST(sessions_that_are_none)
{
    static uint8_t session[2000];
    for (size_t size = 0; size < sizeof session; size += 333) {
        memset(session, (int)size, sizeof session);
        berth_tls_options server = options_of(&good);
        berth_tls_options client = {.authorities = authority.certificate};
        berth__engine_setup setup = {
            .name = "example.org", .session = session, .session_size = size};
        run(&server, &client, NULL, &setup);
        ck_assert_uint_eq(pair.client.opened, 1);
        ck_assert(!pair.client.operations->resumed(pair.client.engine));
        finish();
    }
}
END_TEST

/* ---- certificates of clients ----------------------------------------------------------------- */

static void meet_client(berth_tls_verify verify, const struct identity *identity,
                        berth_tls_version version)
{
    berth_tls_options server = options_of(&good);
    berth_tls_options client = {.authorities = authority.certificate, .highest = version};
    server.verify = verify;
    server.authorities = authority.certificate;
    if (identity != NULL) {
        client.certificate = identity->certificate;
        client.key = identity->key;
    }
    run(&server, &client, NULL, &(berth__engine_setup){.name = "example.org"});
}

static void client_certificates(berth_tls_version version)
{
    static const struct {
        berth_tls_verify verify;
        int identity; /* 0: none, 1: good, 2: of another authority */
        const char *text;
        bool verified;
    } cases[] = {
        {BERTH_TLS_VERIFY_NONE, 0, NULL, false},
        {BERTH_TLS_VERIFY_NONE, 1, NULL, false},
        {BERTH_TLS_VERIFY_OPTIONAL, 0, NULL, false},
        {BERTH_TLS_VERIFY_OPTIONAL, 1, NULL, true},
        {BERTH_TLS_VERIFY_OPTIONAL, 2, "the authority of the peer's certificate is unknown", false},
        {BERTH_TLS_VERIFY_REQUIRED, 0, "the peer has shown no certificate", false},
        {BERTH_TLS_VERIFY_REQUIRED, 1, NULL, true},
        {BERTH_TLS_VERIFY_REQUIRED, 2, "the authority of the peer's certificate is unknown", false},
    };
    struct identity stranger;
    identity_for(&stranger, "client", &other_authority);
    const struct identity *const identities[] = {NULL, &client_identity, &stranger};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        meet_client(cases[i].verify, identities[cases[i].identity], version);
        const berth__engine_operations *ask = pair.server.operations;
        size_t size = 0;
        if (cases[i].text != NULL) {
            ck_assert(pair.server.failed && pair.client.failed);
            ck_assert_str_eq(end_text(&pair.server), cases[i].text);
            /* In 1.3 the client learns it when it is open. */
            ck_assert_int_eq(ask->failure(pair.client.engine)->class,
                             BERTH_ERROR_TLS_HANDSHAKE_FAILED);
        } else {
            ck_assert_uint_eq(pair.server.opened, 1);
            ck_assert(ask->peer_verified(pair.server.engine) == cases[i].verified);
            ck_assert((ask->peer_certificate(pair.server.engine, &size) != NULL) ==
                      cases[i].verified);
        }
        finish();
    }
}

START_TEST(certificates_of_clients)
{
    client_certificates(BERTH_TLS_VERSION_1_2);
    client_certificates(BERTH_TLS_VERSION_1_3);
}
END_TEST

/* ---- protocols ------------------------------------------------------------------------------- */

static void choose(const char *const *server_has, const char *const *client_has,
                   const char *expected)
{
    berth_tls_options server = options_of(&good);
    berth_tls_options client = {.authorities = authority.certificate, .protocols = client_has};
    server.protocols = server_has;
    run(&server, &client, NULL, NULL);
    if (expected == NULL) {
        ck_assert_str_eq(end_text(&pair.server), "no application protocol in common");
        ck_assert_str_eq(end_text(&pair.client), "the peer sent the alert no_application_protocol");
    } else {
        ck_assert_str_eq(pair.server.operations->protocol(pair.server.engine), expected);
        ck_assert_str_eq(pair.client.operations->protocol(pair.client.engine), expected);
        ck_assert_uint_eq(pair.client.opened, 1);
    }
    finish();
}

START_TEST(protocols)
{
    static const char *const h2_http[] = {"h2", "http/1.1", NULL};
    static const char *const http_h2[] = {"http/1.1", "h2", NULL};
    static const char *const http[] = {"http/1.1", NULL};
    static const char *const others[] = {"h", "h22", "ttp/1.1", NULL};
    static const char *const empty[] = {NULL};
    choose(h2_http, http_h2, "h2");
    choose(http_h2, h2_http, "http/1.1");
    choose(h2_http, http, "http/1.1");
    choose(h2_http, others, NULL);
    choose(h2_http, NULL, "");
    choose(NULL, h2_http, "");
    choose(empty, http, "");
    choose(http, empty, "");
}
END_TEST

/* ---- tickets --------------------------------------------------------------------------------- */

static const berth_tls_ticket_key keys[3] = {
    {.name = "first", .secret = "0123"},
    {.name = "second", .secret = "4567"},
    {.name = "third", .secret = "89ab"},
};

/* A session that server_tls has begun. */
static size_t begin_session(uint8_t *session, size_t room)
{
    ck_assert(pair_begin(&pair, client_tls, NULL, server_tls, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert_uint_eq(pair.client.opened, 1);
    size_t size = pair.client.operations->session(pair.client.engine, session, room);
    pair_end(&pair);
    return size;
}

/* Whether that server resumes it. */
static bool resumes(berth_tls *server, const uint8_t *session, size_t size)
{
    berth__engine_setup setup = {.session = session, .session_size = size};
    ck_assert(pair_begin(&pair, client_tls, &setup, server, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert_msg(pair.client.opened == 1 && !pair.client.failed && !pair.server.failed, "%s",
                  end_text(&pair.server));
    bool resumed = pair.client.operations->resumed(pair.client.engine);
    ck_assert(pair.server.operations->resumed(pair.server.engine) == resumed);
    pair_end(&pair);
    return resumed;
}

START_TEST(keys_of_tickets)
{
    static uint8_t session[8192];
    berth_tls_version version = _i == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3;
    berth_tls_options options = options_of(&good);
    options.highest = version;
    berth_tls_options client = {.authorities = authority.certificate};
    client_tls = make(BERTH_TLS_CLIENT, &client);
    server_tls = make(BERTH_TLS_SERVER, &options);
    berth_tls *other = make(BERTH_TLS_SERVER, &options);

    /* By themselves they have different keys. */
    size_t size = begin_session(session, sizeof session);
    ck_assert(resumes(server_tls, session, size));
    ck_assert(!resumes(other, session, size));

    ck_assert(berth_tls_set_ticket_keys(server_tls, keys, 1));
    ck_assert(!resumes(server_tls, session, size));
    size = begin_session(session, sizeof session);
    ck_assert(berth_tls_set_ticket_keys(other, keys, 3));
    ck_assert(resumes(other, session, size)); /* the same key */
    const berth_tls_ticket_key turned[] = {keys[1], keys[2], keys[0]};
    ck_assert(berth_tls_set_ticket_keys(other, turned, 3));
    ck_assert(resumes(other, session, size)); /* the last one opens too */
    ck_assert(berth_tls_set_ticket_keys(other, turned, 2));
    ck_assert(!resumes(other, session, size)); /* it is gone */

    /* Each resumption gives a ticket of the first key. */
    for (int i = 0; i < 5; i++) {
        const berth_tls_ticket_key two[] = {keys[(i + 1) % 3], keys[i % 3]};
        ck_assert(berth_tls_set_ticket_keys(server_tls, two, 2));
        berth__engine_setup setup = {.session = session, .session_size = size};
        ck_assert(pair_begin(&pair, client_tls, &setup, server_tls, NULL));
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        ck_assert(pair.client.operations->resumed(pair.client.engine));
        size = pair.client.operations->session(pair.client.engine, session, sizeof session);
        ck_assert_uint_gt(size, 0);
        pair_end(&pair);
    }
    berth_tls_release(other);
    memset(&pair, 0, sizeof pair);
    berth_tls_release(server_tls);
    berth_tls_release(client_tls);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

/* Each thread resumes, again and again, while the keys are turned by another: the last two of them
 * are always there. */
static atomic_bool turning;
static atomic_int refused_sessions;

static void *resume_often(void *unused)
{
    static _Thread_local uint8_t ticket[8192];
    size_t size = 0;
    for (int i = 0; i < 40; i++) {
        struct pair own;
        berth__engine_setup setup = {.session = size > 0 ? ticket : NULL, .session_size = size};
        if (!pair_begin(&own, client_tls, &setup, server_tls, NULL))
            abort();
        pair_run(&own, SIZE_MAX, SIZE_MAX);
        if (size > 0 && !own.client.operations->resumed(own.client.engine))
            atomic_fetch_add(&refused_sessions, 1);
        size = own.client.operations->session(own.client.engine, ticket, sizeof ticket);
        pair_end(&own);
    }
    return unused;
}

static void *turn_keys(void *unused)
{
    for (int i = 0; atomic_load(&turning); i++) {
        const berth_tls_ticket_key all[] = {keys[i % 3], keys[(i + 1) % 3], keys[(i + 2) % 3]};
        if (!berth_tls_set_ticket_keys(server_tls, all, 3))
            abort();
    }
    return unused;
}

START_TEST(keys_are_turned_while_they_are_used)
{
    pthread_t threads[4];
    berth_tls_options server = options_of(&good);
    berth_tls_options client = {.authorities = authority.certificate};
    server_tls = make(BERTH_TLS_SERVER, &server);
    client_tls = make(BERTH_TLS_CLIENT, &client);
    ck_assert(berth_tls_set_ticket_keys(server_tls, keys, 3));
    atomic_store(&turning, true);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i == 3 ? turn_keys : resume_often, NULL),
                         0);
    for (int i = 0; i < 4; i++) {
        if (i == 3)
            atomic_store(&turning, false);
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_int_eq(atomic_load(&refused_sessions), 0);
    berth_tls_release(server_tls);
    berth_tls_release(client_tls);
}
END_TEST

/* A session that began where nothing was asked of the client is none where it is. */
/* Nor those of a server that asks for a certificate of the same authorities, and takes none. */
START_TEST(sessions_do_not_pass_for_certificates)
{
    static uint8_t session[8192];
    berth_tls_options open = options_of(&good);
    open.highest = _i % 2 == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3;
    berth_tls_options closed = open;
    closed.verify = BERTH_TLS_VERIFY_REQUIRED;
    closed.authorities = authority.certificate;
    if (_i >= 2) {
        open.verify = BERTH_TLS_VERIFY_OPTIONAL;
        open.authorities = authority.certificate;
    }
    berth_tls_options client = {.authorities = authority.certificate};
    client_tls = make(BERTH_TLS_CLIENT, &client);
    server_tls = make(BERTH_TLS_SERVER, &open);
    berth_tls *strict = make(BERTH_TLS_SERVER, &closed);
    ck_assert(berth_tls_set_ticket_keys(server_tls, keys, 1));
    ck_assert(berth_tls_set_ticket_keys(strict, keys, 1));
    size_t size = begin_session(session, sizeof session);
    ck_assert(resumes(server_tls, session, size));

    berth__engine_setup setup = {.session = session, .session_size = size};
    ck_assert(pair_begin(&pair, client_tls, &setup, strict, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(pair.server.failed);
    ck_assert_str_eq(end_text(&pair.server), "the peer has shown no certificate");
    pair_end(&pair);
    berth_tls_release(strict);
    finish();
}
END_TEST

START_TEST(numbers_of_tickets)
{
    static uint8_t session[8192];
    for (int i = 0; i < 4; i++) {
        berth_tls_options options = options_of(&good);
        options.highest = i % 2 == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3;
        options.tickets = i < 2 ? 255 : 1;
        berth_tls_options client = {.authorities = authority.certificate};
        client_tls = make(BERTH_TLS_CLIENT, &client);
        server_tls = make(BERTH_TLS_SERVER, &options);
        size_t size = begin_session(session, sizeof session);
        ck_assert_msg((size > 0) == (i >= 2), "in round %d", i);
        memset(&pair, 0, sizeof pair);
        berth_tls_release(server_tls);
        berth_tls_release(client_tls);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, names_that_fit);
    tcase_add_test(tests, wildcards);
    tcase_add_test(tests, names_that_do_not_fit);
    tcase_add_test(tests, dates);
    tcase_add_test(tests, authorities);
    tcase_add_test(tests, chains);
    tcase_add_test(tests, names_are_read_as_the_core_reads_them);
    tcase_add_test(tests, names_that_cannot_be_asked_for);
    tcase_add_test(tests, problems_are_put_to_the_program);
    tcase_add_loop_test(tests, sessions_that_were_not_verified, 0, 2);
    tcase_add_loop_test(tests, sessions_whose_problems_were_ignored, 0, 2);
    tcase_add_test(tests, sessions_that_are_none);
    tcase_add_test(tests, certificates_of_clients);
    tcase_add_test(tests, protocols);
    tcase_add_loop_test(tests, keys_of_tickets, 0, 2);
    tcase_add_test(tests, keys_are_turned_while_they_are_used);
    tcase_add_loop_test(tests, sessions_do_not_pass_for_certificates, 0, 4);
    tcase_add_test(tests, numbers_of_tickets);
}

int main(void)
{
    identity_authority(&authority);
    identity_make(&other_authority, &(struct identity_wish){.name = "another", .authority = true},
                  NULL);
    identity_for(&good, "example.org", &authority);
    identity_for(&client_identity, "client", &authority);
    Suite *suite = suite_create("tls_peer");
    TCase *tests = tcase_create("tls_peer");
    add_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
