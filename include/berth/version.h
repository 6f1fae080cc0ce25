/*
 * The version that a program was compiled against, and the one that it runs with.
 */
#ifndef BERTH_VERSION_H
#define BERTH_VERSION_H

#include <berth/export.h>

/** Changes when programs have to be changed. */
#define BERTH_VERSION_MAJOR 0
/** Changes when something is added. */
#define BERTH_VERSION_MINOR 1
/** Changes when something is mended. */
#define BERTH_VERSION_PATCH 0
/** The three numbers as text. */
#define BERTH_VERSION_STRING "0.1.0"

BERTH_BEGIN_DECLARATIONS

/**
 * Version of the library that the program runs with.
 *
 * @return a static string such as "0.1.0"; never NULL. Any thread.
 */
BERTH_API const char *berth_version(void);

BERTH_END_DECLARATIONS

#endif
