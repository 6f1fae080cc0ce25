/*
 * An HTTP/1.1 server of static files: GET and HEAD, ranges, conditional requests, keep-alive and
 * pipelining.
 *
 * The course: ready_read calls serve, which takes one request after the other from the input
 * (http_wire.h), finds the page, and writes the answer. A page of up to MOST_KEPT bytes is cached
 * in memory for some time; a longer one is sent from its file. When HIGH bytes of output are
 * waiting, reading is paused until `drained`, so that a client that sends requests and does not
 * read costs bounded memory.
 *
 * Only files below the root are served. openat2 follows symbolic links that stay below it, and no
 * others. Names that begin with a dot, ".." included, are not served.
 *
 * Errors, each with one line on standard error and exit status 2: a wrong option, a root that
 * cannot be opened, a kernel without openat2 (before Linux 5.6), a loop that cannot be made, an
 * address or port that cannot be listened on. An invalid request is answered with its status, and
 * the connection ends if the next request cannot be located. A header must arrive within
 * HEADER_TIME, and a connection that is idle for --idle seconds is closed.
 *
 * With --tls nothing of this differs but the one call that has the server encrypt (server_tls.h);
 * files are then read in parts, and encrypted.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <berth/berth.h>

#include "http_wire.h"
#include "main_loop.h"
#include "options.h"
#include "server_tls.h"

#define PROGRAM "http_server"
#define HEADER_TIME 10000 /* milliseconds */
#define MOST_KEPT 32768   /* maximum size of a cached page, in bytes */
#define PAGES 256         /* maximum number of cached pages */
#define MOST_COPIED                                                                                \
    16384                  /* bytes of a cached page that are copied into the output; more is lent \
                            */
#define HIGH (256 * 1024u) /* bytes of output at which reading pauses */
#define LOW (64 * 1024u)   /* and at which it continues */

/* ---- pages ----------------------------------------------------------------------------------- */

/* The file of a path. The cache and the output of connections share it: hold_page and drop_page
 * count references. */
typedef struct page {
    int references;
    int status;     /* 200; 301 for a folder without a final slash; otherwise the error */
    int descriptor; /* of a long page; -1 if `content` has all of it */
    char *content;
    uint64_t size;
    const char *type;
    char entity[64]; /* the values of ETag and of Last-Modified */
    char modified[HTTP_DATE_SIZE];
    uint64_t until; /* time of the loop at which it expires */
    char path[];
} page;

typedef struct service {
    berth_address address; /* to listen on */
    uint16_t port;
    const char *path; /* of the Unix socket to listen on instead; or NULL */
    char *files;      /* of a certificate and its key; or NULL */
    int root;
    bool log;
    uint64_t keep; /* milliseconds that a page is cached */
    berth_connection_limits limits;
    berth_loop *loop;
    unsigned long served;
    char date[HTTP_DATE_SIZE];
    time_t date_of;
    page *kept[PAGES]; /* the cache, by the hash of the path */
} service;

