/*
 * What is shown: at a terminal, a line for each torrent that is drawn again each second, with a bar
 * of the pieces, rates, peers and the time left; elsewhere a plain line every ten seconds.
 *
 * A terminal that was stopped by Ctrl-S, or a pipe that nobody reads, takes no bytes: then nothing
 * is printed, since a loop that waits for them serves nobody.
 */
#ifndef TORRENT_PROGRESS_H
#define TORRENT_PROGRESS_H

#include "session.h"

bool progress_may_print(void); /* a line, without waiting */
void progress_show(const session *session, uint64_t now);
void progress_clear(const session *session); /* before another line is printed */

#endif
