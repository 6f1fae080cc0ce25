/*
 * What the world asks of a kernel, real or simulated. Between world.c, peer_real.c and peer_sim.c
 * only.
 */
#ifndef BERTH_TESTS_WORLD_SIDE_H
#define BERTH_TESTS_WORLD_SIDE_H

#include "world.h"

#include "backend/sim.h"

struct peer {
    struct peer *next;
    int descriptor;      /* of a real one */
    berth__sim_end *end; /* of a simulated one; NULL when its kernel has gone */
    bool ended;
    bool was_reset;
};

struct side {
    int (*connect)(struct peer *peer, berth_address address,
                   uint16_t port);       /* an errno; 0: begun */
    int (*establish)(struct peer *peer); /* waits for it, if that takes time; an errno */
    bool (*is_established)(struct peer *peer);
    ptrdiff_t (*send)(struct peer *peer, const void *data, size_t size);
    ptrdiff_t (*receive)(struct peer *peer, void *data, size_t size);
    void (*shutdown)(struct peer *peer);
    void (*close)(struct peer *peer, bool reset);
    uint16_t (*port)(struct peer *peer);
    int (*release)(struct peer *peer); /* its descriptor, which is the caller's then */

    uint16_t (*listen)(int backlog);
    void (*greet)(uint16_t port, const void *data, size_t size);
    bool (*accept)(struct peer *peer, uint16_t port);
    void (*unlisten)(uint16_t port);
    void (*unlisten_all)(void);

    int (*listener_descriptor)(uint16_t *ret_port);
    void (*shut_listener)(int descriptor);
    int (*unconnected_descriptor)(void);
    int (*event_descriptor)(void);
    void (*raise)(int descriptor, unsigned events);
    bool (*is_open)(int descriptor);
    void (*close_descriptor)(int descriptor);
    void (*exhaust)(unsigned left);
    void (*relieve)(void);
};

struct peer *world_new_peer(void);
void world_end_local(void);

extern const struct side real_side;
extern const struct side simulated_side;

#endif