static int open_below(int root, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static bool is_folder(const char *path)
{
    size_t length = strlen(path);
    return length == 0 || path[length - 1] == '/';
}

static int status_of(int error)
{
    return error == EACCES || error == EPERM                       ? 403
           : error == EMFILE || error == ENFILE || error == ENOMEM ? 503
                                                                   : 404;
}

static page *hold_page(page *held)
{
    held->references++;
    return held;
}

static void drop_page(page *held)
{
    if (!held || --held->references > 0)
        return;
    if (held->descriptor >= 0)
        close(held->descriptor);
    free(held->content);
    free(held);
}

/* Reads a short page into memory and closes its descriptor. */
static void read_page(page *made)
{
    made->content = malloc(made->size + 1);
    if (!made->content ||
        pread(made->descriptor, made->content, made->size, 0) != (ssize_t)made->size)
        made->status = 503;
    close(made->descriptor);
    made->descriptor = -1;
}

static void open_page(const service *self, page *made)
{
    char name[HTTP_MOST_PATH + 16];
    struct stat found;
    bool folder = is_folder(made->path);
    int used = snprintf(name, sizeof(name), "%s%s", made->path, folder ? "index.html" : "");
    made->status = 404;
    if (used >= (int)sizeof(name) || name[0] == '.' || strstr(name, "/."))
        return;
    made->descriptor = open_below(self->root, name);
    if (made->descriptor < 0 || fstat(made->descriptor, &found) != 0) {
        made->status = status_of(errno);
        return;
    }
    if (S_ISDIR(found.st_mode) && !folder)
        made->status = 301;
    if (!S_ISREG(found.st_mode))
        return;
    made->status = 200;
    made->size = (uint64_t)found.st_size;
    made->type = http_type_of(name);
    http_date_format(found.st_mtime, made->modified);
    snprintf(made->entity, sizeof(made->entity), "\"%llx-%llx-%llx\"",
             (unsigned long long)found.st_size, (unsigned long long)found.st_mtim.tv_sec,
             (unsigned long long)found.st_mtim.tv_nsec);
    if (made->size <= MOST_KEPT)
        read_page(made);
}

/* Returns the page of a path, to be released with drop_page; NULL when out of memory. */
static page *find_page(service *self, const char *path)
{
    uint32_t hash = 2166136261u; /* FNV-1a; a collision only causes a cache miss */
    for (const char *letter = path; *letter; letter++)
        hash = (hash ^ (unsigned char)*letter) * 16777619u;
    page **slot = &self->kept[hash % PAGES];
    uint64_t now = berth_loop_now(self->loop);
    if (*slot && now < (*slot)->until && strcmp((*slot)->path, path) == 0)
        return hold_page(*slot);
    page *made = calloc(1, sizeof(*made) + strlen(path) + 1);
    if (!made)
        return NULL;
    *made = (page){.references = 1, .descriptor = -1, .until = now + self->keep};
    strcpy(made->path, path);
    open_page(self, made);
    if (made->status == 200 && made->content && self->keep > 0) {
        drop_page(*slot);
        *slot = hold_page(made);
    }
    return made;
}

/* ---- answers --------------------------------------------------------------------------------- */

typedef struct connection {
    service *service;
    berth_socket *socket;
    uint64_t offset; /* of the part that is answered */
    uint64_t size;
    bool last;     /* no more requests are accepted */
    bool broken;   /* the answer cannot be completed */
    bool finished; /* the client has ended its direction */
    bool limited;  /* by limit_time */
} connection;

/* Returns 200, 206 with the requested part, 304 or 416. */
static int choose_part(const http_request *asked, const page *found, uint64_t *offset,
                       uint64_t *size)
{
    *size = found->size;
    if (asked->if_none_match.data) {
        if (http_lists(asked->if_none_match, found->entity) || http_same(asked->if_none_match, "*"))
            return 304;
    } else if (http_same(asked->if_modified_since, found->modified)) {
        return 304;
    }
    bool unchanged = !asked->if_range.data || http_same(asked->if_range, found->entity) ||
                     http_same(asked->if_range, found->modified);
    return asked->range.data && unchanged
               ? http_range_parse(asked->range, found->size, offset, size)
               : 200;
}

/* Writes the header fields that depend on the status. */
static int format_fields(char *fields, size_t size, int status, const connection *one,
                         const http_request *asked, const page *found)
{
    if (status == 405)
        return snprintf(fields, size, "Allow: GET, HEAD\r\n");
    if (status == 301) /* relative to this host, whatever the request named */
        return snprintf(fields, size, "Location: /%.*s/\r\n", (int)asked->raw_path.size,
                        asked->raw_path.data);
    if (found && status == 416)
        return snprintf(fields, size, "Content-Range: bytes */%" PRIu64 "\r\n", found->size);
    if (!found || (status != 200 && status != 206 && status != 304))
        return 0;
    int length = snprintf(fields, size, "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n",
                          found->entity, found->modified);
    if (status == 206)
        length += snprintf(fields + length, size - (size_t)length,
                           "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                           one->offset, one->offset + one->size - 1, found->size);
    return length;
}

static void release_page(const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    drop_page(user);
}

/* Writes the requested part of a page without copying it. */
static bool write_part(const connection *one, page *found)
{
    ptrdiff_t size = (ptrdiff_t)one->size;
    if (!found->content)
        return berth_socket_write_file(one->socket, found->descriptor, one->offset, one->size) ==
               size;
    hold_page(found);
    bool done = berth_socket_write_borrowed(one->socket, found->content + one->offset, one->size,
                                            release_page, found) == size;
    if (!done)
        drop_page(found);
    return done;
}

/* Writes the header and the body. */
static void write_answer(connection *one, const http_request *asked, int status, page *found)
{
    char head[HTTP_MOST_HEADER / 4 + 512];
    service *self = one->service;
    char reason[64];
    bool whole = found && (status == 200 || status == 206);
    bool no_index = found && status == 404 && is_folder(found->path);
    size_t reason_size =
        (size_t)snprintf(reason, sizeof(reason), "%d %s%s\n", status, http_reason_of(status),
                         no_index ? ": no index.html in this folder" : "");
    time_t now = time(NULL);
    if (now != self->date_of)
        http_date_format(self->date_of = now, self->date);
    uint64_t body = whole ? one->size : status == 304 ? 0 : reason_size;
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
                        "Content-Length: %" PRIu64 "\r\n%s",
                        status, http_reason_of(status), self->date,
                        whole ? found->type : "text/plain; charset=utf-8", body,
                        one->last    ? "Connection: close\r\n"
                        : asked->old ? "Connection: keep-alive\r\n"
                                     : "");
    size += format_fields(head + size, sizeof(head) - (size_t)size - 2, status, one, asked, found);
    memcpy(head + size, "\r\n", 2);
    berth_piece pieces[] = {{head, (size_t)size + 2}, {reason, reason_size}};
    bool copied = !whole || (found->content && one->size < MOST_COPIED);
    if (asked->head || status == 304 || !copied)
        pieces[1].size = 0;
    else if (whole)
        pieces[1] = (berth_piece){found->content + one->offset, (size_t)one->size};
    size_t total = pieces[0].size + pieces[1].size;
    if (berth_socket_write_pieces(one->socket, pieces, 2) != (ptrdiff_t)total ||
        (!copied && !asked->head && !write_part(one, found)))
        one->broken = true;
}

static void answer(connection *one, const http_request *asked)
{
    service *self = one->service;
    page *found = asked->status == 0 ? find_page(self, asked->path) : NULL;
    int status = found ? found->status : asked->status != 0 ? asked->status : 503;
    one->last = !asked->keep_alive || asked->status != 0;
    one->offset = one->size = 0;
    if (found && status == 200)
        status = choose_part(asked, found, &one->offset, &one->size);
    write_answer(one, asked, status, found);
    drop_page(found);
    self->served++;
    if (self->log) {
        char peer[BERTH_ENDPOINT_TEXT_SIZE];
        berth_endpoint_format(berth_socket_peer_address(one->socket),
                              berth_socket_peer_port(one->socket), peer, sizeof(peer));
        printf("%s %.*s /%.*s %d\n", peer, (int)asked->method.size, asked->method.data,
               (int)asked->raw_path.size, asked->raw_path.data, status);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Parses the next request in the input, and returns its size; 0 if it is not complete. A request
 * that is not contiguous in the input is copied first. */
static size_t next_request(berth_socket *socket, http_request *made)
{
    static char pieced[HTTP_MOST_HEADER];
    size_t size = 0;
    const char *data = berth_socket_view(socket, &size);
    size_t used = size > 0 ? http_request_parse(data, size, made) : 0;
    if (used == 0 && size < berth_socket_bytes_available(socket)) {
        ptrdiff_t got = berth_socket_peek(socket, pieced, sizeof(pieced));
        used = http_request_parse(pieced, (size_t)got, made);
    }
    return used;
}

/* Sets a time limit that single bytes and a full input do not extend; 0 for none. */
static void limit_time(connection *one, uint32_t milliseconds)
{
    berth_connection_limits limits = one->service->limits;
    limits.first_byte = 0;
    limits.lifetime = milliseconds;
    if (!berth_socket_set_limits(one->socket, &limits))
        one->broken = true;
    one->limited = milliseconds > 0;
}

static void serve(berth_socket *socket, void *user)
{
    connection *one = user;
    http_request asked;
    size_t used = 1;
    bool answered = false;
    while (used > 0 && !one->last && !one->broken && berth_socket_bytes_to_write(socket) < HIGH) {
        used = next_request(socket, &asked);
        if (used > 0) {
            answer(one, &asked); /* its texts point into the input */
            berth_socket_skip(socket, used);
            answered = true;
        }
    }
    bool busy = used > 0 && !one->last;
    bool begun = used == 0 && berth_socket_bytes_available(socket) > 0;
    if (begun != one->limited || (begun && answered)) /* each header has its own time */
        limit_time(one, begun ? HEADER_TIME : 0);
    if (busy) /* `drained` calls this again */
        berth_socket_pause_reading(socket);
    else
        berth_socket_resume_reading(socket);
    if (one->broken)
        berth_socket_reset(socket); /* also frees the connection */
    else if (!busy && (one->last || one->finished))
        berth_socket_disconnect_from_host(socket); /* this may free it too */
}

static void finish(berth_socket *socket, void *user)
{
    connection *one = user;
    one->finished = true;
    if (berth_socket_state(socket) == BERTH_STATE_CONNECTED)
        serve(socket, user);
}

static void end(berth_socket *socket, void *user)
{
    connection *one = user;
    free(one);
    berth_socket_free(socket);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = serve,
                                                   .drained = serve,
                                                   .read_channel_finished = finish,
                                                   .disconnected = end};
    berth_socket *socket = berth_server_next_pending_connection(server);
    connection *one = socket ? calloc(1, sizeof(*one)) : NULL;
    if (!one) {
        berth_socket_free(socket);
        return;
    }
    *one = (connection){.service = user, .socket = socket};
    berth_socket_set_handlers(socket, &handlers, one);
    berth_socket_set_half_close(socket, true);
    berth_socket_set_write_marks(socket, LOW, 0); /* an answer is never cut */
    serve(socket, one);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--local PATH] [--idle SECONDS]\n"
         "       [--keep MS] [--log] [--tls CERTIFICATE[,KEY]] FOLDER\n"
         "Serves the files of a folder over HTTP.\n"
         "\n"
         "  --address ADDRESS  listen on this IPv4 or IPv6 address (default: all addresses)\n"
         "  --port PORT        listen on this port, 0 to 65535 (default: 0, a free port)\n"
         "  --local PATH       listen on this Unix socket instead\n"
         "  --idle SECONDS     close connections that are idle this long (default: 60; 0: never)\n"
         "  --keep MS          cache short files for this many milliseconds (default: 1000)\n"
         "  --log              print a line for each request\n"
         "  --tls FILE[,FILE]  encrypt, with the certificate and key of these PEM files, which\n"
         "                     are read again on SIGHUP\n"
         "  --help             print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.\n"
         "SIGINT and SIGTERM stop the server.");
    exit(0);
}

