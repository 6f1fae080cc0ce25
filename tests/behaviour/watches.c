/*
 * Watches: readiness as a level, everything inside their handlers, and descriptors that are closed
 * too early.
 */
#include "children.h"
#include "scene.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

struct watcher;
typedef void (*watcher_hook)(struct watcher *watcher);

struct watcher {
    berth_watch *watch;
    const char *name;
    unsigned count;
    unsigned events; /* the last ones */
    watcher_hook hook;
    struct watcher *other;
};

static void ready(berth_watch *watch, unsigned events, void *user)
{
    struct watcher *self = user;
    ck_assert_ptr_eq(watch, self->watch);
    ck_assert_uint_ne(events, 0);
    self->count++;
    self->events = events;
    trace("%s", self->name);
    if (self->hook != NULL)
        self->hook(self);
}

static void make(struct watcher *self, const char *name, int descriptor)
{
    self->name = name;
    self->watch = berth_watch_new(world_loop(), descriptor, ready, self);
    ck_assert_ptr_nonnull(self->watch);
    ck_assert(!berth_watch_is_active(self->watch));
    ck_assert_int_eq(berth_watch_descriptor(self->watch), descriptor);
}

static void start(struct watcher *self, unsigned events)
{
    ck_assert(berth_watch_start(self->watch, events));
    ck_assert(berth_watch_is_active(self->watch));
}

static int raised_event(void)
{
    int event = world_event_descriptor();
    world_raise(event, BERTH_WATCH_READ);
    return event;
}

CASE(watch_goes_on_while_ready, "watch.h", "a level: called in each turn until nothing is there")
{
    struct watcher a = {0};
    int event = raised_event();
    make(&a, "a", event);
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count == 3);
    ck_assert_uint_eq(a.events, BERTH_WATCH_READ);
    world_raise(event, 0);
    world_turn();
    unsigned before = a.count;
    world_settle();
    ck_assert_uint_eq(a.count, before);
    world_raise(event, BERTH_WATCH_READ);
    UNTIL(a.count > before);
    world_close_descriptor(event);
}

CASE(watch_of_once, "watch.h", "inactive inside its handler, and called again when started again")
{
    struct watcher a = {0};
    int event = raised_event();
    make(&a, "a", event);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert(berth_watch_start_once(a.watch, BERTH_WATCH_READ));
        UNTIL(a.count == i);
        ck_assert(!berth_watch_is_active(a.watch));
        world_settle();
        ck_assert_uint_eq(a.count, i);
    }
    world_close_descriptor(event);
}

CASE(fired_watch_does_not_wake, "watch.h", "what nobody reads wakes no loop once the watch is over")
{
    struct watcher a = {0};
    int event = raised_event();
    make(&a, "a", event);
    ck_assert(berth_watch_start_once(a.watch, BERTH_WATCH_READ));
    UNTIL(a.count == 1);
    world_settle();
    unsigned early = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t before = berth_loop_now(world_loop());
        berth_loop_turn(world_loop(), 20);
        early += berth_loop_now(world_loop()) - before < 18;
    }
    ck_assert_uint_le(early, 1);
    world_close_descriptor(event);
}

static void stop_self(struct watcher *self)
{
    berth_watch_stop(self->watch);
}

static void free_self(struct watcher *self)
{
    berth_watch_free(self->watch);
    self->watch = NULL;
}

static void free_other(struct watcher *self)
{
    berth_watch_free(self->watch);
    berth_watch_free(self->other->watch);
}

static void restart_once(struct watcher *self)
{
    if (self->count < 4)
        ck_assert(berth_watch_start_once(self->watch, BERTH_WATCH_READ));
}

static void stop_and_start(struct watcher *self)
{
    for (int i = 0; i < 3; i++) {
        berth_watch_stop(self->watch);
        ck_assert(berth_watch_start(self->watch, BERTH_WATCH_READ));
    }
    if (self->count == 3)
        berth_watch_stop(self->watch);
}

static void called_once_with(watcher_hook hook)
{
    struct watcher a = {.hook = hook};
    int event = raised_event();
    make(&a, "a", event);
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count == 1);
    world_settle();
    ck_assert_uint_eq(a.count, 1);
    world_close_descriptor(event);
}

CASE(watch_stops_inside, "watch.h", "stopped in its own handler")
{
    called_once_with(stop_self);
}

CASE(watch_is_freed_inside, "watch.h", "freed in its own handler")
{
    called_once_with(free_self);
}

