/*
 * The end of a connection whose peer may still be sending.
 *
 * Closing a TCP socket that holds unread input, or that receives more of it, makes the kernel send
 * a reset, and throw away what it still has to send; at some peers that destroys even what they
 * have received and not read. So a stream whose peer has spoken, or that has output for which the
 * peer has no room yet, ends its sending direction, reads and throws away what comes, and closes
 * when the peer has ended too, or when a bound of time or bytes is reached. As long as the peer
 * takes output the time begins anew. Freeing the loop waits for lingering streams, within a bound
 * of its own.
 *
 * Where the peer has not spoken and all output has left this kernel, the stream is closed at once:
 * a word that comes later is answered with a reset, which follows all of the output.
 */
#ifndef BERTH_LINGERING_H
#define BERTH_LINGERING_H

#include "backend/backend.h"
#include "base/address_counts.h"

struct berth_loop;

#define BERTH__LINGER_MILLISECONDS ((uint64_t)2000)
#define BERTH__LINGER_BYTES ((size_t)1 << 20)
#define BERTH__LINGER_TIMES 30u /* of so many milliseconds, at most */

/* Sees a stream to its end, whose socket has let go of it with nothing in flight, and whose sending
 * direction has ended. It keeps its place until then. Out of memory it is closed at once.
 */
void berth__linger(struct berth_loop *loop, berth__stream *stream, berth__place place);

/* Closes up to so many streams that linger, those first that have lingered longest, because there
 * is a lack of descriptors. Returns how many it were. */
size_t berth__linger_cut(struct berth_loop *loop, size_t most);

#endif
