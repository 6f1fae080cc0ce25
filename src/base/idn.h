/*
 * Internationalized names: what a name with letters beyond ASCII is in the DNS.
 */
#ifndef BERTH_SRC_IDN_H
#define BERTH_SRC_IDN_H

/* Bytes that hold every encoded name, with its terminator. */
#define BERTH__ASCII_NAME_SIZE 256

/* The name in ASCII, which may be written to `place`: with "xn--" for what is beyond. The name as
 * it is where there is nothing to encode, and where it cannot be encoded: then it is not found. */
const char *berth__ascii_name(const char *name, char place[BERTH__ASCII_NAME_SIZE]);

#endif
