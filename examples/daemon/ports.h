/*
 * The ports of daemon_server: each has a name, a place where it listens, and a pool of threads.
 *
 * A listener of its name that systemd or a predecessor has passed is used instead of the place. The
 * threads answer requests; the functions here are for the main thread. On failure those of the
 * start end the program as options.h describes.
 */
#ifndef BERTH_EXAMPLES_DAEMON_PORTS_H
#define BERTH_EXAMPLES_DAEMON_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include <berth/berth.h>

#include "settings.h"
#include "statistics.h"

#define MOST_PORTS 8
#define MOST_THREADS 64 /* of a port */

/* Adds "NAME=WHERE", where WHERE is "/PATH", "@NAME" or "[ADDRESS:]PORT". */
void ports_add(const char *program, const char *text);

/* The peers of a port that was added send a PROXY header. */
void ports_expect_header(const char *program, const char *name);

/* A port that was added encrypts: "NAME=CERTIFICATE[,KEY]" (tls.h). */
void ports_encrypt(const char *program, const char *text);

/* Starts the threads, and listens on every port; one on a free port of loopback if none was added.
 * Prints where. */
void ports_open(const char *program, berth_loop *loop, int threads,
                const daemon_settings *settings);

/* Gives the threads other limits, for the connections that they accept from then on. */
void ports_set_limits(const daemon_settings *settings);

/* Reads the certificates again, for the connections that are accepted from then on. False with a
 * line of DAEMON_TLS_TEXT_SIZE bytes for the first port where that has failed, which keeps the old
 * one; true as well if no port encrypts. */
bool ports_renew(char *text);

/* Drains all ports; `finished` is called by the loop when no connection is left. */
void ports_drain(const berth_drain *plan, void (*finished)(bool forced));

/* Adds the listeners to what a successor gets. */
bool ports_offer(berth_handover *handover);

/* Fills in a sample for each port; returns how many. */
int ports_measure(daemon_sample samples[MOST_PORTS]);

/* Ends the threads, and whatever connections they still have. */
void ports_close(void);

#endif
