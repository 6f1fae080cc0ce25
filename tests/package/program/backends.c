/*
 * A program outside of the tree: says which backends it can have, and which it gets by itself.
 */
#include <stdio.h>

#include <berth/berth.h>

int main(void)
{
    static const char *const names[] = {"io_uring", "epoll"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char reason[160];
        bool usable = berth_loop_backend_available(names[i], reason, sizeof reason);
        printf("%s: %s, %s\n", names[i], usable ? "yes" : "no", reason);
    }
    printf("by itself: %s, %s\n", berth_loop_backend_name(NULL), berth_loop_backend_reason(NULL));
    return 0;
}
