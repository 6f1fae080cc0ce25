/*
 * Names to addresses, by c-ares, asking those whom the system's configuration names at the time.
 *
 * A lookup ends once: its result is put into the loop's list of finished lookups and is run from
 * there, in the completion phase of a turn or in a blocking wait of its owner; never inside
 * berth__lookup_start. Addresses come in the order in which RFC 8305 wants them tried: families
 * alternating, the first family as the system's policy sorts it.
 */
#ifndef BERTH_RESOLVER_H
#define BERTH_RESOLVER_H

#include <berth/address.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct berth_loop;

#define BERTH__MOST_ADDRESSES 16u

typedef struct berth__lookup berth__lookup;

/* What a lookup has found: `count` is 0 for a name that does not exist or cannot be looked up.
 * `error` is then EMFILE or the like if there was no descriptor for it, ENOMEM if there was no
 * memory, ETIMEDOUT if no server has answered, else 0. */
typedef void (*berth__lookup_done)(void *owner, const berth_address *addresses, size_t count,
                                   int error);

struct sockaddr;

/* The address in a name of IPv4 or IPv6, with its scope. False for other families. */
bool berth__lookup_address(const struct sockaddr *name, berth_address *ret_address);

/* Starts looking up a name. NULL when out of memory or when no channel can be made. */
berth__lookup *berth__lookup_start(struct berth_loop *loop, const char *name, void *owner,
                                   berth__lookup_done done);

/* Ends a lookup that has not been run: nobody is asked any more, and `done` will not be called. */
void berth__lookup_cancel(berth__lookup *lookup);

/* Runs finished lookups, those of one owner or (NULL) all. Returns how many. */
size_t berth__lookups_run(struct berth_loop *loop, const void *owner);

/* Lets c-ares look at the lookup's time-outs, in a wait that runs no timers. Returns when it wants
 * to be called again, or UINT64_MAX. */
uint64_t berth__lookup_step(berth__lookup *lookup);

#ifdef BERTH_FAULTS
/* For tests: channels that are made from now on ask these servers ("127.0.0.1:5353", a string that
 * lives on) instead of those of the system. NULL: the system's again. */
void berth__resolver_set_servers(const char *servers);
/* The file whose changes are followed, instead of /etc/resolv.conf; NULL: that again. */
void berth__resolver_set_file(const char *path);
#endif

#endif
