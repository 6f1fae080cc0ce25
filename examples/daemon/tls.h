/*
 * TLS of daemon_server's ports: configurations from files, and keys of tickets that outlive the
 * process, so that clients resume their sessions after a hot restart. All ports have the same keys.
 */
#ifndef BERTH_EXAMPLES_DAEMON_TLS_H
#define BERTH_EXAMPLES_DAEMON_TLS_H

#include <stdbool.h>

#include <berth/berth.h>

#define DAEMON_TLS_TEXT_SIZE 256

/* Begins with the keys of a predecessor, or with a new one if `taken` is NULL or has none. On
 * failure ends the program as options.h describes. */
void daemon_tls_begin(const char *program, const berth_inheritance *taken);

/* Puts a new key in front of the others, which still open tickets, and drops the last if there are
 * more than three. */
void daemon_tls_rotate(void);

/* Gives a configuration the keys that there are now; false with errno set. */
bool daemon_tls_set_keys(berth_tls *tls);

/* Adds the keys to what a successor gets. */
bool daemon_tls_offer(berth_handover *handover);

/* A configuration of "CERTIFICATE" or "CERTIFICATE,KEY", names of PEM files, with the keys; to be
 * released. NULL on failure, with a line of DAEMON_TLS_TEXT_SIZE bytes. */
berth_tls *daemon_tls_read(const char *files, char *text);

#endif