/* Parses the options, and returns the folder. */
static const char *parse(int argc, char **argv, service *self)
{
    static const struct option known[] = {{"address", required_argument, NULL, 'a'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"local", required_argument, NULL, 'u'},
                                          {"idle", required_argument, NULL, 'i'},
                                          {"keep", required_argument, NULL, 'k'},
                                          {"log", no_argument, NULL, 'l'},
                                          {"tls", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    opterr = 0; /* getopt prints no message of its own */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'a') {
            self->address = address_from(PROGRAM, optarg);
        } else if (option == 'p') {
            self->port = (uint16_t)number_from(PROGRAM, "the port", optarg, 0, 65535);
        } else if (option == 'u') {
            self->path = optarg;
        } else if (option == 'i') {
            self->limits.idle =
                1000 * (uint32_t)number_from(PROGRAM, "the idle time", optarg, 0, 86400);
        } else if (option == 'k') {
            self->keep = (uint64_t)number_from(PROGRAM, "the cache time", optarg, 0, 3600000);
        } else if (option == 'l') {
            self->log = true;
        } else if (option == 't') {
            self->files = optarg;
        } else if (option == 'h') {
            help();
        } else {
            fail(PROGRAM, "unknown option '%s', or its value is missing; try --help",
                 argv[optind - 1]);
        }
    }
    if (optind + 1 != argc)
        fail(PROGRAM, "exactly one folder is required; try --help");
    return argv[optind];
}

