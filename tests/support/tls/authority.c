#include "authority.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(condition)                                                               \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

#define DAY 86400L

static EVP_PKEY *make_key(enum identity_kind kind)
{
    EVP_PKEY *key = kind == IDENTITY_ECDSA ? EVP_EC_gen("P-256")
                                           : EVP_RSA_gen(kind == IDENTITY_SHORT ? 1024u : 2048u);
    MUST(key != NULL);
    return key;
}

static void add(X509 *certificate, X509 *issuer, int what, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
    MUST(extension != NULL);
    MUST(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void name_it(X509 *certificate, const struct identity_wish *wish, const char *name)
{
    char text[512];
    X509_NAME *subject = X509_get_subject_name(certificate);
    MUST(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1,
                                    0) == 1);
    if (wish->authority)
        return;
    snprintf(text, sizeof text, "DNS:%s%s%s", name, wish->address != NULL ? ",IP:" : "",
             wish->address != NULL ? wish->address : "");
    add(certificate, certificate, NID_subject_alt_name, text);
}

static void date_it(X509 *certificate, const struct identity_wish *wish)
{
    bool usual = wish->from_days == 0 && wish->until_days == 0;
    long from = usual ? -1 : wish->from_days;
    long until = usual ? 365 : wish->until_days;
    MUST(X509_gmtime_adj(X509_getm_notBefore(certificate), from * DAY) != NULL);
    MUST(X509_gmtime_adj(X509_getm_notAfter(certificate), until * DAY) != NULL);
}

/* What the signer has, or NULL where it signs itself. */
static X509 *read_certificate(const struct identity *identity)
{
    BIO *bio = BIO_new_mem_buf(identity->certificate, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    MUST(certificate != NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_key(const struct identity *identity)
{
    BIO *bio = BIO_new_mem_buf(identity->key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    MUST(key != NULL);
    BIO_free(bio);
    return key;
}

static void sign(X509 *certificate, EVP_PKEY *own, const struct identity *signer)
{
    if (signer == NULL) {
        MUST(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1);
        MUST(X509_sign(certificate, own, EVP_sha256()) > 0);
        return;
    }
    X509 *issuer = read_certificate(signer);
    EVP_PKEY *key = read_key(signer);
    MUST(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1);
    MUST(X509_sign(certificate, key, EVP_sha256()) > 0);
    EVP_PKEY_free(key);
    X509_free(issuer);
}

static void write_text(BIO *bio, char *text, size_t size)
{
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    MUST(length > 0 && (size_t)length < size);
    memcpy(text, data, (size_t)length);
    text[length] = '\0';
    BIO_free(bio);
}

void identity_make(struct identity *identity, const struct identity_wish *wish,
                   const struct identity *signer)
{
    static long serial = 1;
    EVP_PKEY *key = make_key(wish->kind);
    X509 *certificate = X509_new();
    MUST(certificate != NULL);
    MUST(X509_set_version(certificate, X509_VERSION_3) == 1);
    MUST(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++) == 1);
    MUST(X509_set_pubkey(certificate, key) == 1);
    date_it(certificate, wish);
    name_it(certificate, wish, wish->name != NULL ? wish->name : "test");
    if (wish->authority)
        add(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    sign(certificate, key, signer);

    BIO *bio = BIO_new(BIO_s_mem());
    MUST(PEM_write_bio_X509(bio, certificate) == 1);
    write_text(bio, identity->certificate, sizeof identity->certificate);
    bio = BIO_new(BIO_s_mem());
    MUST(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    write_text(bio, identity->key, sizeof identity->key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void identity_for(struct identity *identity, const char *name, const struct identity *signer)
{
    identity_make(identity, &(struct identity_wish){.name = name, .address = "127.0.0.1"}, signer);
}

void identity_authority(struct identity *identity)
{
    identity_make(identity,
                  &(struct identity_wish){.name = "authority of a test", .authority = true}, NULL);
}

const char *identity_day(int days)
{
    static char text[16];
    time_t when = time(NULL) + days * DAY;
    struct tm parts;
    gmtime_r(&when, &parts);
    strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}
