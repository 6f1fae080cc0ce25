/*
 * A name server for cases: on 127.0.0.1, on a thread of its own, with the answers of a table.
 *
 * The library's resolver asks it instead of the system's from name_server_start on; the loop of the
 * case has to be made afterwards, or not to have looked up a name yet. A name that is not in the
 * table does not exist.
 */
#ifndef BERTH_TESTS_NAME_SERVER_H
#define BERTH_TESTS_NAME_SERVER_H

#include <stdbool.h>

#define NAME_MOST 4

struct name_entry {
    const char *name;
    const char *four[NAME_MOST + 1]; /* IPv4 addresses, up to a NULL */
    const char *six[NAME_MOST + 1];  /* IPv6 addresses */
    bool refused;                    /* the server does not want to say */
    bool silent;                     /* it never answers */
    bool garbled;                    /* it answers nonsense */
};

/* Starts it with a table that ends with an entry without a name. Skips the case where the simulated
 * kernel cannot carry it. */
void name_server_start(const struct name_entry *table);
void name_server_stop(void);

/* Questions it was asked. */
unsigned name_server_questions(void);

#endif
