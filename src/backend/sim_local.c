/*
 * Unix-domain sockets in the simulated kernel: names, a file system that holds nothing else, and
 * the operations of the contract on them.
 *
 * A name is that of a port, live or gone, or of a file of another kind that a test has put there.
 * A port is found by its name, and its connections are ends that are marked as local, for which
 * sim_transport.c moves bytes as Linux does: at once. Directories need not be made. Three are
 * special: nothing exists below /missing, nobody may write below /forbidden, and no file can be
 * made below /full.
 *
 * Whoever connects is of the process's own user, unless the test says another.
 *
 * Test builds only. A path of a test that is no name aborts the test.
 */
#include "sim_kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct berth__kernel_name {
    berth__kernel_name *next;
    berth__local_name name;
    berth__sim_file kind;
    berth__kernel_port *port; /* NULL: nobody listens any more */
    uint64_t inode;
    uint32_t mode;
    uint32_t group;
    bool locked; /* by another starter */
};

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_same(const berth__local_name *a, const berth__local_name *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static berth__kernel_name *find(const berth__kernel *kernel, const berth__local_name *name)
{
    berth__kernel_name *each = kernel->names;
    while (each != NULL && !is_same(&each->name, name))
        each = each->next;
    return each;
}

static bool is_below(const berth__local_name *name, const char *directory)
{
    size_t size = strlen(directory);
    return name->size > size && memcmp(name->bytes, directory, size) == 0;
}

static berth__kernel_name *make(berth__kernel *kernel, const berth__local_name *name,
                                berth__sim_file kind)
{
    berth__kernel_name *made = berth__kernel_must(calloc(1, sizeof *made));
    made->name = *name;
    made->kind = kind;
    made->inode = ++kernel->inodes;
    made->mode = 0755;
    made->next = kernel->names;
    kernel->names = made;
    return made;
}

static void forget(berth__kernel *kernel, berth__kernel_name *gone)
{
    berth__kernel_name **link = &kernel->names;
    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
    if (gone->port != NULL)
        gone->port->name = NULL;
    free(gone);
}

void berth__kernel_port_closed(berth__kernel *kernel, berth__kernel_port *port)
{
    berth__kernel_name *name = port->name;
    if (name == NULL)
        return;
    name->port = NULL;
    if (berth__local_is_abstract(&name->name))
        forget(kernel, name);
}

void berth__kernel_forget_names(berth__kernel *kernel)
{
    while (kernel->names != NULL)
        forget(kernel, kernel->names);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static berth_credentials own_credentials(void)
{
    return (berth_credentials){
        .pid = (int32_t)getpid(), .uid = (uint32_t)getuid(), .gid = (uint32_t)getgid()};
}

static berth__sim_end *new_local_end(berth__kernel *kernel)
{
    berth__sim_end *end = berth__kernel_new_end(kernel);
    end->local = true;
    end->established = true;
    end->local_address.family = end->peer_address.family = BERTH_ADDRESS_FAMILY_LOCAL;
    end->peer_credentials = own_credentials();
    return end;
}

static berth__sim_end *join(berth__kernel *kernel, berth__sim_end *far)
{
    berth__sim_end *near = new_local_end(kernel);
    near->other = far;
    far->other = near;
    near->pair = far->pair = ++kernel->pairs;
    return near;
}

/* Returns an errno. */
static int connect_to(berth__kernel *kernel, const berth__local_name *name, uint32_t uid,
                      berth__sim_end **ret_end)
{
    const berth__kernel_name *found = find(kernel, name);
    bool path = !berth__local_is_abstract(name);
    if (found == NULL)
        return path ? ENOENT : ECONNREFUSED;
    if (found->port == NULL || found->port->shut)
        return ECONNREFUSED;
    if (!berth__kernel_has_room(found->port))
        return EAGAIN;
    berth__sim_end *far = new_local_end(kernel);
    far->peer_credentials.uid = uid;
    *ret_end = join(kernel, far);
    berth__kernel_enqueue(found->port, far);
    return 0;
}

int berth__sim_connect_local_stream(berth__backend *backend, berth__stream *stream,
                                    const berth__local_name *name, const berth__options *options)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__kernel_operate(kernel);
    if (berth__kernel_at_limit(kernel))
        return EMFILE;
    berth__sim_end *end = NULL;
    int error = connect_to(kernel, name, (uint32_t)getuid(), &end);
    if (error != 0)
        return error;
    berth__kernel_set_options(end, options);
    int descriptor = berth__kernel_open_entry(kernel, ENTRY_END);
    berth__kernel_entry_of(kernel, descriptor)->of.end = end;
    end->stream = stream;
    stream->own.connection = end;
    stream->descriptor = descriptor;
    stream->flags |= BERTH__SIM_CONNECTING;
    return 0;
}

/* ---- listening ------------------------------------------------------------------------------- */

static int bind_error(const berth__kernel *kernel, const berth__local_name *name)
{
    if (is_below(name, "/missing/"))
        return ENOENT;
    if (is_below(name, "/forbidden/"))
        return EACCES;
    if (find(kernel, name) != NULL)
        return EADDRINUSE;
    return is_below(name, "/full/") ? ENOSPC : 0;
}

/* A server that listens there sees the connection begin and end. Returns an errno. */
static int clear_place(berth__kernel *kernel, const berth__local_name *name,
                       berth__local_step *ret_step)
{
    berth__kernel_name *found = find(kernel, name);
    berth__sim_end *end = NULL;
    *ret_step = BERTH__LOCAL_PLACE;
    if (found->kind != BERTH__SIM_SOCKET)
        return EEXIST;
    *ret_step = BERTH__LOCAL_PROBE;
    int error = connect_to(kernel, name, (uint32_t)getuid(), &end);
    if (error == 0)
        berth__kernel_close_end(end, false);
    if (error != ECONNREFUSED)
        return error == 0 || error == EAGAIN ? EADDRINUSE : error;
    *ret_step = BERTH__LOCAL_REMOVE;
    forget(kernel, found);
    return 0;
}

static int bind_to(berth__kernel *kernel, const berth__local_listen *options,
                   berth__local_step *ret_step)
{
    const berth__local_name *name = &options->name;
    const berth__kernel_name *found = find(kernel, name);
    bool replaces = options->options.replace_stale && !berth__local_is_abstract(name);
    *ret_step = BERTH__LOCAL_LOCK;
    if (replaces && found != NULL && found->locked)
        return EWOULDBLOCK;
    *ret_step = BERTH__LOCAL_BIND;
    int error = bind_error(kernel, name);
    if (error != EADDRINUSE || !replaces)
        return error;
    error = clear_place(kernel, name, ret_step);
    if (error != 0)
        return error;
    *ret_step = BERTH__LOCAL_BIND;
    return bind_error(kernel, name);
}

static berth__kernel_port *open_port(berth__kernel *kernel, berth__kernel_name *name, int backlog)
{
    static const berth_address local = {.family = BERTH_ADDRESS_FAMILY_LOCAL};
    berth__kernel_port *port = berth__kernel_open_port(kernel, &local, 0, backlog);
    port->number = 0;
    port->name = name;
    name->port = port;
    return port;
}

int berth__sim_listen_local(berth__backend *backend, berth__listener *listener,
                            const berth__local_listen *options, berth__local_file *ret_file,
                            berth__local_step *ret_step)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__kernel_operate(kernel);
    *ret_file = (berth__local_file){0};
    *ret_step = BERTH__LOCAL_CREATE;
    if (berth__kernel_at_limit(kernel))
        return EMFILE;
    int error = bind_to(kernel, options, ret_step);
    if (error != 0)
        return error;
    berth__kernel_name *name = make(kernel, &options->name, BERTH__SIM_SOCKET);
    if (options->options.mode != 0)
        name->mode = options->options.mode & 0777;
    if (options->options.set_group)
        name->group = options->options.group;
    if (!berth__local_is_abstract(&options->name))
        *ret_file = (berth__local_file){.device = 1, .inode = name->inode};
    int descriptor = berth__kernel_open_entry(kernel, ENTRY_PORT);
    berth__kernel_port *port = open_port(kernel, name, options->backlog);
    berth__kernel_entry_of(kernel, descriptor)->of.port = port;
    port->listener = listener;
    listener->local = true;
    listener->descriptor = descriptor;
    listener->own = port;
    return 0;
}

