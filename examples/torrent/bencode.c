/* The pull parser of bencoding; bencode.h describes each function. */
#include "bencode.h"

#include <string.h>

/* A list or dictionary that is open while the bytes are checked. */
typedef struct bencode_level {
    bool dictionary;
    bool value_next; /* a key was read */
    uint32_t count;  /* of keys */
    bencode highest; /* key */
    bencode keys[BENCODE_UNSORTED];
} bencode_level;

typedef struct bencode_check {
    const uint8_t *from;
    const uint8_t *at;
    const uint8_t *end;
    const char *why;
    size_t depth;
    bencode_level levels[BENCODE_DEPTH];
} bencode_check;

static bool refuse(bencode_check *check, const char *why)
{
    check->why = why;
    return false;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static int compare(bencode left, bencode right)
{
    size_t both = left.size < right.size ? left.size : right.size;
    int order = both > 0 ? memcmp(left.data, right.data, both) : 0;
    if (order != 0)
        return order;
    return (left.size > right.size) - (left.size < right.size);
}

/* Digits up to `most`, and the byte `stop` behind them. */
static bool check_number(bencode_check *check, uint64_t most, uint8_t stop, uint64_t *ret_number)
{
    const uint8_t *first = check->at;
    uint64_t number = 0;
    for (; check->at < check->end && is_digit(*check->at); check->at++) {
        unsigned digit = *check->at - (unsigned)'0';
        if (check->at > first && *first == '0')
            return refuse(check, "a number begins with 0");
        if (number > most / 10 || digit > most - number * 10)
            return refuse(check, stop == ':' ? "a string is longer than what is there"
                                             : "an integer does not fit in 64 bits");
        number = number * 10 + digit;
    }
    if (check->at == check->end)
        return refuse(check, "a number is cut off");
    if (check->at == first || *check->at != stop)
        return refuse(check, "a number is malformed");
    check->at++;
    *ret_number = number;
    return true;
}

static bool check_integer(bencode_check *check)
{
    uint64_t number;
    check->at++;
    bool negative = check->at < check->end && *check->at == '-';
    check->at += negative;
    if (!check_number(check, (uint64_t)INT64_MAX + negative, 'e', &number))
        return false;
    return !negative || number > 0 || refuse(check, "an integer is -0");
}

static bool check_string(bencode_check *check, bencode *ret_bytes)
{
    uint64_t size;
    if (!check_number(check, (uint64_t)(check->end - check->at), ':', &size))
        return false;
    if (size > (uint64_t)(check->end - check->at))
        return refuse(check, "a string is longer than what is there");
    *ret_bytes = (bencode){check->at, (size_t)size};
    check->at += size;
    return true;
}

/* Each key is compared with the highest one, and only if it is not above that with all. */
static bool check_key(bencode_check *check, bencode_level *level)
{
    bencode key;
    if (!check_string(check, &key))
        return false;
    int order = level->count > 0 ? compare(key, level->highest) : 1;
    if (order <= 0 && level->count > BENCODE_UNSORTED)
        return refuse(check, "a long dictionary is not sorted");
    for (uint32_t i = 0; order <= 0 && i < level->count; i++) {
        if (compare(key, level->keys[i]) == 0)
            return refuse(check, "a key is there twice");
    }
    if (level->count < BENCODE_UNSORTED)
        level->keys[level->count] = key;
    if (order > 0)
        level->highest = key;
    if (level->count <= BENCODE_UNSORTED)
        level->count++;
    level->value_next = true;
    return true;
}

static bool open_level(bencode_check *check)
{
    if (check->depth == BENCODE_DEPTH)
        return refuse(check, "lists and dictionaries are nested too deep");
    bencode_level *level = &check->levels[check->depth++];
    level->dictionary = *check->at++ == 'd';
    level->value_next = false;
    level->count = 0;
    return true;
}

/* Checks a value, or the beginning or end of one that holds others, or a key. */
static bool check_token(bencode_check *check)
{
    bencode ignored;
    bencode_level *level = check->depth > 0 ? &check->levels[check->depth - 1] : NULL;
    uint8_t byte = *check->at;
    if (level && byte == 'e' && !level->value_next) {
        check->at++;
        check->depth--;
        return true;
    }
    if (level && level->dictionary && !level->value_next)
        return is_digit(byte) ? check_key(check, level) : refuse(check, "a key is no string");
    if (level)
        level->value_next = false;
    if (is_digit(byte))
        return check_string(check, &ignored);
    if (byte == 'i')
        return check_integer(check);
    if (byte == 'l' || byte == 'd')
        return open_level(check);
    return refuse(check, "a value is missing");
}

bool bencode_read(const void *data, size_t size, bencode *ret_value, const char **ret_why,
                  size_t *ret_where)
{
    bencode_check check;
    check.from = check.at = data;
    check.end = size > 0 ? check.at + size : check.at;
    check.why = "the end is missing";
    check.depth = 0;
    do {
        if (check.at == check.end || !check_token(&check)) {
            *ret_why = check.why;
            *ret_where = (size_t)(check.at - check.from);
            return false;
        }
    } while (check.depth > 0);
    *ret_value = (bencode){check.from, (size_t)(check.at - check.from)};
    return true;
}

/* ---- views of what was checked --------------------------------------------------------------- */

static const uint8_t *string_at(const uint8_t *at, bencode *ret_bytes)
{
    size_t size = 0;
    for (; *at != ':'; at++)
        size = size * 10 + (*at - (size_t)'0');
    *ret_bytes = (bencode){at + 1, size};
    return at + 1 + size;
}

/* The first byte behind the value. */
static const uint8_t *skip(const uint8_t *at)
{
    bencode ignored;
    size_t depth = 0;
    do {
        if (is_digit(*at)) {
            at = string_at(at, &ignored);
        } else if (*at == 'i') {
            while (*at++ != 'e')
                continue;
        } else {
            depth += *at == 'e' ? (size_t)-1 : 1;
            at++;
        }
    } while (depth > 0);
    return at;
}

bencode_kind bencode_kind_of(bencode value)
{
    switch (value.data[0]) {
    case 'i':
        return BENCODE_INTEGER;
    case 'l':
        return BENCODE_LIST;
    case 'd':
        return BENCODE_DICTIONARY;
    default:
        return BENCODE_STRING;
    }
}

bool bencode_integer(bencode value, int64_t *ret_number)
{
    if (value.data[0] != 'i')
        return false;
    const uint8_t *at = value.data + 1;
    bool negative = *at == '-';
    uint64_t number = 0;
    for (at += negative; *at != 'e'; at++)
        number = number * 10 + (*at - (unsigned)'0');
    *ret_number = (int64_t)(negative ? 0 - number : number);
    return true;
}

bool bencode_string(bencode value, bencode *ret_bytes)
{
    if (!is_digit(value.data[0]))
        return false;
    string_at(value.data, ret_bytes);
    return true;
}

bool bencode_same(bencode bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

bencode_walk bencode_begin(bencode container)
{
    bool dictionary = container.data[0] == 'd';
    bool list = container.data[0] == 'l';
    return (bencode_walk){dictionary || list ? container.data + 1 : NULL, dictionary};
}

bool bencode_next(bencode_walk *self, bencode *ret_key, bencode *ret_value)
{
    bencode key = {NULL, 0};
    if (self->at == NULL || *self->at == 'e')
        return false;
    if (self->dictionary)
        self->at = string_at(self->at, &key);
    ret_value->data = self->at;
    self->at = skip(self->at);
    ret_value->size = (size_t)(self->at - ret_value->data);
    if (ret_key)
        *ret_key = key;
    return true;
}

bool bencode_find(bencode dictionary, const char *key, bencode *ret_value)
{
    bencode found;
    bencode value;
    bencode_walk walk = bencode_begin(dictionary);
    while (walk.dictionary && bencode_next(&walk, &found, &value)) {
        if (bencode_same(found, key)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool bencode_find_integer(bencode dictionary, const char *key, int64_t *ret_number)
{
    bencode value;
    return bencode_find(dictionary, key, &value) && bencode_integer(value, ret_number);
}

bool bencode_find_string(bencode dictionary, const char *key, bencode *ret_bytes)
{
    bencode value;
    return bencode_find(dictionary, key, &value) && bencode_string(value, ret_bytes);
}
