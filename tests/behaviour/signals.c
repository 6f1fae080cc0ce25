/*
 * Signals as events of a loop: who is called, what was installed before, and children.
 *
 * raise returns when the process's signal handler has; so on each backend the signal has come then,
 * and the next turn calls the loop's handlers. Signals of other threads are in signals_threads.c.
 */
#include "children.h"
#include "scene.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct catcher;
typedef void (*catcher_hook)(struct catcher *catcher);

struct catcher {
    berth_signal *signal;
    const char *name;
    unsigned count;
    catcher_hook hook;
    struct catcher *other;
};

static void caught(berth_signal *signal, void *user)
{
    struct catcher *self = user;
    ck_assert_ptr_eq(signal, self->signal);
    self->count++;
    trace("%s", self->name);
    if (self->hook != NULL)
        self->hook(self);
}

static void catch_on(struct catcher *self, const char *name, berth_loop *loop, int number)
{
    self->name = name;
    self->signal = berth_signal_new(loop, number, caught, self);
    ck_assert_ptr_nonnull(self->signal);
    ck_assert_int_eq(berth_signal_number(self->signal), number);
}

static void catch (struct catcher *self, const char *name, int number)
{
    catch_on(self, name, world_loop(), number);
}

static void let_go(struct catcher *self)
{
    berth_signal_free(self->signal);
    self->signal = NULL;
}

/* What is installed for a number. */
static struct sigaction installed(int number)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(number, NULL, &action), 0);
    return action;
}

static void ignore(int number)
{
    (void)number;
}

