/*
 * What happens at once in a hand-over, or in the wrong order: one successor has ended and the next
 * has come, a handler forks, the old process hangs and then goes on.
 */
#include "children.h"
#include "handover_talk.h"
#include "scene.h"

#include "balance.h"
#include "base/fault.h"

#include <berth/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    berth_handover *handover;
    unsigned succeeded;
    unsigned failed;
    unsigned taking;
    char text[256];
    pid_t forked; /* by `taking`; in the child its own */
    bool forks;
} seen;

static void on_succeeded(berth_handover *handover, void *user)
{
    (void)handover;
    (void)user;
    seen.succeeded++;
}

static void on_failed(berth_handover *handover, const char *text, void *user)
{
    (void)handover;
    (void)user;
    snprintf(seen.text, sizeof seen.text, "%s", text);
    seen.failed++;
}

static void on_taking(berth_handover *handover, void *user)
{
    (void)handover;
    (void)user;
    seen.taking++;
    if (!seen.forks || seen.forked != 0)
        return;
    pid_t child = begin_child();
    seen.forked = child != 0 ? child : getpid();
}

static const berth_handover_handlers handlers = {
    .succeeded = on_succeeded, .failed = on_failed, .taking = on_taking};

static void offer_host(void)
{
    real_kernel_only();
    struct host *host = host_listening("h");
    seen.handover = berth_handover_offer(world_loop(), talk_place(), &handlers, NULL);
    ck_assert_ptr_nonnull(seen.handover);
    ck_assert(berth_handover_add(seen.handover, "http", host->server));
}

static int come(void)
{
    int connection = world_note(talk_connect(talk_place()));
    ck_assert_int_ge(connection, 0);
    ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
    return connection;
}

/* It has come, is served, and leaves. */
static void assert_is_served(int connection)
{
    unsigned before = seen.taking;
    UNTIL(seen.taking == before + 1);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_CONTENTS, NULL));
    unsigned failed = seen.failed;
    close(connection);
    UNTIL(seen.failed == failed + 1);
}

CASE(successor_behind_one_that_only_looked, "0104",
     "who begins to offer looks whether anybody answers; who comes just behind is served")
{
    offer_host();
    close(talk_connect(talk_place()));
    assert_is_served(come());
}

CASE(successor_behind_one_that_died, "0104", "before anybody was told of it: it is served")
{
    offer_host();
    int first = come();
    UNTIL(seen.taking == 1);
    close(first);
    assert_is_served(come());
    ck_assert_uint_eq(seen.failed, 2);
}

CASE(taking_forks, "0104 reliability 23", "the parent serves the successor, and the child does not")
{
    offer_host();
    seen.forks = true;
    pid_t parent = getpid();
    int connection = come();
    UNTIL(seen.forked != 0);
    if (getpid() != parent) {
        berth_handover_free(seen.handover);
        _exit(0);
    }
    end_child(seen.forked);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_CONTENTS, NULL));
    char byte;
    ck_assert_int_eq(recv(connection, &byte, 1, MSG_DONTWAIT), -1);
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_LISTENERS, NULL));
    close(connection);
    UNTIL(seen.failed == 1);
}

/* A successor that has everything. */
static int take_all(void)
{
    int connection = come();
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_CONTENTS, NULL));
    ck_assert(talk_hears(connection, BERTH__MESSAGE_LISTENERS, NULL));
    return connection;
}

CASE(old_process_hangs_when_its_successor_is_ready, "0104",
     "the successor says so once more and serves, so the old one does not serve on beside it")
{
    offer_host();
    int connection = take_all();
    ck_assert(talk_say(connection, BERTH__MESSAGE_READY));
    ck_assert(talk_say(connection, BERTH__MESSAGE_READY));
    close(connection);
    UNTIL(seen.succeeded + seen.failed > 0);
    ck_assert_msg(seen.succeeded == 1, "%s", seen.text);
}

CASE(successor_dies_as_soon_as_it_is_ready, "0104", "before it was answered: the old one serves on")
{
    offer_host();
    int connection = take_all();
    ck_assert(talk_say(connection, BERTH__MESSAGE_READY));
    close(connection);
    UNTIL(seen.succeeded + seen.failed > 0);
    ck_assert_msg(seen.failed == 1, "it has succeeded");
    ck_assert_int_eq(berth_handover_current_state(seen.handover), BERTH_HANDOVER_OFFERED);
}

/* ---- time and copies ------------------------------------------------------------------------- */

