/*
 * HTTP GET: see http.h.
 *
 * The normal course: connect by name, with https also shake hands, write the request, collect the
 * answer (http_answer.h), and call the handler when it is complete or the connection has ended. A
 * redirect begins anew with another URL. Whatever fails ends in `finish` with a line that says what
 * was tried.
 */
#include "http.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_answer.h"

#define MOST_REDIRECTS 3
#define MOST_URL 8000

typedef struct url {
    char host[256];
    uint16_t port;
    const char *path; /* with the query; "" for "/" */
    char user[256];   /* USER:PASSWORD, decoded; "" for none */
    bool encrypted;   /* https */
} url;

struct http_get {
    berth_loop *loop;
    berth_socket *socket;
    berth_timer *timer;
    http_handler handler;
    void *user;
    route *way;
    char *user_agent;
    char *text; /* the URL */
    url url;
    int redirects;
    bool beginning; /* to connect: a failure is put off until the loop's next turn */
    bool ended;
    char early[512]; /* what went wrong while beginning; "" for nothing */
    berth_address local;
    http_answer answer;
};

static bool begin(http_get *self, char *text, char *error, size_t error_size);

/* ---- URLs ------------------------------------------------------------------------------------ */

static bool parse_port(const char *text, size_t size, uint16_t *ret_port)
{
    uint32_t port = 0;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]) || port > 65535)
            return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return size > 0 && port > 0 && port <= 65535;
}

