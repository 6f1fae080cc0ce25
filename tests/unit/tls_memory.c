/*
 * Memory of OpenSSL that is refused: each of the allocations of a configuration, of handshakes and
 * of data fails once. Whatever comes of it is no crash, no leak and no connection that takes itself
 * for open although it is not. BERTH_TLS_FAULTS=1 tries all of them, which takes minutes; without
 * it it is each 29th.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "authority.h"
#include "pair.h"

static long blocks; /* in use */
static long bytes;  /* of them */
static long left;   /* allocations until one fails; negative: none does */
static long stride; /* from one that fails to the next */

/* The size is kept before the memory, to be counted when it is freed. */
enum {
    HEAD = 16
};

static void *track(void *memory, size_t size)
{
    if (memory == NULL)
        return NULL;
    memcpy(memory, &size, sizeof size);
    blocks++;
    bytes += (long)size;
    return (char *)memory + HEAD;
}

static bool must_fail(void)
{
    return left >= 0 && left-- == 0;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 || must_fail() ? NULL : track(malloc(HEAD + size), size);
}

static void release(void *memory, const char *file, int line)
{
    size_t size;
    (void)file;
    (void)line;
    if (memory == NULL)
        return;
    memcpy(&size, (char *)memory - HEAD, sizeof size);
    blocks--;
    bytes -= (long)size;
    free((char *)memory - HEAD);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    size_t before;
    if (memory == NULL)
        return allocate(size, file, line);
    if (size == 0) {
        release(memory, file, line);
        return NULL;
    }
    memcpy(&before, (char *)memory - HEAD, sizeof before);
    if (must_fail())
        return NULL;
    void *moved = realloc((char *)memory - HEAD, HEAD + size);
    if (moved == NULL)
        return NULL;
    blocks--;
    bytes -= (long)before;
    return track(moved, size);
}

static struct identity authority;
static struct identity good;
static struct pair pair;
static uint8_t session[8192];
static size_t session_size;

static berth_tls *make_server(berth_tls_version version)
{
    static const char *const protocols[] = {"h2", NULL};
    berth_tls_options options = {.certificate = good.certificate,
                                 .key = good.key,
                                 .authorities = authority.certificate,
                                 .verify = BERTH_TLS_VERIFY_OPTIONAL,
                                 .protocols = protocols,
                                 .highest = version};
    return berth_tls_new(BERTH_TLS_SERVER, &options, NULL);
}

static berth_tls *make_client(berth_tls_version version)
{
    static const char *const protocols[] = {"h2", NULL};
    berth_tls_options options = {.certificate = good.certificate,
                                 .key = good.key,
                                 .authorities = authority.certificate,
                                 .protocols = protocols,
                                 .highest = version};
    return berth_tls_new(BERTH_TLS_CLIENT, &options, NULL);
}

/* What OpenSSL makes for good when it needs it first is no leak, but is little. What is lost for
 * good the sanitizer for leaks finds. */
enum {
    FOR_GOOD = 64
};

/* ---- configurations -------------------------------------------------------------------------- */

START_TEST(configurations_without_memory)
{
    berth_tls_release(make_server(BERTH_TLS_VERSION_1_3)); /* what OpenSSL keeps for good */
    berth_tls_release(make_client(BERTH_TLS_VERSION_1_3));
    for (int side = 0; side < 2; side++) {
        long n = 0;
        long before = blocks;
        for (bool reached = true; reached; n += stride) {
            left = n;
            errno = 0;
            berth_tls *tls = (side == 0 ? make_server : make_client)(BERTH_TLS_VERSION_1_3);
            reached = left < 0;
            left = -1;
            if (tls == NULL)
                ck_assert_msg(errno == ENOMEM || errno == EINVAL, "errno %d at %ld", errno, n);
            berth_tls_release(tls);
            ck_assert_uint_eq(ERR_peek_error(), 0);
        }
        ck_assert_int_gt(n, 100);
        ck_assert_int_le(blocks, before + FOR_GOOD);
    }
}
END_TEST

/* ---- connections ----------------------------------------------------------------------------- */

static void check_failure(const struct end *end, long n)
{
    if (!end->failed)
        return;
    berth_error class = end->operations->failure(end->engine)->class;
    ck_assert_msg(class == BERTH_ERROR_SOCKET_RESOURCE || class == BERTH_ERROR_TLS_INTERNAL ||
                      class == BERTH_ERROR_TLS_HANDSHAKE_FAILED || class == BERTH_ERROR_NETWORK,
                  "class %d at %ld: %s", (int)class, n, end_text(end));
}

/* A handshake, data both ways and ends. What it was asked for is had wholly or not at all. */
static void converse(berth_tls *client, berth_tls *server, bool resume, long n)
{
    berth__engine_setup setup = {.name = "example.org"};
    if (resume) {
        setup.session = session;
        setup.session_size = session_size;
    }
    if (pair_begin(&pair, client, &setup, server, NULL)) {
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        bool both = pair.client.opened + pair.server.opened == 2 && !pair.client.failed &&
                    !pair.server.failed;
        if (both && end_send(&pair.client, "question", 8) && end_send(&pair.server, "answer", 6)) {
            pair_run(&pair, SIZE_MAX, SIZE_MAX);
            if (!pair.client.failed && !pair.server.failed) {
                ck_assert(end_got(&pair.server, "question", 8));
                ck_assert(end_got(&pair.client, "answer", 6));
            }
            pair.client.operations->relax(pair.client.engine);
            pair.server.operations->relax(pair.server.engine);
        }
        if (pair.client.opened == 1 && !pair.client.failed) {
            size_t size;
            (void)pair.client.operations->peer_certificate(pair.client.engine, &size);
            (void)pair.client.operations->session(pair.client.engine, session, 0);
            end_close(&pair.client);
            pair_run(&pair, SIZE_MAX, SIZE_MAX);
        }
        check_failure(&pair.client, n);
        check_failure(&pair.server, n);
    }
    pair_end(&pair);
}

