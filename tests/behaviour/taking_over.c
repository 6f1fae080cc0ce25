/*
 * The process that takes over, from one that lies, stalls or dies, or where there is none; and the
 * place of an offer among other files.
 *
 * The old process is a child that speaks the protocol by hand.
 */
#include "children.h"
#include "handover_talk.h"
#include "scene.h"

#include "base/fault.h"
#include "base/local_name.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static char text[256];

static berth_inheritance *take(int milliseconds)
{
    return berth_handover_take(talk_place(), milliseconds, text, sizeof text);
}

static void assert_refused(int error, const char *reason)
{
    ck_assert_int_eq(errno, error);
    ck_assert_msg(strstr(text, reason) != NULL, "\"%s\" in place of \"%s\"", text, reason);
    ck_assert_uint_eq(berth_inherited_count(), 0);
}

/* ---- an old process by hand ------------------------------------------------------------------ */

static int listener;

/* A child that does its part in one of its ways. It listens before the fork, so that nobody comes
 * too early. */
static pid_t begin_old(void (*part)(int way), int way)
{
    real_kernel_only();
    listener = talk_listen(talk_place());
    ck_assert_int_ge(listener, 0);
    pid_t child = begin_child();
    if (child == 0) {
        part(way);
        _exit(0);
    }
    close(listener);
    return child;
}

/* When one that stalls comes to say something, the other may have given up and gone. */
static bool stalls;

static bool went(bool success)
{
    return success || stalls;
}

static int accept_one(void)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    MUST(connection >= 0);
    MUST(talk_hears(connection, BERTH__MESSAGE_HELLO, NULL));
    return connection;
}

static void say_contents(int connection, uint32_t listeners, uint32_t bytes)
{
    berth__head head = berth__handover_head(BERTH__MESSAGE_CONTENTS);
    head.listeners = listeners;
    head.bytes = bytes;
    MUST(went(talk_send(connection, &head, sizeof head)));
}

/* A message with descriptors and names, each of which may be wrong. */
static void say_listeners(int connection, uint32_t said, size_t count, const char *names,
                          size_t size)
{
    struct {
        berth__head head;
        char names[600];
    } message = {.head = berth__handover_head(BERTH__MESSAGE_LISTENERS)};
    message.head.listeners = said;
    memcpy(message.names, names, size);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int descriptors[2] = {nothing, nothing};
    MUST(went(talk_hears(connection, BERTH__MESSAGE_NEXT, NULL)));
    if (count > 0)
        MUST(went(talk_pass(connection, &message, sizeof message.head + size, descriptors, count)));
    else
        MUST(talk_send(connection, &message, sizeof message.head + size));
    close(nothing);
}

static void say_blobs(int connection, const void *bytes, size_t size)
{
    struct {
        berth__head head;
        char bytes[600];
    } message = {.head = berth__handover_head(BERTH__MESSAGE_BLOBS)};
    memcpy(message.bytes, bytes, size);
    MUST(talk_hears(connection, BERTH__MESSAGE_NEXT, NULL));
    MUST(talk_send(connection, &message, sizeof message.head + size));
}

static const char zeros[300] = "no head of a message";

enum {
    LIES_IN_NAMES = 8,
    LIES = 19
};

/* Lies about listeners. */
static void lie_in_names(int connection, int which)
{
    static char long_names[2 + BERTH_MOST_INHERITED_NAME + 2] = "a";
    memset(long_names + 2, 'x', BERTH_MOST_INHERITED_NAME + 1);
    static const struct {
        uint32_t promised;
        uint32_t said;
        size_t passed;
        const char *names;
        size_t size;
    } lies[LIES_IN_NAMES] = {
        {2, 2, 1, "a\0b", 4},                             /* fewer than it says */
        {1, 2, 2, "a\0b", 4},                             /* more than it has promised */
        {1, 0, 0, "", 0},                                 /* none */
        {2, 2, 2, "a", 2},                                /* fewer names */
        {1, 1, 1, "abc", 3},                              /* a name without an end */
        {1, 1, 1, long_names + 2, sizeof long_names - 2}, /* too long */
        {2, 2, 2, long_names, sizeof long_names},         /* the second is */
        {1, 1, 1, "a\0b", 4},                             /* more names */
    };
    say_contents(connection, lies[which].promised, 0);
    say_listeners(connection, lies[which].said, lies[which].passed, lies[which].names,
                  lies[which].size);
}