static void install(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

CASE(signal_calls_in_a_turn, "signal.h", "not before, and once for each time it has come")
{
    struct catcher a = {0};
    catch (&a, "a", SIGUSR1);
    for (unsigned i = 1; i <= 3; i++) {
        errno = 77;
        raise(SIGUSR1);
        ck_assert_int_eq(errno, 77);
        ck_assert_uint_eq(a.count, i - 1);
        ck_assert(berth_loop_turn(world_loop(), 10));
        ck_assert_uint_eq(a.count, i);
    }
    world_settle();
    ck_assert_uint_eq(a.count, 3);
}

CASE(signals_count_as_one, "signal.h", "those of one number that come before a turn")
{
    struct catcher a = {0};
    struct catcher b = {0};
    catch (&a, "a", SIGUSR1);
    catch (&b, "b", SIGRTMIN + 1);
    for (int i = 0; i < 100; i++) {
        raise(SIGUSR1);
        raise(SIGRTMIN + 1);
    }
    world_settle();
    ck_assert_uint_eq(a.count, 1);
    ck_assert_uint_eq(b.count, 1);
}

CASE(signals_have_several_handlers, "signal.h", "in the order in which they were made")
{
    struct catcher catchers[3] = {0};
    catch (&catchers[0], "0", SIGUSR1);
    catch (&catchers[1], "1", SIGUSR1);
    catch (&catchers[2], "2", SIGUSR2);
    raise(SIGUSR2);
    raise(SIGUSR1);
    world_settle();
    assert_trace("0, 1, 2");
    let_go(&catchers[0]);
    raise(SIGUSR1);
    world_settle();
    assert_trace("0, 1, 2, 1");
}

CASE(signal_came_before_its_handler, "signal.h", "it is another handler's only")
{
    struct catcher a = {0};
    struct catcher b = {0};
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    catch (&b, "b", SIGUSR1);
    world_settle();
    assert_trace("a");
}

static void free_both(struct catcher *self)
{
    let_go(self);
    let_go(self->other);
}

CASE(signal_is_freed_inside, "signal.h", "with another that was to be called: that is not")
{
    struct catcher a = {.hook = free_both};
    struct catcher b = {.hook = free_both};
    a.other = &b;
    b.other = &a;
    catch (&a, "a", SIGUSR1);
    catch (&b, "b", SIGUSR1);
    raise(SIGUSR1);
    world_settle();
    assert_trace("a");
    ck_assert_ptr_eq(installed(SIGUSR1).sa_handler, SIG_DFL);
}

static void turn_inside(struct catcher *self)
{
    berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(self->other->count, 1);
}

CASE(signal_handler_turns_the_loop, "signal.h", "others that have come are called in that turn")
{
    struct catcher a = {.hook = turn_inside};
    struct catcher b = {0};
    a.other = &b;
    catch (&a, "a", SIGUSR1);
    catch (&b, "b", SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR2);
    world_settle();
    assert_trace("a, b");
}

CASE(signals_of_two_loops, "signal.h", "each loop calls its own")
{
    struct catcher a = {0};
    struct catcher b = {0};
    catch (&a, "a", SIGUSR1);
    b.signal = berth_signal_new(world_second_loop(), SIGUSR1, caught, &b);
    b.name = "b";
    ck_assert_ptr_nonnull(b.signal);
    raise(SIGUSR1);
    world_settle();
    assert_trace("a");
    berth_loop_turn(world_second_loop(), 10);
    assert_trace("a, b");
    raise(SIGUSR1);
    world_free_second_loop(); /* what has come goes with it */
    world_settle();
    assert_trace("a, b, a");
}

CASE(signal_waits_for_a_turn, "signal.h", "blocking waits go on, and call nobody")
{
    struct peer *peer;
    struct catcher a = {0};
    struct actor *actor = host_connect(host_listening("h"), "s", &peer);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    uint64_t before = berth_loop_now(world_loop());
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    ck_assert_uint_ge(berth_loop_now(world_loop()) - before, 19);
    ck_assert_uint_eq(a.count, 0);
    /* There is something, so it does not sleep. */
    berth_loop_turn(world_loop(), world_for_ever());
    ck_assert_uint_eq(a.count, 1);
}

CASE(signal_without_a_handler, "signal.h", "NULL keeps the default action from happening")
{
    berth_signal *signal = berth_signal_new(world_loop(), SIGUSR2, NULL, NULL);
    ck_assert_ptr_nonnull(signal);
    raise(SIGUSR2);
    world_settle();
    berth_signal_free(signal);
    berth_signal_free(NULL);
}

CASE(signals_refused, "signal.h", "those that cannot be handled, or after which nothing can go on")
{
    static const int numbers[] = {
        -1,     0,      NSIG,   1 << 20, SIGKILL, SIGSTOP, SIGSEGV,
        SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS,  SIGABRT, 32 /* the C library's own */
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        errno = 0;
        ck_assert_ptr_null(berth_signal_new(world_loop(), numbers[i], caught, NULL));
        ck_assert_int_eq(errno, EINVAL);
    }
}

CASE(signal_goes_with_the_loop, "signal.h loop.h", "and what was there before is there again")
{
    struct catcher a = {0};
    install(SIGUSR1, ignore);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    world_free_loop();
    ck_assert_ptr_eq(installed(SIGUSR1).sa_handler, ignore);
    ck_assert_uint_eq(a.count, 0);
}

/* ---- what was installed before --------------------------------------------------------------- */

static volatile sig_atomic_t chained;
static volatile sig_atomic_t sender;

static void plain_before(int number)
{
    chained += number == SIGUSR1;
    errno = 5;
}

static void full_before(int number, siginfo_t *information, void *context)
{
    chained += number == SIGUSR1 && context != NULL;
    sender = information->si_pid;
}

CASE(signal_handler_is_chained, "signal.h", "one that was installed before is called at once")
{
    struct catcher a = {0};
    install(SIGUSR1, plain_before);
    catch (&a, "a", SIGUSR1);
    errno = 77;
    raise(SIGUSR1);
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(chained, 1);
    ck_assert_uint_eq(a.count, 0);
    world_settle();
    ck_assert_uint_eq(a.count, 1);
    let_go(&a);
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 2);
}

/* ---- flags and masks of a chained handler -----------------------------------------------------
 */