static void without_memory(berth_tls_version version, bool resume)
{
    berth_tls *server = make_server(version);
    berth_tls *client = make_client(version);
    ck_assert(
        pair_begin(&pair, client, &(berth__engine_setup){.name = "example.org"}, server, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert_uint_eq(pair.server.opened, 1);
    session_size = pair.client.operations->session(pair.client.engine, session, sizeof session);
    ck_assert_uint_gt(session_size, 0);
    pair_end(&pair);
    converse(client, server, resume, -1);
    converse(client, server, resume, -1);

    long n = 0;
    long before = blocks;
    for (bool reached = true; reached; n += stride) {
        left = n;
        converse(client, server, resume, n);
        reached = left < 0;
        left = -1;
        ck_assert_uint_eq(ERR_peek_error(), 0);
    }
    printf("connections: %ld allocations\n", n);
    ck_assert_int_gt(n, 500);
    ck_assert_int_le(blocks, before + FOR_GOOD);
    berth_tls_release(server);
    berth_tls_release(client);
}

START_TEST(connections_without_memory)
{
    without_memory(_i % 2 == 0 ? BERTH_TLS_VERSION_1_2 : BERTH_TLS_VERSION_1_3, _i >= 2);
}
END_TEST

/* ---- two hellos ------------------------------------------------------------------------------ */

START_TEST(name_of_two_hellos_is_kept_once)
{
    enum {
        MANY = 2 * FOR_GOOD
    };
    berth_tls_options options = {
        .certificate = good.certificate, .key = good.key, .groups = "P-256"};
    berth_tls *server = berth_tls_new(BERTH_TLS_SERVER, &options, NULL);
    options = (berth_tls_options){.authorities = authority.certificate, .groups = "X25519:P-256"};
    berth_tls *client = berth_tls_new(BERTH_TLS_CLIENT, &options, NULL);
    long before = 0;
    for (int i = 0; i <= MANY; i++) {
        ck_assert(
            pair_begin(&pair, client, &(berth__engine_setup){.name = "example.org"}, server, NULL));
        pair_run(&pair, SIZE_MAX, SIZE_MAX);
        ck_assert_uint_eq(pair.server.opened, 1);
        ck_assert_str_eq(pair.server.operations->server_name(pair.server.engine), "example.org");
        pair_end(&pair);
        if (i == 0)
            before = blocks; /* with what is made once */
    }
    ck_assert_int_lt(blocks, before + FOR_GOOD);
    berth_tls_release(server);
    berth_tls_release(client);
}
END_TEST

/* ---- what it costs --------------------------------------------------------------------------- */

START_TEST(memory_of_a_quiet_connection)
{
    berth_tls_options plain = {.certificate = good.certificate, .key = good.key};
    berth_tls *server = berth_tls_new(BERTH_TLS_SERVER, &plain, NULL);
    plain = (berth_tls_options){.authorities = authority.certificate};
    berth_tls *client = berth_tls_new(BERTH_TLS_CLIENT, &plain, NULL);
    static struct end ends[2];
    for (int i = 0; i < 2; i++) { /* the first for what is made once */
        long before = bytes;
        ck_assert(end_begin(&ends[0], client, &(berth__engine_setup){.name = "example.org"}));
        ck_assert(end_begin(&ends[1], server, NULL));
        struct pair both = {.client = ends[0], .server = ends[1]};
        (void)end_feed(&both.client, NULL, 0);
        long client_only = 0;
        pair_run(&both, SIZE_MAX, SIZE_MAX);
        ck_assert_uint_eq(both.server.opened, 1);
        ck_assert(end_send(&both.client, "question", 8));
        pair_run(&both, SIZE_MAX, SIZE_MAX);
        both.client.operations->relax(both.client.engine);
        both.server.operations->relax(both.server.engine);
        long idle = bytes;
        end_free(&both.client);
        client_only = idle - bytes;
        long server_only = bytes - before;
        end_free(&both.server);
        if (i == 0)
            continue;
        printf("quiet: %ld bytes of a server, %ld of a client\n", server_only, client_only);
        ck_assert_int_lt(server_only, 16000);
        ck_assert_int_lt(client_only, 24000);
    }
    berth_tls_release(server);
    berth_tls_release(client);
}
END_TEST

int main(void)
{
    const char *every = getenv("BERTH_TLS_FAULTS");
    left = -1;
    stride = every != NULL ? strtol(every, NULL, 10) : 29;
    if (stride < 1 || CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        return EXIT_FAILURE;
    identity_authority(&authority);
    identity_for(&good, "example.org", &authority);
    Suite *suite = suite_create("tls_memory");
    TCase *tests = tcase_create("tls_memory");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, configurations_without_memory);
    tcase_add_loop_test(tests, connections_without_memory, 0, 4);
    tcase_add_test(tests, name_of_two_hellos_is_kept_once);
    tcase_add_test(tests, memory_of_a_quiet_connection);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
