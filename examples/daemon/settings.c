/* The file of limits of daemon_server: see settings.h. */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

daemon_settings daemon_settings_standard(void)
{
    return (daemon_settings){
        .connection = {.first_byte = 10000, .idle = 60000},
        .drain = {.deadline = 20000, .idle = 1000},
    };
}

/* The number that a name is about, or NULL. */
static uint32_t *place_of(daemon_settings *settings, const char *name)
{
    const struct {
        const char *name;
        uint32_t *place;
    } known[] = {
        {"per-address", &settings->accepting.per_address},
        {"per-second", &settings->accepting.per_second},
        {"first-byte", &settings->connection.first_byte},
        {"idle", &settings->connection.idle},
        {"lifetime", &settings->connection.lifetime},
        {"grace", &settings->drain.grace},
        {"deadline", &settings->drain.deadline},
        {"quiet", &settings->drain.idle},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].place;
    return NULL;
}

static bool take_line(daemon_settings *settings, char *line)
{
    char *rest = NULL;
    char *name = strtok_r(line, " \t\n", &rest);
    if (!name || *name == '#')
        return true;
    char *number = strtok_r(NULL, " \t\n", &rest);
    uint32_t *place = place_of(settings, name);
    char *end = number;
    unsigned long value = number && *number != '-' ? strtoul(number, &end, 10) : 0;
    if (!place || end == number || *end != '\0' || value > 86400000 ||
        strtok_r(NULL, " \t\n", &rest))
        return false;
    *place = (uint32_t)value;
    return true;
}

bool daemon_settings_read(daemon_settings *settings, const char *path, char *ret_text, size_t size)
{
    daemon_settings made = daemon_settings_standard();
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(ret_text, size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    bool right = true;
    for (int number = 1; right && getline(&line, &room, file) >= 0; number++) {
        right = take_line(&made, line);
        if (!right)
            snprintf(ret_text, size, "%s, line %d: expected a name and a number", path, number);
    }
    if (right && !feof(file)) {
        snprintf(ret_text, size, "cannot read %s: %s", path, strerror(errno));
        right = false;
    }
    free(line);
    fclose(file);
    if (right)
        *settings = made;
    return right;
}
