/*
 * Proxies as values: copies, the proxy of the process, and the choice.
 *
 * Texts are bounded, so that a copy is one piece of memory of a fixed size: whoever reads the proxy
 * of the process while another thread sets it gets a whole one, without a count of references. The
 * lock is held for the length of a copy, and fork waits for it. Apart from the thread's own loop
 * and the allocator this is the one thing that belongs to the process, as it does in Qt.
 *
 * Nothing here fails but for a text that is too long, a type that is none, and memory.
 */
#include "proxy.h"

#include "base/memory.h"
#include "base/text.h"
#include "loop/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static berth__proxy application;
static atomic_bool has_application; /* so that nobody takes the lock where there is none */

static bool is_proxy(berth_proxy_type type)
{
    return type == BERTH_PROXY_SOCKS5 || type == BERTH_PROXY_HTTP;
}

unsigned berth_proxy_capabilities(berth_proxy_type type)
{
    switch (type) {
    case BERTH_PROXY_DEFAULT:
    case BERTH_PROXY_NONE:
        return BERTH_PROXY_CAN_CONNECT | BERTH_PROXY_CAN_LISTEN;
    case BERTH_PROXY_SOCKS5:
        return BERTH_PROXY_CAN_CONNECT | BERTH_PROXY_CAN_LISTEN | BERTH_PROXY_CAN_LOOK_UP_NAMES;
    case BERTH_PROXY_HTTP:
        return BERTH_PROXY_CAN_CONNECT | BERTH_PROXY_CAN_LOOK_UP_NAMES;
    default:
        return 0;
    }
}

/* ---- copies ---------------------------------------------------------------------------------- */

static bool copy_text(char *copy, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;
    if (length > BERTH_PROXY_MOST_TEXT)
        return false;
    if (length > 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return true;
}

/* Makes the strings of a value those of its copy. */
static void point(berth_proxy *value, const berth_proxy_texts *texts)
{
    value->host = texts->host;
    value->user = texts->user;
    value->password = texts->password;
}

int berth__proxy_copy(berth__proxy *copy, const berth_proxy *proxy)
{
    berth_proxy none = {0};
    if (proxy == NULL)
        proxy = &none;
    if (berth_proxy_capabilities(proxy->type) == 0 || !copy_text(copy->texts.host, proxy->host) ||
        !copy_text(copy->texts.user, proxy->user) ||
        !copy_text(copy->texts.password, proxy->password))
        return EINVAL;
    copy->value = *proxy;
    point(&copy->value, &copy->texts);
    return 0;
}

int berth__proxy_keep(const berth_proxy *proxy, berth__proxy **ret_copy)
{
    *ret_copy = NULL;
    if (proxy == NULL || proxy->type == BERTH_PROXY_DEFAULT)
        return 0;
    berth__proxy *copy = berth__allocate(sizeof *copy);
    int error = copy != NULL ? berth__proxy_copy(copy, proxy) : ENOMEM;
    if (error == 0)
        *ret_copy = copy;
    else
        berth__release(copy);
    return error;
}

/* ---- the proxy of the process ---------------------------------------------------------------- */

bool berth_proxy_set_application(const berth_proxy *proxy)
{
    berth__proxy copy;
    if (berth__proxy_copy(&copy, proxy) != 0)
        return false;
    berth__process_guard(&lock);
    pthread_mutex_lock(&lock);
    application = copy;
    atomic_store(&has_application, is_proxy(copy.value.type));
    pthread_mutex_unlock(&lock);
    return true;
}

/* Whether there is one. */
static bool read_application(berth__proxy *ret_proxy)
{
    if (!atomic_load(&has_application))
        return false;
    pthread_mutex_lock(&lock);
    *ret_proxy = application;
    pthread_mutex_unlock(&lock);
    point(&ret_proxy->value, &ret_proxy->texts);
    return is_proxy(ret_proxy->value.type);
}

berth_proxy berth_proxy_application(berth_proxy_texts *ret_texts)
{
    berth__proxy proxy;
    berth_proxy value = {.type = BERTH_PROXY_NONE};
    bool there = read_application(&proxy);
    if (there) {
        value.type = proxy.value.type;
        value.port = proxy.value.port;
    }
    if (ret_texts != NULL) {
        memset(ret_texts, 0, sizeof *ret_texts);
        if (there)
            *ret_texts = proxy.texts;
        point(&value, ret_texts);
    }
    return value;
}

/* ---- the choice ------------------------------------------------------------------------------ */

static bool use(const berth__proxy *proxy, berth__proxy *ret_proxy)
{
    *ret_proxy = *proxy;
    point(&ret_proxy->value, &ret_proxy->texts);
    return is_proxy(proxy->value.type);
}

bool berth__proxy_for_server(const berth__proxy *own, berth_address address,
                             berth__proxy *ret_proxy)
{
    if (berth_address_is_loopback(address))
        return false;
    return own != NULL ? use(own, ret_proxy) : read_application(ret_proxy);
}

static bool is_local(const char *name, berth_address address)
{
    if (name == NULL)
        return berth_address_is_loopback(address);
    return strcmp(name, "localhost") == 0 || strncmp(name, "localhost.", 10) == 0;
}

bool berth__proxy_for_socket(const berth__proxy *own, const char *name, berth_address address,
                             berth__proxy *ret_proxy)
{
    if (own != NULL)
        return use(own, ret_proxy);
    return !is_local(name, address) && read_application(ret_proxy);
}

const char *berth__proxy_describe(const berth_proxy *proxy, char *text, size_t size)
{
    char host[BERTH_PROXY_MOST_TEXT + 1];
    snprintf(text, size, "%s proxy %s:%u", proxy->type == BERTH_PROXY_HTTP ? "HTTP" : "SOCKS5",
             berth__escape(proxy->host, host, sizeof host), (unsigned)proxy->port);
    return text;
}
