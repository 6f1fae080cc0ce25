/*
 * Visibility and linkage of the public functions.
 *
 * The shared library exports only what is declared with BERTH_API, libberth-tls what is declared
 * with BERTH_TLS_API. The checks compare the exported names with src/berth.map and
 * src/berth-tls.map.
 */
#ifndef BERTH_EXPORT_H
#define BERTH_EXPORT_H

#if defined(__GNUC__)
#define BERTH_API __attribute__((visibility("default")))
#else
#define BERTH_API
#endif

#define BERTH_TLS_API BERTH_API

#ifdef __cplusplus
#define BERTH_BEGIN_DECLARATIONS extern "C" {
#define BERTH_END_DECLARATIONS }
#else
#define BERTH_BEGIN_DECLARATIONS
#define BERTH_END_DECLARATIONS
#endif

#endif
