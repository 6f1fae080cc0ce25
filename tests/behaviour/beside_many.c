/*
 * What peers can multiply is not walked: what is done for one costs no more beside many.
 *
 * Work is counted, not timed: a child is traced, and each of its instructions is a step that its
 * parent sees. A walk takes several for each of those it passes. What does without takes a few more
 * in all, where a heap is a level deeper or memory comes from elsewhere. A slow machine adds what
 * is done now and then, such as the look for resets that the kernel has not reported, which passes
 * all; so the least of several rounds counts, and a walk has to show in each of several attempts.
 *
 * Under the address sanitizer nothing is counted: the rounds run, and memory is looked after.
 */
#include "children.h"
#include "scene.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum {
    FEW = 16,
    MANY = 400, /* fit into 1,024 descriptors, with their peers */
    ROUNDS = 3,
    ATTEMPTS = 4,
    UNTRACEABLE = 77,
    HOUR = 3600000
};

#ifdef __SANITIZE_ADDRESS__
#define COUNTING PTRACE_CONT
#else
#define COUNTING PTRACE_SINGLESTEP
#endif

struct work {
    void (*prepare)(unsigned others);
    void (*round)(void); /* what is between its two marks is counted */
};

static void mark(void)
{
    raise(SIGSTOP);
}

static _Noreturn void be_counted(const struct work *work, unsigned others)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(UNTRACEABLE);
    work->prepare(others);
    for (int i = 0; i < ROUNDS; i++)
        work->round();
    _exit(0);
}

/* Waits for the child's next mark, or its end. Returns the signal to give it when it goes on, or -1
 * at one of these. */
static int stopped_by(pid_t child, int *ret_status)
{
    ck_assert_int_eq(waitpid(child, ret_status, 0), child);
    if (!WIFSTOPPED(*ret_status) || WSTOPSIG(*ret_status) == SIGSTOP)
        return -1;
    return WSTOPSIG(*ret_status) == SIGTRAP ? 0 : WSTOPSIG(*ret_status);
}

/* Has the child go on to there. Returns the steps that it took. */
static long go_on(pid_t child, int request, int *ret_status)
{
    long steps = 0;
    ck_assert_msg(WIFSTOPPED(*ret_status), "the child's status is %x", (unsigned)*ret_status);
    for (int signal = 0; signal >= 0; steps++) {
        ck_assert_int_eq(ptrace((enum __ptrace_request)request, child, NULL, (long)signal), 0);
        signal = stopped_by(child, ret_status);
    }
    return steps;
}

/* The instructions of the round that takes the fewest. */
static long instructions(const struct work *work, unsigned others)
{
    long fewest = 0;
    int status = 0;
    pid_t child = begin_child();
    if (child == 0)
        be_counted(work, others);
    for (int signal = 0; (signal = stopped_by(child, &status)) >= 0;)
        ck_assert_int_eq(ptrace(PTRACE_CONT, child, NULL, (long)signal), 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNTRACEABLE)
        case_skip("no process can be traced here");
    for (int i = 0; i < ROUNDS; i++) {
        long steps = go_on(child, COUNTING, &status);
        fewest = i == 0 || steps < fewest ? steps : fewest;
        (void)go_on(child, PTRACE_CONT, &status);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's status is %x",
                  (unsigned)status);
    return fewest;
}

static void assert_no_walk(const struct work *work)
{
    real_kernel_only();
    long beside_few = 0;
    long beside_many = MANY - FEW;
    for (int i = 0; i < ATTEMPTS && beside_many - beside_few >= MANY - FEW; i++) {
        beside_few = instructions(work, FEW);
        beside_many = instructions(work, MANY);
    }
    ck_assert_msg(beside_many - beside_few < MANY - FEW,
                  "%ld instructions beside %d others, and %ld beside %d", beside_few, FEW,
                  beside_many, MANY);
}

/* ---- guests of a server ------------------------------------------------------------------------
 */

static struct host *host;

static uint64_t awaited(void)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    return counts.awaiting_header;
}

