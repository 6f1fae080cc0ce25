/*
 * Visibility and linkage of the public functions, and deprecation.
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

/** Marks what should no longer be used; `text` says what to use instead. Compilers warn of its use,
 * unless BERTH_NO_DEPRECATION is defined before a header is included. docs/versions.md says for how
 * long it works. */
#if defined(__GNUC__) && !defined(BERTH_NO_DEPRECATION)
#define BERTH_DEPRECATED(text) __attribute__((deprecated(text)))
#else
#define BERTH_DEPRECATED(text)
#endif

#ifdef __cplusplus
#define BERTH_BEGIN_DECLARATIONS extern "C" {
#define BERTH_END_DECLARATIONS }
#else
#define BERTH_BEGIN_DECLARATIONS
#define BERTH_END_DECLARATIONS
#endif

#endif
