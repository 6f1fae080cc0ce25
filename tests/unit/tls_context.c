/*
 * Configurations: options that are right and wrong, PEM from files and as text, and what is said of
 * each that cannot be used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "authority.h"
#include "pair.h"

static struct identity authority;
static struct identity good;
static struct identity other;

static char folder[] = "/tmp/berth-tls-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static const char *put(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* It cannot be made. */
static void refused(berth_tls_side side, const berth_tls_options *options, int error,
                    const char *expected)
{
    char text[BERTH_TLS_TEXT_SIZE + 1];
    memset(text, 'x', sizeof text);
    errno = 0;
    ck_assert_ptr_null(berth_tls_new(side, options, text));
    ck_assert_int_eq(errno, error);
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(text[BERTH_TLS_TEXT_SIZE], 'x');
    ck_assert_uint_eq(ERR_peek_error(), 0);
    errno = 0;
    ck_assert_ptr_null(berth_tls_new(side, options, NULL));
    ck_assert_int_eq(errno, error);
}

static void accepted(berth_tls_side side, const berth_tls_options *options)
{
    char text[BERTH_TLS_TEXT_SIZE];
    berth_tls *tls = berth_tls_new(side, options, text);
    ck_assert_msg(tls != NULL, "%s", text);
    ck_assert(tls->server == (side == BERTH_TLS_SERVER));
    ck_assert_ptr_eq(berth_tls_hold(tls), tls);
    berth_tls_release(tls);
    berth_tls_release(tls);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

static void refused_server(const char *certificate, const char *key, int error, const char *format)
{
    char expected[400];
    berth_tls_options options = {.certificate = certificate, .key = key};
    snprintf(expected, sizeof expected, format, folder);
    refused(BERTH_TLS_SERVER, &options, error, expected);
}

/* ---- options --------------------------------------------------------------------------------- */

START_TEST(defaults)
{
    accepted(BERTH_TLS_CLIENT, NULL);
    accepted(BERTH_TLS_CLIENT, &(berth_tls_options){0});
    refused(BERTH_TLS_SERVER, NULL, EINVAL, "a server needs a certificate");
    refused((berth_tls_side)2, NULL, EINVAL, "a configuration is for servers or for clients");
    berth_tls_release(NULL);
}
END_TEST

START_TEST(sizes_of_options)
{
    struct {
        berth_tls_options options;
        char more[64];
    } longer = {.options = {.certificate = good.certificate, .key = good.key}};
    memset(longer.more, 1, sizeof longer.more);
    berth_tls *tls = berth_tls_new_sized(BERTH_TLS_SERVER, &longer.options, sizeof longer, NULL);
    ck_assert_ptr_nonnull(tls);
    berth_tls_release(tls);
    /* One that knows the certificates only. */
    longer.options.ciphers = "none of that name";
    tls = berth_tls_new_sized(BERTH_TLS_SERVER, &longer.options,
                              offsetof(berth_tls_options, authorities), NULL);
    ck_assert_ptr_nonnull(tls);
    berth_tls_release(tls);
}
END_TEST

START_TEST(options_that_are_wrong)
{
    berth_tls_options options = {.key = good.key};
    refused(BERTH_TLS_CLIENT, &options, EINVAL, "there is a key without a certificate");
    options =
        (berth_tls_options){.lowest = BERTH_TLS_VERSION_1_3, .highest = BERTH_TLS_VERSION_1_2};
    refused(BERTH_TLS_CLIENT, &options, EINVAL, "the lowest version of TLS is above the highest");
    options = (berth_tls_options){.highest = (berth_tls_version)7};
    refused(BERTH_TLS_CLIENT, &options, EINVAL, "there is no such version of TLS");
    options = (berth_tls_options){.verify = (berth_tls_verify)7};
    refused(BERTH_TLS_CLIENT, &options, EINVAL, "there is no such way to verify");
    options = (berth_tls_options){.ciphers = "no-such-cipher"};
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "cannot use the ciphers \"no-such-cipher\": OpenSSL knows none of that name");
    options = (berth_tls_options){.suites = "TLS_NONE"};
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "cannot use the suites \"TLS_NONE\": OpenSSL knows none of that name");
    options = (berth_tls_options){.groups = "P-7"};
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "cannot use the groups \"P-7\": OpenSSL knows none of that name");
}
END_TEST

START_TEST(lifetimes)
{
    berth_tls_options options = {.ticket_lifetime = 604800};
    accepted(BERTH_TLS_CLIENT, &options);
    options.ticket_lifetime = UINT32_MAX;
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "a ticket lives for at most 604800 seconds, not 4294967295");
}
END_TEST

START_TEST(protocols)
{
    char name[257];
    const char *list[40] = {name};
    berth_tls_options options = {.protocols = list};
    memset(name, 'a', sizeof name);
    name[256] = '\0';
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "an application protocol has 1 to 255 bytes, not 256");
    name[0] = '\0';
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "an application protocol has 1 to 255 bytes, not 0");
    name[0] = 'a';
    name[255] = '\0';
    accepted(BERTH_TLS_CLIENT, &options);
    for (int i = 0; i < 33; i++)
        list[i] = "h2";
    refused(BERTH_TLS_CLIENT, &options, EINVAL, "there are more than 32 application protocols");
    list[32] = NULL;
    accepted(BERTH_TLS_CLIENT, &options);
}
END_TEST

