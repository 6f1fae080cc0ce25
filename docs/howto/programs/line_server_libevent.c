/* The line server with libevent. */
#include <ctype.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

enum {
    LINE = 1000,
    HIGH = 64 * 1024
};

static struct timeval idle_time = {.tv_sec = 60};

static void answer(struct bufferevent *client, void *user)
{
    struct evbuffer *input = bufferevent_get_input(client);
    struct evbuffer *output = bufferevent_get_output(client);
    char line[LINE];
    (void)user;
    while (evbuffer_get_length(output) < HIGH) {
        struct evbuffer_ptr newline = evbuffer_search_eol(input, NULL, NULL, EVBUFFER_EOL_LF);
        size_t size = newline.pos >= 0 ? (size_t)newline.pos + 1 : evbuffer_get_length(input);
        if (newline.pos < 0 && size < LINE)
            break;
        int count = evbuffer_remove(input, line, size < LINE ? size : LINE);
        for (int at = 0; at < count; at++)
            line[at] = (char)toupper((unsigned char)line[at]);
        bufferevent_write(client, line, (size_t)count);
    }
    if (evbuffer_get_length(output) < HIGH)
        bufferevent_enable(client, EV_READ);
    else
        bufferevent_disable(client, EV_READ);
}

static void end(struct bufferevent *client, short what, void *user)
{
    (void)what;
    (void)user;
    bufferevent_free(client); /* which drops what is not written yet */
}

static void take(struct evconnlistener *listener, evutil_socket_t descriptor,
                 struct sockaddr *address, int size, void *user)
{
    struct bufferevent *client = bufferevent_socket_new(evconnlistener_get_base(listener),
                                                        descriptor, BEV_OPT_CLOSE_ON_FREE);
    (void)address;
    (void)size;
    (void)user;
    if (!client) {
        evutil_closesocket(descriptor);
        return;
    }
    bufferevent_setcb(client, answer, answer, end, NULL);
    bufferevent_setwatermark(client, EV_READ, 0, HIGH);
    bufferevent_setwatermark(client, EV_WRITE, HIGH / 4, 0);
    bufferevent_set_timeouts(client, &idle_time, &idle_time);
    bufferevent_enable(client, EV_READ | EV_WRITE);
}

static void stop(evutil_socket_t number, short what, void *base)
{
    (void)number;
    (void)what;
    event_base_loopbreak(base);
}

int main(int count, char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    if (count > 1) {
        idle_time.tv_sec = atoi(arguments[1]) / 1000;
        idle_time.tv_usec = atoi(arguments[1]) % 1000 * 1000;
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct event_base *base = event_base_new();
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, take, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 50,
                                (struct sockaddr *)&address, sizeof address);
    if (!listener) {
        perror("cannot listen");
        return 1;
    }
    struct event *ends = evsignal_new(base, SIGTERM, stop, base);
    event_add(ends, NULL);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &size);
    printf("listening on port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    event_base_dispatch(base);
    event_free(ends);
    evconnlistener_free(listener);
    event_base_free(base);
    return 0;
}
