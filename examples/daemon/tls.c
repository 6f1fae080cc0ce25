/* TLS of daemon_server's ports: see tls.h. */
#include "tls.h"

#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MOST_KEYS 3
#define BLOB "ticket keys"

static berth_tls_ticket_key keys[MOST_KEYS];
static size_t count;

static bool make_key(berth_tls_ticket_key *ret_key)
{
    return getrandom(ret_key, sizeof *ret_key, 0) == sizeof *ret_key;
}

void daemon_tls_begin(const char *program, const berth_inheritance *taken)
{
    size_t size = 0;
    const void *blob = taken ? berth_inheritance_blob(taken, BLOB, &size) : NULL;
    if (blob && size > 0 && size <= sizeof keys && size % sizeof *keys == 0) {
        memcpy(keys, blob, size);
        count = size / sizeof *keys;
    } else if (make_key(keys)) {
        count = 1;
    } else {
        fail(program, "no random numbers: %s", strerror(errno));
    }
}

void daemon_tls_rotate(void)
{
    berth_tls_ticket_key key;
    if (!make_key(&key))
        return; /* the old ones stay */
    count = count < MOST_KEYS ? count + 1 : MOST_KEYS;
    memmove(keys + 1, keys, (count - 1) * sizeof *keys);
    keys[0] = key;
}

bool daemon_tls_offer(berth_handover *handover)
{
    return berth_handover_add_blob(handover, BLOB, keys, count * sizeof *keys);
}

#ifdef WITHOUT_TLS /* libberth-tls was not built */

bool daemon_tls_set_keys(berth_tls *tls)
{
    return tls != NULL;
}

berth_tls *daemon_tls_read(const char *files, char *text)
{
    snprintf(text, DAEMON_TLS_TEXT_SIZE, "built without libberth-tls: no --tls %s", files);
    return NULL;
}

#else

bool daemon_tls_set_keys(berth_tls *tls)
{
    return berth_tls_set_ticket_keys(tls, keys, count);
}

berth_tls *daemon_tls_read(const char *files, char *text)
{
    char certificate[4096];
    const char *comma = strchr(files, ',');
    size_t size = comma ? (size_t)(comma - files) : strlen(files);
    _Static_assert(DAEMON_TLS_TEXT_SIZE >= BERTH_TLS_TEXT_SIZE, "room for what has failed");
    if (size >= sizeof certificate) {
        snprintf(text, DAEMON_TLS_TEXT_SIZE, "the name of the certificate is too long");
        return NULL;
    }
    memcpy(certificate, files, size);
    certificate[size] = '\0';
    const berth_tls_options options = {.certificate = certificate, .key = comma ? comma + 1 : NULL};
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
    if (tls && !daemon_tls_set_keys(tls)) {
        snprintf(text, DAEMON_TLS_TEXT_SIZE, "cannot set the keys of tickets: %s", strerror(errno));
        berth_tls_release(tls);
        return NULL;
    }
    return tls;
}

#endif
