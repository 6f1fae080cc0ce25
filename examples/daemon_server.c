/*
 * A server with all that a daemon needs: ports by name, a pool of threads for each, TLS, statistics
 * and readiness on a Unix socket, reload, drain, hot restart, systemd, fork, privileges. What it
 * serves is little: it answers each request by HTTP with the number of its process.
 *
 * The start, in this order: options; --daemon forks; listeners, which come from the predecessor or
 * from systemd, or are made here; privileges are given up; the predecessor, systemd and the waiting
 * parent learn that it is ready. Then signals decide:
 *
 *     SIGHUP    reads the file of limits again, and the certificates; a wrong one changes nothing
 *     SIGUSR2   starts this program again, which takes the listeners over, and the keys of tickets,
 *               so that sessions of TLS go on; when that is ready, this process drains. If it
 * fails, nothing has changed SIGTERM   drains: readiness says no, while accepting goes on for the
 * grace time; then the listeners close, and each connection ends after its next answer. A second
 * one ends the program at once, as SIGINT does; the first one does not, where the process drains
 * for a successor already: systemd sends it to all processes of a service
 *
 * The threads of the ports serve (daemon/ports.c); the main thread has the signals, the timers and
 * the Unix socket (daemon/admin.c).
 *
 * Ways to fail, each with one line on standard error and exit status 2: a wrong option or file, an
 * address or path that cannot be listened on, a user that does not exist. The exit status is 1 if
 * the drain had to end connections by force, or was cut short.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <berth/berth.h>

#include "daemon/admin.h"
#include "daemon/ports.h"
#include "daemon/process.h"
#include "daemon/settings.h"
#include "daemon/statistics.h"
#include "daemon/tls.h"
#include "options.h"

#define PROGRAM "daemon_server"

/* In milliseconds: between two statistics; for a predecessor to hand over; and for a successor to
 * get ready. */
#define SECOND 1000
#define TAKE_LIMIT 5000
#define SUCCESSOR_LIMIT 30000

static struct options {
    int threads;         /* of each port */
    const char *admin;   /* path of the Unix socket, or NULL */
    const char *restart; /* path at which a successor takes over, or NULL */
    const char *limits;  /* file, or NULL */
    const char *user;    /* to become, or NULL */
    bool daemon;
    char **argv;
} options = {.threads = 2};

static berth_loop *loop;
static daemon_settings settings;
static berth_handover *handover; /* NULL without --restart */
static pid_t successor;          /* 0: none was started, or it has ended */
static bool is_ready;
static bool draining;
static bool terminated; /* by SIGTERM, once */
static int left;        /* drains that are not over */
static int status;      /* of the exit */

static void say(const char *text)
{
    fprintf(stderr, PROGRAM "[%ld]: %s\n", (long)getpid(), text);
}

/* ---- the offer to a successor ---------------------------------------------------------------- */

static void succeeded(berth_handover *from, void *user);
static void not_succeeded(berth_handover *from, const char *text, void *user);

/* The keys that there are now: SIGHUP changes them. */
static void taking(berth_handover *from, void *user)
{
    (void)user;
    if (!daemon_tls_offer(from))
        say("the successor gets no keys of tickets: out of memory");
}