int main(int argc, char **argv)
{
    static const berth_server_handlers handlers = {.new_connection = take,
                                                   .accept_error = main_loop_report};
    static const char *const protocols[] = {"http/1.1", NULL};
    service self = {.address = BERTH_ADDRESS_ANY,
                    .keep = 1000,
                    .limits = {.first_byte = HEADER_TIME, .idle = 60000}};
    const char *folder = parse(argc, argv, &self);
    setvbuf(stdout, NULL, _IOLBF, 0);
    self.root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int tried = self.root >= 0 ? open_below(self.root, ".") : -1;
    if (tried < 0)
        fail(PROGRAM, "cannot open the folder '%s': %s", folder, strerror(errno));
    close(tried);
    self.loop = main_loop_open(PROGRAM);
    berth_server *server = berth_server_new(self.loop, &handlers, &self);
    if (!server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    berth_server_set_connection_limits(server, &self.limits);
    if (self.files)
        server_tls_open(PROGRAM, server, self.files, protocols);
    if (self.path)
        main_loop_listen_local(PROGRAM, "HTTP server", server, self.path);
    else
        main_loop_listen(PROGRAM, "HTTP server", server, self.address, self.port);
    main_loop_run(PROGRAM);
    server_tls_close();
    main_loop_close(server);
    printf("answered %lu requests\n", self.served);
    for (size_t at = 0; at < PAGES; at++)
        drop_page(self.kept[at]);
    close(self.root);
    return 0;
}
