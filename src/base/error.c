/*
 * Names and general texts of the error classes, out of the one table in berth/error.h.
 *
 * Both functions answer for every value, also for one that is no class: that reads as UNKNOWN.
 * Never fails, allocates nothing, and may be called on any thread.
 */
#include <berth/error.h>

const char *berth_error_name(berth_error error)
{
    switch (error) {
#define NAME_OF(name, value, text) \
    case BERTH_ERROR_##name:       \
        return #name;
        BERTH_ERROR_LIST(NAME_OF)
#undef NAME_OF
    }
    return "UNKNOWN";
}

const char *berth_error_text(berth_error error)
{
    switch (error) {
#define TEXT_OF(name, value, text) \
    case BERTH_ERROR_##name:       \
        return text;
        BERTH_ERROR_LIST(TEXT_OF)
#undef TEXT_OF
    }
    return berth_error_text(BERTH_ERROR_UNKNOWN);
}