static volatile sig_atomic_t depth;
static volatile sig_atomic_t deepest;
static volatile sig_atomic_t blocked[2]; /* SIGUSR1, SIGUSR2 */

static bool is_blocked(int number)
{
    sigset_t mask;
    return pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, number) == 1;
}

static void on_nested(int number)
{
    chained++;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    blocked[0] = is_blocked(SIGUSR1);
    blocked[1] = is_blocked(SIGUSR2);
    if (chained == 1)
        raise(number);
    depth--;
}

static void install_masked(int flags)
{
    struct sigaction action = {.sa_handler = on_nested, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

CASE(chained_handler_has_its_mask, "signal.h", "as it was installed, and its own number in it")
{
    struct catcher a = {0};
    install_masked(0);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 2); /* what it raised came when it had returned */
    ck_assert_int_eq(deepest, 1);
    ck_assert(blocked[0] && blocked[1]);
    ck_assert(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
}

CASE(chained_handler_that_is_not_deferred, "signal.h",
     "SA_NODEFER: it may be interrupted by its own")
{
    struct catcher a = {0};
    install_masked(SA_NODEFER);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 2);
    ck_assert_int_eq(deepest, 2);
    ck_assert(!blocked[0] && blocked[1]);
    UNTIL(a.count == 1);
    let_go(&a);
    ck_assert_int_eq(installed(SIGUSR1).sa_flags & SA_NODEFER, SA_NODEFER);
}

CASE(chained_handler_that_is_called_once, "signal.h",
     "SA_RESETHAND: then there is the default action in its place, which does not happen meanwhile")
{
    struct catcher a = {0};
    struct sigaction once = {.sa_handler = plain_before, .sa_flags = (int)SA_RESETHAND};
    ck_assert_int_eq(sigaction(SIGUSR1, &once, NULL), 0);
    catch (&a, "a", SIGUSR1);
    let_go(&a);
    ck_assert_ptr_eq(installed(SIGUSR1).sa_handler, plain_before); /* nothing has come */
    ck_assert(((unsigned)installed(SIGUSR1).sa_flags & (unsigned)SA_RESETHAND) != 0);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 1);
    world_settle();
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 1);
    world_settle();
    ck_assert_uint_eq(a.count, 2);
    let_go(&a);
    ck_assert_ptr_eq(installed(SIGUSR1).sa_handler, SIG_DFL);
    install(SIGUSR1, plain_before); /* and what comes next starts anew */
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 3);
}

CASE(chained_handler_that_is_called_once_in_a_child, "signal.h",
     "whose loop nobody has taken over: the handler, and then the default action")
{
    real_kernel_only();
    struct catcher a = {0};
    struct sigaction once = {.sa_handler = plain_before, .sa_flags = (int)SA_RESETHAND};
    ck_assert_int_eq(sigaction(SIGUSR1, &once, NULL), 0);
    catch (&a, "a", SIGUSR1);
    pid_t child = begin_child();
    if (child == 0) {
        raise(SIGUSR1);
        MUST(chained == 1);
        raise(SIGUSR1);
        _exit(0);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGUSR1);
}

CASE(full_signal_handler_is_chained, "signal.h", "with all that the kernel says")
{
    struct catcher a = {0};
    struct sigaction action = {.sa_sigaction = full_before, .sa_flags = SA_SIGINFO};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(chained, 1);
    ck_assert_int_eq(sender, getpid());
    ck_assert_int_eq(installed(SIGUSR1).sa_flags & SA_RESTART, 0); /* as it was */
    world_settle();
    ck_assert_uint_eq(a.count, 1);
}

CASE(signal_stays_the_programs, "signal.h",
     "a handler that the program installs later is not taken away")
{
    struct catcher a = {0};
    catch (&a, "a", SIGUSR1);
    install(SIGUSR1, plain_before);
    raise(SIGUSR1);
    world_settle();
    ck_assert_uint_eq(a.count, 0);
    let_go(&a);
    ck_assert_ptr_eq(installed(SIGUSR1).sa_handler, plain_before);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    world_settle();
    ck_assert_int_eq(chained, 2);
    ck_assert_uint_eq(a.count, 1);
    let_go(&a);
    ck_assert_ptr_eq(installed(SIGUSR1).sa_handler, plain_before);
}

