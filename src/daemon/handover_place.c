/*
 * The place of an offer: a listening SOCK_SEQPACKET socket with a file of mode 0600, or an abstract
 * name. How it is taken is base/local_place.h, whose failures the program sees as
 *
 *     no socket, one that answers, or one of another user in the place -> EADDRINUSE
 *     somebody else about to begin there, or a lock that is none       -> EADDRINUSE
 *     everything else                                                  -> the errno
 *
 * Where another user's lock has been left, nothing is removed, but what is free can be taken.
 */
#include "handover.h"

#include "base/system.h"

#include <errno.h>
#include <unistd.h>

enum {
    BACKLOG = 8
};

static bool is_in_the_way(int error, berth__local_step step)
{
    switch (step) {
    case BERTH__LOCAL_LOCK:
        return error == EWOULDBLOCK || error == EEXIST || error == ELOOP || error == EISDIR ||
               error == ENXIO;
    case BERTH__LOCAL_PLACE:
    case BERTH__LOCAL_PROBE:
        return error == EEXIST || error == EACCES;
    default:
        return false;
    }
}

/* Returns an errno. */
static int begin(berth__offer_place *place, berth__local_listen *how)
{
    berth__local_step step;
    int error = berth__local_place_take(place->listener, how, &place->file, &step);
    if (error == EACCES && step == BERTH__LOCAL_LOCK) {
        how->options.replace_stale = false;
        error = berth__local_place_take(place->listener, how, &place->file, &step);
    }
    return is_in_the_way(error, step) ? EADDRINUSE : error;
}

int berth__offer_place_open(berth__offer_place *place, const char *path)
{
    berth__local_listen how = {
        .backlog = BACKLOG, .waits = true, .options = {.mode = 0600, .replace_stale = true}};
    const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    place->listener = -1;
    place->file = (berth__local_file){0};
    int error = berth__local_name_read(path, &how.name);
    if (error != 0)
        return error;
    place->name = how.name;
    place->listener = BERTH__SYSTEM("socket", socket(AF_UNIX, type, 0));
    error = place->listener < 0 ? errno : begin(place, &how);
    if (error != 0)
        berth__offer_place_close(place, false);
    return error;
}

void berth__offer_place_close(berth__offer_place *place, bool removes)
{
    if (removes)
        berth__local_place_leave(&place->name, &place->file);
    place->file = (berth__local_file){0};
    if (place->listener >= 0)
        (void)close(place->listener);
    place->listener = -1;
}