static void have_guests(unsigned others)
{
    berth_subnet loopback;
    host = host_new("h");
    MUST(berth_subnet_parse("127.0.0.0/8", &loopback));
    MUST(berth_server_set_proxy_protocol(host->server, &loopback, 1, HOUR));
    berth_server_set_max_pending_connections(host->server, 2 * MANY);
    host_listen(host);
    for (unsigned i = 0; i < others; i++) {
        world_connect(host->port);
        UNTIL(awaited() == i + 1);
    }
    world_settle();
}

static void have_one_more(void)
{
    uint64_t before = awaited();
    world_connect(host->port);
    mark();
    while (awaited() == before)
        berth_loop_turn(world_loop(), 1000);
    mark();
    world_settle();
}

CASE(guest_beside_many, "PROXY header reliability 22",
     "accepting one whose header is awaited, beside others like it")
{
    static const struct work work = {have_guests, have_one_more};
    assert_no_walk(&work);
}

/* ---- sockets ----------------------------------------------------------------------------------
 */

static berth_socket *adopted[MANY + ROUNDS];
static unsigned freed;

static void adopt(unsigned others)
{
    for (unsigned i = 0; i < others + ROUNDS; i++) {
        struct peer *peer;
        adopted[i] = berth_socket_new(world_loop(), NULL, NULL);
        MUST(adopted[i] != NULL);
        MUST(berth_socket_set_descriptor(adopted[i], world_stream_descriptor(&peer)));
    }
    world_settle();
}

static void free_the_oldest(void)
{
    mark();
    berth_socket_free(adopted[freed++]);
    mark();
    world_settle();
}

CASE(adopted_socket_is_freed_beside_many, "reliability 22", "that were adopted later")
{
    static const struct work work = {adopt, free_the_oldest};
    assert_no_walk(&work);
}

/* ---- waits ------------------------------------------------------------------------------------
 */

static struct actor *actor;
static struct peer *peer;

static void have_ready_ones(unsigned others)
{
    struct peer *peers[MANY];
    host = host_listening("h");
    for (unsigned i = 0; i < others; i++)
        host_connect(host, "o", &peers[i])->quiet = true;
    actor = host_connect(host, "s", &peer);
    actor->quiet = true;
    world_settle();
    for (unsigned i = 0; i < others; i++)
        MUST(peer_send_some(peers[i], "x", 1) == 1);
    for (int i = 0; i < 100; i++) /* of which none runs what is theirs */
        MUST(!berth_socket_wait_for_ready_read(actor->socket, 0));
}

static void wait_for_own(void)
{
    MUST(peer_send_some(peer, "x", 1) == 1);
    mark();
    bool came = berth_socket_wait_for_ready_read(actor->socket, 10000);
    mark();
    MUST(came);
}

CASE(wait_beside_many_that_are_ready, "S4.2 reliability 22",
     "a blocking wait for one, while input of others is waiting")
{
    static const struct work work = {have_ready_ones, wait_for_own};
    assert_no_walk(&work);
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static void have_input(unsigned thousands)
{
    static uint8_t bytes[1000];
    host = host_listening("h");
    actor = host_connect(host, "s", &peer);
    actor->quiet = true;
    actor->reads = false;
    for (unsigned i = 0; i < thousands; i++)
        peer_send(peer, bytes, sizeof bytes);
    UNTIL(berth_socket_bytes_available(actor->socket) == (size_t)thousands * sizeof bytes);
    MUST(!berth_socket_can_read_line(actor->socket));
}

static void look_for_a_line(void)
{
    size_t before = berth_socket_bytes_available(actor->socket);
    MUST(peer_send_some(peer, "x", 1) == 1);
    UNTIL(berth_socket_bytes_available(actor->socket) == before + 1);
    mark();
    bool can = berth_socket_can_read_line(actor->socket);
    mark();
    MUST(!can);
}

CASE(line_is_looked_for_behind_many_bytes, "S3.21 reliability 22",
     "and only in those that have come since")
{
    static const struct work work = {have_input, look_for_a_line};
    assert_no_walk(&work);
}
