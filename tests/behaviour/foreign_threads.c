/*
 * Calls on a thread that is not the loop's: builds with assertions end the program, and the message
 * names the call.
 *
 * Each call is made in a child process, by a thread of its own; what the child says on its standard
 * error, and how it ends, is judged here. The child never gets as far as to touch the backend,
 * whose ring it would share with its parent.
 */
#include "calls.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void need_assertions(void)
{
#ifdef NDEBUG
    case_skip("assertions are compiled out");
#endif
}

/* Makes, in the child, what the call is made on, of a thread that is not the child's first, which
 * then is the foreign one. NULL: that is made before, and the call on another thread. */
static void (*prepare)(void);

static void *make_there(void *call)
{
    ((const struct call *)call)->make();
    return NULL;
}

_Noreturn static void be_child(struct call *call, int errors)
{
    const struct rlimit no_core = {0};
    pthread_t thread;
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(errors, STDERR_FILENO);
    alarm(20);
    if (prepare != NULL)
        prepare();
    if (prepare != NULL)
        call->make();
    else if (pthread_create(&thread, NULL, make_there, call) == 0)
        pthread_join(thread, NULL);
    _exit(EXIT_SUCCESS);
}

/* How a child has ended that makes the call on another thread, and the beginning of what it said.
 */
static int ended(struct call *call, char *ret_text, size_t size)
{
    int ends[2];
    size_t used = 0;
    ssize_t count = 0;
    int status = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        be_child(call, ends[1]);
    close(ends[1]);
    while (used < size - 1 && (count = read(ends[0], ret_text + used, size - 1 - used)) > 0)
        used += (size_t)count;
    ret_text[used] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void assert_caught(struct call *call)
{
    char text[2000];
    char name[100];
    int status = ended(call, text, sizeof text);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: status %x, %s",
                  call->name, (unsigned)status, text);
    snprintf(name, sizeof name, " %s: Assertion", call->name);
    ck_assert_msg(strstr(text, name) != NULL, "%s: %s", call->name, text);
}

static void assert_allowed(struct call *call)
{
    char text[2000];
    int status = ended(call, text, sizeof text);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS, "%s: status %x, %s",
                  call->name, (unsigned)status, text);
}

static bool is_for_any_thread(const struct call *call)
{
    return strcmp(call->name, "berth_server_loop") == 0 ||
           strcmp(call->name, "berth_socket_loop") == 0;
}

CASE(foreign_thread_uses_a_server_or_socket, "S1.42 S5.7 loop.h",
     "every call of both is caught, but for asking which loop to post to")
{
    need_assertions();
    if (world_is_simulated())
        case_skip("the simulated kernel, which arguments come from, is each thread's own");
    stage.server = berth_server_new(world_loop(), NULL, &stage);
    stage.socket = berth_socket_new(world_loop(), NULL, &stage);
    ck_assert(stage.server != NULL && stage.socket != NULL);
    unsigned allowed = 0;
    for (struct call *each = all_calls; each != NULL; each = each->next) {
        if (is_for_any_thread(each)) {
            assert_allowed(each);
            allowed++;
        } else {
            assert_caught(each);
        }
    }
    ck_assert_uint_eq(allowed, 2);
}

/* ---- what has no server and no socket -------------------------------------------------------- */

static berth_timer *timer;
static berth_worker *worker;

#define OTHER(name, statement)     \
    static void other_##name(void) \
    {                              \
        statement;                 \
    }                              \
    static struct call entry_##name = {#name, other_##name, NULL}

OTHER(berth_timer_new, (void)berth_timer_new(world_loop(), NULL, NULL));
OTHER(berth_timer_free, berth_timer_free(timer));
OTHER(berth_timer_start, berth_timer_start(timer, 1, 0));
OTHER(berth_timer_stop, berth_timer_stop(timer));
OTHER(berth_timer_is_active, (void)berth_timer_is_active(timer));
OTHER(berth_loop_free, berth_loop_free(world_loop()));
OTHER(berth_loop_run, (void)berth_loop_run(world_loop()));
OTHER(berth_loop_turn, (void)berth_loop_turn(world_loop(), 0));
OTHER(berth_loop_descriptor, (void)berth_loop_descriptor(world_loop()));
OTHER(berth_loop_timeout, (void)berth_loop_timeout(world_loop()));
OTHER(berth_loop_now, (void)berth_loop_now(world_loop()));
OTHER(berth_loop_backend_name, (void)berth_loop_backend_name(world_loop()));
OTHER(berth_loop_backend_reason, (void)berth_loop_backend_reason(world_loop()));
OTHER(berth_loop_statistics_sized, berth_loop_counts counts;
      berth_loop_statistics(world_loop(), &counts));

CASE(foreign_thread_uses_a_timer_or_loop, "S1.42 loop.h", "every call of both is caught")
{
    need_assertions();
    struct call *calls[] = {&entry_berth_timer_new,
                            &entry_berth_timer_free,
                            &entry_berth_timer_start,
                            &entry_berth_timer_stop,
                            &entry_berth_timer_is_active,
                            &entry_berth_loop_free,
                            &entry_berth_loop_run,
                            &entry_berth_loop_turn,
                            &entry_berth_loop_descriptor,
                            &entry_berth_loop_timeout,
                            &entry_berth_loop_now,
                            &entry_berth_loop_backend_name,
                            &entry_berth_loop_backend_reason,
                            &entry_berth_loop_statistics_sized};
    timer = berth_timer_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(timer);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        assert_caught(calls[i]);
}

OTHER(berth_worker_loop, (void)berth_worker_loop(worker));
OTHER(berth_worker_server, (void)berth_worker_server(worker));
OTHER(berth_worker_user, (void)berth_worker_user(worker));
OTHER(berth_worker_set_user, berth_worker_set_user(worker, NULL));
OTHER(berth_worker_number, (void)berth_worker_number(worker));

static bool keep_worker(berth_worker *started, void *user)
{
    (void)user;
    worker = started;
    return true;
}

static void start_workers(void)
{
    static const berth_workers_handlers handlers = {.started = keep_worker};
    berth_workers *workers = berth_workers_new(1, &handlers, NULL);
    ck_assert(berth_workers_start(workers));
}

CASE(foreign_thread_uses_a_worker, "workers.h", "every call is caught, but for its number")
{
    need_assertions();
    struct call *calls[] = {&entry_berth_worker_loop, &entry_berth_worker_server,
                            &entry_berth_worker_user, &entry_berth_worker_set_user};
    prepare = start_workers;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        assert_caught(calls[i]);
    assert_allowed(&entry_berth_worker_number);
}