static struct sigaction beneath[8];
static unsigned covers;

/* A handler that does as it should, and calls the one before; they are stacked. */
static void cover(int number, siginfo_t *information, void *context)
{
    static volatile sig_atomic_t depth;
    if (depth >= 8)
        _exit(1); /* a circle */
    chained++;
    const struct sigaction *next = &beneath[covers - 1 - (unsigned)depth];
    depth++;
    if (next->sa_flags & SA_SIGINFO)
        next->sa_sigaction(number, information, context);
    depth--;
}

CASE(signal_handlers_cover_each_other, "signal.h",
     "the program's over the library's and again: no circle, and each loop is told once")
{
    struct catcher a = {0};
    const struct sigaction action = {.sa_sigaction = cover, .sa_flags = SA_SIGINFO};
    for (covers = 1; covers <= 3; covers++) {
        catch (&a, "a", SIGUSR1);
        ck_assert_int_eq(sigaction(SIGUSR1, &action, &beneath[covers - 1]), 0);
        unsigned before = a.count;
        chained = 0;
        raise(SIGUSR1);
        world_settle();
        ck_assert_uint_eq(a.count, before + 1);
        ck_assert_int_eq(chained, (int)covers);
        let_go(&a);
    }
    covers = 3;
    /* The program takes its own away, and finds ours; what is beneath them all is the default. */
    for (; covers > 0; covers--)
        ck_assert_int_eq(sigaction(SIGUSR1, &beneath[covers - 1], NULL), 0);
    catch (&a, "a", SIGUSR1);
    raise(SIGUSR1);
    world_settle();
    ck_assert_uint_eq(a.count, 4);
    let_go(&a);
}

static struct sigaction covered;

static void call_the_covered(int number, siginfo_t *information, void *context)
{
    chained++;
    covered.sa_sigaction(number, information, context);
}

CASE(covered_signal_handler_outlives, "signal.h",
     "called when the last handler is freed: whoever calls it has handled the signal")
{
    struct catcher a = {0};
    const struct sigaction action = {.sa_sigaction = call_the_covered, .sa_flags = SA_SIGINFO};
    catch (&a, "a", SIGUSR1);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &covered), 0);
    world_free_loop();
    raise(SIGUSR1); /* its default action would end the process */
    ck_assert_int_eq(chained, 1);
    ck_assert_uint_eq(a.count, 0);
}