static void lie(int which)
{
    int connection = accept_one();
    static const uint32_t blob[] = {4, 1000, 0x61616161}; /* that would go on behind the end */
    if (which < LIES_IN_NAMES)
        lie_in_names(connection, which);
    which -= LIES_IN_NAMES;
    if (which == 0)
        say_contents(connection, BERTH_MOST_INHERITED + 1, 0);
    if (which == 1)
        say_contents(connection, 0, BERTH_MOST_HANDOVER_BYTES + 1);
    if (which == 2)
        say_contents(connection, UINT32_MAX, UINT32_MAX);
    if (which == 3 || which == 4) { /* more bytes than it has promised, and none */
        say_contents(connection, 0, 3);
        say_blobs(connection, "abcd", which == 3 ? 4 : 0);
    }
    if (which == 5) { /* as many, which are no blobs */
        say_contents(connection, 0, 5);
        say_blobs(connection, "abc", 3);
        say_blobs(connection, "de", 2);
    }
    if (which == 6) {
        say_contents(connection, 0, sizeof blob);
        say_blobs(connection, blob, sizeof blob);
    }
    if (which == 7)
        MUST(talk_say(connection, BERTH__MESSAGE_DONE));
    if (which == 8)
        MUST(talk_send(connection, "nonsense", 8));
    if (which == 9)
        MUST(talk_send(connection, zeros, sizeof zeros));
    if (which == 10) /* nothing, and a descriptor with it */
        MUST(talk_pass(connection, "", 0, &connection, 1));
    MUST(talk_ends(connection));
}

CASE(predecessor_lies, "0104", "whatever it sends, nothing of it stays")
{
    real_kernel_only();
    for (int which = 0; which < LIES; which++) {
        pid_t child = begin_old(lie, which);
        ck_assert_msg(take(PATIENCE * 1000) == NULL, "lie %d was believed", which);
        assert_refused(EPROTO, "");
        end_child(child);
    }
}

static void die_after(int steps)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (steps >= 1)
        MUST(talk_hears(connection, BERTH__MESSAGE_HELLO, NULL));
    if (steps >= 2)
        say_contents(connection, 2, 20);
    if (steps >= 3)
        say_listeners(connection, 1, 1, "a", 2);
    if (steps >= 4)
        say_listeners(connection, 1, 1, "b", 2);
    if (steps >= 5)
        say_blobs(connection, "abc", 3);
}

CASE(predecessor_dies_half_way, "0104", "what had come is closed, and nothing is taken")
{
    real_kernel_only();
    for (int steps = 0; steps <= 5; steps++) {
        pid_t child = begin_old(die_after, steps);
        berth__fault_set_system(steps > 0 ? steps - 1 : 0, 1, EINTR, "recvmsg");
        ck_assert_ptr_null(take(PATIENCE * 1000));
        berth__fault_clear();
        assert_refused(ECONNRESET, "the old process has ended");
        end_child(child);
    }
}

static void stall(int steps)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    stalls = true;
    if (steps >= 1)
        MUST(went(talk_hears(connection, BERTH__MESSAGE_HELLO, NULL)));
    if (steps >= 2)
        say_contents(connection, 2, 20);
    if (steps >= 3)
        say_listeners(connection, 1, 1, "a", 2);
    char byte;
    while (recv(connection, &byte, 1, 0) > 0) {
    }
}

