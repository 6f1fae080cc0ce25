/*
 * The version that the program runs with; the one it was compiled against is in the header's
 * macros.
 *
 * Never fails, and may be called on any thread.
 */
#include <berth/version.h>

const char *berth_version(void)
{
    return BERTH_VERSION_STRING;
}
