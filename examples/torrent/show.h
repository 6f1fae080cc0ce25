/*
 * Prints what torrent files say.
 */
#ifndef TORRENT_SHOW_H
#define TORRENT_SHOW_H

/* Returns the exit status: 1 if one could not be read, after a line on standard error. */
int show_torrents(const char *program, char **paths, int count);

/* Prints text of a stranger: control characters are shown as '?'. */
void print_text(const char *text);

#endif
