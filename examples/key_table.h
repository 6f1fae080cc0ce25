/*
 * A table of keys and values in memory: what the key-value example keeps.
 *
 * Linear hashing: the table grows by one bucket at a time, so that no call takes long, however
 * many keys there are. Keys are hashed with a secret (SipHash-1-3), so that nobody can choose keys
 * that collide. A key may have a time at which it expires: it is not found any more, and its memory
 * is freed when it is looked up, or by table_expire.
 *
 * Values are counted: the table holds one reference, and whoever sends a value may hold another.
 */
#ifndef BERTH_EXAMPLES_KEY_TABLE_H
#define BERTH_EXAMPLES_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kept as the reply that sends it: "$3\r\nabc\r\n". */
typedef struct value {
    unsigned references;
    unsigned header;   /* bytes before the value itself */
    size_t size;       /* of the value itself */
    size_t reply_size; /* with what is around it */
    char reply[];
} value;

typedef struct entry {
    struct entry *next; /* in the bucket */
    uint64_t hash;
    uint64_t expires; /* not found from then on; 0 for never */
    value *value;
    size_t key_size;
    char key[];
} entry;

typedef struct table {
    uint64_t secret[2];
    entry **buckets;
    size_t room;  /* for buckets */
    size_t mask;  /* of hashes, before this round of growing */
    size_t split; /* buckets that have been split in this round */
    size_t count;
    size_t expiring; /* of those, the ones that have a time */
    size_t bytes;    /* that keys and values take */
    size_t cursor;   /* of table_expire */
} table;

/* False with errno set when out of memory, or if the system gives no secret. */
bool table_open(table *self);
void table_close(table *self);

/* A value with one reference, which is the caller's; NULL when out of memory. */
value *value_new(const void *data, size_t size);
value *value_hold(value *held);
void value_drop(value *held);

/* The entry of a key; NULL if there is none, or none any more. */
entry *table_find(table *self, const void *key, size_t size, uint64_t now);

/* Sets a key; its former value and time are dropped. Takes over the caller's reference. False when
 * out of memory: nothing has changed. */
bool table_set(table *self, const void *key, size_t size, value *fresh, uint64_t expires,
               uint64_t now);

/* Sets the time of an entry; 0 for none. */
void table_set_expires(table *self, entry *found, uint64_t expires);

/* Whether the key was there. */
bool table_delete(table *self, const void *key, size_t size, uint64_t now);

/* Frees expired entries of the next `buckets` buckets. */
void table_expire(table *self, size_t buckets, uint64_t now);

#endif
