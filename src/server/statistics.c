/*
 * The counts of servers and loops, as they are handed out. Counting itself is done where things
 * happen, by plain increments in objects that are at hand there.
 */
#include <berth/statistics.h>

#include "base/count.h"
#include "base/sized.h"
#include "loop/loop.h"
#include "server.h"

void berth__server_count(const berth_server *server, berth_server_counts *ret_counts)
{
    const uint64_t *from = (const uint64_t *)&server->owner.counts;
    uint64_t *to = (uint64_t *)ret_counts;
    /* The first count what came: so no more seems to have become of it. */
    for (size_t i = sizeof *ret_counts / sizeof *to; i-- > 0;)
        to[i] = BERTH__COUNTED(from[i]);
    ret_counts->pending = BERTH__COUNTED(server->pending_count);
    ret_counts->awaiting_header = BERTH__COUNTED(server->awaiting);
    ret_counts->greeting = BERTH__COUNTED(server->greeting);
    ret_counts->handshaking = BERTH__COUNTED(server->shaking);
    ret_counts->lingering = BERTH__COUNTED(server->owner.roll->lingering);
}

void berth_server_statistics_sized(const berth_server *server, berth_server_counts *ret_counts,
                                   size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth_server_counts counts;
    berth__server_count(server, &counts);
    berth__sized_put(ret_counts, size, &counts, sizeof counts);
}

void berth_loop_statistics_sized(berth_loop *loop, berth_loop_counts *ret_counts, size_t size)
{
    berth_loop_counts counts = {0};
    loop = berth__loop_or_current(loop);
    if (loop != NULL) {
        BERTH__OWN_THREAD(loop);
        counts = loop->counts;
        counts.live = loop->live;
        counts.buffer_shortages = loop->backend->counts.buffer_shortages;
        counts.completion_overflows = loop->backend->counts.completion_overflows;
        counts.receives_renewed = loop->backend->counts.receives_renewed;
        counts.resets_found = loop->backend->counts.resets_found;
    }
    berth__sized_put(ret_counts, size, &counts, sizeof counts);
}
