/*
 * The configurations of a server that encrypts, and its limits on those who are not there yet.
 *
 * A configuration is counted and never changed, so that setting another one is all there is to a
 * new certificate: a connection holds that with which its handshake began. The configuration of a
 * server that is told not to encrypt any more stays until the last connection has gone that was
 * accepted before and has not begun its handshake.
 *
 * Hosts are in an array in the order of their names, which is searched by halves: first for the
 * name, then for it with its first label replaced by a star. Only memory can be lacking.
 */
#include <berth/tls.h>

#include "base/idn.h"
#include "base/memory.h"
#include "base/system_error.h"
#include "base/text.h"
#include "greeting.h"
#include "handshake/client_hello.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Static_assert(BERTH__MOST_PROTOCOLS == BERTH_TLS_MOST_PROTOCOLS, "the bound that is documented");

/* ---- life ------------------------------------------------------------------------------------ */

berth__greeter *berth__server_greeter(berth_server *server)
{
    if (server->greeter != NULL)
        return server->greeter;
    berth__greeter *greeter = berth__allocate_zero(sizeof *greeter);
    if (greeter == NULL || !berth__deadlines_reserve(&server->object.loop->deadlines)) {
        berth__release(greeter);
        return NULL;
    }
    greeter->server = server;
    berth__loop_time_begin(server->object.loop);
    berth__greeter_init(greeter);
    server->greeter = greeter;
    return greeter;
}

void berth__server_end_greeting(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    if (greeter == NULL)
        return;
    assert(greeter->guests.first == NULL && greeter->held.first == NULL &&
           greeter->handshakes == NULL);
    server->greeter = NULL;
    berth__deadline_stop(&server->object.loop->deadlines, &greeter->deadline);
    berth__deadlines_unreserve(&server->object.loop->deadlines);
    berth__loop_time_end(server->object.loop);
    for (size_t i = 0; i < greeter->host_count; i++) {
        berth__release(greeter->hosts[i].name);
        berth_tls_release(greeter->hosts[i].tls);
    }
    berth__release(greeter->hosts);
    berth_tls_release(greeter->tls);
    berth__release(greeter);
}