CASE(watch_frees_another_inside, "watch.h", "of two that are ready the first frees both")
{
    struct watcher a = {.hook = free_other};
    struct watcher b = {.hook = free_other};
    int event = raised_event();
    make(&a, "a", event);
    make(&b, "b", event);
    a.other = &b;
    b.other = &a;
    start(&a, BERTH_WATCH_READ);
    start(&b, BERTH_WATCH_READ);
    UNTIL(a.count + b.count == 1);
    world_settle();
    ck_assert_uint_eq(a.count + b.count, 1);
    world_close_descriptor(event);
}

CASE(watch_starts_again_inside, "watch.h", "in its own handler, and after stops there")
{
    struct watcher a = {.hook = restart_once};
    struct watcher b = {.hook = stop_and_start};
    int event = raised_event();
    make(&a, "a", event);
    make(&b, "b", event);
    ck_assert(berth_watch_start_once(a.watch, BERTH_WATCH_READ));
    start(&b, BERTH_WATCH_READ);
    UNTIL(a.count == 4 && b.count == 3);
    world_settle();
    ck_assert_uint_eq(a.count, 4);
    ck_assert_uint_eq(b.count, 3);
    world_close_descriptor(event);
}

CASE(watch_waits_for_other_events, "watch.h",
     "an active one that is started waits for the new ones")
{
    struct peer *peer;
    struct watcher a = {0};
    int stream = world_stream_descriptor(&peer);
    make(&a, "a", stream);
    start(&a, BERTH_WATCH_READ);
    world_settle();
    ck_assert_uint_eq(a.count, 0);
    start(&a, BERTH_WATCH_READ | BERTH_WATCH_WRITE);
    UNTIL(a.count > 0);
    ck_assert_uint_eq(a.events, BERTH_WATCH_WRITE);
    start(&a, BERTH_WATCH_READ);
    unsigned before = a.count;
    world_settle();
    ck_assert_uint_eq(a.count, before);
    peer_send_some(peer, "x", 1);
    UNTIL(a.count > before);
    ck_assert_uint_eq(a.events, BERTH_WATCH_READ);
    berth_watch_free(a.watch);
    world_close_descriptor(stream);
}

CASE(watches_of_one_descriptor, "watch.h", "one for reading and one for writing; each is called")
{
    struct peer *peer;
    struct watcher reads = {0};
    struct watcher writes = {0};
    int stream = world_stream_descriptor(&peer);
    make(&reads, "r", stream);
    make(&writes, "w", stream);
    start(&reads, BERTH_WATCH_READ);
    start(&writes, BERTH_WATCH_WRITE);
    UNTIL(writes.count > 2);
    ck_assert_uint_eq(reads.count, 0);
    berth_watch_free(writes.watch);
    peer_send_some(peer, "x", 1);
    UNTIL(reads.count > 0);
    berth_watch_free(reads.watch);
    world_close_descriptor(stream);
}

