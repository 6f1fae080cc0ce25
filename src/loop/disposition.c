/*
 * The signal handler and what belongs to it. See disposition.h.
 *
 * Everything that the signal handler reads is atomic. It is static, or it is freed only when no
 * signal handler is walking the list. A lock guards what only normal code uses.
 *
 * Ways to fail: `want` returns an errno for a number that the kernel refuses, or whose levels are
 * used up.
 */
#include "disposition.h"

#include "base/system.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum {
    LEVELS = 4
};

typedef void (*plain_handler)(int number);
typedef void (*full_handler)(int number, siginfo_t *information, void *context);

/* What one of our installations has replaced. */
typedef struct level {
    _Atomic(plain_handler) plain; /* or SIG_DFL or SIG_IGN */
    _Atomic(full_handler) full;   /* if it is not NULL */
    atomic_bool once;             /* SA_RESETHAND: it is called for one signal, */
    atomic_bool spent;            /* and has been, after which the kernel has SIG_DFL */
    struct sigaction replaced;    /* under the lock */
} level;

typedef struct disposition {
    atomic_uint used; /* levels: all but the last are covered by the program's own */
    unsigned handlers;
    level levels[LEVELS];
} disposition;

static disposition dispositions[BERTH__SIGNALS];
static _Atomic(berth__inbox *) inboxes;
static atomic_uint walks;  /* signal handlers that are in the list */
static atomic_int process; /* the one that walks are of */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool held; /* for the fork that this thread is in */

/* ---- the signal handler ---------------------------------------------------------------------- */

/* Returns whether a loop of this process wants it. `rings`: notes it there. */
static bool deliver(int number, bool rings)
{
    int self = (int)getpid();
    bool wanted = false;
    if (atomic_load(&process) != self)
        return false; /* a child, perhaps one that shares the parent's memory */
    atomic_fetch_add(&walks, 1);
    for (berth__inbox *inbox = atomic_load(&inboxes); inbox != NULL;
         inbox = atomic_load(&inbox->next)) {
        if (!atomic_load(&inbox->wanted[number]) || atomic_load(&inbox->process) != self)
            continue;
        wanted = true;
        if (!rings)
            continue;
        atomic_store(&inbox->come[number], true);
        if (!atomic_exchange(&inbox->any, true))
            inbox->backend->operations->wake(inbox->backend);
    }
    atomic_fetch_sub(&walks, 1);
    return wanted;
}

static bool is_ours(const struct sigaction *action, unsigned which);

/* Does what the kernel would do if nothing were installed. Not if the program has installed its own
 * handler over ours: that has handled the signal, and calls ours as well. The signal is blocked
 * until its handler returns, unless one with SA_NODEFER was chained: then this does not return. */
static void act_by_default(int number, unsigned which)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) < 0 || !is_ours(&action, which))
        return;
    switch (number) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
        return;
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        (void)kill(getpid(), SIGSTOP);
        return;
    default:
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        (void)sigaction(number, &action, NULL);
        (void)raise(number);
        return;
    }
}

static void handle(int number, siginfo_t *information, void *context, unsigned which)
{
    int kept = errno;
    disposition *all = &dispositions[number];
    level *mine = &all->levels[which];
    bool wanted = deliver(number, which + 1 >= atomic_load(&all->used));
    full_handler full = atomic_load(&mine->full);
    plain_handler plain = atomic_load(&mine->plain);
    if (atomic_load(&mine->once) && atomic_exchange(&mine->spent, true)) {
        full = NULL;
        plain = SIG_DFL;
    }
    if (full != NULL)
        full(number, information, context);
    else if (plain != SIG_DFL && plain != SIG_IGN)
        plain(number);
    else if (plain == SIG_DFL && !wanted)
        act_by_default(number, which);
    errno = kept;
}

static void on_signal_0(int number, siginfo_t *information, void *context)
{
    handle(number, information, context, 0);
}

static void on_signal_1(int number, siginfo_t *information, void *context)
{
    handle(number, information, context, 1);
}

static void on_signal_2(int number, siginfo_t *information, void *context)
{
    handle(number, information, context, 2);
}

static void on_signal_3(int number, siginfo_t *information, void *context)
{
    handle(number, information, context, 3);
}

static const full_handler ours[LEVELS] = {on_signal_0, on_signal_1, on_signal_2, on_signal_3};

/* ---- installing ------------------------------------------------------------------------------ */

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static bool is_ours(const struct sigaction *action, unsigned which)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == ours[which];
}

static void replace(level *mine, const struct sigaction *replaced)
{
    bool full = (replaced->sa_flags & SA_SIGINFO) != 0;
    bool once = is_function(replaced) && (replaced->sa_flags & (int)SA_RESETHAND) != 0;
    mine->replaced = *replaced;
    atomic_store(&mine->once, once);
    atomic_store(&mine->full, full ? replaced->sa_sigaction : NULL);
    atomic_store(&mine->plain, full ? SIG_IGN : replaced->sa_handler);
}

/* What is to be installed again: of a chained handler that was to be called once, and has been, the
 * default action. */
static struct sigaction what_was(const level *mine)
{
    struct sigaction action = mine->replaced;
    if (atomic_load(&mine->spent)) {
        action.sa_flags &= ~SA_SIGINFO;
        action.sa_handler = SIG_DFL;
    }
    return action;
}

