/*
 * Static probes (USDT): places of the library at which bpftrace, perf, SystemTap or gdb can look
 * while a program runs. docs/probes.md lists them with their arguments, and is compared with the
 * library by a test.
 *
 * A probe is one nop and a note in the file that says where the arguments are then. There is no
 * flag that a probe looks at first, so an argument should be at hand there anyway: a variable, or a
 * member that was just used. An argument keeps its type: a pointer, a size_t or an int. Nothing
 * may depend on a probe.
 *
 * Without <sys/sdt.h>, which is a package of its own (systemtap-sdt-dev), there are none.
 */
#ifndef BERTH_SRC_PROBE_H
#define BERTH_SRC_PROBE_H

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define BERTH__HAS_PROBES 1
#endif
#endif

#ifdef BERTH__HAS_PROBES
#define BERTH__PROBE1(name, a) STAP_PROBE1(berth, name, a)
#define BERTH__PROBE2(name, a, b) STAP_PROBE2(berth, name, a, b)
#define BERTH__PROBE3(name, a, b, c) STAP_PROBE3(berth, name, a, b, c)
#define BERTH__PROBE4(name, a, b, c, d) STAP_PROBE4(berth, name, a, b, c, d)
#else
#define BERTH__PROBE1(name, a) ((void)(a))
#define BERTH__PROBE2(name, a, b) ((void)(a), (void)(b))
#define BERTH__PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define BERTH__PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

/* What accept_pause says. In docs/probes.md too. */
enum {
    BERTH__PAUSE_NONE,       /* the server accepts */
    BERTH__PAUSE_BY_PROGRAM, /* berth_server_pause_accepting */
    BERTH__PAUSE_BY_ERROR,   /* an error that would only be repeated */
    BERTH__PAUSE_QUEUE_FULL, /* of pending connections */
    BERTH__PAUSE_RATE,       /* berth_accept_limits.per_second */
    BERTH__PAUSE_STARVED,    /* no descriptor or memory left */
    BERTH__PAUSE_NOT_LISTENING,
    BERTH__PAUSE_GREETINGS_FULL /* berth_server_max_greetings, all with their ClientHello */
};

#endif