void berth__greeter_forget(berth__greeter *greeter)
{
    if (greeter->encrypts || greeter->server->greeting > 0)
        return;
    berth_tls *tls = greeter->tls;
    greeter->tls = NULL;
    berth_tls_release(tls);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* Where a name is, or would be. */
static size_t place_of(const berth__greeter *greeter, const char *name, bool *ret_found)
{
    size_t low = 0;
    size_t high = greeter->host_count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(greeter->hosts[middle].name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

berth_tls *berth__greeter_find(const berth__greeter *greeter, const char *name)
{
    bool found;
    size_t place = place_of(greeter, name, &found);
    const char *dot = found ? NULL : strchr(name, '.');
    if (dot != NULL) {
        char wild[BERTH__SERVER_NAME_SIZE + 1] = "*";
        memcpy(wild + 1, dot, strlen(dot) + 1);
        place = place_of(greeter, wild, &found);
    }
    return found ? greeter->hosts[place].tls : greeter->tls;
}

/* The name of a host as it is kept; false if it is invalid. */
static bool read_host(const char *name, char ret_name[BERTH__SERVER_NAME_SIZE + 2])
{
    char place[BERTH__ASCII_NAME_SIZE];
    size_t star = name[0] == '*' && name[1] == '.' ? 2 : 0;
    memcpy(ret_name, name, star);
    const char *ascii = berth__ascii_name(name + star, place);
    size_t size = strlen(ascii);
    return size > 0 && ascii[size - 1] != '.' &&
           berth__server_name_read(ascii, size, ret_name + star);
}

static void remove_host(berth__greeter *greeter, size_t place)
{
    berth__tls_host *host = &greeter->hosts[place];
    berth__release(host->name);
    berth_tls_release(host->tls);
    greeter->host_count--;
    memmove(host, host + 1, (greeter->host_count - place) * sizeof *host);
}

/* False when out of memory. */
static bool add_host(berth__greeter *greeter, size_t place, const char *name, berth_tls *tls)
{
    char *copy = berth__copy_text(name);
    size_t count = greeter->host_count;
    berth__tls_host *hosts = copy != NULL ? berth__allocate((count + 1) * sizeof *hosts) : NULL;
    if (hosts == NULL) {
        berth__release(copy);
        return false;
    }
    if (count > 0) {
        memcpy(hosts, greeter->hosts, place * sizeof *hosts);
        memcpy(hosts + place + 1, greeter->hosts + place, (count - place) * sizeof *hosts);
    }
    hosts[place] = (berth__tls_host){.name = copy, .tls = berth_tls_hold(tls)};
    berth__release(greeter->hosts);
    greeter->hosts = hosts;
    greeter->host_count++;
    return true;
}

void berth__server_explain(berth_server *server, const berth_tls_failure *failure)
{
    char origin[BERTH__SERVER_ORIGIN_SIZE];
    berth__server_set_error(server, failure->error, "cannot accept an encrypted connection %s: %s",
                            berth__server_origin(server, failure->peer, failure->peer_port, origin),
                            failure->text);
}

/* ---- configurations -------------------------------------------------------------------------- */

static bool refuse(berth_server *server, berth_error class, const char *why)
{
    berth__server_set_error(server, class, "cannot set a TLS configuration: %s", why);
    return false;
}

/* What a call needs beside its own values; sets the error. */
static berth__greeter *may_set(berth_server *server, const berth_tls *tls)
{
    berth__greeter *greeter = NULL;
    if (tls != NULL && !tls->server)
        (void)refuse(server, BERTH_ERROR_OPERATION, "it is one for clients");
    else if ((greeter = berth__server_greeter(server)) == NULL)
        (void)refuse(server, BERTH_ERROR_SOCKET_RESOURCE, berth__reason_of(ENOMEM));
    return greeter;
}

bool berth_server_set_tls(berth_server *server, berth_tls *tls)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return false;
    if (tls == NULL && server->greeter == NULL)
        return true;
    berth__greeter *greeter = may_set(server, tls);
    if (greeter == NULL)
        return false;
    greeter->encrypts = tls != NULL;
    if (tls != NULL) {
        berth_tls *former = greeter->tls;
        greeter->tls = berth_tls_hold(tls);
        berth_tls_release(former);
    }
    berth__greeter_forget(greeter);
    berth__server_pace(server);
    return true;
}

berth_tls *berth_server_tls(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return berth__server_encrypts(server) ? server->greeter->tls : NULL;
}

bool berth_server_set_tls_host(berth_server *server, const char *name, berth_tls *tls)
{
    BERTH__OWN_THREAD(server->object.loop);
    char kept[BERTH__SERVER_NAME_SIZE + 2];
    bool found;
    if (server->object.freed)
        return false;
    if (name == NULL)
        return refuse(server, BERTH_ERROR_OPERATION, "the name of the host is missing");
    if (!read_host(name, kept)) {
        char why[BERTH__SERVER_NAME_SIZE];
        char shown[sizeof why - sizeof "the name of the host \"\" is invalid"];
        (void)snprintf(why, sizeof why, "the name of the host \"%s\" is invalid",
                       berth__escape(name, shown, sizeof shown));
        return refuse(server, BERTH_ERROR_OPERATION, why);
    }
    if (tls == NULL && server->greeter == NULL)
        return true;
    berth__greeter *greeter = may_set(server, tls);
    if (greeter == NULL)
        return false;
    size_t place = place_of(greeter, kept, &found);
    if (tls != NULL && found) {
        berth_tls *former = greeter->hosts[place].tls;
        greeter->hosts[place].tls = berth_tls_hold(tls);
        berth_tls_release(former);
    } else if (tls != NULL && !add_host(greeter, place, kept, tls)) {
        return refuse(server, BERTH_ERROR_SOCKET_RESOURCE, berth__reason_of(ENOMEM));
    } else if (tls == NULL && found) {
        remove_host(greeter, place);
    }
    return true;
}

berth_tls *berth_server_base_client_hello(const berth_server *server, const berth_tls_hello *hello)
{
    BERTH__OWN_THREAD(server->object.loop);
    char name[BERTH__SERVER_NAME_SIZE];
    const berth__greeter *greeter = server->greeter;
    if (server->object.freed || greeter == NULL || greeter->tls == NULL)
        return NULL;
    const char *asked = hello->server_name != NULL ? hello->server_name : "";
    bool valid = berth__server_name_read(asked, strlen(asked), name);
    return valid ? berth__greeter_find(greeter, name) : greeter->tls;
}

/* ---- limits ---------------------------------------------------------------------------------- */

uint32_t berth_server_handshake_timeout(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->handshake_timeout;
}

void berth_server_set_handshake_timeout(berth_server *server, uint32_t milliseconds)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return;
    server->handshake_timeout = milliseconds > 0 ? milliseconds : BERTH_DEFAULT_HANDSHAKE_TIMEOUT;
    berth__server_hurry_greetings(
        server, berth__after(berth__loop_clock(server->object.loop), server->handshake_timeout));
}

int berth_server_max_handshakes(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->max_handshakes;
}

void berth_server_set_max_handshakes(berth_server *server, int limit)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->max_handshakes = limit > 0 ? limit : 1;
    berth__server_pace(server);
}

int berth_server_max_greetings(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->max_greetings;
}

void berth_server_set_max_greetings(berth_server *server, int limit)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return;
    server->max_greetings = limit > 0 ? limit : 1;
    if (server->greeting > (size_t)server->max_greetings)
        berth__server_cut_silent(server, server->greeting - (size_t)server->max_greetings);
    berth__server_pace(server);
}
