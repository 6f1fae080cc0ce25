/*
 * The time for a handshake that this side has begun, and what is still heard when it is over.
 *
 * Handlers, or the program between two calls, may have been busy for that long: so the kernel is
 * asked first, and what it has is let through the engine. A ring may need a few looks for that,
 * when a stream has sent before it has ever received. Whatever needs another answer of the peer
 * is too late, and so is what comes behind that from a peer that never ends to send.
 *
 * Nothing here can fail, and no handlers are called.
 */
#include "secure.h"

#define LOOKS 3u /* at the kernel, while it has something */

bool berth__secure_has_time(berth__secure *secure)
{
    const berth_socket *socket = secure->socket;
    const berth_loop *loop = socket->object.loop;
    berth__backend *backend = loop->backend;
    berth__ready *ready = &socket->stream->ready;
    if (secure->due > loop->time)
        return true;
    uint32_t waits = (uint32_t)loop->counts.waits;
    bool runs = berth__ready_spares(ready, secure->overdue);
    if (runs || !secure->overdue)
        secure->waits = waits;
    secure->overdue = true;
    if (runs)
        return true;
    return waits - secure->waits < LOOKS &&
           ((ready->queued && ready->pending != 0) ||
            backend->operations->input(backend, socket->stream) > 0);
}
