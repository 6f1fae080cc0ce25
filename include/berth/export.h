/*
 * Visibility and linkage of the public functions.
 *
 * The shared library hides everything that does not carry BERTH_API; the list of exported names is
 * held against src/berth.map by the checks.
 */
#ifndef BERTH_EXPORT_H
#define BERTH_EXPORT_H

#if defined(__GNUC__)
#define BERTH_API __attribute__((visibility("default")))
#else
#define BERTH_API
#endif

#ifdef __cplusplus
#define BERTH_BEGIN_DECLARATIONS extern "C" {
#define BERTH_END_DECLARATIONS }
#else
#define BERTH_BEGIN_DECLARATIONS
#define BERTH_END_DECLARATIONS
#endif

#endif
