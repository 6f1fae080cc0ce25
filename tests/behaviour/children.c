#include "children.h"

#include "case.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("a simulated kernel is memory, of which a child has its own");
}

/* Check keeps a file of what has been asserted, whose place a child shares with its parent. */
static void forget_checks_file(void)
{
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    MUST(nothing >= 0);
    for (int number = 3; number < 32; number++) {
        char path[40];
        char target[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", number);
        ssize_t size = readlink(path, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        if (strstr(target, "/check_") != NULL)
            MUST(dup3(nothing, number, O_CLOEXEC) == number);
    }
    close(nothing);
}

/* Also where a worker has forked, on whose thread all signals are blocked. */
static void let_alarm_end(void)
{
    sigset_t alone;
    sigemptyset(&alone);
    sigaddset(&alone, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alone, NULL);
    alarm(PATIENCE);
}

/* The child asserts nothing by Check before it has forgotten its file: a parent that has failed
 * meanwhile reads it. */
pid_t begin_child(void)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        forget_checks_file();
        let_alarm_end();
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* the case may fail */
        MUST(getppid() == parent);
        return child;
    }
    ck_assert_int_ge(child, 0);
    return child;
}

pid_t begin_holder(int client)
{
    pid_t child = begin_child();
    if (child != 0)
        return child;
    close(client);
    for (;;)
        pause();
}

void end_child(pid_t child)
{
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's status is %x",
                  (unsigned)status);
}

void kill_child(pid_t child)
{
    int status = -1;
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status), "the child has ended before, by its alarm");
}

void have_child(void (*part)(void))
{
    pid_t child = begin_child();
    if (child == 0) {
        part();
        _exit(0);
    }
    end_child(child);
}

int dial(uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_ge(descriptor, 0);
    struct timeval patience = {.tv_sec = world_seconds(PATIENCE)};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(connect(descriptor, (struct sockaddr *)&name, sizeof name), 0);
    return descriptor;
}

void begin_pipe(int ret_ends[2])
{
    ck_assert_int_eq(pipe2(ret_ends, O_CLOEXEC), 0);
    world_note(ret_ends[0]);
    world_note(ret_ends[1]);
}

void say(int descriptor, const char *text)
{
    ck_assert_int_eq(send(descriptor, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The end of a ring that was freed before signals its thread, and no handler is called. */
ssize_t receive(int descriptor, void *data, size_t size)
{
    ssize_t got;
    do
        got = recv(descriptor, data, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

bool hears(int descriptor, const char *text)
{
    char heard[64] = "";
    size_t size = strlen(text);
    size_t count = 0;
    ssize_t got = 1;
    while (count < size && got > 0) {
        got = receive(descriptor, heard + count, size - count);
        count += got > 0 ? (size_t)got : 0;
    }
    bool good = memcmp(heard, text, size) == 0;
    if (!good)
        fprintf(stderr, "\"%s\" in place of \"%s\", and then %s\n", heard, text,
                got == 0  ? "the end"
                : got < 0 ? strerror(errno)
                          : "more");
    return good;
}
