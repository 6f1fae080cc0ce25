/*
 * Qt's texts of what goes wrong with a proxy.
 */
#ifndef BPY_PROXY_TEXT_H
#define BPY_PROXY_TEXT_H

#include <berth/berth.h>

/* The text of an error for which the library has given `text`. NULL: it is not one of a proxy, or
 * has the text of a direct connection. */
const char *bpy_proxy_text(berth_error error, const char *text);

#endif
