/*
 * What stands for the io_uring backend in a library that was built without it
 * (-DBERTH_IO_URING=OFF): it is refused, as it is where the kernel refuses it.
 */
#include "backend.h"

#include <errno.h>
#include <stdio.h>

berth__backend *berth__uring_new(berth__pool *pool, char *ret_reason, size_t size)
{
    (void)pool;
    (void)snprintf(ret_reason, size, "not built in");
    errno = ENOSYS;
    return NULL;
}
