/*
 * One end of the transfers that are checked against Qt: a server or a client, on Berth.
 *
 *     transfer_peer server
 *     transfer_peer client PORT COUNT SEED KINDS
 *
 * A request is eight bytes (the kind, three zero bytes, the length in network order) and as many
 * bytes as the length says. The answer is those bytes again, and then their CRC-32 in network
 * order. The kind says how the connection ends:
 *
 *   P  the client ends it when it has the whole answer
 *   E  the server ends it behind the answer
 *   H  the client ends its direction behind the request; only then does the server answer
 *   S  the server ends its direction behind the answer; the client then sends the CRC back
 *   R  the client resets it in the middle of the request
 *   A  the client resets it at the first bytes of the answer
 *   Z  the server resets it in the middle of the answer
 *
 * The server echoes as the bytes come, except for H, where everything is kept until the end; on E
 * its input is bounded to LITTLE bytes, so that it is the peer that has to wait. It prints where it
 * listens, and, after SIGTERM, how many requests it has answered to the end and how many broke off.
 *
 * The client has ABREAST transfers on their way at once, compares every byte, and prints how many
 * there were of each kind and all their bytes. An H is of LITTLE bytes at most: a server on Qt
 * drops what the kernel has not taken yet when it sees the end.
 *
 * Failures: a byte that is wrong, an end too early or too late, and a transfer that should have
 * broken and has not, end the client with status 1 and a line that says which. What cannot be
 * begun ends the program with status 2. All ends after 600 seconds by SIGALRM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <berth/berth.h>

enum {
    HEADER = 8,
    CHECKSUM = 4,
    LITTLE = 32 * 1024,
    LENGTH_BITS = 20, /* lengths go up to a mebibyte, and small ones are as many as large ones */
    ABREAST = 8,
    SECONDS = 600
};

static berth_loop *loop;

