/*
 * What the two files of the key-value server share: the server, its clients, and the calls
 * between the files. key_value_server.c reads and parses, key_value_commands.c runs the commands
 * and replies.
 */
#ifndef BERTH_EXAMPLES_KEY_VALUE_H
#define BERTH_EXAMPLES_KEY_VALUE_H

#include <berth/berth.h>

#include "key_table.h"
#include "resp_wire.h"

#define KEY_VALUE_GATHERED 16384 /* bytes of replies that are written together */

typedef struct service {
    berth_address address; /* to listen on */
    uint16_t port;
    size_t most_memory;
    berth_connection_limits limits; /* of a client */
    berth_loop *loop;
    berth_timer *expiry;
    table keys;
    size_t held; /* bytes that clients hold */
    unsigned long clients;
    unsigned long commands;
    uint64_t now;    /* milliseconds: when the commands of this delivery began to run */
    size_t gathered; /* of the replies to the client that is served now */
    char out[KEY_VALUE_GATHERED];
} service;

typedef struct client {
    service *service;
    berth_socket *socket;
    resp_parser parser;
    const char *command; /* the one that runs */
    char *held;          /* the beginning of an incomplete command */
    size_t held_size;
    size_t held_room;
    bool ending;   /* no command is run any more */
    bool finished; /* the client sends no more */
    bool broken;   /* a reply could not be written */
} client;

/* Runs the complete command that the client's parser has found in `data`, and replies. */
void client_execute(client *self, const char *data);

/* Replies with a line. */
void client_replyf(client *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the gathered replies. */
void client_write_gathered(client *self);

/* Whether that many more bytes may be kept; if not, replies with an error. */
bool client_afford(client *self, size_t bytes);

#endif
