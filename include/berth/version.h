/*
 * The version of these headers, and that of the library at run time. docs/versions.md says what the
 * numbers promise.
 */
#ifndef BERTH_VERSION_H
#define BERTH_VERSION_H

#include <berth/export.h>

/** Changes when programs have to be changed or recompiled. */
#define BERTH_VERSION_MAJOR 0
/** Changes when functions, handlers, limits, options or statistics are added. */
#define BERTH_VERSION_MINOR 2
/** Changes when only defects are fixed. */
#define BERTH_VERSION_PATCH 0
/** The three numbers as text. */
#define BERTH_VERSION_STRING "0.2.0"

BERTH_BEGIN_DECLARATIONS

/**
 * Returns the version of the library that the program runs with.
 *
 * @return a static string such as "0.2.0"; never NULL. Any thread.
 */
BERTH_API const char *berth_version(void);

BERTH_END_DECLARATIONS

#endif
