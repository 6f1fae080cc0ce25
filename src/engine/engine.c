/*
 * Holding and releasing configurations: what the core itself does with one.
 */
#include "engine.h"

berth_tls *berth_tls_hold(berth_tls *tls)
{
    if (tls != NULL)
        atomic_fetch_add_explicit(&tls->holders, 1, memory_order_relaxed);
    return tls;
}

void berth_tls_release(berth_tls *tls)
{
    if (tls == NULL || atomic_fetch_sub_explicit(&tls->holders, 1, memory_order_acq_rel) > 1)
        return;
    tls->operations->destroy(tls);
}