/* A connection; -1 if the queue is full. */
static int connect_at_once(const char *where)
{
    struct sockaddr_un name;
    socklen_t size;
    ck_assert_int_eq(berth__local_address(where, &name, &size), 0);
    int connection = world_note(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (connect(connection, (struct sockaddr *)&name, size) == 0)
        return connection;
    close(connection);
    return -1;
}

CASE(predecessor_stalls, "0104", "taking ends when its time is over")
{
    real_kernel_only();
    for (int steps = 0; steps <= 3; steps++) {
        pid_t child = begin_old(stall, steps);
        berth__fault_set_system(0, 1, EINTR, "poll");
        ck_assert_ptr_null(take(30));
        berth__fault_clear();
        assert_refused(ETIMEDOUT, "did not answer in time");
        end_child(child);
    }
    /* One that does not even accept: its queue is full. */
    int full = talk_listen("@berth-full");
    ck_assert_int_ge(full, 0);
    int waiting[64];
    int count = 0;
    while (count < 64 && (waiting[count] = connect_at_once("@berth-full")) >= 0)
        count++;
    ck_assert_ptr_null(berth_handover_take("@berth-full", 30, text, sizeof text));
    assert_refused(ETIMEDOUT, "");
    while (count > 0)
        close(waiting[--count]);
    close(full);
}

/* Everything is there, and it says this, or ends, or says nothing. */
static void answer_ready(int way)
{
    berth__message_kind answer = (berth__message_kind)way;
    int connection = accept_one();
    say_contents(connection, 1, 0);
    say_listeners(connection, 1, 1, "a", 2);
    MUST(talk_hears(connection, BERTH__MESSAGE_READY, NULL));
    if (answer == BERTH__MESSAGE_HELLO)
        return;
    if (answer == BERTH__MESSAGE_NEXT)
        MUST(talk_hears(connection, BERTH__MESSAGE_READY, NULL)); /* should this one go on */
    else
        MUST(talk_say(connection, answer));
    MUST(talk_ends(connection));
}

static void assert_ready(berth__message_kind answer, bool ready)
{
    pid_t child = begin_old(answer_ready, (int)answer);
    bool hangs = answer == BERTH__MESSAGE_NEXT;
    berth_inheritance *inheritance = take(hangs ? 500 : PATIENCE * 1000);
    ck_assert_msg(inheritance != NULL, "%s", text);
    size_t taken = berth_inherited_left("a");
    bool is_ready = berth_handover_ready(inheritance);
    bool silent = berth_inheritance_error_string(inheritance)[0] == '\0';
    size_t left = berth_inherited_left("a");
    berth_inheritance_free(inheritance);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(taken, 1);
    ck_assert_int_eq(is_ready, ready);
    ck_assert_int_eq(silent, ready);
    ck_assert_uint_eq(left, ready ? 0 : 1);
    ck_assert_uint_eq(berth_inherited_left("a"), 0);
    end_child(child);
    berth__inherited_forget();
}

CASE(predecessor_at_the_end, "0104",
     "one that has ended or hangs does not serve; one that refuses does")
{
    real_kernel_only();
    assert_ready(BERTH__MESSAGE_DONE, true);
    assert_ready(BERTH__MESSAGE_HELLO, true); /* it ends */
    assert_ready(BERTH__MESSAGE_NEXT, true);  /* it hangs */
    assert_ready(BERTH__MESSAGE_REFUSED, false);
    assert_ready(BERTH__MESSAGE_CONTENTS, false);
}

static void answer_with_descriptors(int way)
{
    (void)way;
    int connection = accept_one();
    say_contents(connection, 0, 0);
    MUST(talk_hears(connection, BERTH__MESSAGE_READY, NULL));
    berth__head head = berth__handover_head(BERTH__MESSAGE_DONE);
    int descriptors[2] = {connection, connection};
    MUST(talk_pass(connection, &head, sizeof head, descriptors, 2));
    MUST(talk_ends(connection));
}

CASE(predecessor_sends_descriptors_at_the_end, "0104", "they are closed")
{
    pid_t child = begin_old(answer_with_descriptors, 0);
    berth_inheritance *inheritance = take(PATIENCE * 1000);
    ck_assert_msg(inheritance != NULL, "%s", text);
    bool ready = berth_handover_ready(inheritance);
    berth_inheritance_free(inheritance);
    berth__inherited_forget();
    ck_assert(ready);
    end_child(child);
}

/* The queue is full until it has looked around. */
static void accept_slowly(int fillers)
{
    usleep(30000);
    for (int i = 0; i < fillers; i++)
        MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0);
    int connection = accept_one();
    say_contents(connection, 0, 0);
    MUST(talk_ends(connection));
}

CASE(predecessor_with_a_full_queue, "0104", "taking waits until it accepts")
{
    real_kernel_only();
    int waiting[64];
    int count = 0;
    listener = talk_listen(talk_place());
    ck_assert_int_ge(listener, 0);
    while (count < 64 && (waiting[count] = connect_at_once(talk_place())) >= 0)
        count++;
    pid_t child = begin_child();
    if (child == 0) {
        accept_slowly(count);
        _exit(0);
    }
    close(listener);
    berth_inheritance *inheritance = take(PATIENCE * 1000);
    ck_assert_msg(inheritance != NULL, "%s", text);
    berth_inheritance_free(inheritance);
    berth__inherited_forget();
    end_child(child);
    while (count > 0)
        close(waiting[--count]);
}

