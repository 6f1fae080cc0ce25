/*
 * Listening on a Unix socket: the path, and its file.
 *
 * The server keeps the path while it listens, whether the listener was made here or adopted. When
 * it stops listening, it removes the file if it has made it and the file is still the same. The
 * file stays if the program wants it kept. It also stays if a successor has the listener, or in a
 * child of the process that made it, since others may go on listening. The file is removed before
 * the listener is closed: until then nobody else takes the path, and the file system does not reuse
 * the inode number.
 *
 * If a step of listening fails, nothing stays open and no file is left. Class and text are stored.
 */
#include "server.h"

#include "base/local_name.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/system_error.h"
#include "base/text.h"
#include "loop/loop.h"
#include "loop/process.h"
#include "proxy/proxy.h"

#include <berth/local.h>

#include <errno.h>
#include <stdio.h>

enum {
    MOST_MODE = 0777
};

struct berth__local {
    berth__local_name name;
    berth__local_file file; /* none: not to be removed */
    unsigned forks;         /* of the process that made it; see process.h */
    char text[BERTH__LOCAL_TEXT_SIZE];
};

const char *berth__server_place(const berth_server *server, char text[BERTH__SERVER_PLACE_SIZE])
{
    _Static_assert((int)BERTH__SERVER_PLACE_SIZE >= BERTH_ENDPOINT_TEXT_SIZE, "it holds both");
    if (server->local != NULL && server->local->text[0] != '\0')
        return berth__escape(server->local->text, text, BERTH__SERVER_PLACE_SIZE);
    return berth_endpoint_format(server->address, server->port, text, BERTH__SERVER_PLACE_SIZE);
}

const char *berth__server_origin(const berth_server *server, berth_address peer, uint16_t port,
                                 char text[BERTH__SERVER_ORIGIN_SIZE])
{
    char name[BERTH__SERVER_PLACE_SIZE];
    bool named = !berth_address_is_null(peer) && peer.family != BERTH_ADDRESS_FAMILY_LOCAL;
    if (named)
        berth_endpoint_format(peer, port, name, sizeof name);
    if (named || berth_server_is_listening(server))
        (void)snprintf(text, BERTH__SERVER_ORIGIN_SIZE, "%s %s", named ? "from" : "on",
                       named ? name : berth__server_place(server, name));
    else
        (void)snprintf(text, BERTH__SERVER_ORIGIN_SIZE, "of a server that does not listen");
    return text;
}

void berth__server_explain_accepted(berth_server *server, const char *what, int descriptor,
                                    const berth__accepted *accepted, int error)
{
    char origin[BERTH__SERVER_ORIGIN_SIZE];
    berth_address peer;
    uint16_t port;
    berth__server_peer_of(server, descriptor, &peer, &port);
    if (accepted != NULL && !berth_address_is_null(accepted->peer)) {
        peer = accepted->peer;
        port = accepted->peer_port;
    }
    berth__server_set_error(server, berth__class_of(error), "cannot %s a connection %s: %s", what,
                            berth__server_origin(server, peer, port, origin),
                            berth__reason_of(error));
}

void berth__server_peer_of(const berth_server *server, int descriptor, berth_address *ret_address,
                           uint16_t *ret_port)
{
    berth__backend *backend = server->object.loop->backend;
    if (backend->operations->name_of(backend, descriptor, BERTH__PEER, ret_address, ret_port) == 0)
        return;
    *ret_address = berth_address_special(BERTH_SPECIAL_NULL);
    *ret_port = 0;
}

const char *berth_server_local_path(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->local != NULL ? server->local->text : "";
}

/* ---- the end --------------------------------------------------------------------------------- */