START_TEST(lists)
{
    berth_tls_options options = {.certificate = good.certificate,
                                 .key = good.key,
                                 .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256",
                                 .suites = "TLS_CHACHA20_POLY1305_SHA256",
                                 .groups = "P-256:X25519",
                                 .tickets = 4,
                                 .ticket_lifetime = 60};
    accepted(BERTH_TLS_SERVER, &options);
}
END_TEST

/* ---- files and texts ------------------------------------------------------------------------- */

START_TEST(files_and_texts)
{
    char both[sizeof good.certificate + sizeof good.key];
    snprintf(both, sizeof both, "%s%s", good.certificate, good.key);
    berth_tls_options options = {.certificate = put("certificate", good.certificate),
                                 .key = put("key", good.key)};
    accepted(BERTH_TLS_SERVER, &options);
    options = (berth_tls_options){.certificate = put("both", both)};
    accepted(BERTH_TLS_SERVER, &options);
    options = (berth_tls_options){.certificate = both};
    accepted(BERTH_TLS_SERVER, &options);
    options = (berth_tls_options){.certificate = path_of("certificate"), .key = good.key};
    accepted(BERTH_TLS_SERVER, &options);
    options = (berth_tls_options){.certificate = good.certificate, .key = path_of("both")};
    accepted(BERTH_TLS_CLIENT, &options);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    refused_server(path_of("none"), NULL, ENOENT,
                   "cannot use the certificate %s/none: no such file");
    refused_server(folder, NULL, EISDIR, "cannot use the certificate %s: it is a folder");
    refused_server("", NULL, ENOENT, "cannot use the certificate : no such file");
    refused_server(good.certificate, path_of("none"), ENOENT,
                   "cannot use the key %s/none: no such file");
    put("file", good.certificate);
    refused_server(path_of("file/x"), NULL, ENOTDIR,
                   "cannot use the certificate %s/file/x: no such file");
    if (geteuid() != 0) {
        const char *path = put("secret", good.key);
        ck_assert_int_eq(chmod(path, 0), 0);
        refused_server(good.certificate, path, EACCES,
                       "cannot use the key %s/secret: permission denied");
    }
}
END_TEST

START_TEST(pem_that_is_wrong)
{
    char damaged[sizeof good.certificate];
    put("empty", "");
    put("words", "this is no PEM\n");
    put("key", good.key);
    put("certificate", good.certificate);
    refused_server(path_of("empty"), good.key, EINVAL,
                   "cannot use the certificate %s/empty: it has no certificate in PEM");
    refused_server(path_of("words"), NULL, EINVAL,
                   "cannot use the certificate %s/words: it has no certificate in PEM");
    refused_server(path_of("key"), NULL, EINVAL,
                   "cannot use the certificate %s/key: it has no certificate in PEM");
    refused_server(path_of("certificate"), NULL, EINVAL,
                   "cannot use the certificate %s/certificate: it has no private key in PEM");
    refused_server(good.certificate, NULL, EINVAL,
                   "cannot use the certificate given as text: it has no private key in PEM");
    refused_server(good.certificate, path_of("certificate"), EINVAL,
                   "cannot use the key %s/certificate: it has no private key in PEM");
    refused_server(good.certificate, other.key, EINVAL,
                   "cannot use the key given as text: it is not the key of the certificate");

    strcpy(damaged, good.certificate);
    damaged[100] = damaged[100] == 'A' ? 'B' : 'A';
    damaged[101] = '!';
    refused_server(damaged, good.key, EINVAL,
                   "cannot use the certificate given as text: its certificate is damaged");
    char two[2 * sizeof damaged];
    snprintf(two, sizeof two, "%s%s", good.certificate, damaged);
    refused_server(two, good.key, EINVAL,
                   "cannot use the certificate given as text: a certificate behind the first is "
                   "damaged");
    strcpy(damaged, good.key);
    damaged[60] = '!';
    refused_server(good.certificate, damaged, EINVAL,
                   "cannot use the key given as text: it is damaged");
    ck_assert_ptr_nonnull(strstr(good.key, "-----END"));
    strcpy(damaged, good.key);
    damaged[100] = '\0';
    refused_server(good.certificate, damaged, EINVAL,
                   "cannot use the key given as text: it is damaged");
}
END_TEST

START_TEST(a_key_that_is_encrypted)
{
    char text[4096];
    BIO *in = BIO_new_mem_buf(good.key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    BIO *out = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(out, key, EVP_aes_256_cbc(),
                                              (const uint8_t *)"secret", 6, NULL, NULL),
                     1);
    char *data;
    long size = BIO_get_mem_data(out, &data);
    memcpy(text, data, (size_t)size);
    text[size] = '\0';
    EVP_PKEY_free(key);
    BIO_free(in);
    BIO_free(out);
    refused_server(good.certificate, text, EINVAL,
                   "cannot use the key given as text: it is encrypted");
}
END_TEST