/* Offers what was opened to the next successor; false with errno set. */
static bool offer(void)
{
    static const berth_handover_handlers handlers = {
        .succeeded = succeeded, .failed = not_succeeded, .taking = taking};
    handover = berth_handover_offer(loop, options.restart, &handlers, NULL);
    if (!handover)
        return false;
    if (!ports_offer(handover) || !admin_offer(handover)) {
        int error = errno;
        berth_handover_free(handover);
        handover = NULL;
        errno = error;
        return false;
    }
    berth_handover_set_time_limit(handover, SUCCESSOR_LIMIT);
    return true;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void measure(berth_timer *timer, void *user)
{
    daemon_sample samples[MOST_PORTS];
    int count = ports_measure(samples);
    (void)timer;
    (void)user;
    admin_update(samples, count);
    if (options.restart && is_ready && !handover && !draining)
        (void)offer(); /* a predecessor that hung may have ended meanwhile */
}

static void feed_watchdog(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    berth_notify("WATCHDOG=1");
}

/* ---- reload, drain, restart ------------------------------------------------------------------ */

static void reload(berth_signal *signal, void *user)
{
    char text[256] = "there is no file of limits";
    char why[DAEMON_TLS_TEXT_SIZE];
    (void)signal;
    (void)user;
    berth_notify_reloading();
    if (options.limits && daemon_settings_read(&settings, options.limits, text, sizeof text)) {
        ports_set_limits(&settings);
        snprintf(text, sizeof text, "new limits from %s", options.limits);
    }
    say(text);
    daemon_tls_rotate();
    if (!ports_renew(why)) {
        say(why);
        say("the old certificate stays");
    }
    berth_notify("READY=1");
}

static void drained(bool forced)
{
    if (forced)
        status = 1;
    if (--left == 0)
        berth_loop_stop(loop, 0);
}

static void drain(uint32_t grace)
{
    berth_drain plan = settings.drain;
    plan.grace = grace;
    draining = true;
    left++;
    ports_drain(&plan, drained);
}

static void terminate(berth_signal *signal, void *user)
{
    (void)user;
    if (terminated || berth_signal_number(signal) == SIGINT) {
        say("ends at once");
        status = 1;
        berth_loop_stop(loop, 0);
        return;
    }
    terminated = true;
    if (draining) {
        say("drains already");
        return;
    }
    say("drains");
    berth_handover_free(handover); /* a successor that is starting fails: the service is to end */
    handover = NULL;
    berth_notify("STOPPING=1\nSTATUS=draining");
    admin_deny_readiness();
    drain(settings.drain.grace);
}

static void restart(berth_signal *signal, void *user)
{
    char text[256];
    const char *why = draining           ? "cannot restart: this process drains"
                      : !options.restart ? "cannot restart without --restart"
                      : !handover        ? "cannot restart: a predecessor still offers that"
                      : successor > 0    ? "cannot restart: a successor is starting already"
                                         : NULL;
    (void)signal;
    (void)user;
    if (!why) {
        successor = process_start_again(options.argv);
        snprintf(text, sizeof text, "cannot start %s: %s", options.argv[0], strerror(errno));
        why = successor > 0 ? "starts a successor" : text;
    }
    say(why);
}

/* A child has ended: a successor that failed, or, with --daemon, the parent of the successor. */
static void reap(berth_signal *signal, void *user)
{
    int how;
    (void)signal;
    (void)user;
    if (successor <= 0 || waitpid(successor, &how, WNOHANG) != successor)
        return;
    successor = 0;
    if (how != 0)
        say("the successor has failed, and this process goes on");
}

/* From now on the successor serves, and answers at the Unix socket. It is the same service: systemd
 * must not hear that it stops. */
static void succeeded(berth_handover *from, void *user)
{
    (void)from;
    (void)user;
    say("the successor is ready; this process drains");
    drain(0);
    left++;
    admin_drain(drained);
}

static void not_succeeded(berth_handover *from, const char *text, void *user)
{
    (void)from;
    (void)user;
    say(text);
}

/* ---- the start ------------------------------------------------------------------------------- */

/* What the predecessor at the same path offers; NULL if there is none. */
static berth_inheritance *take_over(void)
{
    char text[256];
    berth_inheritance *taken = NULL;
    if (options.restart)
        taken = berth_handover_take(options.restart, TAKE_LIMIT, text, sizeof text);
    bool nobody = !taken && (errno == ENOENT || errno == ECONNREFUSED);
    if (options.restart && !taken && (!nobody || process_is_successor()))
        fail(PROGRAM, "%s", text);
    return taken;
}

/* Makes timers and handlers of signals, which the loop frees. */
static void begin_events(void)
{
    static const struct {
        int number;
        berth_signal_handler handler;
    } signals[] = {{SIGHUP, reload},   {SIGTERM, terminate}, {SIGINT, terminate},
                   {SIGUSR2, restart}, {SIGCHLD, reap},      {SIGPIPE, NULL}};
    uint64_t interval = berth_notify_watchdog_interval();
    berth_timer *second = berth_timer_new(loop, measure, NULL);
    berth_timer *watchdog = berth_timer_new(loop, feed_watchdog, NULL);
    bool made = second && watchdog;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        made = made && berth_signal_new(loop, signals[i].number, signals[i].handler, NULL);
    if (!made)
        fail(PROGRAM, "cannot make timers and signals: %s", strerror(errno));
    measure(second, NULL);
    berth_timer_start(second, SECOND, SECOND);
    if (interval > 0)
        berth_timer_start(watchdog, interval, interval);
}

/* Tells those who wait for it. */
static void become_ready(berth_inheritance *taken)
{
    char text[256];
    bool succeeds = taken != NULL;
    if (taken && !berth_handover_ready(taken))
        fail(PROGRAM, "%s", berth_inheritance_error_string(taken));
    berth_inheritance_free(taken);
    if (options.restart && !offer()) {
        snprintf(text, sizeof text, "cannot offer a restart at %s: %s", options.restart,
                 strerror(errno));
        if (!succeeds)
            fail(PROGRAM, "%s", text);
        say(text); /* a predecessor that hangs still does; but this process serves now */
    }
    is_ready = true;
    snprintf(text, sizeof text, "MAINPID=%ld\nREADY=1\nSTATUS=serving", (long)getpid());
    berth_notify(text);
    puts("ready");
    fflush(stdout);
    process_is_ready();
}

/* ---- the command line ------------------------------------------------------------------------ */

static const char help[] =
    "usage: " PROGRAM " [OPTION]...\n"
    "Answers requests by HTTP, as a daemon.\n"
    "\n"
    "  --listen NAME=WHERE  listen on /PATH, @NAME or [ADDRESS:]PORT, or on a listener\n"
    "                       with this name from systemd or a predecessor; up to eight\n"
    "                       times (default: web=127.0.0.1:0)\n"
    "  --proxied NAME       the peers of this port send a PROXY header\n"
    "  --tls NAME=FILE[,FILE]\n"
    "                       this port encrypts, with the certificate and key of these PEM\n"
    "                       files, which are read again on SIGHUP\n"
    "  --threads N          of each port, 1 to 64 (default: 2)\n"
    "  --admin PATH         Unix socket for /metrics, /ready and /pid\n"
    "  --limits FILE        limits, read again on SIGHUP\n"
    "  --restart PATH       Unix socket at which a new process takes over on SIGUSR2\n"
    "  --user USER[:GROUP]  become this user when the ports are open\n"
    "  --daemon             go to the background when ready\n"
    "  --help               print this and exit\n";

static const struct option known[] = {{"listen", required_argument, NULL, 'l'},
                                      {"proxied", required_argument, NULL, 'p'},
                                      {"threads", required_argument, NULL, 't'},
                                      {"admin", required_argument, NULL, 'a'},
                                      {"limits", required_argument, NULL, 'f'},
                                      {"restart", required_argument, NULL, 'r'},
                                      {"user", required_argument, NULL, 'u'},
                                      {"daemon", no_argument, NULL, 'd'},
                                      {"tls", required_argument, NULL, 's'},
                                      {"help", no_argument, NULL, 'h'},
                                      {0}};

static void parse(int argc, char **argv)
{
    int option;
    opterr = 0; /* the message is ours */
    options.argv = argv;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'l')
            ports_add(PROGRAM, optarg);
        else if (option == 'p')
            ports_expect_header(PROGRAM, optarg);
        else if (option == 's')
            ports_encrypt(PROGRAM, optarg);
        else if (option == 't')
            options.threads = (int)number_from(PROGRAM, "the threads", optarg, 1, MOST_THREADS);
        else if (option == 'a')
            options.admin = optarg;
        else if (option == 'f')
            options.limits = optarg;
        else if (option == 'r')
            options.restart = optarg;
        else if (option == 'u')
            options.user = optarg;
        else if (option == 'd')
            options.daemon = true;
        else if (option != 'h')
            fail(PROGRAM, "'%s' is no option or lacks its value; try --help", argv[optind - 1]);
        if (option == 'h') {
            fputs(help, stdout);
            exit(0);
        }
    }
    if (optind < argc)
        fail(PROGRAM, "'%s' is one argument too many; try --help", argv[optind]);
}

int main(int argc, char **argv)
{
    char text[256];
    process_open_standard(PROGRAM);
    parse(argc, argv);
    settings = daemon_settings_standard();
    if (options.limits && !daemon_settings_read(&settings, options.limits, text, sizeof text))
        fail(PROGRAM, "%s", text);
    /* Reads what systemd has passed, while this is the process that it has meant. */
    (void)berth_inherited_count();
    if (options.daemon)
        process_leave_parent(PROGRAM);
    berth_inheritance *taken = take_over();
    loop = berth_loop_new(NULL);
    if (!loop)
        fail_without_loop(PROGRAM, NULL);
    daemon_tls_begin(PROGRAM, taken);
    ports_open(PROGRAM, loop, options.threads, &settings);
    if (options.admin)
        admin_open(PROGRAM, loop, options.admin);
    if (options.user)
        process_become(PROGRAM, options.user);
    begin_events();
    become_ready(taken);
    if (berth_loop_run(loop) != 0)
        fail(PROGRAM, "the event loop failed: %s", strerror(errno));
    ports_close();
    admin_close();
    berth_loop_free(loop);
    return status;
}
