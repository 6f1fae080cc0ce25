/*
 * The system calls of the library, one inline wrapper each.
 *
 * In the library a wrapper is the call. In test builds (BERTH_FAULTS) each first asks
 * berth__fault_system whether this is the call that has to fail, so that a test can walk through
 * "the n-th system call fails" for every n.
 */
#ifndef BERTH_SRC_SYSTEM_H
#define BERTH_SRC_SYSTEM_H

#ifdef BERTH_FAULTS
#include <errno.h>

#include "fault.h"

#define BERTH__SYSTEM(name, call) (berth__fault_system(name) ? -1 : (call))
/* For liburing's, which return a negative errno: -1 is EPERM there. */
#define BERTH__RING_SYSTEM(name, call) (berth__fault_system(name) ? -errno : (call))
#else
#define BERTH__SYSTEM(name, call) (call)
#define BERTH__RING_SYSTEM(name, call) (call)
#endif

#endif