START_TEST(a_key_that_is_short)
{
    struct identity identity;
    identity_make(&identity, &(struct identity_wish){.kind = IDENTITY_SHORT, .name = "short"},
                  &authority);
    refused_server(identity.certificate, identity.key, EINVAL,
                   "cannot use the certificate given as text: its key is too short to be safe");
}
END_TEST

/* ---- authorities ----------------------------------------------------------------------------- */

static void trust(const char *authorities, bool good_ones)
{
    struct pair pair;
    berth_tls_options server = {.certificate = good.certificate, .key = good.key};
    berth_tls_options client = {.authorities = authorities};
    char text[BERTH_TLS_TEXT_SIZE];
    berth_tls *server_tls = berth_tls_new(BERTH_TLS_SERVER, &server, text);
    berth_tls *client_tls = berth_tls_new(BERTH_TLS_CLIENT, &client, text);
    ck_assert_msg(client_tls != NULL, "%s", text);
    berth__engine_setup setup = {.name = "example.org"};
    ck_assert(pair_begin(&pair, client_tls, &setup, server_tls, NULL));
    pair_run(&pair, SIZE_MAX, SIZE_MAX);
    ck_assert(pair.client.failed == !good_ones);
    pair_end(&pair);
    berth_tls_release(server_tls);
    berth_tls_release(client_tls);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(authorities)
{
    char several[4 * sizeof good.certificate];
    snprintf(several, sizeof several, "words\n%s%s%s", other.certificate, authority.certificate,
             authority.certificate);
    trust(authority.certificate, true);
    trust(put("several", several), true);
    trust(other.certificate, false);
    trust(NULL, false);

    /* A folder, in which it is found by its hash. */
    trust(folder, false);
    BIO *bio = BIO_new_mem_buf(authority.certificate, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    char name[32];
    snprintf(name, sizeof name, "%08lx.0",
             X509_NAME_hash_ex(X509_get_subject_name(certificate), NULL, NULL, NULL));
    X509_free(certificate);
    BIO_free(bio);
    put(name, authority.certificate);
    trust(folder, true);

    char expected[400];
    berth_tls_options options = {.authorities = path_of("none")};
    snprintf(expected, sizeof expected, "cannot use the authorities %s/none: no such file", folder);
    refused(BERTH_TLS_CLIENT, &options, ENOENT, expected);
    options.authorities = good.key;
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "cannot use the authorities given as text: it has no certificate in PEM");
    several[strlen(several) - 60] = '!';
    options.authorities = strchr(several, '-');
    refused(BERTH_TLS_CLIENT, &options, EINVAL,
            "cannot use the authorities given as text: one of its certificates is damaged");
}
END_TEST

/* ---- keys of tickets ------------------------------------------------------------------------- */

START_TEST(ticket_keys_that_are_wrong)
{
    static const berth_tls_ticket_key keys[17];
    berth_tls_options options = {.certificate = good.certificate, .key = good.key};
    berth_tls *server = berth_tls_new(BERTH_TLS_SERVER, &options, NULL);
    berth_tls *client = berth_tls_new(BERTH_TLS_CLIENT, NULL, NULL);
    ck_assert(berth_tls_set_ticket_keys(server, keys, 1));
    ck_assert(berth_tls_set_ticket_keys(server, keys, 16));
    struct {
        berth_tls *tls;
        const berth_tls_ticket_key *keys;
        size_t count;
    } wrong[] = {{server, keys, 0},
                 {server, keys, 17},
                 {server, NULL, 1},
                 {client, keys, 1},
                 {NULL, keys, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        errno = 0;
        ck_assert(!berth_tls_set_ticket_keys(wrong[i].tls, wrong[i].keys, wrong[i].count));
        ck_assert_int_eq(errno, EINVAL);
    }
    berth_tls_release(server);
    berth_tls_release(client);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, sizes_of_options);
    tcase_add_test(tests, options_that_are_wrong);
    tcase_add_test(tests, lifetimes);
    tcase_add_test(tests, protocols);
    tcase_add_test(tests, lists);
    tcase_add_test(tests, files_and_texts);
    tcase_add_test(tests, files_that_cannot_be_read);
    tcase_add_test(tests, pem_that_is_wrong);
    tcase_add_test(tests, a_key_that_is_encrypted);
    tcase_add_test(tests, a_key_that_is_short);
    tcase_add_test(tests, authorities);
    tcase_add_test(tests, ticket_keys_that_are_wrong);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    identity_authority(&authority);
    identity_for(&good, "example.org", &authority);
    identity_make(&other, &(struct identity_wish){.kind = IDENTITY_RSA, .name = "other"}, NULL);
    Suite *suite = suite_create("tls_context");
    TCase *tests = tcase_create("tls_context");
    add_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