void berth__sim_remove_local(berth__backend *backend, const berth__local_name *name,
                             const berth__local_file *file)
{
    berth__kernel_name *found = find(kernel_of(backend), name);
    if (found != NULL && found->kind == BERTH__SIM_SOCKET && found->inode == file->inode)
        forget(kernel_of(backend), found);
}

/* ---- questions ------------------------------------------------------------------------------- */

int berth__sim_local_name(berth__backend *backend, int descriptor, berth__local_name *ret_name)
{
    const berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    if (entry == NULL)
        return berth__kernel_not_ours(descriptor);
    *ret_name = (berth__local_name){0};
    if (entry->kind == ENTRY_PORT && entry->of.port->name != NULL)
        *ret_name = entry->of.port->name->name;
    return 0;
}

int berth__sim_credentials(berth__backend *backend, int descriptor,
                           berth_credentials *ret_credentials)
{
    const berth__sim_end *end = berth__sim_end_of(backend, descriptor);
    if (end == NULL || !end->local)
        return EOPNOTSUPP;
    *ret_credentials = end->peer_credentials;
    return 0;
}

/* ---- the test's hand ------------------------------------------------------------------------- */

static berth__local_name name_of(const char *path)
{
    berth__local_name name = {0};
    if (berth__local_name_read(path, &name) != 0)
        abort();
    return name;
}