void berth__server_end_local(berth_server *server)
{
    berth__backend *backend = server->object.loop->backend;
    berth__local *local = server->local;
    server->local = NULL;
    if (local->file.inode != 0 && atomic_load(&server->succession) == BERTH__LISTENERS_OWN &&
        local->forks == berth__process_forks())
        backend->operations->remove_local(backend, &local->name, &local->file);
    berth__release(local);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* Without memory the server has no path, and listens all the same. */
void berth__server_note_local(berth_server *server)
{
    berth__backend *backend = server->object.loop->backend;
    berth__local *local = berth__allocate_zero(sizeof *local);
    if (local == NULL)
        return;
    (void)backend->operations->local_name(backend, server->listener->descriptor, &local->name);
    (void)berth__local_name_write(&local->name, local->text);
    server->local = local;
}

/* Where an errno of a step means more than elsewhere; else NULL. */
static const char *reason_of_step(int error, berth__local_step step, bool abstract)
{
    switch (step) {
    case BERTH__LOCAL_LOCK:
        return error == EWOULDBLOCK                ? "another server is being started there"
               : error == EEXIST || error == ENXIO ? "its lock file is not a plain file"
                                                   : NULL;
    case BERTH__LOCAL_BIND:
        return error == EADDRINUSE && !abstract ? "a file already exists there" : NULL;
    case BERTH__LOCAL_PLACE:
        return error == EEXIST ? "the file there is not a socket" : NULL;
    case BERTH__LOCAL_PROBE:
        return error == EADDRINUSE ? "a server is listening there" : NULL;
    case BERTH__LOCAL_REMOVE:
        return error == EADDRINUSE ? "another server was started there meanwhile" : NULL;
    default:
        return NULL;
    }
}

static const char *tried(berth__local_step step)
{
    switch (step) {
    case BERTH__LOCAL_LOCK:
        return "cannot lock its lock file: ";
    case BERTH__LOCAL_PLACE:
        return "cannot look at its file: ";
    case BERTH__LOCAL_PROBE:
        return "cannot find out whether a server listens there: ";
    case BERTH__LOCAL_REMOVE:
        return "cannot remove the socket of a server that has ended: ";
    case BERTH__LOCAL_GROUP:
        return "cannot set its group: ";
    case BERTH__LOCAL_MODE:
        return "cannot set its permissions: ";
    default:
        return "";
    }
}

static void explain(berth_server *server, const char *place, int error, berth__local_step step)
{
    const char *reason = reason_of_step(error, step, place[0] == '@');
    if (reason != NULL)
        berth__server_set_error(server, BERTH_ERROR_ADDRESS_IN_USE, "cannot listen on %s: %s",
                                place, reason);
    else
        berth__server_set_error(server, berth__local_class_of(error), "cannot listen on %s: %s%s",
                                place, tried(step), berth__local_reason_of(error));
}

/* What can be refused without the kernel; sets the error. */
static bool may_listen(berth_server *server, const char *path, const char *place,
                       berth__local_name *ret_name)
{
    berth_error class = BERTH_ERROR_OPERATION;
    bool drained = berth__drain_forbids(server);
    const char *reason = drained ? "the server is being drained" : "already listening";
    if (!drained && server->listener == NULL && server->bind == NULL) {
        int error = berth__local_name_read(path, ret_name);
        bool proxied = server->proxy != NULL && server->proxy->value.type != BERTH_PROXY_NONE;
        if (error == 0 && !proxied)
            return true;
        class = error != 0 ? berth__local_class_of(error) : BERTH_ERROR_UNSUPPORTED_OPERATION;
        reason = error != 0 ? berth__local_reason_of(error) : "no proxy listens on a Unix socket";
    }
    berth__server_set_error(server, class, "cannot listen on %s: %s", place, reason);
    return false;
}

/* Returns an errno. */
static int open_listener(berth_server *server, const berth__local_listen *how, berth__local *local,
                         berth__local_step *ret_step)
{
    berth__backend *backend = server->object.loop->backend;
    berth__listener *listener = local != NULL ? berth__server_new_listener(server) : NULL;
    int error = ENOMEM;
    if (listener != NULL)
        error = backend->operations->listen_local(backend, listener, how, &local->file, ret_step);
    if (error != 0) {
        berth__release(listener);
        return error;
    }
    if (how->options.keep_file)
        local->file = (berth__local_file){0};
    local->name = how->name;
    local->forks = berth__process_forks();
    (void)berth__local_name_write(&local->name, local->text);
    server->local = local;
    server->address = (berth_address){.family = BERTH_ADDRESS_FAMILY_LOCAL};
    server->port = 0;
    berth__server_begin(server, listener);
    return 0;
}

bool berth_server_listen_local_sized(berth_server *server, const char *path,
                                     const berth_local_options *options, size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    char place[BERTH__LOCAL_ESCAPED_SIZE];
    berth__local_listen how = {.backlog = server->backlog};
    if (path == NULL)
        path = "";
    (void)berth__escape(path[0] != '\0' ? path : "a Unix socket", place, sizeof place);
    if (server->object.freed || berth__server_is_copy(server, "listen") ||
        !may_listen(server, path, place, &how.name))
        return false;
    berth__sized_get(&how.options, sizeof how.options, options, size);
    if (how.options.mode > MOST_MODE && !berth__local_is_abstract(&how.name)) {
        berth__server_set_error(server, BERTH_ERROR_UNSUPPORTED_OPERATION,
                                "cannot listen on %s: a mode of 0%o is more than 0777", place,
                                (unsigned)how.options.mode);
        return false;
    }
    berth__local *local = berth__allocate_zero(sizeof *local);
    berth__local_step step = BERTH__LOCAL_CREATE;
    int error = open_listener(server, &how, local, &step);
    if (error == 0)
        return true;
    berth__release(local);
    explain(server, place, error, step);
    return false;
}
