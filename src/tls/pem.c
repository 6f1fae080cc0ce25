/*
 * Certificates, keys and authorities: read from files in PEM, or from text that is PEM itself,
 * which begins with "-----". Authorities may also be a folder, in which OpenSSL finds them by their
 * hashes when it needs them.
 *
 * Failures: a file that cannot be read, with its errno; EINVAL for what it has in it. The text says
 * which file of what. A key that is encrypted is refused: there is nobody to ask for the password.
 */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LARGEST_FILE = 16 << 20 /* bytes, a bound of ours; all authorities of a system are 0.2 MB */
};

/* What was read. */
typedef struct pem_text {
    const char *what; /* "certificate" */
    const char *name; /* of its file; NULL: it was text */
    char *text;
    size_t size;
    char *message; /* BERTH_TLS_TEXT_SIZE bytes, for failures */
} pem_text;

/* ---- failures -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int refuse(const pem_text *pem, int error,
                                                        const char *format, ...)
{
    char why[96];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(why, sizeof why, format, values);
    va_end(values);
    if (pem->name != NULL)
        (void)snprintf(pem->message, BERTH_TLS_TEXT_SIZE, "cannot use the %s %.120s: %s", pem->what,
                       pem->name, why);
    else
        (void)snprintf(pem->message, BERTH_TLS_TEXT_SIZE, "cannot use the %s given as text: %s",
                       pem->what, why);
    return error;
}

static int refuse_file(const pem_text *pem, int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return refuse(pem, error, "no such file");
    case EACCES:
        return refuse(pem, error, "permission denied");
    case EISDIR:
        return refuse(pem, error, "it is a folder");
    case EFBIG:
        return refuse(pem, error, "it is too large");
    case EMFILE:
        return refuse(pem, error, "the process has no file descriptor left");
    case ENFILE:
        return refuse(pem, error, "the system has no file descriptor left");
    case ENOMEM:
        return refuse(pem, error, "out of memory");
    default:
        return refuse(pem, error, "it cannot be read (errno %d)", error);
    }
}

/* For what OpenSSL has not taken. */
static int refuse_by_queue(const pem_text *pem, const char *why)
{
    if (berth__tls_take_errors().no_memory)
        return refuse_file(pem, ENOMEM);
    return refuse(pem, EINVAL, "%s", why);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_all(pem_text *pem, int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    size_t room = 0;
    for (;;) {
        if (pem->size == room) {
            if (room >= LARGEST_FILE)
                return EFBIG;
            size_t more = room == 0 ? 4096 : 2 * room;
            char *text = OPENSSL_clear_realloc(pem->text, room, more);
            if (text == NULL)
                return ENOMEM;
            pem->text = text;
            room = more;
        }
        ssize_t got = read(descriptor, pem->text + pem->size, room - pem->size);
        if (got < 0 && errno != EINTR)
            return errno;
        if (got == 0)
            return 0;
        if (got > 0)
            pem->size += (size_t)got;
    }
}

static void pem_free(pem_text *pem)
{
    OPENSSL_clear_free(pem->text, pem->size);
    pem->text = NULL;
    pem->size = 0;
}

static bool is_text(const char *source)
{
    return strncmp(source, "-----", 5) == 0;
}

/* Reads `source` into `pem`, of which `what` and `message` are set. 0, or the errno. */
static int pem_read(pem_text *pem, const char *source)
{
    pem->text = NULL;
    pem->size = 0;
    pem->name = is_text(source) ? NULL : source;
    if (pem->name == NULL) {
        pem->size = strlen(source);
        pem->text = OPENSSL_memdup(source, pem->size);
        return pem->text != NULL ? 0 : refuse_file(pem, ENOMEM);
    }
    int descriptor = open(source, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return refuse_file(pem, errno);
    int error = read_all(pem, descriptor);
    (void)close(descriptor);
    if (error == 0)
        return 0;
    pem_free(pem);
    return refuse_file(pem, error);
}

static BIO *open_pem(const pem_text *pem)
{
    return BIO_new_mem_buf(pem->text, (int)pem->size);
}

/* Whether a reader of PEM has stopped since there is no more of it. */
static bool is_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* ---- certificate and key --------------------------------------------------------------------- */

static int use_own(SSL_CTX *openssl, const pem_text *pem, X509 *own)
{
    if (SSL_CTX_use_certificate(openssl, own) == 1)
        return 0;
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason == SSL_R_EE_KEY_TOO_SMALL)
        return refuse_by_queue(pem, "its key is too short to be safe");
    if (reason == SSL_R_CA_MD_TOO_WEAK)
        return refuse_by_queue(pem, "the digest of its signature is not safe");
    return refuse_by_queue(pem, "OpenSSL does not take it");
}

static int use_others(SSL_CTX *openssl, const pem_text *pem, BIO *bio)
{
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        bool added = SSL_CTX_add1_chain_cert(openssl, certificate) == 1;
        X509_free(certificate);
        if (!added)
            return refuse_by_queue(pem, "a certificate behind the first is not safe");
    }
    return is_end_of_pem() ? 0 : refuse_by_queue(pem, "a certificate behind the first is damaged");
}