CASE(signal_is_used_up, "signal.h", "replaced by the program again and again: EBUSY, not a circle")
{
    struct catcher a = {0};
    for (int i = 0; i < 4; i++) {
        catch (&a, "a", SIGUSR1);
        install(SIGUSR1, ignore);
        let_go(&a);
    }
    ck_assert_ptr_null(berth_signal_new(world_loop(), SIGUSR1, caught, &a));
    ck_assert_int_eq(errno, EBUSY);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* How a child ends that does something and then has a second to end by a signal. */
static int status_after(void (*part)(void))
{
    int status = 0;
    pid_t child = begin_child();
    if (child == 0) {
        part();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void raise_it(void)
{
    raise(SIGUSR2);
}

static void raise_ignored(void)
{
    raise(SIGCHLD);
}

static struct catcher shared;

CASE(child_has_no_signals, "signal.h reliability 23",
     "between fork and exec a signal does what it did before, and the parent is not told")
{
    real_kernel_only();
    struct catcher other = {0};
    catch (&shared, "a", SIGUSR2);
    catch (&other, "b", SIGCHLD);
    int status = status_after(raise_it);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
    status = status_after(raise_ignored);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world_settle();
    ck_assert_uint_eq(shared.count, 0);
    ck_assert_uint_ge(other.count, 1);
    let_go(&shared);
    status = status_after(raise_it); /* it is the default action again */
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
}

static void take_over(void)
{
    MUST(berth_loop_after_fork(world_loop()));
    for (int i = 0; i < 10; i++)
        berth_loop_turn(world_loop(), 1);
    MUST(shared.count == 0); /* what has come before is the parent's */
    raise(SIGUSR2);
    berth_loop_turn(world_loop(), -1);
    MUST(shared.count == 1);
    berth_loop_free(world_loop());
    MUST(installed(SIGUSR2).sa_handler == SIG_DFL);
}

CASE(child_takes_signals_over, "signal.h reliability 23", "with the loop; each process has its own")
{
    real_kernel_only();
    catch (&shared, "a", SIGUSR2);
    raise(SIGUSR2);
    have_child(take_over);
    ck_assert_uint_eq(shared.count, 0);
    world_settle();
    ck_assert_uint_eq(shared.count, 1);
}

static void free_copies(void)
{
    MUST(berth_signal_new(world_loop(), SIGUSR1, caught, NULL) == NULL && errno == ECHILD);
    berth_signal_free(shared.signal);
    MUST(installed(SIGUSR2).sa_handler == SIG_DFL);
    berth_loop_free(world_loop());
    berth_loop *own = berth_loop_new(NULL);
    MUST(own != NULL);
    catch_on(&shared, "c", own, SIGUSR2);
    raise(SIGUSR2);
    berth_loop_turn(own, -1);
    MUST(shared.count == 1);
    berth_loop_free(own);
}

CASE(child_frees_its_signals, "signal.h reliability 23", "the copies; and has others of its own")
{
    real_kernel_only();
    catch (&shared, "a", SIGUSR2);
    have_child(free_copies);
    raise(SIGUSR2);
    world_settle();
    ck_assert_uint_eq(shared.count, 1);
}

/* A child that shares the parent's memory, and is not to touch it. */
CASE(child_of_vfork_gets_a_signal, "signal.h", "it ends by it, and the parent is not told")
{
    real_kernel_only();
    int status = 0;
    catch (&shared, "a", SIGUSR2);
    pid_t child = vfork();
    if (child == 0) {
        kill(getpid(), SIGUSR2);
        _exit(3);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
    world_settle();
    ck_assert_uint_eq(shared.count, 0);
    raise(SIGUSR2);
    world_settle();
    ck_assert_uint_eq(shared.count, 1);
}

CASE(ignored_children_leave_no_zombies, "signal.h", "as before, where SIGCHLD was ignored")
{
    real_kernel_only();
    struct catcher a = {0};
    signal(SIGCHLD, SIG_IGN);
    catch (&a, "a", SIGCHLD);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    UNTIL(a.count > 0);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    ck_assert_int_eq(errno, ECHILD);
}

/* ---- what is installed ----------------------------------------------------------------------- */

static void install_with(int number, int flags, int masked)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    if (masked > 0)
        sigaddset(&action.sa_mask, masked);
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

static int flags_of(int number, int among)
{
    return installed(number).sa_flags & among;
}

CASE(flags_of_a_signal_handler, "signal.h",
     "are those of the one that is chained, or the gentle ones")
{
    const int all = SA_RESTART | SA_ONSTACK | SA_NOCLDSTOP | SA_NOCLDWAIT;
    struct catcher a = {0};
    catch (&a, "a", SIGUSR1);
    ck_assert_int_eq(flags_of(SIGUSR1, all), SA_RESTART | SA_ONSTACK);
    let_go(&a);
    install_with(SIGUSR1, 0, SIGUSR2);
    catch (&a, "a", SIGUSR1);
    ck_assert_int_eq(flags_of(SIGUSR1, all), 0);
    struct sigaction now = installed(SIGUSR1);
    ck_assert(sigismember(&now.sa_mask, SIGUSR2) == 1 && sigismember(&now.sa_mask, SIGHUP) == 0);
    let_go(&a);
    install_with(SIGCHLD, SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT, 0);
    catch (&a, "a", SIGCHLD);
    ck_assert_int_eq(flags_of(SIGCHLD, all), SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT);
    let_go(&a);
}

CASE(signal_handler_is_put_back, "signal.h", "by the program, again and again: nothing is used up")
{
    struct catcher a = {0};
    for (unsigned i = 1; i <= 10; i++) {
        catch (&a, "a", SIGUSR1);
        raise(SIGUSR1);
        world_settle();
        ck_assert_uint_eq(a.count, i);
        struct sigaction ours = installed(SIGUSR1);
        install(SIGUSR1, ignore);
        let_go(&a);
        ck_assert_int_eq(sigaction(SIGUSR1, &ours, NULL), 0);
    }
    catch (&a, "a", SIGUSR1);
    let_go(&a);
}

/* ---- what had come --------------------------------------------------------------------------- */

static void free_other(struct catcher *self)
{
    let_go(self->other);
}

CASE(loop_sleeps_after_a_freed_signal, "signal.h", "that had come: nothing is left to be done")
{
    struct catcher a = {.hook = free_other};
    struct catcher b = {0};
    a.other = &b;
    catch (&a, "a", SIGUSR1);
    catch (&b, "b", SIGUSR1);
    raise(SIGUSR1);
    world_settle();
    assert_trace("a");
    uint64_t start = berth_loop_now(world_loop());
    ck_assert(!berth_loop_turn(world_loop(), 30));
    ck_assert_uint_ge(berth_loop_now(world_loop()) - start + 1, 30);
}

static pid_t forked;

static void fork_once(struct catcher *self)
{
    (void)self;
    pid_t child = begin_child();
    forked = child != 0 ? child : getpid();
}

CASE(signal_handler_forks, "signal.h reliability 23",
     "the others that had come are the parent's, also if the child takes the loop over")
{
    real_kernel_only();
    struct catcher a = {.hook = fork_once};
    struct catcher b = {0};
    catch (&a, "a", SIGUSR1);
    catch (&b, "b", SIGUSR1);
    raise(SIGUSR1);
    UNTIL(forked != 0);
    if (forked == getpid()) {
        MUST(b.count == 0);
        MUST(berth_loop_after_fork(world_loop()));
        berth_loop_turn(world_loop(), 0);
        berth_loop_turn(world_loop(), 0);
        MUST(b.count == 0);
        _exit(0);
    }
    end_child(forked);
    UNTIL(b.count == 1);
}

/* A program that replaces a child in its own signal handler, which comes while another is forked.
 */
static volatile sig_atomic_t forks_inside;

static void fork_inside(int number)
{
    pid_t child = fork();
    (void)number;
    if (child == 0)
        _exit(0);
    if (child > 0 && waitpid(child, NULL, 0) == child)
        forks_inside++;
}

static bool raises;

static void raise_while_forking(void)
{
    bool now = raises;
    raises = false;
    if (now)
        raise(SIGUSR2);
}

/* Before any loop is made, so that it is called when the library has taken its locks. */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(raise_while_forking, NULL, NULL);
}

CASE(fork_within_a_fork, "signal.h reliability 23",
     "what fork has locked is released by the outer one")
{
    struct catcher a = {0};
    world_loop();
    install(SIGUSR2, fork_inside);
    raises = true;
    pid_t child = begin_child();
    if (child == 0)
        _exit(0);
    end_child(child);
    ck_assert_int_eq(forks_inside, 1);
    catch (&a, "a", SIGUSR1);
    let_go(&a);
    berth_loop_free(berth_loop_new(NULL));
}

CASE(child_is_stopped_by_a_signal, "signal.h reliability 23", "as it would be without a handler")
{
    real_kernel_only();
    int status = 0;
    catch (&shared, "a", SIGTSTP);
    pid_t child = begin_child();
    if (child == 0) {
        raise(SIGTSTP);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert_msg(WIFSTOPPED(status), "the status is %x", (unsigned)status);
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    end_child(child);
}
