/*
 * TLS of the example servers: the option --tls CERTIFICATE[,KEY], and a new certificate on SIGHUP.
 *
 * A program has one such server. On failure these functions end the program as options.h describes;
 * but a certificate that cannot be read again is only reported, and the server keeps the old one.
 */
#ifndef BERTH_EXAMPLES_SERVER_TLS_H
#define BERTH_EXAMPLES_SERVER_TLS_H

#include <berth/berth.h>

/*
 * Has the server encrypt the connections that it accepts from now on. Each SIGHUP reads the files
 * again; connections that are open keep the certificate that they have.
 *
 * `files` is "CERTIFICATE" or "CERTIFICATE,KEY", names of PEM files. It is modified, and must stay
 * until server_tls_close; so must `protocols`, those of ALPN, best first, ended by NULL; or NULL.
 */
void server_tls_open(const char *program, berth_server *server, char *files,
                     const char *const *protocols);

/* Ends this, before the loop is freed. Does nothing without server_tls_open. */
void server_tls_close(void);

#endif
