/*
 * Internationalized names, by libidn2: UTF-8, mapped and composed as UTS 46 has it, then IDNA 2008.
 * Letters that the older standard has replaced by others are kept, since they are names of their
 * own: "straße.example" is not "strasse.example".
 */
#include "idn.h"

#include <idn2.h>
#include <stdbool.h>
#include <string.h>

static bool is_ascii(const char *name)
{
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name >= 0x80)
            return false;
    }
    return true;
}

const char *berth__ascii_name(const char *name, char place[BERTH__ASCII_NAME_SIZE])
{
    char *encoded = NULL;
    if (is_ascii(name))
        return name;
    if (idn2_to_ascii_8z(name, &encoded, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return name;
    bool fits = strlen(encoded) < BERTH__ASCII_NAME_SIZE;
    if (fits)
        memcpy(place, encoded, strlen(encoded) + 1);
    idn2_free(encoded);
    return fits ? place : name;
}
