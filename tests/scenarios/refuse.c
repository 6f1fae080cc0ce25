/*
 * Runs a program in a sandbox in which io_uring is refused, as containers do it.
 *
 *     refuse ERRNO|kill PROGRAM [ARGUMENT]...
 *
 * A seccomp filter answers io_uring_setup, io_uring_enter and io_uring_register with that errno, or
 * kills the process for asking; everything else is let through. Ends with 77 if filters cannot be
 * had, else with what the program ends with.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count < 3) {
        (void)fputs("usage: refuse ERRNO|kill PROGRAM [ARGUMENT]...\n", stderr);
        return 2;
    }
    unsigned answer = SECCOMP_RET_KILL_PROCESS;
    if (strcmp(arguments[1], "kill") != 0)
        answer = SECCOMP_RET_ERRNO | (unsigned)strtol(arguments[1], NULL, 10);
    _Static_assert(SYS_io_uring_enter == SYS_io_uring_setup + 1 &&
                       SYS_io_uring_register == SYS_io_uring_setup + 2,
                   "the three calls have numbers in a row");
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof steps / sizeof *steps, .filter = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
        printf("seccomp filters cannot be had here: %s\n", strerror(errno));
        return 77;
    }
    (void)execvp(arguments[2], arguments + 2);
    perror(arguments[2]);
    return 2;
}