__attribute__((format(printf, 2, 3))) static _Noreturn void fail(int status, const char *format,
                                                                 ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("transfer_peer: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        fail(2, "out of memory");
    return memory;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* CRC-32 as zlib has it; begins and goes on with the value it returned. */
static uint32_t checksum(uint32_t value, const void *data, size_t size)
{
    static uint32_t table[256];
    const uint8_t *bytes = data;
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t entry = i;
        for (int bit = 0; bit < 8; bit++)
            entry = entry >> 1 ^ (entry & 1 ? 0xedb88320u : 0);
        table[i] = entry;
    }
    value = ~value;
    for (size_t i = 0; i < size; i++)
        value = value >> 8 ^ table[(value ^ bytes[i]) & 0xff];
    return ~value;
}

/* xorshift64*. */
static uint64_t random_number(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static void put_number(uint8_t *bytes, uint32_t number)
{
    number = htonl(number);
    memcpy(bytes, &number, sizeof number);
}

static uint32_t get_number(const uint8_t *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return ntohl(number);
}

/* Ends this side's direction, all output being sent. The library has no call for that. */
static void end_direction(const berth_socket *socket)
{
    (void)shutdown(berth_socket_descriptor(socket), SHUT_WR);
}

static void write_all(berth_socket *socket, const void *data, size_t size)
{
    if (berth_socket_write(socket, data, size) != (ptrdiff_t)size)
        fail(1, "cannot write: %s", berth_socket_error_string(socket));
}

/* ---- the server ------------------------------------------------------------------------------ */

/* A connection that is served. */
typedef struct serving {
    char kind; /* 0 until the header has come */
    bool answered, complete;
    uint32_t length, echoed, checksum;
} serving;

static unsigned long completed;
static unsigned long broken;

static bool read_header(berth_socket *socket, serving *request)
{
    uint8_t header[HEADER];
    if (request->kind != 0)
        return true;
    if (berth_socket_bytes_available(socket) < sizeof header)
        return false;
    (void)berth_socket_read(socket, header, sizeof header);
    request->kind = (char)header[0];
    request->length = get_number(header + 4);
    if (request->kind == 'E')
        berth_socket_set_read_buffer_size(socket, LITTLE);
    return true;
}

/* Writes a part of the answer. Only a peer that resets makes that fail; if another does, the client
 * misses bytes. */
static bool answer(berth_socket *socket, serving *request, const void *data, size_t size)
{
    if (berth_socket_write(socket, data, size) == (ptrdiff_t)size)
        return true;
    request->answered = true;
    berth_socket_abort(socket);
    return false;
}

/* Echoes what there is, up to `most` bytes of the request in all. Returns whether that many are
 * echoed now. */
static bool echo(berth_socket *socket, serving *request, uint32_t most)
{
    const void *data;
    size_t size;
    while (request->echoed < most && (data = berth_socket_view(socket, &size)) != NULL) {
        if (size > most - request->echoed)
            size = most - request->echoed;
        request->checksum = checksum(request->checksum, data, size);
        if (!answer(socket, request, data, size))
            return false;
        request->echoed += (uint32_t)size;
        (void)berth_socket_skip(socket, size);
    }
    return request->echoed == most;
}

static void finish_answer(berth_socket *socket, serving *request)
{
    uint8_t sum[CHECKSUM];
    put_number(sum, request->checksum);
    if (!answer(socket, request, sum, sizeof sum))
        return;
    request->answered = true;
    request->complete = true;
    if (request->kind == 'E' || request->kind == 'H')
        berth_socket_disconnect_from_host(socket);
}

static void serve_input(berth_socket *socket, void *user)
{
    serving *request = user;
    if (request->answered || !read_header(socket, request) || request->kind == 'H')
        return;
    if (request->kind == 'Z') {
        if (!echo(socket, request, request->length / 2))
            return;
        request->complete = true;
        (void)berth_socket_flush(socket);
        berth_socket_reset(socket);
        return;
    }
    if (echo(socket, request, request->length))
        finish_answer(socket, request);
}

static void serve_end(berth_socket *socket, void *user)
{
    serving *request = user;
    bool whole = read_header(socket, request) && request->kind == 'H' && !request->answered &&
                 berth_socket_bytes_available(socket) == request->length;
    if (berth_socket_state(socket) != BERTH_STATE_CONNECTED)
        return;
    if (!whole)
        berth_socket_disconnect_from_host(socket);
    else if (echo(socket, request, request->length))
        finish_answer(socket, request);
}

static void serve_no_more(berth_socket *socket, void *user)
{
    serving *request = user;
    completed += request->complete;
    broken += !request->complete;
    berth_socket_free(socket);
    free(request);
}

static void take_connection(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = serve_input,
                                                   .read_channel_finished = serve_end,
                                                   .disconnected = serve_no_more};
    (void)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (socket == NULL)
        fail(1, "a connection was announced and is not there");
    berth_socket_set_half_close(socket, true);
    berth_socket_set_handlers(socket, &handlers, allocate(sizeof(serving)));
}

static void stop(int number)
{
    (void)number;
    berth_loop_stop(loop, 0);
}

static void run_server(void)
{
    static const berth_server_handlers handlers = {.new_connection = take_connection};
    struct sigaction action = {.sa_handler = stop};
    berth_server *server = berth_server_new(loop, &handlers, NULL);
    if (server == NULL || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        fail(2, "cannot listen: %s", server != NULL ? berth_server_error_string(server) : "memory");
    sigaction(SIGTERM, &action, NULL);
    printf("transfer_peer listening on 127.0.0.1 port %u\n", berth_server_port(server));
    fflush(stdout);
    if (berth_loop_run(loop) != 0)
        fail(1, "the loop has failed: %s", strerror(errno));
    berth_server_free(server);
    printf("answered %lu, broken off %lu\n", completed, broken);
}

/* ---- the client ------------------------------------------------------------------------------ */

/* One transfer; there are ABREAST of them, each used again for the next. */
typedef struct asking {
    berth_socket *socket;
    char kind;
    bool reset; /* by this side */
    unsigned long number;
    size_t length, received;
    uint8_t *expected; /* the answer */
} asking;

static struct {
    uint16_t port;
    const char *kinds;
    uint64_t random;
    unsigned long count, begun, ended, bytes;
    unsigned long of_kind[128];
} plan;

static _Noreturn void wrong(const asking *transfer, const char *what)
{
    fail(1, "transfer %lu of kind %c, %zu bytes, %zu received: %s: %s", transfer->number,
         transfer->kind, transfer->length, transfer->received, what,
         berth_socket_error_string(transfer->socket));
}

static void begin(asking *transfer);

static bool whole(const asking *transfer)
{
    return transfer->received == transfer->length + CHECKSUM;
}

static void ask(berth_socket *socket, void *user)
{
    const asking *transfer = user;
    uint8_t header[HEADER] = {(uint8_t)transfer->kind};
    size_t length = transfer->kind == 'R' ? transfer->length / 2 : transfer->length;
    put_number(header + 4, (uint32_t)transfer->length);
    write_all(socket, header, sizeof header);
    if (length > 0)
        write_all(socket, transfer->expected, length);
}

static void asked(berth_socket *socket, size_t bytes, void *user)
{
    asking *transfer = user;
    (void)bytes;
    if (berth_socket_bytes_to_write(socket) > 0)
        return;
    if (transfer->kind == 'H')
        end_direction(socket);
    if (transfer->kind != 'R')
        return;
    transfer->reset = true;
    berth_socket_reset(socket);
}

static void take_answer(berth_socket *socket, void *user)
{
    asking *transfer = user;
    const void *data;
    size_t size;
    while ((data = berth_socket_view(socket, &size)) != NULL) {
        if (size > transfer->length + CHECKSUM - transfer->received)
            wrong(transfer, "the answer is too long");
        if (memcmp(data, transfer->expected + transfer->received, size) != 0)
            wrong(transfer, "the answer differs");
        transfer->received += size;
        (void)berth_socket_skip(socket, size);
    }
    if (transfer->kind == 'A') {
        transfer->reset = true;
        berth_socket_reset(socket);
    } else if (transfer->kind == 'P' && whole(transfer)) {
        berth_socket_disconnect_from_host(socket);
    }
}

static void answer_ended(berth_socket *socket, void *user)
{
    asking *transfer = user;
    if (transfer->reset || berth_socket_state(socket) != BERTH_STATE_CONNECTED)
        return;
    if (transfer->kind == 'S' && whole(transfer))
        write_all(socket, transfer->expected + transfer->length, CHECKSUM);
    berth_socket_disconnect_from_host(socket);
}

static void ended(berth_socket *socket, void *user)
{
    asking *transfer = user;
    bool to_break = strchr("RA", transfer->kind) != NULL;
    if (to_break != transfer->reset)
        wrong(transfer, "it ended by itself");
    if (transfer->kind == 'Z' && whole(transfer))
        wrong(transfer, "it should have been reset");
    if (strchr("PEHS", transfer->kind) != NULL && !whole(transfer))
        wrong(transfer, "it ended too early");
    plan.ended++;
    plan.bytes += transfer->length;
    plan.of_kind[(unsigned char)transfer->kind]++;
    berth_socket_free(socket);
    free(transfer->expected);
    begin(transfer);
}

/* Only while connecting: later failures are followed by `disconnected`. */
static void failed(berth_socket *socket, berth_error error, void *user)
{
    (void)error;
    if (berth_socket_state(socket) == BERTH_STATE_UNCONNECTED)
        wrong(user, "cannot connect");
}

static void fill(asking *transfer)
{
    uint64_t number = random_number(&plan.random);
    transfer->kind = plan.kinds[number % strlen(plan.kinds)];
    transfer->length = (size_t)1 << (number >> 32) % (LENGTH_BITS + 1);
    transfer->length = random_number(&plan.random) % (transfer->length + 1);
    if (transfer->kind == 'H' && transfer->length > LITTLE)
        transfer->length %= LITTLE;
    if (transfer->kind == 'R' && transfer->length == 0)
        transfer->length = 1; /* so that its half is not the whole */
    transfer->expected = allocate(transfer->length + CHECKSUM);
    for (size_t i = 0; i < transfer->length; i++)
        transfer->expected[i] = (uint8_t)(random_number(&plan.random) >> 56);
    put_number(transfer->expected + transfer->length,
               checksum(0, transfer->expected, transfer->length));
}

static void begin(asking *transfer)
{
    static const berth_socket_handlers handlers = {.connected = ask,
                                                   .bytes_written = asked,
                                                   .ready_read = take_answer,
                                                   .read_channel_finished = answer_ended,
                                                   .error_occurred = failed,
                                                   .disconnected = ended};
    if (plan.begun == plan.count) {
        if (plan.ended == plan.count)
            berth_loop_stop(loop, 0);
        return;
    }
    *transfer = (asking){.number = plan.begun++};
    fill(transfer);
    transfer->socket = berth_socket_new(loop, &handlers, transfer);
    if (transfer->socket == NULL)
        fail(2, "cannot make a socket: %s", strerror(errno));
    berth_socket_set_half_close(transfer->socket, true);
    (void)berth_socket_connect_to_address(transfer->socket, BERTH_ADDRESS_LOOPBACK, plan.port);
}

static void run_client(char **arguments)
{
    static asking transfers[ABREAST];
    plan.port = (uint16_t)strtoul(arguments[0], NULL, 10);
    plan.count = strtoul(arguments[1], NULL, 10);
    plan.random = strtoul(arguments[2], NULL, 10) + 1;
    plan.kinds = arguments[3];
    for (size_t i = 0; i < ABREAST; i++)
        begin(&transfers[i]);
    if (berth_loop_run(loop) != 0)
        fail(1, "the loop has failed: %s", strerror(errno));
    for (const char *kind = plan.kinds; *kind != '\0'; kind++)
        printf("%c %lu ", *kind, plan.of_kind[(unsigned char)*kind]);
    printf("bytes %lu\n", plan.bytes);
}

int main(int argc, char **argv)
{
    bool serves = argc == 2 && strcmp(argv[1], "server") == 0;
    bool asks = argc == 6 && strcmp(argv[1], "client") == 0 && *argv[5] != '\0';
    if (!serves && !asks)
        fail(2, "usage: transfer_peer server | client PORT COUNT SEED KINDS");
    (void)alarm(SECONDS);
    loop = berth_loop_new(NULL);
    if (loop == NULL)
        fail(2, "cannot make an event loop: %s", strerror(errno));
    if (serves)
        run_server();
    else
        run_client(argv + 2);
    berth_loop_free(loop);
    return 0;
}