CASE(watch_of_a_broken_stream, "watch.h", "a reset is readiness for what was asked")
{
    struct peer *peer;
    struct watcher a = {.hook = stop_self};
    int stream = world_stream_descriptor(&peer);
    make(&a, "a", stream);
    start(&a, BERTH_WATCH_READ);
    world_settle();
    peer_reset(peer);
    UNTIL(a.count == 1);
    ck_assert_uint_eq(a.events, BERTH_WATCH_READ);
    berth_watch_free(a.watch);
    world_close_descriptor(stream);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refused(int descriptor, int error)
{
    errno = 0;
    ck_assert_ptr_null(berth_watch_new(world_loop(), descriptor, ready, NULL));
    ck_assert_int_eq(errno, error);
}

CASE(watches_refused, "watch.h", "no descriptor, a library's descriptor, no handler, no events")
{
    struct host *host = host_listening("h");
    struct watcher a = {0};
    int event = world_event_descriptor();
    refused(-1, EBADF);
    refused(1 << 30, EBADF);
    refused(berth_server_descriptor(host->server), EEXIST);
    ck_assert_ptr_null(berth_watch_new(world_loop(), event, NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
    make(&a, "a", event);
    ck_assert(!berth_watch_start(a.watch, 0));
    ck_assert_int_eq(errno, EINVAL);
    start(&a, BERTH_WATCH_READ);
    ck_assert(!berth_watch_start(a.watch, 4));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert(!berth_watch_is_active(a.watch));
    berth_watch_stop(a.watch);
    berth_watch_free(NULL);
    world_close_descriptor(event);
    ck_assert(!berth_watch_start_once(a.watch, BERTH_WATCH_READ));
    ck_assert_int_eq(errno, EBADF);
}

CASE(watch_without_a_descriptor_left, "watch.h", "a start needs one for its copy")
{
    struct watcher a = {0};
    int event = raised_event();
    make(&a, "a", event);
    world_exhaust(0);
    bool started = berth_watch_start(a.watch, BERTH_WATCH_READ);
    int error = errno;
    world_relieve();
    ck_assert(!started);
    ck_assert_int_eq(error, EMFILE);
    ck_assert(!berth_watch_is_active(a.watch));
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count > 0);
    world_close_descriptor(event);
}

CASE(watches_of_files, "watch.h", "what is always ready is refused on each backend")
{
    real_kernel_only();
    char path[] = "/tmp/berth-watch-XXXXXX";
    int file = world_note(mkstemp(path));
    int folder = world_note(open("/tmp", O_RDONLY | O_DIRECTORY));
    int null = world_note(open("/dev/null", O_RDWR));
    unlink(path);
    refused(file, EPERM);
    refused(folder, EPERM);
    refused(null, EPERM);
    world_close_noted();
}

/* ---- turns ----------------------------------------------------------------------------------- */

CASE(watch_waits_for_a_turn, "watch.h", "blocking waits call no handler")
{
    struct peer *peer;
    struct watcher a = {.hook = stop_self};
    struct actor *actor = host_connect(host_listening("h"), "s", &peer);
    int event = raised_event();
    make(&a, "a", event);
    start(&a, BERTH_WATCH_READ);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    ck_assert_uint_eq(a.count, 0);
    berth_watch_free(a.watch); /* while it waits in the list */
    make(&a, "a", event);
    start(&a, BERTH_WATCH_READ);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    UNTIL(a.count == 1);
    world_close_descriptor(event);
}

static void turn_inside(struct watcher *self)
{
    unsigned before = self->count;
    for (int i = 0; i < 5; i++)
        world_turn();
    ck_assert_uint_eq(self->count, before);
    ck_assert_uint_gt(self->other->count, 0);
    self->hook = stop_self;
}

CASE(watch_is_not_called_inside_itself, "watch.h", "a turn in its handler calls others only")
{
    struct watcher a = {.hook = turn_inside};
    struct watcher b = {0};
    int event = raised_event();
    make(&a, "a", event);
    make(&b, "b", event);
    a.other = &b;
    start(&a, BERTH_WATCH_READ);
    start(&b, BERTH_WATCH_READ);
    UNTIL(a.count == 2);
    world_settle();
    ck_assert_uint_eq(a.count, 2);
    world_close_descriptor(event);
}

static void fail_the_next(struct watcher *self)
{
    if (self->count == 1)
        berth__fault_set_system(1, 2, ENOMEM, "epoll_ctl");
    else
        berth_watch_stop(self->watch);
}

static void sleep_inside(struct watcher *self)
{
    uint64_t start = berth_loop_now(world_loop());
    unsigned turns = 0;
    for (; berth_loop_now(world_loop()) - start < 30; turns++)
        berth_loop_turn(world_loop(), 30);
    ck_assert_uint_le(turns, 5);
    berth_watch_stop(self->watch);
}

CASE(loop_sleeps_inside_a_watch, "watch.h",
     "what is ready for the handler on the stack wakes nobody")
{
    struct watcher a = {.hook = sleep_inside};
    int event = raised_event();
    make(&a, "a", event);
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count == 1);
    world_close_descriptor(event);
}

CASE(watch_goes_on_after_a_failure, "watch.h", "the kernel lacks memory where nobody can be told")
{
    struct watcher a = {.hook = fail_the_next};
    int event = raised_event();
    make(&a, "a", event);
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count == 2);
    berth__fault_clear();
    world_close_descriptor(event);
}

static void fail_for_a_while(struct watcher *self)
{
    (void)self;
    berth__fault_set_system(0, 1, ENOMEM, "epoll_ctl");
}

CASE(watch_ends_after_a_failure, "watch.h", "before it is tried again: it is not")
{
    for (int i = 0; i < 2; i++) {
        struct watcher a = {.hook = fail_for_a_while};
        int event = raised_event();
        make(&a, "a", event);
        start(&a, BERTH_WATCH_READ);
        UNTIL(a.count == 1);
        if (i == 0)
            berth_watch_stop(a.watch);
        berth_watch_free(a.watch);
        berth__fault_clear();
        uint64_t begin = berth_loop_now(world_loop());
        while (berth_loop_now(world_loop()) - begin < 30)
            world_turn();
        ck_assert_uint_eq(a.count, 1);
        world_close_descriptor(event);
    }
}

