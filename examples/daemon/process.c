/* A daemon as a process: see process.h. */
#include "process.h"

#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- the standard descriptors ---------------------------------------------------------------- */

void process_open_standard(const char *program)
{
    int nothing;
    do
        nothing = open("/dev/null", O_RDWR);
    while (nothing >= 0 && nothing <= 2);
    if (nothing < 0)
        fail(program, "cannot open /dev/null: %s", strerror(errno));
    close(nothing);
}

/* ---- the parent that waits ------------------------------------------------------------------- */

static int waiting = -1; /* the end of the pipe by which the parent is told */

void process_leave_parent(const char *program)
{
    int ends[2];
    char ready = 0;
    pid_t child = pipe(ends) == 0 ? fork() : -1;
    if (child < 0)
        fail(program, "cannot become a daemon: %s", strerror(errno));
    if (child > 0) {
        close(ends[1]);
        while (read(ends[0], &ready, 1) < 0 && errno == EINTR)
            continue;
        _exit(ready ? 0 : 2); /* the child has said why */
    }
    close(ends[0]);
    waiting = ends[1];
    if (fcntl(waiting, F_SETFD, FD_CLOEXEC) != 0 || setsid() < 0)
        fail(program, "cannot become a daemon: %s", strerror(errno));
}

void process_is_ready(void)
{
    if (waiting < 0)
        return;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int each = 0; each <= 2 && nothing >= 0; each++)
        if (each < 2 || isatty(each))
            dup2(nothing, each);
    if (nothing > 2)
        close(nothing);
    (void)!write(waiting, "!", 1);
    close(waiting);
    waiting = -1;
}

/* ---- privileges ------------------------------------------------------------------------------ */

static bool is_number(const char *text, unsigned long *ret_number)
{
    char *end = NULL;
    *ret_number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

void process_become(const char *program, const char *text)
{
    char user[64];
    const char *colon = strchr(text, ':');
    int length = (int)(colon ? (size_t)(colon - text) : strlen(text));
    unsigned long number;
    snprintf(user, sizeof user, "%.*s", length, text);
    struct passwd *account = is_number(user, &number) ? getpwuid((uid_t)number) : getpwnam(user);
    if (!account)
        fail(program, "there is no user '%s'", user);
    uid_t uid = account->pw_uid;
    gid_t gid = account->pw_gid;
    if (colon) {
        bool by_number = is_number(colon + 1, &number);
        struct group *group = by_number ? getgrgid((gid_t)number) : getgrnam(colon + 1);
        if (!group)
            fail(program, "there is no group '%s'", colon + 1);
        gid = group->gr_gid;
    }
    if (geteuid() == uid && getegid() == gid && getuid() == uid && uid != 0)
        return; /* of a successor its predecessor has seen to it */
    /* The groups first: afterwards there is no right to change them. */
    if (setgroups(1, &gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
        fail(program, "cannot become '%s': %s", text, strerror(errno));
    if (uid != 0 && (setuid(0) == 0 || geteuid() != uid || getegid() != gid))
        fail(program, "cannot give up the privileges of root");
}

/* ---- the successor --------------------------------------------------------------------------- */

#define SUCCESSOR "DAEMON_SERVER_SUCCEEDS" /* in the environment of a successor */

bool process_is_successor(void)
{
    return getenv(SUCCESSOR) != NULL;
}

pid_t process_start_again(char *const *argv)
{
    pid_t child = -1;
    sigset_t signals;
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        sigfillset(&signals);
        posix_spawnattr_setsigdefault(&attributes, &signals);
        sigemptyset(&signals);
        posix_spawnattr_setsigmask(&attributes, &signals);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        /* systemd has meant this process; its successor is the same service. */
        unsetenv("WATCHDOG_PID");
        setenv(SUCCESSOR, "1", 1);
        error = posix_spawnp(&child, argv[0], NULL, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    errno = error;
    return error == 0 ? child : -1;
}
