/*
 * The Unix socket of daemon_server, for those who run it. It speaks HTTP:
 *
 *     curl --unix-socket PATH http://localhost/metrics    statistics, for Prometheus
 *     curl --unix-socket PATH http://localhost/ready      200, or 503 while the process drains
 *     curl --unix-socket PATH http://localhost/pid        the number of the process
 *
 * Who connects and says nothing gets the statistics once a second: `nc -U PATH`.
 */
#ifndef BERTH_EXAMPLES_DAEMON_ADMIN_H
#define BERTH_EXAMPLES_DAEMON_ADMIN_H

#include <stdbool.h>

#include <berth/berth.h>

#include "statistics.h"

/* Listens on the path, or on a listener with the name "admin" that was passed to this process. On
 * failure ends the program as options.h describes. */
void admin_open(const char *program, berth_loop *loop, const char *path);

/* Says from now on that the process is not ready. */
void admin_deny_readiness(void);

/* The successor answers from now on: what has begun here is finished. `finished` is called by the
 * loop then. */
void admin_drain(void (*finished)(bool forced));

/* New statistics: they are answered from now on, and sent to those who watch. */
void admin_update(const daemon_sample *samples, int count);

/* Adds the listener to what a successor gets. */
bool admin_offer(berth_handover *handover);

void admin_close(void);

#endif
