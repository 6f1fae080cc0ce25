/*
 * Bencoding (BEP 3): integers "i42e", strings "4:spam", lists "l...e" and dictionaries "d...e".
 *
 * bencode_read checks one value from its first byte to its last, in one pass, without recursion and
 * without allocation. After that a value is a view: a pointer to its bytes and their number, which
 * live as long as the bytes do. All other functions take views that come from bencode_read or from
 * each other; they rely on the check and cannot fail but for "is of another kind".
 *
 * Strict: no leading zeros, no "-0", integers of 64 bits with sign, strings that end within the
 * bytes, at most BENCODE_DEPTH lists and dictionaries in each other, no key twice in a dictionary.
 * Keys out of their order are tolerated among the first BENCODE_UNSORTED of a dictionary, since
 * some programs write them so; behind those they must ascend. (That keeps the search for keys that
 * are there twice short without a table.)
 *
 * A step over a value passes over all that is in it, so that walking everything in depth D reads
 * the bytes D times.
 */
#ifndef TORRENT_BENCODE_H
#define TORRENT_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCODE_DEPTH 64
#define BENCODE_UNSORTED 32

/* A value, or, where that is said, the bytes of a string without its length. */
typedef struct bencode {
    const uint8_t *data;
    size_t size;
} bencode;

typedef enum bencode_kind {
    BENCODE_INTEGER,
    BENCODE_STRING,
    BENCODE_LIST,
    BENCODE_DICTIONARY
} bencode_kind;

/* Checks the value at the beginning of the bytes. What follows it is not looked at: the size of the
 * value is that of `ret_value`. On failure false, why in `ret_why`, and in `ret_where` the offset
 * at which the check has ended. */
bool bencode_read(const void *data, size_t size, bencode *ret_value, const char **ret_why,
                  size_t *ret_where);

bencode_kind bencode_kind_of(bencode value);

/* False, and nothing is stored, if the value is of another kind. */
bool bencode_integer(bencode value, int64_t *ret_number);
bool bencode_string(bencode value, bencode *ret_bytes);

/* Looks a key up. False if it is not there, or if the value is no dictionary. */
bool bencode_find(bencode dictionary, const char *key, bencode *ret_value);
/* The same, with a kind asked of what is found. */
bool bencode_find_integer(bencode dictionary, const char *key, int64_t *ret_number);
bool bencode_find_string(bencode dictionary, const char *key, bencode *ret_bytes);

/* Whether the bytes of a string are these. */
bool bencode_same(bencode bytes, const char *text);

/* A walk through a list or a dictionary; anything else is empty. `ret_key`: the bytes of the key,
 * empty in a list; NULL if it is not wanted. */
typedef struct bencode_walk {
    const uint8_t *at;
    bool dictionary;
} bencode_walk;

bencode_walk bencode_begin(bencode container);
bool bencode_next(bencode_walk *self, bencode *ret_key, bencode *ret_value);

#endif