berth__sim_end *berth__sim_connect_local(berth__backend *backend, const char *path, uint32_t uid,
                                         int *ret_error)
{
    berth__local_name name = name_of(path);
    berth__sim_end *end = NULL;
    *ret_error = connect_to(kernel_of(backend), &name, uid, &end);
    return end;
}

int berth__sim_open_local(berth__backend *backend, const char *path, int backlog)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__local_name name = name_of(path);
    int error = bind_error(kernel, &name);
    if (error == 0)
        open_port(kernel, make(kernel, &name, BERTH__SIM_SOCKET), backlog);
    return error;
}

berth__sim_end *berth__sim_accept_local(berth__backend *backend, const char *path)
{
    berth__local_name name = name_of(path);
    const berth__kernel_name *found = find(kernel_of(backend), &name);
    return found != NULL && found->port != NULL ? berth__kernel_dequeue(found->port) : NULL;
}

void berth__sim_unlisten_local(berth__backend *backend, const char *path)
{
    berth__local_name name = name_of(path);
    const berth__kernel_name *found = find(kernel_of(backend), &name);
    if (found != NULL && found->port != NULL && found->port->listener == NULL)
        berth__kernel_close_port(kernel_of(backend), found->port);
}

int berth__sim_local_listener_descriptor(berth__backend *backend, const char *path)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__local_name name = name_of(path);
    int descriptor = berth__kernel_open_entry(kernel, ENTRY_PORT);
    berth__kernel_name *made = make(kernel, &name, BERTH__SIM_SOCKET);
    berth__kernel_entry_of(kernel, descriptor)->of.port = open_port(kernel, made, 50);
    return descriptor;
}

berth__sim_end *berth__sim_local_pair(berth__backend *backend, int *ret_descriptor)
{
    berth__sim_end *far = new_local_end(kernel_of(backend));
    berth__sim_end *near = join(kernel_of(backend), far);
    *ret_descriptor = berth__sim_stream_descriptor(far);
    return near;
}

uint16_t berth__sim_pair(const berth__sim_end *end)
{
    return end->pair;
}

void berth__sim_put_file(berth__backend *backend, const char *path, berth__sim_file kind)
{
    berth__local_name name = name_of(path);
    berth__kernel_name *found = find(kernel_of(backend), &name);
    if (found != NULL)
        forget(kernel_of(backend), found);
    if (kind != BERTH__SIM_NOTHING)
        make(kernel_of(backend), &name, kind);
}

berth__sim_file berth__sim_file_at(berth__backend *backend, const char *path, uint32_t *ret_mode)
{
    berth__local_name name = name_of(path);
    const berth__kernel_name *found = find(kernel_of(backend), &name);
    if (found != NULL && ret_mode != NULL)
        *ret_mode = found->mode;
    return found != NULL ? found->kind : BERTH__SIM_NOTHING;
}

void berth__sim_lock_file(berth__backend *backend, const char *path)
{
    berth__local_name name = name_of(path);
    berth__kernel_name *found = find(kernel_of(backend), &name);
    if (found != NULL)
        found->locked = true;
}