CASE(watch_of_once_goes_on, "watch.h", "if it is started without an end before it was called")
{
    struct watcher a = {0};
    int event = raised_event();
    make(&a, "a", event);
    ck_assert(berth_watch_start_once(a.watch, BERTH_WATCH_READ));
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count == 3);
    ck_assert(berth_watch_start_once(a.watch, BERTH_WATCH_READ));
    UNTIL(!berth_watch_is_active(a.watch));
    world_settle();
    ck_assert_uint_eq(a.count, 4);
    world_close_descriptor(event);
}

CASE(watches_go_with_the_loop, "loop.h", "active and inactive ones are freed; descriptors stay")
{
    struct watcher a = {0};
    struct watcher b = {0};
    int event = raised_event();
    make(&a, "a", event);
    make(&b, "b", event);
    start(&a, BERTH_WATCH_READ);
    world_turn();
    if (!world_is_simulated()) {
        world_free_loop();
        ck_assert(world_is_open(event));
    }
    world_close_descriptor(event);
}

CASE(watch_wakes_an_outer_loop, "watch.h loop.h", "the loop's descriptor shows what is ready")
{
    real_kernel_only();
    struct watcher a = {.hook = stop_self};
    int event = world_event_descriptor();
    make(&a, "a", event);
    struct pollfd outer = {.fd = berth_loop_descriptor(world_loop()), .events = POLLIN};
    refused(outer.fd, EINVAL);
    start(&a, BERTH_WATCH_READ);
    world_raise(event, BERTH_WATCH_READ);
    for (int i = 0; i < WORLD_TURNS && a.count == 0; i++) {
        ck_assert_int_eq(poll(&outer, 1, 5000), 1);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(a.count, 1);
    world_close_descriptor(event);
}

/* ---- what descriptors there are -------------------------------------------------------------- */

static void drain(struct watcher *self)
{
    char bytes[512];
    ssize_t got = read(berth_watch_descriptor(self->watch), bytes, sizeof bytes);
    if (got == 0)
        berth_watch_stop(self->watch); /* its end */
}

static void make_pipe(int ends[2])
{
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    world_note(ends[0]);
    world_note(ends[1]);
}

static void watch_kind(int descriptor, const char *name)
{
    struct watcher a = {.hook = drain};
    ck_assert_int_ge(world_note(descriptor), 0);
    make(&a, name, descriptor);
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count > 0);
    world_settle();
    ck_assert_uint_eq(a.count, 1);
    berth_watch_free(a.watch);
}

CASE(watches_of_each_kind, "watch.h", "timerfd, eventfd, inotify, signalfd, a pipe and its end")
{
    real_kernel_only();
    const struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    int timer = world_note(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    ck_assert_int_eq(timerfd_settime(timer, 0, &soon, NULL), 0);
    watch_kind(timer, "timerfd");
    watch_kind(eventfd(1, EFD_NONBLOCK), "eventfd");
    char folder[] = "/tmp/berth-watch-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    int notes = world_note(inotify_init1(IN_NONBLOCK));
    ck_assert_int_ge(inotify_add_watch(notes, folder, IN_DELETE_SELF), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    watch_kind(notes, "inotify");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    raise(SIGUSR2);
    watch_kind(signalfd(-1, &set, SFD_NONBLOCK), "signalfd");
    int ends[2];
    make_pipe(ends);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    struct watcher a = {.hook = drain};
    make(&a, "pipe", ends[0]);
    start(&a, BERTH_WATCH_READ);
    UNTIL(a.count == 1);
    close(ends[1]);
    UNTIL(!berth_watch_is_active(a.watch));
    ck_assert_uint_eq(a.count, 2);
    world_close_noted();
}

/* ---- closed too early ------------------------------------------------------------------------ */

CASE(stopped_watch_holds_nothing, "watch.h", "what is closed after a stop has its end at once")
{
    real_kernel_only();
    int ends[2];
    struct watcher a = {0};
    make_pipe(ends);
    make(&a, "a", ends[1]);
    while (write(ends[1], "0123456789", 10) > 0)
        continue;
    start(&a, BERTH_WATCH_WRITE);
    world_turn(); /* it is with the kernel */
    berth_watch_stop(a.watch);
    close(ends[1]);
    char bytes[4096];
    ssize_t got;
    while ((got = read(ends[0], bytes, sizeof bytes)) > 0)
        continue;
    ck_assert_int_eq(got, 0);
    close(ends[0]);
}

CASE(watched_descriptor_is_closed, "watch.h",
     "and its number is another file's: each watch sees its own, and none is lost with the other")
{
    real_kernel_only();
    int ends[2];
    int others[2];
    struct watcher old = {0};
    struct watcher new = {0};
    make_pipe(ends);
    make_pipe(others);
    make(&old, "old", ends[0]);
    start(&old, BERTH_WATCH_READ);
    world_turn();
    ck_assert_int_eq(world_note(dup2(others[0], ends[0])), ends[0]); /* closes it */
    make(&new, "new", ends[0]);
    start(&new, BERTH_WATCH_READ);
    ck_assert_int_eq(write(others[1], "x", 1), 1);
    UNTIL(new.count == 3);
    ck_assert_uint_eq(old.count, 0);
    berth_watch_free(old.watch);
    UNTIL(new.count == 6);
    berth_watch_free(new.watch);
    close(ends[0]);
    close(ends[1]);
    close(others[0]);
    close(others[1]);
}

CASE(watched_number_becomes_a_socket, "watch.h",
     "a connection gets the number of a descriptor that is still watched")
{
    real_kernel_only();
    struct peer *peer;
    struct watcher old = {0};
    struct host *host = host_listening("h");
    int lower = world_note(eventfd(0, 0)); /* the peer's number */
    int event = world_note(eventfd(0, EFD_NONBLOCK));
    make(&old, "old", event);
    start(&old, BERTH_WATCH_READ);
    world_turn();
    close(lower);
    close(event);
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), event);
    berth_watch_free(old.watch);
    world_settle();
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
}