static void refuse_slowly(int way)
{
    (void)way;
    int connection = accept_one();
    say_contents(connection, 0, 0);
    MUST(talk_hears(connection, BERTH__MESSAGE_READY, NULL));
    usleep(10000);
    MUST(talk_say(connection, BERTH__MESSAGE_REFUSED));
    MUST(talk_ends(connection));
}

CASE(predecessor_refuses_at_the_end, "0104",
     "there is as much time for that as there was for taking")
{
    pid_t child = begin_old(refuse_slowly, 0);
    berth_inheritance *inheritance = take(1000);
    ck_assert_msg(inheritance != NULL, "%s", text);
    usleep(1100000);
    bool ready = berth_handover_ready(inheritance);
    berth_inheritance_free(inheritance);
    berth__inherited_forget();
    ck_assert(!ready);
    end_child(child);
}

/* ---- the place ------------------------------------------------------------------------------- */

static const char *place;

static void choose_place(void)
{
    real_kernel_only();
    place = world_path("place");
}

CASE(nobody_offers, "0104", "a text says so; so for whatever is no offer")
{
    real_kernel_only();
    ck_assert_ptr_null(take(PATIENCE * 1000));
    assert_refused(ECONNREFUSED, "no process offers a hand-over there");
    ck_assert_ptr_null(berth_handover_take("/nowhere/at/all", -1, text, sizeof text));
    assert_refused(ENOENT,
                   "cannot take over at /nowhere/at/all: no process offers a hand-over there");
    ck_assert_ptr_null(berth_handover_take("/dev/null", 0, NULL, 0));
    ck_assert_int_eq(errno, ECONNREFUSED);
    ck_assert_ptr_null(berth_handover_take("", 0, text, sizeof text));
    assert_refused(EINVAL, "the path is empty");
    ck_assert_ptr_null(berth_handover_take("@", 0, text, sizeof text));
    assert_refused(EINVAL, "");
    ck_assert_ptr_null(berth_handover_take(NULL, 0, text, sizeof text));
    assert_refused(EINVAL, "");
    char path[109];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    ck_assert_ptr_null(berth_handover_take(path, 0, text, sizeof text));
    assert_refused(ENAMETOOLONG, "the path is too long");
    choose_place();
    struct sockaddr_un name;
    socklen_t size;
    ck_assert_int_eq(berth__local_address(place, &name, &size), 0);
    int stream = world_note(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(bind(stream, (struct sockaddr *)&name, size), 0);
    ck_assert_int_eq(listen(stream, 4), 0);
    ck_assert_ptr_null(berth_handover_take(place, PATIENCE * 1000, text, sizeof text));
    assert_refused(EPROTO, "what listens there offers no hand-over");
    close(stream);
    ck_assert_ptr_null(berth_handover_take(place, PATIENCE * 1000, text, sizeof text));
    assert_refused(ECONNREFUSED, "no process offers a hand-over there");
    unlink(place);
}

static berth_handover *offer(void)
{
    return berth_handover_offer(world_loop(), place, NULL, NULL);
}

static bool is_there(const char *path, mode_t type)
{
    struct stat file;
    return lstat(path, &file) == 0 && (file.st_mode & S_IFMT) == type;
}

CASE(place_of_an_offer, "0104", "a file of mode 0600, removed at the end; two cannot have it")
{
    choose_place();
    mode_t mask = umask(0);
    berth_handover *handover = offer();
    umask(mask);
    ck_assert_ptr_nonnull(handover);
    struct stat file;
    ck_assert_int_eq(lstat(place, &file), 0);
    ck_assert_uint_eq(file.st_mode, S_IFSOCK | 0600);
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert(is_there(place, S_IFSOCK));
    world_settle(); /* whoever only looked is no successor */
    ck_assert_int_eq(berth_handover_current_state(handover), BERTH_HANDOVER_OFFERED);
    berth_handover_free(handover);
    ck_assert(!is_there(place, S_IFSOCK));
    handover = offer();
    ck_assert_ptr_nonnull(handover);
    world_free_loop();
    ck_assert(!is_there(place, S_IFSOCK));
}

CASE(place_of_a_dead_one, "0104", "is taken; but not while somebody else is about to take it")
{
    choose_place();
    close(talk_listen(place));
    ck_assert(is_there(place, S_IFSOCK));
    berth_handover *handover = offer();
    ck_assert_ptr_nonnull(handover);
    berth_handover_free(handover);
    ck_assert(!is_there(place, S_IFSOCK));
    close(talk_listen(place));
    char path[80];
    snprintf(path, sizeof path, "%s.lock", place);
    int lock = world_note(open(path, O_RDWR | O_CLOEXEC));
    ck_assert_int_ge(lock, 0);
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert(is_there(place, S_IFSOCK));
    close(lock);
    handover = offer();
    ck_assert_ptr_nonnull(handover);
    berth_handover_free(handover);
}

/* Offers in a child, which is killed then, and returns that. A ring outlives its process by a
 * moment. */
static pid_t kill_one_that_offers(void)
{
    int ends[2];
    char byte;
    begin_pipe(ends);
    pid_t child = begin_child();
    if (child == 0) {
        berth_loop *loop = berth_loop_new(NULL);
        MUST(loop != NULL);
        MUST(berth_handover_offer(loop, place, NULL, NULL) != NULL);
        (void)berth_loop_turn(loop, 0);
        MUST(write(ends[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    close(ends[1]); /* the child may fail */
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    siginfo_t how;
    kill(child, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &how, WEXITED | WNOWAIT), 0);
    close(ends[0]);
    return child;
}

CASE(place_of_a_killed_one, "0104", "at once nobody offers there, and the place is taken")
{
    choose_place();
    world_loop();
    for (int i = 0; i < 8; i++) {
        bool waits = i % 2 == 0; /* its parent may wait for it later, or never */
        pid_t child = kill_one_that_offers();
        if (waits)
            kill_child(child);
        berth_handover *handover = offer();
        ck_assert_msg(handover != NULL, "try %d: %s", i, strerror(errno));
        berth_handover_free(handover);
        if (!waits)
            kill_child(child);
        child = kill_one_that_offers();
        if (waits)
            kill_child(child);
        ck_assert_ptr_null(berth_handover_take(place, PATIENCE * 1000, text, sizeof text));
        assert_refused(ECONNREFUSED, "no process offers a hand-over there");
        if (!waits)
            kill_child(child);
        unlink(place);
    }
}

/* In place of the C library's: somebody else begins to offer at the same place just before. */
static bool looks;
static berth_handover *second;
static int second_error;

int listen(int descriptor, /* NOLINT(readability-inconsistent-declaration-parameter-name) */
           int backlog)
{
    if (looks) {
        looks = false;
        second = offer();
        second_error = errno;
    }
    return (int)syscall(SYS_listen, descriptor, backlog);
}

CASE(place_of_one_that_begins, "0104", "is bound and does not answer yet: it is not removed")
{
    choose_place();
    looks = true;
    berth_handover *handover = offer();
    ck_assert_ptr_nonnull(handover);
    ck_assert(!looks);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(second_error, EADDRINUSE);
    int connection = talk_connect(place);
    ck_assert_int_ge(connection, 0);
    close(connection);
    berth_handover_free(handover);
    ck_assert(!is_there(place, S_IFSOCK));
}

static void assert_left_alone(mode_t type)
{
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert(is_there(place, type));
}

CASE(place_that_is_taken, "0104", "nothing but a dead socket is ever removed")
{
    choose_place();
    close(open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_left_alone(S_IFREG);
    unlink(place);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    assert_left_alone(S_IFDIR);
    rmdir(place);
    const char *target = world_path("target");
    ck_assert_int_eq(symlink(target, place), 0);
    assert_left_alone(S_IFLNK);
    close(talk_listen(target)); /* a dead socket behind the link */
    assert_left_alone(S_IFLNK);
    ck_assert(is_there(target, S_IFSOCK));
    unlink(place);
    unlink(target);
    ck_assert_int_eq(mkfifo(place, 0600), 0);
    assert_left_alone(S_IFIFO);
    unlink(place);
    int other = talk_listen(place);
    assert_left_alone(S_IFSOCK);
    close(other);
    unlink(place);
    /* And at the end, not what somebody has put in the place meanwhile. */
    berth_handover *handover = offer();
    ck_assert_ptr_nonnull(handover);
    unlink(place);
    other = talk_listen(place);
    berth_handover_free(handover);
    ck_assert(is_there(place, S_IFSOCK));
    close(other);
    unlink(place);
}

static void offer_as_somebody_else(void)
{
    MUST(setresuid(65534, 65534, 65534) == 0);
    MUST(berth_handover_offer(NULL, place, NULL, NULL) == NULL && errno == EADDRINUSE);
}

CASE(place_of_another_user, "0104", "who listens there may not be asked, and has it")
{
    choose_place();
    if (geteuid() != 0)
        case_skip("needs root, to become somebody else");
    int other = talk_listen(place);
    ck_assert_int_eq(chmod(place, 0700), 0);
    have_child(offer_as_somebody_else);
    ck_assert(is_there(place, S_IFSOCK));
    close(other);
}

CASE(lock_of_an_offer_that_is_none, "0104", "a folder, a link, a pipe or a socket in its place")
{
    choose_place();
    char lock[80];
    snprintf(lock, sizeof lock, "%s.lock", place);
    ck_assert_int_eq(mkdir(lock, 0700), 0);
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_eq(rmdir(lock), 0);
    ck_assert_int_eq(symlink("/dev/null", lock), 0);
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_eq(unlink(lock), 0);
    ck_assert_int_eq(mkfifo(lock, 0600), 0);
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_eq(unlink(lock), 0);
    close(talk_listen(lock));
    ck_assert_ptr_null(offer());
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert(!is_there(place, S_IFSOCK));
}

CASE(place_at_the_bounds, "0104", "107 bytes are a place, 108 are not, and neither are none")
{
    real_kernel_only();
    const char *folder = world_path("folder");
    world_put_file(folder, WORLD_FOLDER);
    char path[120];
    memset(path, 'x', sizeof path);
    memcpy(path, folder, strlen(folder));
    path[strlen(folder)] = '/';
    path[108] = '\0';
    ck_assert_ptr_null(berth_handover_offer(world_loop(), path, NULL, NULL));
    ck_assert_int_eq(errno, ENAMETOOLONG);
    path[107] = '\0';
    berth_handover *handover = berth_handover_offer(world_loop(), path, NULL, NULL);
    ck_assert_ptr_nonnull(handover);
    berth_handover_free(handover);
    strcat(path, ".lock");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_ptr_null(berth_handover_offer(world_loop(), "", NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(berth_handover_offer(world_loop(), NULL, NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(berth_handover_offer(world_loop(), "/nowhere/at/all", NULL, NULL));
    ck_assert_int_eq(errno, ENOENT);
}

/* ---- a turn inside `taking` ------------------------------------------------------------------ */

static pid_t successors[2];

static pid_t begin_successor(void)
{
    pid_t child = begin_child();
    if (child != 0)
        return child;
    berth_inheritance *inheritance = take(PATIENCE * 1000);
    MUST(inheritance != NULL);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
    _exit(0);
}

static void turn_while_taking(berth_handover *handover, void *user)
{
    (void)user;
    if (successors[1] != 0)
        return;
    kill_child(successors[0]);
    UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_OFFERED);
    successors[1] = begin_successor();
    UNTIL(berth_handover_current_state(handover) >= BERTH_HANDOVER_TAKEN);
}

CASE(successor_changes_while_taking, "0104",
     "in a turn inside the handler: the second is answered once, and succeeds")
{
    static const berth_handover_handlers handlers = {.taking = turn_while_taking};
    real_kernel_only();
    berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), &handlers, NULL);
    ck_assert_ptr_nonnull(handover);
    handover->transfer_limit = 50;
    successors[0] = begin_successor();
    UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_SUCCEEDED);
    end_child(successors[1]);
}

static char abstract[120];

static void take_by_that_name(void)
{
    char said[256];
    berth_inheritance *inheritance =
        berth_handover_take(abstract, PATIENCE * 1000, said, sizeof said);
    MUST(inheritance != NULL);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
}

CASE(abstract_place_at_the_bounds, "0104", "'@' and 107 bytes are one, 108 are not")
{
    real_kernel_only();
    memset(abstract, 'x', sizeof abstract);
    abstract[0] = '@';
    abstract[109] = '\0';
    ck_assert_ptr_null(berth_handover_offer(world_loop(), abstract, NULL, NULL));
    ck_assert_int_eq(errno, ENAMETOOLONG);
    ck_assert_ptr_null(berth_handover_take(abstract, 0, NULL, 0));
    ck_assert_int_eq(errno, ENAMETOOLONG);
    ck_assert_ptr_null(berth_handover_offer(world_loop(), "@", NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
    snprintf(abstract + 1, sizeof abstract - 1, "%0107d", (int)getpid());
    berth_handover *handover = berth_handover_offer(world_loop(), abstract, NULL, NULL);
    ck_assert_msg(handover != NULL, "%s", strerror(errno));
    pid_t child = begin_child();
    if (child == 0) {
        take_by_that_name();
        _exit(0);
    }
    UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_SUCCEEDED);
    end_child(child);
}
