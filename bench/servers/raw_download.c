/*
 * The floor of a download: what no client can do without. Receives bytes from a child over
 * loopback, block by block, writes each into a file and adds it to the SHA-1 of its piece. There is
 * no protocol, no second thread and no copy. The child sends from memory that stays in the
 * processor's cache.
 *
 *     bench_raw_download FILE SIZE
 *
 * Ends with a line: wall and processor seconds of the receiver, and its largest resident size.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 16384u
#define PIECE (1024u * 1024u)

static void fail(const char *what)
{
    fprintf(stderr, "bench_raw_download: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_on(struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        fail("listen");
    *ret_address = address;
    return listener;
}

static void send_all(const struct sockaddr_in *to, size_t size)
{
    static uint8_t bytes[PIECE];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer < 0 || connect(peer, (const struct sockaddr *)to, sizeof(*to)) < 0)
        fail("connect");
    for (size_t done = 0; done < size;) {
        size_t part = size - done < BLOCK ? size - done : BLOCK;
        ssize_t sent = send(peer, bytes + done % (PIECE - BLOCK), part, 0);
        if (sent <= 0)
            fail("send");
        done += (size_t)sent;
    }
}

static void receive_block(int peer, uint8_t *block, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t more = recv(peer, block + have, size - have, 0);
        if (more <= 0)
            fail("recv");
        have += (size_t)more;
    }
}

static void receive_all(int peer, int file, size_t size)
{
    static uint8_t block[BLOCK];
    uint8_t hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest)
        fail("EVP_MD_CTX_new");
    for (size_t done = 0; done < size;) {
        size_t part = size - done < BLOCK ? size - done : BLOCK;
        receive_block(peer, block, part);
        if (pwrite(file, block, part, (off_t)done) != (ssize_t)part)
            fail("pwrite");
        if (done % PIECE == 0)
            EVP_DigestInit_ex(digest, EVP_sha1(), NULL);
        EVP_DigestUpdate(digest, block, part);
        done += part;
        if (done % PIECE == 0 || done == size)
            EVP_DigestFinal_ex(digest, hash, NULL);
    }
    EVP_MD_CTX_free(digest);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* In bytes. Not ru_maxrss: it begins with that of the program that has started this one. */
static unsigned long largest_resident(void)
{
    char line[128];
    unsigned long kibibytes = 0;
    FILE *status = fopen("/proc/self/status", "re");
    if (!status)
        fail("/proc/self/status");
    while (fgets(line, sizeof(line), status) && sscanf(line, "VmHWM: %lu", &kibibytes) != 1) {
    }
    fclose(status);
    return kibibytes * 1024;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    struct rusage used;
    if (argc != 3) {
        fprintf(stderr, "usage: bench_raw_download FILE SIZE\n");
        return 2;
    }
    size_t size = strtoull(argv[2], NULL, 10);
    int listener = listen_on(&address);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        send_all(&address, size);
        _exit(0);
    }
    int peer = accept(listener, NULL, NULL);
    int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (peer < 0 || file < 0 || ftruncate(file, (off_t)size) < 0)
        fail(argv[1]);
    double begun = now();
    receive_all(peer, file, size);
    double ended = now();
    getrusage(RUSAGE_SELF, &used);
    printf("%.3f %.3f %lu\n", ended - begun, seconds(used.ru_utime) + seconds(used.ru_stime),
           largest_resident());
    waitpid(child, NULL, 0);
    return 0;
}