static int use_certificate(SSL_CTX *openssl, const pem_text *pem, X509 **ret_own)
{
    BIO *bio = open_pem(pem);
    if (bio == NULL)
        return refuse_file(pem, ENOMEM);
    int error = 0;
    *ret_own = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    if (*ret_own == NULL)
        error = refuse_by_queue(pem, is_end_of_pem() ? "it has no certificate in PEM"
                                                     : "its certificate is damaged");
    if (error == 0)
        error = use_own(openssl, pem, *ret_own);
    if (error == 0)
        error = use_others(openssl, pem, bio);
    BIO_free(bio);
    return error;
}

/* Asked for the password of a key. */
/* NOLINTNEXTLINE(readability-non-const-parameter): it has OpenSSL's type */
static int note_encrypted(char *password, int size, int writing, void *encrypted)
{
    (void)password;
    (void)size;
    (void)writing;
    *(bool *)encrypted = true;
    return -1;
}

/* By its errors OpenSSL does not tell a damaged key from none. */
static bool has_key(const pem_text *pem)
{
    static const char mark[] = "PRIVATE KEY-----";
    return pem->text != NULL && memmem(pem->text, pem->size, mark, sizeof mark - 1) != NULL;
}

static int use_key(SSL_CTX *openssl, const pem_text *pem, const X509 *own)
{
    BIO *bio = open_pem(pem);
    if (bio == NULL)
        return refuse_file(pem, ENOMEM);
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, note_encrypted, &encrypted);
    BIO_free(bio);
    if (encrypted && key == NULL)
        return refuse_by_queue(pem, "it is encrypted");
    if (key == NULL)
        return refuse_by_queue(pem,
                               has_key(pem) ? "it is damaged" : "it has no private key in PEM");
    int error = 0;
    if (X509_check_private_key(own, key) != 1)
        error = refuse_by_queue(pem, "it is not the key of the certificate");
    else if (SSL_CTX_use_PrivateKey(openssl, key) != 1)
        error = refuse_by_queue(pem, "OpenSSL does not take it");
    EVP_PKEY_free(key);
    return error;
}

int berth__tls_read_certificate(SSL_CTX *openssl, const char *certificate, const char *key,
                                char *text)
{
    X509 *own = NULL;
    pem_text pem = {.what = "certificate"};
    pem.message = text;
    int error = pem_read(&pem, certificate);
    if (error == 0)
        error = use_certificate(openssl, &pem, &own);
    if (error == 0 && key != NULL) {
        pem_free(&pem);
        pem.what = "key";
        error = pem_read(&pem, key);
    }
    if (error == 0)
        error = use_key(openssl, &pem, own);
    pem_free(&pem);
    X509_free(own);
    return error;
}

/* ---- authorities ----------------------------------------------------------------------------- */

static bool add_authority(SSL_CTX *openssl, X509 *certificate, bool server)
{
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(openssl), certificate) == 1 &&
           (!server || SSL_CTX_add_client_CA(openssl, certificate) == 1);
}

static int add_authorities(SSL_CTX *openssl, const pem_text *pem, bool server)
{
    BIO *bio = open_pem(pem);
    if (bio == NULL)
        return refuse_file(pem, ENOMEM);
    int error = 0;
    size_t count = 0;
    X509 *certificate;
    while (error == 0 && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        if (!add_authority(openssl, certificate, server))
            error = refuse_by_queue(pem, "OpenSSL does not take one of its certificates");
        X509_free(certificate);
        count++;
    }
    BIO_free(bio);
    if (error == 0 && !is_end_of_pem())
        return refuse_by_queue(pem, "one of its certificates is damaged");
    if (error == 0 && count == 0)
        return refuse_by_queue(pem, "it has no certificate in PEM");
    return error;
}

static int digest_of(const void *data, size_t size, uint8_t *digest)
{
    return EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : ENOMEM;
}

static bool is_folder(const char *name)
{
    struct stat status;
    return stat(name, &status) == 0 && S_ISDIR(status.st_mode);
}

int berth__tls_read_authorities(SSL_CTX *openssl, const char *authorities, bool server,
                                uint8_t *digest, char *text)
{
    static const char system_name[] = "the system's";
    pem_text pem = {.what = "authorities", .name = authorities};
    pem.message = text;
    if (authorities == NULL) {
        pem.name = "of the system";
        if (SSL_CTX_set_default_verify_paths(openssl) != 1 ||
            digest_of(system_name, sizeof system_name, digest) != 0)
            return refuse_file(&pem, ENOMEM);
        return 0;
    }
    if (!is_text(authorities) && is_folder(authorities)) {
        if (SSL_CTX_load_verify_dir(openssl, authorities) != 1 ||
            digest_of(authorities, strlen(authorities), digest) != 0)
            return refuse_file(&pem, ENOMEM);
        return 0;
    }
    int error = pem_read(&pem, authorities);
    if (error == 0)
        error = add_authorities(openssl, &pem, server);
    if (error == 0 && digest_of(pem.text, pem.size, digest) != 0)
        error = refuse_file(&pem, ENOMEM);
    pem_free(&pem);
    return error;
}