CASE(successor_without_a_limit, "0104",
     "0 lets it take its time to be ready; the transfer has its own")
{
    offer_host();
    berth_handover_set_time_limit(seen.handover, 0);
    seen.handover->transfer_limit = 500;
    int connection = take_all();
    uint64_t start = berth_loop_now(world_loop());
    while (berth_loop_now(world_loop()) - start < 600)
        berth_loop_turn(world_loop(), 50);
    ck_assert_uint_eq(seen.failed, 0);
    ck_assert(talk_say(connection, BERTH__MESSAGE_READY));
    UNTIL(seen.succeeded == 1);
    close(connection);
}

CASE(connection_of_a_successor, "0104",
     "is close-on-exec and does not block, and a call on it that a signal interrupts is repeated")
{
    offer_host();
    int connection = come();
    UNTIL(seen.taking == 1);
    balance_assert_private();
    ck_assert_int_ne(fcntl(seen.handover->connection, F_GETFL) & O_NONBLOCK, 0);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_CONTENTS, NULL));
    berth__fault_set_system(0, 1, EINTR, "recv");
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN || seen.failed > 0);
    ck_assert_str_eq(seen.text, "");
    ck_assert_int_eq(berth__fault_system_failed(), 1);
    berth__fault_clear();
    close(connection);
    UNTIL(seen.failed == 1);
}

CASE(copy_where_no_input_is_open, "0104", "it has the input's number, and is passed on as others")
{
    if (world_is_impatient()) /* the walk through faults: a case that ends early leaves the number
                               */
        case_skip("whatever is opened next would have the number");
    offer_host();
    int connection = world_note(talk_connect(talk_place()));
    UNTIL(seen.handover->connection >= 0);
    int input = dup(STDIN_FILENO);
    close(STDIN_FILENO);
    ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
    UNTIL(seen.taking + seen.failed == 1);
    ck_assert_str_eq(seen.text, "");
    ck_assert(world_is_open(STDIN_FILENO));
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_CONTENTS, NULL));
    ck_assert(talk_hears(connection, BERTH__MESSAGE_LISTENERS, NULL));
    ck_assert_int_eq(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
    close(connection);
    UNTIL(seen.failed == 1);
}

CASE(copies_for_a_successor, "0104", "are closed when all are on their way, not when it is ready")
{
    offer_host();
    unsigned before = balance_descriptors();
    int connection = take_all();
    /* Both ends of the connection, and what is watched of it. */
    ck_assert_uint_eq(balance_descriptors(), before + 3);
    close(connection);
    UNTIL(seen.failed == 1);
    ck_assert_uint_eq(balance_descriptors(), before);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static const char secret[] = "the key of all session tickets";
static bool leaks;

static void release(void *memory)
{
    if (memory != NULL && memmem(memory, malloc_usable_size(memory), secret, sizeof secret) != NULL)
        leaks = true;
    free(memory);
}

static void look_at_released_memory(void)
{
    static const berth_allocator looking = {
        .allocate = malloc, .reallocate = realloc, .release = release};
    berth_set_allocator(&looking);
}

/* In a child, whose loop is its own. */
static void offer_secrets(void)
{
    look_at_released_memory();
    berth_loop *loop = berth_loop_new(NULL);
    berth_handover *handover = berth_handover_offer(loop, talk_place(), NULL, NULL);
    MUST(handover != NULL);
    for (int i = 0; i < 2; i++) /* the second replaces the first */
        MUST(berth_handover_add_blob(handover, "keys", secret, sizeof secret));
    MUST(!leaks);
    int connection = talk_connect(talk_place());
    MUST(talk_say(connection, BERTH__MESSAGE_HELLO) && talk_say(connection, BERTH__MESSAGE_NEXT));
    while (berth_handover_current_state(handover) != BERTH_HANDOVER_TAKEN)
        berth_loop_turn(loop, 1000);
    close(connection);
    while (berth_handover_current_state(handover) != BERTH_HANDOVER_OFFERED)
        berth_loop_turn(loop, 1000);
    berth_loop_free(loop);
    MUST(!leaks);
}

static void take_secrets(void)
{
    look_at_released_memory();
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    MUST(strcmp(berth_inheritance_blob(inheritance, "keys", NULL), secret) == 0);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
    MUST(!leaks);
}

CASE(blobs_are_overwritten, "0104", "before their memory is released, in both processes")
{
    real_kernel_only();
    have_child(offer_secrets);
    offer_host();
    ck_assert(berth_handover_add_blob(seen.handover, "keys", secret, sizeof secret));
    pid_t child = begin_child();
    if (child == 0) {
        take_secrets();
        _exit(0);
    }
    UNTIL(seen.succeeded == 1);
    end_child(child);
}