static bool keep(char *to, size_t room, const char *text, size_t size)
{
    if (size >= room)
        return false;
    memcpy(to, text, size);
    to[size] = '\0';
    return true;
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter = (char)tolower((unsigned char)letter);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Decodes USER[:PASSWORD]; the colon is always there afterwards. */
static bool keep_user(char *to, size_t room, const char *text, size_t size)
{
    size_t used = 0;
    bool colon = false;
    for (size_t i = 0; i < size; i++) {
        int byte = (unsigned char)text[i];
        colon |= byte == ':';
        if (byte == '%') {
            int high = i + 2 < size ? digit_of(text[i + 1]) : -1;
            int low = high >= 0 ? digit_of(text[i + 2]) : -1;
            byte = low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (byte == 0 || used + 2 >= room)
            return false;
        to[used++] = (char)byte;
    }
    if (!colon)
        to[used++] = ':';
    to[used] = '\0';
    return true;
}

static bool is_http(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0;
}

static bool is_https(const char *text)
{
    return strncasecmp(text, "https://", 8) == 0;
}

/* Those of HTTP_SCHEMES. */
static bool is_supported(const char *text)
{
#ifdef WITHOUT_TLS
    return is_http(text);
#else
    return is_http(text) || is_https(text);
#endif
}

/* False if it is malformed. `path` points into the text. */
static bool parse_url(url *self, const char *text)
{
    *self = (url){.port = is_https(text) ? 443 : 80, .encrypted = is_https(text)};
    if (strlen(text) > MOST_URL)
        return false;
    for (const char *at = text; *at; at++) /* nothing that could be a header of its own */
        if ((unsigned char)*at <= ' ' || *at == 127)
            return false;
    text += self->encrypted ? strlen("https://") : strlen("http://");
    size_t size = strcspn(text, "/?#");
    self->path = text + size;
    const char *at_sign = memchr(text, '@', size);
    if (at_sign) {
        size_t length = (size_t)(at_sign - text);
        if (!keep_user(self->user, sizeof(self->user), text, length))
            return false;
        text += length + 1;
        size -= length + 1;
    }
    const char *end = text[0] == '[' ? memchr(text, ']', size) : NULL;
    if (text[0] == '[') {
        if (!end || !keep(self->host, sizeof(self->host), text + 1, (size_t)(end - text) - 1))
            return false;
        size_t length = (size_t)(end - text) + 1;
        text += length;
        size -= length;
    } else {
        size_t length = 0;
        while (length < size && text[length] != ':')
            length++;
        if (!keep(self->host, sizeof(self->host), text, length))
            return false;
        text += length;
        size -= length;
    }
    return self->host[0] != '\0' &&
           (size == 0 || (text[0] == ':' && parse_port(text + 1, size - 1, &self->port)));
}

/* ---- the end --------------------------------------------------------------------------------- */

static void finish(http_get *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `format` is NULL on success. */
static void finish(http_get *self, const char *format, ...)
{
    char error[sizeof(self->early)];
    va_list arguments;
    if (self->ended)
        return;
    if (self->beginning) {
        assert(format); /* nothing succeeds so early */
        va_start(arguments, format);
        vsnprintf(self->early, sizeof(self->early), format, arguments);
        va_end(arguments);
        berth_timer_start(self->timer, 0, 0);
        return;
    }
    self->ended = true;
    berth_timer_stop(self->timer);
    berth_socket_free(self->socket);
    self->socket = NULL;
    if (!format) {
        static const char nothing[] = "";
        self->handler(self, self->user,
                      self->answer.body ? (const void *)self->answer.body : nothing,
                      self->answer.size, NULL);
        return;
    }
    va_start(arguments, format);
    vsnprintf(error, sizeof(error), format, arguments);
    va_end(arguments);
    self->handler(self, self->user, NULL, 0, error);
}

/* The URL that a redirect leads to, from malloc: a whole one, or one without what it has in common
 * with the present one. NULL when out of memory. */
static char *resolve(const http_get *self, const char *location)
{
    size_t kept = 0;
    if (location[0] == '/' && location[1] == '/')
        kept = strcspn(self->text, ":") + 1;
    else if (location[0] == '/')
        kept = (size_t)(self->url.path - self->text);
    size_t room = kept + strlen(location) + 1;
    char *text = malloc(room);
    if (text)
        snprintf(text, room, "%.*s%s", (int)kept, self->text, location);
    return text;
}

static void redirect(http_get *self)
{
    char error[320];
    const char *location = self->answer.location;
    if (!location) {
        finish(self, "%s answered with a redirect to nowhere", self->url.host);
        return;
    }
    if (++self->redirects > MOST_REDIRECTS) {
        finish(self, "%s redirects too often", self->url.host);
        return;
    }
    if (location[0] != '/' && !is_supported(location)) {
        finish(self, "%s redirects to something that is not supported, " HTTP_SCHEMES,
               self->url.host);
        return;
    }
    if (self->url.encrypted && is_http(location)) {
        finish(self, "%s redirects from https to http, which is refused", self->url.host);
        return;
    }
    char *text = resolve(self, location);
    berth_socket_free(self->socket);
    self->socket = NULL;
    if (!text)
        finish(self, "out of memory");
    else if (!begin(self, text, error, sizeof(error)))
        finish(self, "%s", error);
}

static void evaluate(http_get *self)
{
    int status = self->answer.status;
    if (self->answer.state == HTTP_BROKEN)
        finish(self, "%s: %s", self->url.host, self->answer.why);
    else if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        redirect(self);
    else if (status != 200)
        finish(self, "%s answered with status %d", self->url.host, status);
    else
        finish(self, NULL);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void write_base64(char *to, const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)text[i] << 16;
        bits |= i + 1 < size ? (uint32_t)(unsigned char)text[i + 1] << 8 : 0;
        bits |= i + 2 < size ? (uint32_t)(unsigned char)text[i + 2] : 0;
        *to++ = letters[bits >> 18];
        *to++ = letters[bits >> 12 & 63];
        *to++ = '=';
        to[-1] = i + 1 < size ? letters[bits >> 6 & 63] : '=';
        *to++ = i + 2 < size ? letters[bits & 63] : '=';
    }
    *to = '\0';
}

static void ask(berth_socket *socket, void *user)
{
    http_get *self = user;
    char request[MOST_URL + 1024];
    char credentials[sizeof(self->url.user) * 2];
    bool ipv6 = strchr(self->url.host, ':') != NULL;
    self->local = berth_socket_local_address(socket);
    size_t path = strcspn(self->url.path, "#");
    int size =
        snprintf(request, sizeof(request),
                 "GET %s%.*s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: %s\r\n"
                 "Accept: */*\r\nConnection: close\r\n",
                 self->url.path[0] == '/' ? "" : "/", (int)path, self->url.path, ipv6 ? "[" : "",
                 self->url.host, ipv6 ? "]" : "", self->url.port, self->user_agent);
    berth_socket_write(socket, request, (size_t)size);
    if (self->url.user[0]) {
        write_base64(credentials, self->url.user);
        size = snprintf(request, sizeof(request), "Authorization: Basic %s\r\n", credentials);
        berth_socket_write(socket, request, (size_t)size);
    }
    berth_socket_write(socket, "\r\n", 2);
}

static void on_connected(berth_socket *socket, void *user)
{
    const http_get *self = user;
    if (!self->url.encrypted)
        ask(socket, user);
}

static void on_ready_read(berth_socket *socket, void *user)
{
    http_get *self = user;
    const void *data;
    size_t size;
    while ((data = berth_socket_view(socket, &size))) {
        http_answer_take(&self->answer, data, size);
        berth_socket_skip(socket, size);
    }
    if (self->answer.state == HTTP_DONE || self->answer.state == HTTP_BROKEN)
        evaluate(self);
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    http_get *self = user;
    /* Also without an end of TLS, which many forget: a dictionary that was cut is none. */
    if (error == BERTH_ERROR_REMOTE_HOST_CLOSED && !berth_socket_was_reset(socket)) {
        http_answer_end(&self->answer);
        evaluate(self);
        return;
    }
    finish(self, "%s", berth_socket_error_string(socket));
}

static void on_time(berth_timer *timer, void *user)
{
    http_get *self = user;
    (void)timer;
    if (self->early[0])
        finish(self, "%s", self->early);
    else
        finish(self, "%s did not answer within %d s", self->url.host, HTTP_TIME / 1000);
}

static const berth_socket_handlers handlers = {
    .connected = on_connected,
    .encrypted = ask,
    .ready_read = on_ready_read,
    .error_occurred = on_error,
};

berth_address http_get_local_address(const http_get *self)
{
    return self->local;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Takes over `text`, in any case. */
static bool begin(http_get *self, char *text, char *error, size_t error_size)
{
    url parsed;
    char why[ROUTE_TEXT_SIZE];
    bool supported = is_supported(text);
    if (!supported || !parse_url(&parsed, text)) {
        snprintf(error, error_size, "%s",
                 supported ? "the URL is malformed" : "not supported, " HTTP_SCHEMES);
        free(text);
        errno = supported ? EINVAL : ENOTSUP;
        return false;
    }
    free(self->text);
    self->text = text;
    self->url = parsed;
    http_answer_close(&self->answer);
    http_answer_open(&self->answer, HTTP_MOST_BODY);
    self->socket = berth_socket_new(self->loop, &handlers, self);
    if (!self->socket) {
        snprintf(error, error_size, "out of memory");
        errno = ENOMEM;
        return false;
    }
    berth_address address = BERTH_ADDRESS_NULL;
    berth_address_parse(self->url.host, &address);
    /* Failures at once are put off: the handler may free the request. */
    self->beginning = true;
    if (!route_prepare(self->way, self->socket, address))
        finish(self, "%s", berth_socket_error_string(self->socket));
    else if (parsed.encrypted && !route_encrypt(self->way, self->socket, why))
        finish(self, "%s", why);
    else
        berth_socket_connect_to_host(self->socket, self->url.host, self->url.port);
    self->beginning = false;
    return true;
}

http_get *http_get_new(berth_loop *loop, const char *text, const char *user_agent, route *way,
                       http_handler handler, void *user)
{
    char error[64];
    http_get *self = calloc(1, sizeof(*self));
    char *copy = strdup(text);
    if (!self || !copy) {
        free(self);
        free(copy);
        return NULL;
    }
    self->loop = loop;
    self->handler = handler;
    self->user = user;
    self->way = way;
    self->user_agent = strdup(user_agent);
    self->timer = berth_timer_new(loop, on_time, self);
    if (!self->user_agent || !self->timer) {
        free(copy);
        http_get_free(self);
        errno = ENOMEM;
        return NULL;
    }
    berth_timer_start(self->timer, HTTP_TIME, 0);
    if (!begin(self, copy, error, sizeof(error))) {
        int kept = errno;
        http_get_free(self);
        errno = kept;
        return NULL;
    }
    return self;
}

void http_get_free(http_get *self)
{
    if (!self)
        return;
    self->ended = true;
    berth_socket_free(self->socket);
    berth_timer_free(self->timer);
    http_answer_close(&self->answer);
    free(self->user_agent);
    free(self->text);
    free(self);
}