CASE(number_of_a_watch_is_taken, "watch.h",
     "a descriptor that has become a socket's is not started")
{
    struct peer *peer;
    struct watcher a = {0};
    int stream = world_stream_descriptor(&peer);
    make(&a, "a", stream);
    berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_socket_set_descriptor(socket, stream));
    ck_assert(!berth_watch_start(a.watch, BERTH_WATCH_READ));
    ck_assert_int_eq(errno, EEXIST);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static struct watcher shared;
static int shared_event;

static void only_copies(void)
{
    MUST(!berth_watch_start(shared.watch, BERTH_WATCH_READ) && errno == ECHILD);
    MUST(berth_watch_new(world_loop(), shared_event, ready, &shared) == NULL && errno == ECHILD);
    unsigned before = world_descriptors();
    berth_watch_stop(shared.watch);
    MUST(world_descriptors() == before - 1); /* the copy */
    MUST(world_is_open(shared_event));
    berth_watch_free(shared.watch);
    berth_loop_free(world_loop());
}

static void taken_over(void)
{
    MUST(berth_loop_after_fork(world_loop()));
    MUST(berth_watch_is_active(shared.watch));
    shared.count = 0;
    int turns = 0;
    while (shared.count < 3 && turns++ < 1000)
        berth_loop_turn(world_loop(), 10);
    MUST(shared.count == 3);
    berth_watch_free(shared.watch);
}

CASE(child_has_copies_of_watches, "watch.h reliability 23", "it can stop and free them")
{
    real_kernel_only();
    shared_event = world_event_descriptor();
    make(&shared, "a", shared_event);
    start(&shared, BERTH_WATCH_READ);
    world_turn();
    have_child(only_copies);
    world_raise(shared_event, BERTH_WATCH_READ);
    UNTIL(shared.count > 2);
    world_close_descriptor(shared_event);
}

CASE(child_takes_watches_over, "watch.h reliability 23",
     "with the loop, before and after they fire")
{
    real_kernel_only();
    shared_event = raised_event();
    make(&shared, "a", shared_event);
    start(&shared, BERTH_WATCH_READ);
    have_child(taken_over);
    UNTIL(shared.count > 2);
    have_child(taken_over);
    unsigned before = shared.count;
    UNTIL(shared.count > before + 2);
    world_close_descriptor(shared_event);
}

static pid_t forked;

static void fork_inside(struct watcher *self)
{
    self->hook = NULL;
    forked = begin_child();
    if (forked == 0)
        self->hook = stop_self;
}

CASE(watch_handler_forks, "watch.h reliability 23",
     "and returns: in the child the run ends, and the watch goes on when the loop is taken over")
{
    real_kernel_only();
    shared_event = raised_event();
    make(&shared, "a", shared_event);
    shared.hook = fork_inside;
    start(&shared, BERTH_WATCH_READ);
    for (int i = 0; i < WORLD_TURNS && shared.count == 0; i++)
        berth_loop_turn(world_loop(), 10);
    if (forked == 0) {
        MUST(shared.count == 1 && berth_watch_is_active(shared.watch));
        MUST(berth_loop_after_fork(world_loop()));
        for (int i = 0; i < 1000 && shared.count < 2; i++)
            berth_loop_turn(world_loop(), 10);
        MUST(shared.count == 2 && !berth_watch_is_active(shared.watch));
        _exit(0);
    }
    end_child(forked);
    UNTIL(shared.count > 3);
    world_close_descriptor(shared_event);
}