/* With the flags that a chained handler was installed with, as far as it or others notice them. */
static int flags_for(int number, const struct sigaction *replaced)
{
    const int others = SA_ONSTACK | SA_RESTART;
    int flags = SA_SIGINFO;
    flags |= is_function(replaced) ? replaced->sa_flags & (others | SA_NODEFER) : others;
    flags |= replaced->sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);
    if (number == SIGCHLD && !is_function(replaced) && replaced->sa_handler == SIG_IGN)
        flags |= SA_NOCLDWAIT; /* ignored, it leaves no zombies */
    return flags;
}

/* Under the lock, as what follows. Returns an errno. */
static int install(int number)
{
    disposition *all = &dispositions[number];
    unsigned used = atomic_load(&all->used);
    struct sigaction before;
    if (BERTH__SYSTEM("sigaction", sigaction(number, NULL, &before)) < 0)
        return errno;
    if (used > 0 && is_ours(&before, used - 1))
        return 0; /* the program has put it back */
    if (used == LEVELS)
        return EBUSY;
    struct sigaction action = {.sa_flags = flags_for(number, &before)};
    if (is_function(&before))
        action.sa_mask = before.sa_mask;
    else
        (void)sigemptyset(&action.sa_mask);
    action.sa_sigaction = ours[used];
    atomic_store(&all->levels[used].spent, false);
    replace(&all->levels[used], &before); /* before it is called */
    atomic_store(&all->used, used + 1);
    if (BERTH__SYSTEM("sigaction", sigaction(number, &action, &before)) < 0) {
        int error = errno;
        atomic_store(&all->used, used);
        return error;
    }
    replace(&all->levels[used], &before); /* another thread may have been quicker */
    return 0;
}

static void restore(int number)
{
    disposition *all = &dispositions[number];
    for (unsigned used; (used = atomic_load(&all->used)) > 0;) {
        struct sigaction now;
        struct sigaction before = what_was(&all->levels[used - 1]);
        if (BERTH__SYSTEM("sigaction", sigaction(number, NULL, &now)) < 0 ||
            !is_ours(&now, used - 1) ||
            BERTH__SYSTEM("sigaction", sigaction(number, &before, NULL)) < 0)
            return;
        atomic_store(&all->used, used - 1);
    }
}

static bool may_be_handled(int number)
{
    if (number < 1 || number >= BERTH__SIGNALS)
        return false;
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP:
        return false;
    default:
        return true;
    }
}

/* ---- inboxes --------------------------------------------------------------------------------- */

void berth__inbox_join(berth__inbox *inbox, berth__backend *backend)
{
    inbox->backend = backend;
    pthread_mutex_lock(&lock);
    atomic_store(&inbox->process, (int)getpid());
    atomic_store(&process, (int)getpid());
    atomic_store(&inbox->next, atomic_load(&inboxes));
    atomic_store(&inboxes, inbox);
    pthread_mutex_unlock(&lock);
}

void berth__inbox_leave(berth__inbox *inbox)
{
    pthread_mutex_lock(&lock);
    _Atomic(berth__inbox *) *link = &inboxes;
    while (atomic_load(link) != inbox)
        link = &atomic_load(link)->next;
    atomic_store(link, atomic_load(&inbox->next));
    pthread_mutex_unlock(&lock);
    while (atomic_load(&walks) > 0)
        sched_yield();
}

int berth__inbox_want(berth__inbox *inbox, int number)
{
    if (!may_be_handled(number))
        return EINVAL;
    pthread_mutex_lock(&lock);
    disposition *all = &dispositions[number];
    int error = 0;
    if (inbox->handlers[number]++ == 0)
        atomic_store(&inbox->wanted[number], true); /* before the first signal */
    if (all->handlers++ == 0)
        error = install(number);
    if (error != 0) {
        all->handlers--;
        if (--inbox->handlers[number] == 0)
            atomic_store(&inbox->wanted[number], false);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

void berth__inbox_want_not(berth__inbox *inbox, int number)
{
    pthread_mutex_lock(&lock);
    if (--dispositions[number].handlers == 0)
        restore(number);
    if (--inbox->handlers[number] == 0) {
        /* Not before: a signal that came in between would have the default action. */
        atomic_store(&inbox->wanted[number], false);
        atomic_store(&inbox->come[number], false);
    }
    pthread_mutex_unlock(&lock);
}

void berth__inbox_renew(berth__inbox *inbox)
{
    for (int number = 1; number < BERTH__SIGNALS; number++)
        atomic_store(&inbox->come[number], false);
    atomic_store(&inbox->any, false);
    atomic_store(&inbox->process, (int)getpid());
    atomic_store(&process, (int)getpid());
}

/* ---- fork ------------------------------------------------------------------------------------ */

void berth__dispositions_before_fork(bool (*take)(pthread_mutex_t *mutex))
{
    if (!held && take(&lock)) /* a fork that this one has interrupted may have it */
        held = true;
}

void berth__dispositions_in_parent(void)
{
    if (held)
        pthread_mutex_unlock(&lock);
    held = false;
}

void berth__dispositions_in_child(void)
{
    atomic_store(&walks, 0); /* those of other threads, which the child does not have */
    if (held)
        pthread_mutex_unlock(&lock);
    else
        lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    held = false;
}
