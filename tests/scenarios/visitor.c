/*
 * Visitors of a server that is being restarted: each connects, asks for a page, reads to the end,
 * and begins again after a moment.
 *
 *     visitor PORT THREADS FILE [CERTIFICATE 2|3]
 *
 * With a certificate it shakes hands, by TLS 1.2 or 1.3, and resumes the session of its last visit.
 * It runs until its input ends. Then it writes a record for each visit into the file: when it
 * began, in microseconds of the monotonic clock (8 bytes), how many it took (4), and what came of
 * it (4):
 *
 *     0 the page, 1 refused, 2 a reset, 3 an end before the page, 4 anything else,
 *     5 the page, but the session was not resumed, 6 the handshake has failed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

enum {
    PAUSE = 1000,   /* microseconds between visits */
    PATIENCE = 20,  /* seconds */
    MOST = 1 << 19, /* visits of a thread */
    MOST_THREADS = 16
};

enum {
    GOOD,
    REFUSED,
    RESET,
    ENDED,
    OTHER,
    FULL,
    NOT_SHAKEN
};

typedef struct visit {
    int64_t begun;
    int32_t took;
    int32_t result;
} visit;

typedef struct visitor {
    pthread_t thread;
    visit *visits;
    size_t count;
} visitor;

static uint16_t port;
static atomic_bool over;
static const char request[] = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";

static int64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int32_t result_of(int error)
{
    return error == ECONNREFUSED ? REFUSED : error == ECONNRESET || error == EPIPE ? RESET : OTHER;
}

static bool is_page(const char *page, size_t size)
{
    return size > 12 && memcmp(page + 9, "200", 3) == 0 && memcmp(page + size - 2, "ok", 2) == 0;
}

static int32_t read_page(int descriptor)
{
    if (send(descriptor, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return result_of(errno);
    char page[4096];
    size_t size = 0;
    ssize_t got;
    while ((got = recv(descriptor, page + size, sizeof page - size, 0)) > 0)
        size += (size_t)got;
    if (got < 0)
        return result_of(errno);
    return is_page(page, size) ? GOOD : ENDED;
}

#ifdef WITH_TLS

static SSL_CTX *context; /* NULL: in the clear */
static _Thread_local SSL_SESSION *session;

static int32_t read_encrypted(SSL *ssl)
{
    char page[4096];
    size_t size = 0;
    int got;
    errno = 0;
    if (SSL_connect(ssl) != 1)
        return errno == ECONNRESET ? RESET : NOT_SHAKEN;
    if (SSL_write(ssl, request, sizeof request - 1) <= 0)
        return result_of(errno);
    while ((got = SSL_read(ssl, page + size, (int)(sizeof page - size))) > 0)
        size += (size_t)got;
    if (SSL_get_error(ssl, got) != SSL_ERROR_ZERO_RETURN) /* close_notify */
        return errno != 0 ? result_of(errno) : ENDED;
    bool whole = session == NULL || SSL_session_reused(ssl);
    if (!is_page(page, size))
        return ENDED;
    SSL_SESSION_free(session);
    session = SSL_get1_session(ssl);
    (void)SSL_shutdown(ssl); /* else OpenSSL holds the session for a bad one */
    return whole ? GOOD : FULL;
}

static int32_t visit_page(int descriptor)
{
    if (context == NULL)
        return read_page(descriptor);
    SSL *ssl = SSL_new(context);
    int32_t result = OTHER;
    if (ssl != NULL && SSL_set_fd(ssl, descriptor) == 1 &&
        (session == NULL || SSL_set_session(ssl, session) == 1))
        result = read_encrypted(ssl);
    SSL_free(ssl);
    return result;
}

static bool begin_tls(const char *certificate, int version)
{
    int number = version == 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, number) != 1 ||
        SSL_CTX_set_max_proto_version(context, number) != 1 ||
        SSL_CTX_load_verify_file(context, certificate) != 1)
        return false;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* each thread keeps its own */
    return true;
}

static void end_thread(void)
{
    SSL_SESSION_free(session);
}

#else

static int32_t visit_page(int descriptor)
{
    return read_page(descriptor);
}

static bool begin_tls(const char *certificate, int version)
{
    (void)certificate;
    (void)version;
    return false;
}

static void end_thread(void)
{
}

#endif

static int32_t ask(int descriptor)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(descriptor, (struct sockaddr *)&name, sizeof name) != 0)
        return result_of(errno);
    return visit_page(descriptor);
}

static visit visit_once(void)
{
    visit visit = {.begun = now(), .result = OTHER};
    const struct timeval patience = {.tv_sec = PATIENCE};
    const struct linger none = {.l_onoff = 1};
    const int on = 1;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0) {
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        /* The request is right behind the end of the handshake, which nothing answers at once. */
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        visit.result = ask(descriptor);
        /* All is read: so many visits would leave the ports to nobody for a minute. */
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(descriptor);
    }
    visit.took = (int32_t)(now() - visit.begun);
    return visit;
}

static void *visit_again(void *user)
{
    visitor *visitor = user;
    while (!atomic_load(&over) && visitor->count < MOST) {
        visitor->visits[visitor->count++] = visit_once();
        usleep(PAUSE);
    }
    end_thread();
    return NULL;
}

int main(int count, char **arguments)
{
    static visitor visitors[MOST_THREADS];
    if (count != 4 && count != 6)
        return 2;
    if (count == 6 && !begin_tls(arguments[4], atoi(arguments[5])))
        return 77;
    (void)signal(SIGPIPE, SIG_IGN); /* SSL_write has no MSG_NOSIGNAL */
    port = (uint16_t)strtoul(arguments[1], NULL, 10);
    size_t threads = strtoul(arguments[2], NULL, 10);
    for (size_t i = 0; i < threads && i < MOST_THREADS; i++) {
        visitors[i].visits = malloc(MOST * sizeof *visitors[i].visits);
        if (visitors[i].visits == NULL ||
            pthread_create(&visitors[i].thread, NULL, visit_again, &visitors[i]) != 0)
            return 2;
    }
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    atomic_store(&over, true);
    FILE *file = fopen(arguments[3], "wb");
    for (size_t i = 0; i < threads && i < MOST_THREADS; i++) {
        pthread_join(visitors[i].thread, NULL);
        if (file != NULL)
            (void)fwrite(visitors[i].visits, sizeof(visit), visitors[i].count, file);
        free(visitors[i].visits);
    }
    return file != NULL && fclose(file) == 0 ? 0 : 1;
}
