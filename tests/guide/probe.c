/*
 * Says whether the backend that BERTH_BACKEND names can be had here: exit status 0 if so, otherwise
 * 77, with the reason on standard output. The programs of the guide do not, to stay short.
 */
#include <stdio.h>
#include <stdlib.h>

#include <berth/berth.h>

int main(void)
{
    char reason[160] = "";
    const char *backend = getenv("BERTH_BACKEND");
    if (!backend || berth_loop_backend_available(backend, reason, sizeof(reason)))
        return 0;
    printf("skipped: %s is refused here: %s\n", backend, reason);
    return 77;
}
