/*
 * What a daemon does as a process: it leaves its parent, gives up its privileges, and starts the
 * program that is to succeed it. There is nothing of Berth in here.
 *
 * On failure the functions of the start end the program as options.h describes.
 */
#ifndef BERTH_EXAMPLES_DAEMON_PROCESS_H
#define BERTH_EXAMPLES_DAEMON_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Opens /dev/null in place of standard input, output and error if they are closed: else something
 * of the program would get their numbers, and messages would be written into it. To be called
 * first. */
void process_open_standard(const char *program);

/* Continues in a child, in a session of its own. The parent waits until the child calls
 * process_is_ready, and exits with 0 then; with 2 if the child ends before. To be called before
 * there are threads and loops. */
void process_leave_parent(const char *program);

/* Whoever waits for this process in process_leave_parent may go on. Standard input and output are
 * closed, and standard error if it is a terminal: from now on nobody reads them. No effect if
 * nobody waits. */
void process_is_ready(void);

/* Becomes the user for good, with the user's groups; "USER" or "USER:GROUP", as names or numbers.
 * Checks that there is no way back. */
void process_become(const char *program, const char *user);

/* Starts this program again, with the same arguments, from its path: another version of it may be
 * there by now. Returns its number; -1 with errno set. */
pid_t process_start_again(char *const *argv);

/* Whether this process was started by process_start_again. */
bool process_is_successor(void);

#endif
