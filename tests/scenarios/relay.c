/*
 * A bad network between two namespaces: what tc's netem does, in user space, for kernels without
 * it.
 *
 *     relay NAMESPACE ADDRESS NAMESPACE ADDRESS [NAME=NUMBER]...
 *
 * Makes a TUN device called `wire` in each of the two network namespaces (paths, as
 * /run/netns/NAME), gives it the IPv4 address with /24, and carries packets from one to the other,
 * as long as its standard input is open. On the way some are lost, sent twice, overtaken by others,
 * or get a bit flipped behind the IP header; all others arrive late. Both kernels see the packets
 * of a real network: TCP's checksums, retransmissions and reordering are their own.
 *
 * Options, in hundredths of a percent but for the last two: loss (500), reorder (2500: sent at
 * once, while the others wait, as netem has it), duplicate (100), corrupt (10), delay
 * (milliseconds, each way, 100), seed (1). The same seed makes the same choices, packet by packet.
 *
 * The first line of output says "ready". At the end a line of JSON counts the packets. Ends with 2
 * and a reason if there is no TUN here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PACKET = 2048,
    WAITING = 1 << 16 /* packets on the way in one direction; more are lost, as in a full queue */
};

typedef struct packet {
    uint64_t due; /* microseconds */
    uint16_t size;
    uint8_t bytes[];
} packet;

/* One direction. The delay is the same for all, so that a queue is enough. */
typedef struct way {
    int from, to;
    packet *queue[WAITING];
    unsigned first, count;
} way;

static struct {
    long loss, reorder, duplicate, corrupt, delay, seed;
} options = {500, 2500, 100, 10, 100, 1};

static struct {
    unsigned long carried, lost, reordered, duplicated, corrupted, dropped;
} counts;

static way ways[2];
static uint64_t state;

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint32_t draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static bool happens(long hundredths)
{
    return draw() % 10000 < (uint32_t)hundredths;
}

/* ---- devices --------------------------------------------------------------------------------- */

static bool configure(const char *address)
{
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "wire"};
    struct sockaddr_in *name = (struct sockaddr_in *)&request.ifr_addr;
    name->sin_family = AF_INET;
    bool good =
        inet_pton(AF_INET, address, &name->sin_addr) == 1 && ioctl(any, SIOCSIFADDR, &request) == 0;
    name->sin_addr.s_addr = htonl(0xffffff00u);
    good = good && ioctl(any, SIOCSIFNETMASK, &request) == 0;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    good = good && ioctl(any, SIOCSIFFLAGS, &request) == 0;
    (void)close(any);
    return good;
}

/* The descriptor of a new device in that namespace, -1 with errno set. */
static int open_wire(const char *namespace, const char *address)
{
    int space = open(namespace, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0)
        return -1;
    (void)close(space);
    int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq request = {.ifr_name = "wire", .ifr_flags = IFF_TUN | IFF_NO_PI};
    if (device < 0 || ioctl(device, TUNSETIFF, &request) < 0 || !configure(address))
        return -1;
    return device;
}

/* ---- packets --------------------------------------------------------------------------------- */

static void send_now(way *way, const uint8_t *bytes, size_t size)
{
    counts.carried++;
    counts.dropped += write(way->to, bytes, size) < 0;
}

static void send_later(way *way, const uint8_t *bytes, size_t size)
{
    packet *packet = NULL;
    if (way->count < WAITING)
        packet = malloc(sizeof *packet + size);
    if (packet == NULL) {
        counts.dropped++;
        return;
    }
    packet->due = now() + (uint64_t)options.delay * 1000;
    packet->size = (uint16_t)size;
    memcpy(packet->bytes, bytes, size);
    way->queue[(way->first + way->count++) % WAITING] = packet;
}

/* Behind the header of IP, whose own checksum would have the packet dropped before TCP sees it. */
static void flip_bit(uint8_t *bytes, size_t size)
{
    size_t header = (size_t)(bytes[0] & 15) * 4;
    if ((bytes[0] >> 4) != 4 || size <= header)
        return;
    size_t place = header + draw() % (size - header);
    bytes[place] ^= (uint8_t)(1u << draw() % 8);
    counts.corrupted++;
}

static void take(way *way)
{
    uint8_t bytes[PACKET];
    ssize_t size;
    while ((size = read(way->from, bytes, sizeof bytes)) > 0) {
        if (happens(options.loss)) {
            counts.lost++;
            continue;
        }
        bool twice = happens(options.duplicate);
        if (happens(options.corrupt))
            flip_bit(bytes, (size_t)size);
        counts.duplicated += twice;
        if (twice)
            send_later(way, bytes, (size_t)size);
        if (happens(options.reorder)) {
            counts.reordered++;
            send_now(way, bytes, (size_t)size);
        } else {
            send_later(way, bytes, (size_t)size);
        }
    }
}

/* Sends what is due; returns the milliseconds until the next is, -1 for none. */
static int deliver(way *way)
{
    while (way->count > 0) {
        packet *packet = way->queue[way->first];
        uint64_t time = now();
        if (packet->due > time)
            return (int)((packet->due - time + 999) / 1000);
        send_now(way, packet->bytes, packet->size);
        free(packet);
        way->first = (way->first + 1) % WAITING;
        way->count--;
    }
    return -1;
}

static void run(void)
{
    struct pollfd descriptors[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                    {.fd = ways[0].from, .events = POLLIN},
                                    {.fd = ways[1].from, .events = POLLIN}};
    while (descriptors[0].revents == 0) {
        int one = deliver(&ways[0]), other = deliver(&ways[1]);
        int wait = one < 0 || (other >= 0 && other < one) ? other : one;
        (void)poll(descriptors, 3, wait);
        take(&ways[0]);
        take(&ways[1]);
    }
}

static bool read_option(const char *argument)
{
    static const struct {
        const char *name;
        long *value;
    } numbers[] = {{"loss=", &options.loss},           {"reorder=", &options.reorder},
                   {"duplicate=", &options.duplicate}, {"corrupt=", &options.corrupt},
                   {"delay=", &options.delay},         {"seed=", &options.seed}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t length = strlen(numbers[i].name);
        if (strncmp(argument, numbers[i].name, length) == 0) {
            *numbers[i].value = strtol(argument + length, NULL, 10);
            return true;
        }
    }
    return false;
}

int main(int count, char **arguments)
{
    bool good = count >= 5;
    for (int i = 5; i < count; i++)
        good = read_option(arguments[i]) && good;
    if (!good) {
        (void)fputs("usage: relay NAMESPACE ADDRESS NAMESPACE ADDRESS [NAME=NUMBER]...\n", stderr);
        return 2;
    }
    state = (uint64_t)options.seed;
    for (int i = 0; i < 2; i++) {
        int device = open_wire(arguments[1 + 2 * i], arguments[2 + 2 * i]);
        if (device < 0) {
            printf("cannot make a TUN device in %s: %s\n", arguments[1 + 2 * i], strerror(errno));
            return 2;
        }
        ways[i].from = ways[1 - i].to = device;
    }
    printf("ready\n");
    (void)fflush(stdout);
    run();
    printf("{\"carried\": %lu, \"lost\": %lu, \"reordered\": %lu, \"duplicated\": %lu, "
           "\"corrupted\": %lu, \"dropped\": %lu}\n",
           counts.carried, counts.lost, counts.reordered, counts.duplicated, counts.corrupted,
           counts.dropped);
    return 0;
}
