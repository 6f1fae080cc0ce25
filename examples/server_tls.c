/*
 * Certificates of the example servers: see server_tls.h.
 *
 * A configuration is never changed. SIGHUP makes a new one from the same files and sets it in place
 * of the old one, which is freed with the last connection that has it. While a renewal tool writes
 * the two files, the certificate and the key may not belong to each other for a moment; that fails
 * here, is reported, and nothing changes: send SIGHUP when both are written.
 */
#include "server_tls.h"

#include "options.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#ifdef WITHOUT_TLS /* libberth-tls was not built */

void server_tls_open(const char *program, berth_server *server, char *files,
                     const char *const *protocols)
{
    (void)server;
    (void)files;
    (void)protocols;
    fail(program, "built without libberth-tls: no --tls");
}

void server_tls_close(void)
{
}

#else

static const char *name_of_program;
static berth_server *encrypting;
static berth_tls_options options;
static berth_signal *hangup;

/* Returns whether the server has a configuration of what the files contain now; else `text` says
 * why not. */
static bool read_files(char text[BERTH_TLS_TEXT_SIZE])
{
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
    if (!tls)
        return false;
    bool done = berth_server_set_tls(encrypting, tls);
    if (!done)
        snprintf(text, BERTH_TLS_TEXT_SIZE, "%s", berth_server_error_string(encrypting));
    berth_tls_release(tls); /* the server holds it */
    return done;
}

static void renew(berth_signal *signal, void *user)
{
    char text[BERTH_TLS_TEXT_SIZE];
    (void)signal;
    (void)user;
    if (read_files(text))
        printf("certificate read again from %s\n", options.certificate);
    else
        fprintf(stderr, "%s: %s; the old certificate stays\n", name_of_program, text);
}

void server_tls_open(const char *program, berth_server *server, char *files,
                     const char *const *protocols)
{
    char text[BERTH_TLS_TEXT_SIZE];
    char *comma = strchr(files, ',');
    if (comma)
        *comma = '\0';
    name_of_program = program;
    encrypting = server;
    options = (berth_tls_options){
        .certificate = files, .key = comma ? comma + 1 : NULL, .protocols = protocols};
    if (!read_files(text))
        fail(program, "%s", text);
    hangup = berth_signal_new(berth_server_loop(server), SIGHUP, renew, NULL);
    if (!hangup)
        fail(program, "cannot handle SIGHUP: %s", strerror(errno));
}

void server_tls_close(void)
{
    berth_signal_free(hangup);
    hangup = NULL;
}

#endif
