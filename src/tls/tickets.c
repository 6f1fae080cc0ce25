/*
 * Tickets: a session, sealed with a key that the program may set, which the client keeps and shows
 * when it comes again.
 *
 * The first key seals, all of them open. Half of a key's secret encrypts (AES-256-CBC), the other
 * half authenticates (HMAC-SHA256): the form that RFC 5077 recommends. A key is copied out of the
 * set under a lock, which is held for no longer: a set is seen whole or not at all. Whoever holds
 * it is in a call that fork waits for (fork.c). There is one for all configurations, so that a
 * child can have it anew where fork could not wait.
 *
 * A ticket of a key that is not there is as none: the handshake is a full one. A client of TLS 1.3
 * gets a new ticket with every resumption, since it should use each only once; one of TLS 1.2 when
 * its ticket was not sealed with the first key.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

enum {
    NAME = 16,
    HALF = 32, /* of a secret: a key */
    VECTOR = 16,
    /* What OpenSSL wants to hear. */
    UNUSABLE = -1,
    UNKNOWN = 0,
    GOOD = 1,
    RENEW = 2
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void berth__tls_renew_tickets(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Copies the key of that name, or the first if it is NULL. Returns its place; -1: there is none. */
static int find(const berth__tls *tls, const uint8_t *name, berth_tls_ticket_key *ret_key)
{
    int place = -1;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < tls->key_count; i++) {
        if (name == NULL || memcmp(tls->keys[i].name, name, NAME) == 0) {
            *ret_key = tls->keys[i];
            place = (int)i;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return place;
}

static bool authenticate(EVP_MAC_CTX *mac, berth_tls_ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->secret + HALF, HALF),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int use(SSL *ssl, uint8_t *name, uint8_t *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
               int seal)
{
    const berth__tls *tls = berth__tls_engine_of(ssl)->tls;
    berth_tls_ticket_key key;
    int place = find(tls, seal ? NULL : name, &key);
    if (place < 0)
        return UNKNOWN;
    int result = place == 0 && SSL_version(ssl) < TLS1_3_VERSION ? GOOD : RENEW;
    if (seal) {
        result = GOOD;
        memcpy(name, key.name, NAME);
        if (RAND_bytes(vector, VECTOR) != 1)
            result = UNUSABLE;
    }
    if (result != UNUSABLE && (EVP_CipherInit_ex(cipher, tls->ticket_cipher, NULL, key.secret,
                                                 vector, seal ? 1 : 0) != 1 ||
                               !authenticate(mac, &key)))
        result = UNUSABLE;
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

bool berth__tls_begin_tickets(berth__tls *tls)
{
    tls->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (tls->ticket_cipher == NULL || RAND_bytes(tls->keys[0].name, NAME) != 1 ||
        RAND_priv_bytes(tls->keys[0].secret, 2 * HALF) != 1)
        return false;
    tls->key_count = 1;
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(tls->openssl, use) == 1;
}

void berth__tls_end_tickets(berth__tls *tls)
{
    OPENSSL_cleanse(tls->keys, sizeof tls->keys);
    EVP_CIPHER_free(tls->ticket_cipher);
}

bool berth_tls_set_ticket_keys(berth_tls *tls, const berth_tls_ticket_key *keys, size_t count)
{
    berth__tls *mine = (berth__tls *)tls;
    if (tls == NULL || keys == NULL || count == 0 || count > BERTH__TLS_MOST_KEYS ||
        tls->operations != &berth__tls_operations || !tls->server) {
        errno = EINVAL;
        return false;
    }
    berth__tls_enter();
    pthread_mutex_lock(&lock);
    OPENSSL_cleanse(mine->keys, sizeof mine->keys);
    memcpy(mine->keys, keys, count * sizeof *keys);
    mine->key_count = count;
    pthread_mutex_unlock(&lock);
    berth__tls_leave();
    return true;
}
