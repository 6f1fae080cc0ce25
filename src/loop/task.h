/*
 * Tasks: what other threads have a loop do. They are posted by the program, or are the ends of
 * things that go on elsewhere and that the loop awaits, such as jobs on a pool of threads.
 *
 *     berth__await -> OPEN, in the list of the loop -> berth__awaited_end -> a task of the loop
 *
 * The end of an awaited thing needs no memory: its task is embedded in it. It comes exactly once,
 * and before the loop is destroyed: a loop that is freed withdraws what has not begun, and waits
 * for the rest. In a child of fork there is nobody who goes on with it: a loop that the child takes
 * over gets the ends as cancelled, and a copy that is freed releases the memory only.
 *
 * Both lists are guarded by the loop's lock, which is taken before the lock of whoever does the
 * work. So whoever finds a thing in the list of the open ones knows that its pool exists: a pool
 * ends all it has before it is freed.
 */
#ifndef BERTH_SRC_TASK_H
#define BERTH_SRC_TASK_H

#include <berth/loop.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct berth__task {
    struct berth__task *next;
    berth_task run;
    void *user;
    bool embedded; /* its memory is somebody else's, who releases it in `run`; that is called also
                      when a copy of the loop is freed */
} berth__task;

typedef struct berth__awaited {
    berth__task end;
    berth_loop *loop;
    struct berth__awaited *next;
    struct berth__awaited **link; /* NULL: it is not open */
    /* Under the loop's lock: takes it from those that have not begun; false if it has. */
    bool (*withdraw)(struct berth__awaited *awaited);
    bool cancelled; /* to be read by its end */
} berth__awaited;

/* Run the tasks there are, at most so many. Return whether there was one. */
void berth__tasks_run(berth_loop *loop, size_t most);
bool berth__tasks_run_waiting(berth_loop *loop);

/* Has the loop await it, or no longer, as if it never had. `end` is set by berth__await except for
 * its function. Any thread. */
void berth__await(berth_loop *loop, berth__awaited *awaited);
void berth__await_not(berth__awaited *awaited);

/* Posts its end. Any thread; afterwards neither it nor the loop may be touched. */
void berth__awaited_end(berth__awaited *awaited);

/* Withdraws it and posts its end; false if it has begun or is not open. Any thread. */
bool berth__awaited_cancel(berth__awaited *awaited);

/* Withdraws all that have not begun; in a copy of the loop by fork: all. */
void berth__awaited_give_up(berth_loop *loop);

/* How many are open. */
size_t berth__awaited_count(berth_loop *loop);

/* Turns the loop until none is open and their ends have been run. */
void berth__awaited_settle(berth_loop *loop);

/* In a child that has taken over the loop: posts the ends of all as cancelled. */
void berth__awaited_renew(berth_loop *loop);

#endif
