/*
 * The commands of the key-value server, one function each, and the replies.
 *
 * A wrong command is answered with an error, and the next one runs. No command waits, and the time
 * of each is proportional to the number of its arguments.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "key_value.h"

#define LONG 16384                 /* bytes of a reply that is sent without a copy */
#define MOST_SECONDS 1000000000000 /* of EXPIRE */

/* ---- replies --------------------------------------------------------------------------------- */

void client_write_gathered(client *self)
{
    service *all = self->service;
    if (all->gathered == 0)
        return;
    if (berth_socket_write(self->socket, all->out, all->gathered) != (ptrdiff_t)all->gathered)
        self->broken = true;
    all->gathered = 0;
}

/* Gathers a short piece of a reply. */
static void reply(client *self, const void *data, size_t size)
{
    service *all = self->service;
    if (size > KEY_VALUE_GATHERED - all->gathered)
        client_write_gathered(self);
    memcpy(all->out + all->gathered, data, size);
    all->gathered += size;
}

void client_replyf(client *self, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    reply(self, text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

static void reply_number(client *self, char mark, uint64_t number)
{
    char text[RESP_MOST_NUMBER];
    reply(self, text, resp_write_number(text, mark, number));
}

/* A long one is written after what is gathered, all in one call. */
static void reply_bulk(client *self, const void *data, size_t size)
{
    service *all = self->service;
    reply_number(self, '$', size);
    if (size + 2 <= KEY_VALUE_GATHERED - all->gathered) {
        reply(self, data, size);
        reply(self, "\r\n", 2);
        return;
    }
    berth_piece pieces[] = {{all->out, all->gathered}, {data, size}, {"\r\n", 2}};
    size_t total = all->gathered + size + 2;
    if (berth_socket_write_pieces(self->socket, pieces, 3) != (ptrdiff_t)total)
        self->broken = true;
    all->gathered = 0;
}

static void release_value(const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    value_drop(user);
}

/* A long one is not copied: the output holds it until it is sent, even if it is deleted meanwhile.
 */
static void reply_value(client *self, value *found)
{
    if (!found) {
        reply(self, "$-1\r\n", 5);
        return;
    }
    if (found->reply_size < LONG) {
        reply(self, found->reply, found->reply_size);
        return;
    }
    client_write_gathered(self);
    value_hold(found);
    if (berth_socket_write_borrowed(self->socket, found->reply, found->reply_size, release_value,
                                    found) != (ptrdiff_t)found->reply_size) {
        value_drop(found);
        self->broken = true;
    }
}

static void reply_integer(client *self, int64_t number)
{
    if (number < 0)
        client_replyf(self, ":%" PRId64 "\r\n", number);
    else
        reply_number(self, ':', (uint64_t)number);
}

/* ---- commands -------------------------------------------------------------------------------- */

static resp_text argument(const client *self, size_t number)
{
    return resp_argument(&self->parser, self->command, number);
}

static entry *find(client *self, size_t number)
{
    resp_text key = argument(self, number);
    service *all = self->service;
    return table_find(&all->keys, key.data, key.size, all->now);
}

bool client_afford(client *self, size_t bytes)
{
    const service *all = self->service;
    if (all->keys.bytes + all->held + bytes <= all->most_memory)
        return true;
    client_replyf(self, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    return false;
}

static bool set(client *self, size_t key_number, const void *data, size_t size, uint64_t expires)
{
    service *all = self->service;
    resp_text key = argument(self, key_number);
    if (!client_afford(self, key.size + size))
        return false;
    value *fresh = value_new(data, size);
    if (!fresh || !table_set(&all->keys, key.data, key.size, fresh, expires, all->now)) {
        if (fresh)
            value_drop(fresh);
        client_replyf(self, "-OOM out of memory\r\n");
        return false;
    }
    return true;
}

static void run_get(client *self)
{
    entry *found = find(self, 1);
    reply_value(self, found ? found->value : NULL);
}

/* The time of "EX 10" or "PX 10000", or of EXPIRE; false if that is none. */
static bool expiry_of(const client *self, size_t number, int64_t unit, uint64_t *ret_expires)
{
    int64_t count = 0;
    if (!resp_integer(argument(self, number), &count) || count <= 0 || count > MOST_SECONDS)
        return false;
    *ret_expires = self->service->now + (uint64_t)(count * unit);
    return true;
}

static void run_set(client *self)
{
    uint64_t expires = 0;
    bool wanted_there = false;
    bool wanted_absent = false;
    for (size_t at = 3; at < self->parser.count; at++) {
        resp_text option = argument(self, at);
        bool seconds = resp_same(option, "EX");
        if (resp_same(option, "NX")) {
            wanted_absent = true;
        } else if (resp_same(option, "XX")) {
            wanted_there = true;
        } else if ((!seconds && !resp_same(option, "PX")) || ++at == self->parser.count) {
            client_replyf(self, "-ERR syntax error\r\n");
            return;
        } else if (!expiry_of(self, at, seconds ? 1000 : 1, &expires)) {
            client_replyf(self, "-ERR invalid expire time in 'set' command\r\n");
            return;
        }
    }
    resp_text data = argument(self, 2);
    bool there = (wanted_there || wanted_absent) && find(self, 1);
    if ((wanted_there && !there) || (wanted_absent && there))
        reply_value(self, NULL);
    else if (set(self, 1, data.data, data.size, expires))
        reply(self, "+OK\r\n", 5);
}

static void run_del(client *self)
{
    service *all = self->service;
    int64_t count = 0;
    for (size_t at = 1; at < self->parser.count; at++) {
        resp_text key = argument(self, at);
        count += table_delete(&all->keys, key.data, key.size, all->now);
    }
    reply_integer(self, count);
}

static void run_exists(client *self)
{
    int64_t count = 0;
    for (size_t at = 1; at < self->parser.count; at++)
        count += find(self, at) != NULL;
    reply_integer(self, count);
}

static void run_mget(client *self)
{
    client_replyf(self, "*%zu\r\n", self->parser.count - 1);
    for (size_t at = 1; at < self->parser.count && !self->broken; at++) {
        entry *found = find(self, at);
        reply_value(self, found ? found->value : NULL);
    }
}

static resp_text text_of(const value *held)
{
    return (resp_text){held->reply + held->header, held->size};
}

static void run_incr(client *self)
{
    entry *found = find(self, 1);
    int64_t number = 0;
    char text[24];
    if (found && !resp_integer(text_of(found->value), &number)) {
        client_replyf(self, "-ERR value is not an integer or out of range\r\n");
        return;
    }
    if (number == INT64_MAX) {
        client_replyf(self, "-ERR increment or decrement would overflow\r\n");
        return;
    }
    int size = snprintf(text, sizeof(text), "%" PRId64, number + 1);
    if (set(self, 1, text, (size_t)size, found ? found->expires : 0))
        reply_integer(self, number + 1);
}

static void run_expire(client *self)
{
    int64_t seconds = 0;
    uint64_t expires = 0;
    entry *found = find(self, 1);
    resp_text key = argument(self, 1);
    service *all = self->service;
    if (!resp_integer(argument(self, 2), &seconds) || seconds > MOST_SECONDS) {
        client_replyf(self, "-ERR value is not an integer or out of range\r\n");
        return;
    }
    reply_integer(self, found != NULL);
    if (found && expiry_of(self, 2, 1000, &expires))
        table_set_expires(&all->keys, found, expires);
    else if (found)
        table_delete(&all->keys, key.data, key.size, all->now);
}

static void run_ttl(client *self)
{
    const entry *found = find(self, 1);
    uint64_t now = self->service->now;
    reply_integer(self, !found                ? -2
                        : found->expires == 0 ? -1
                                              : (int64_t)((found->expires - now + 500) / 1000));
}

static void run_ping(client *self)
{
    if (self->parser.count == 1)
        reply(self, "+PONG\r\n", 7);
    else
        reply_bulk(self, argument(self, 1).data, argument(self, 1).size);
}

static void run_echo(client *self)
{
    reply_bulk(self, argument(self, 1).data, argument(self, 1).size);
}

static void run_info(client *self)
{
    const service *all = self->service;
    char text[512];
    int size = snprintf(text, sizeof(text),
                        "# Server\r\nserver:berth %s\r\nbackend:%s\r\n"
                        "# Clients\r\nconnected_clients:%lu\r\n"
                        "# Memory\r\nused_memory:%zu\r\nmaxmemory:%zu\r\n"
                        "# Stats\r\ntotal_commands_processed:%lu\r\n"
                        "# Keyspace\r\ndb0:keys=%zu,expires=%zu\r\n",
                        berth_version(), berth_loop_backend_name(all->loop), all->clients,
                        all->keys.bytes + all->held, all->most_memory, all->commands,
                        all->keys.count, all->keys.expiring);
    reply_bulk(self, text, (size_t)size);
}

static void run_command(client *self);

static void run_quit(client *self)
{
    reply(self, "+OK\r\n", 5);
    self->ending = true;
}

typedef struct command {
    const char *name;
    size_t least; /* arguments, the name with them */
    size_t most;  /* SIZE_MAX: any number */
    void (*run)(client *self);
} command;

static const command commands[] = {
    {"get", 2, 2, run_get},          {"set", 3, SIZE_MAX, run_set},
    {"incr", 2, 2, run_incr},        {"mget", 2, SIZE_MAX, run_mget},
    {"del", 2, SIZE_MAX, run_del},   {"exists", 2, SIZE_MAX, run_exists},
    {"ping", 1, 2, run_ping},        {"expire", 3, 3, run_expire},
    {"ttl", 2, 2, run_ttl},          {"echo", 2, 2, run_echo},
    {"info", 1, SIZE_MAX, run_info}, {"command", 1, SIZE_MAX, run_command},
    {"quit", 1, SIZE_MAX, run_quit},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* COMMAND COUNT, and the table of all commands; other subcommands get an empty answer. */
static void run_command(client *self)
{
    bool all = self->parser.count == 1;
    if (!all && resp_same(argument(self, 1), "COUNT")) {
        reply_integer(self, (int64_t)COMMANDS);
        return;
    }
    client_replyf(self, "*%zu\r\n", all ? COMMANDS : 0);
    for (size_t at = 0; all && at < COMMANDS; at++) {
        const command *each = &commands[at];
        bool fixed = each->least == each->most;
        client_replyf(self, "*6\r\n$%zu\r\n%s\r\n:%s%zu\r\n*0\r\n:%d\r\n:%d\r\n:%d\r\n",
                      strlen(each->name), each->name, fixed ? "" : "-", each->least, 0, 0, 0);
    }
}

static void run_unknown(client *self, resp_text name)
{
    char shown[65];
    size_t size = name.size < sizeof(shown) - 1 ? name.size : sizeof(shown) - 1;
    for (size_t at = 0; at < size; at++)
        shown[at] = isprint((unsigned char)name.data[at]) ? name.data[at] : '?';
    shown[size] = '\0';
    client_replyf(self, "-ERR unknown command '%s'\r\n", shown);
    /* A browser that was tricked into talking to this port must not get as far as its body. */
    self->ending = resp_same(name, "POST") || resp_same(name, "Host:");
}

void client_execute(client *self, const char *data)
{
    if (self->parser.count == 0)
        return;
    self->command = data;
    self->service->commands++;
    resp_text name = argument(self, 0);
    for (size_t at = 0; at < COMMANDS; at++) {
        const command *each = &commands[at];
        if (!resp_same(name, each->name))
            continue;
        if (self->parser.count < each->least || self->parser.count > each->most)
            client_replyf(self, "-ERR wrong number of arguments for '%s' command\r\n", each->name);
        else
            each->run(self);
        return;
    }
    run_unknown(self, name);
}
