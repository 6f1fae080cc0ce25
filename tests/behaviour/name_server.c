/*
 * One thread that answers questions for A and AAAA records until its socket is shut down by a
 * datagram of length 0. Answers are put together in place, behind the question.
 */
#include "name_server.h"

#include "case.h"
#include "world.h"

#include "loop/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET 1024
#define HEADER 12
#define TYPE_A 1
#define TYPE_AAAA 28

static const struct name_entry *entries;
static int descriptor = -1;
static pthread_t thread;
static atomic_uint questions;
static char servers[32];
static struct sockaddr_in own_name;

/* The name of the question as text; returns where its type stands, or 0. */
static size_t read_name(const uint8_t *packet, size_t size, char name[256])
{
    size_t place = HEADER;
    size_t length = 0;
    while (place < size && packet[place] != 0) {
        size_t label = packet[place++];
        if (label > 63 || place + label >= size || length + label + 1 >= 256)
            return 0;
        if (length > 0)
            name[length++] = '.';
        memcpy(name + length, packet + place, label);
        length += label;
        place += label;
    }
    name[length] = '\0';
    return place + 5 <= size ? place + 1 : 0;
}

static const struct name_entry *find(const char *name)
{
    for (const struct name_entry *each = entries; each->name != NULL; each++) {
        if (strcmp(each->name, name) == 0)
            return each;
    }
    return NULL;
}

static size_t add_record(uint8_t *packet, size_t end, uint16_t type, const char *text)
{
    uint8_t address[16];
    bool six = type == TYPE_AAAA;
    uint8_t length = six ? 16 : 4;
    const uint8_t head[12] = {0xc0, HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, length};
    if (inet_pton(six ? AF_INET6 : AF_INET, text, address) != 1)
        abort();
    memcpy(packet + end, head, sizeof head);
    memcpy(packet + end + sizeof head, address, length);
    packet[7]++; /* number of answers */
    return end + sizeof head + length;
}

/* Turns a question into its answer. Returns its size; 0 for none. */
static size_t answer(uint8_t *packet, size_t size)
{
    char name[256];
    size_t place = read_name(packet, size, name);
    if (place == 0)
        return 0;
    const struct name_entry *entry = find(name);
    if (entry != NULL && entry->silent)
        return 0;
    if (entry != NULL && entry->garbled)
        return place;
    uint16_t type = (uint16_t)(packet[place] << 8 | packet[place + 1]);
    size_t end = place + 4;
    packet[2] = 0x81;
    packet[3] = entry == NULL ? 0x83 : entry->refused ? 0x85 : 0x80;
    memset(packet + 6, 0, 6);
    if (entry == NULL || entry->refused)
        return end;
    const char *const *texts = type == TYPE_A ? entry->four : entry->six;
    for (int i = 0; (type == TYPE_A || type == TYPE_AAAA) && texts[i] != NULL; i++)
        end = add_record(packet, end, type, texts[i]);
    return end;
}

static void *serve(void *unused)
{
    for (;;) {
        uint8_t packet[PACKET];
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t got =
            recvfrom(descriptor, packet, PACKET / 2, 0, (struct sockaddr *)&from, &length);
        if (got <= 0)
            return unused;
        atomic_fetch_add(&questions, 1);
        size_t size = got > HEADER ? answer(packet, (size_t)got) : 0;
        if (size > 0)
            (void)!sendto(descriptor, packet, size, 0, (struct sockaddr *)&from, length);
    }
}

void name_server_start(const struct name_entry *table)
{
    if (world_is_simulated())
        case_skip("names are looked up on the real network");
    socklen_t length = sizeof own_name;
    entries = table;
    own_name.sin_family = AF_INET;
    own_name.sin_port = 0; /* another than before */
    own_name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    descriptor = world_note(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&own_name, length), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&own_name, &length), 0);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(own_name.sin_port));
    berth__resolver_set_servers(servers);
    /* One question, a short while: no search in other domains. c-ares reads this for a channel. */
    setenv("RES_OPTIONS", "retrans:100 retry:1 ndots:1", 1);
    setenv("LOCALDOMAIN", "", 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

void name_server_stop(void)
{
    int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(other, 0);
    ck_assert_int_eq(sendto(other, "", 0, 0, (struct sockaddr *)&own_name, sizeof own_name), 0);
    close(other);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    close(descriptor);
    berth__resolver_set_servers(NULL);
}

unsigned name_server_questions(void)
{
    return atomic_load(&questions);
}
