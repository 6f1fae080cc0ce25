/*
 * Telling the supervisor, by the protocol of systemd's sd_notify, without libsystemd.
 *
 * A supervisor that wants to be told sets NOTIFY_SOCKET. Without it the functions here succeed and
 * do nothing, so a program calls them in any case:
 *
 *     berth_notify("READY=1");                              after listening
 *     berth_notify_reloading();                             SIGHUP: before reloading,
 *     berth_notify("READY=1\nSTATUS=3 sites");              and afterwards
 *     berth_notify("STOPPING=1\nSTATUS=draining");          SIGTERM
 *
 * A unit with Type=notify is started when READY=1 has come. A process that was started by the old
 * one for a hot restart (handover.h) sends "MAINPID=<its pid>\nREADY=1"; the unit needs
 * NotifyAccess=all for that.
 *
 * Nothing here blocks. Any thread; the environment must not be changed meanwhile.
 */
#ifndef BERTH_NOTIFY_H
#define BERTH_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/**
 * Sends a state to the supervisor.
 *
 * @param state  assignments, one a line, such as "READY=1"
 * @return true if it was sent, or if there is no supervisor to be told. False with errno set:
 *         EAGAIN (the supervisor's queue is full: try again later), ECONNREFUSED or ENOENT (nobody
 *         reads the socket), EINVAL (`state` is NULL or "", or NOTIFY_SOCKET is neither an absolute
 *         path nor "@" and an abstract name), ENAMETOOLONG (it does not fit a socket's address),
 *         EMSGSIZE, or why there is no socket (EMFILE, ENOBUFS ...).
 */
BERTH_API bool berth_notify(const char *state);

/** Sends RELOADING=1 with the time, MONOTONIC_USEC, that a unit with Type=notify-reload needs. Send
 * READY=1 when the reload has ended. Returns as berth_notify. */
BERTH_API bool berth_notify_reloading(void);

/**
 * Returns how often the supervisor's watchdog wants to be told, which is half of its time-out:
 *
 *     uint64_t interval = berth_notify_watchdog_interval();
 *     if (interval > 0)
 *         berth_timer_start(timer, interval, interval);   whose handler sends "WATCHDOG=1"
 *
 * @return milliseconds, at least 1; 0 if there is no watchdog for this process (WATCHDOG_USEC,
 *         WATCHDOG_PID)
 */
BERTH_API uint64_t berth_notify_watchdog_interval(void);

BERTH_END_DECLARATIONS

#endif
