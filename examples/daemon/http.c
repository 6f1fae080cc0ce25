/* The HTTP of daemon_server: see http.h. */
#include "http.h"

#include <stdio.h>

#define LOW (16 * 1024u)  /* bytes of output at which answering goes on */
#define HIGH (64 * 1024u) /* and at which it pauses */

static void answer(berth_socket *socket, const http_request *request, daemon_answer made, bool last)
{
    char header[256];
    int size = snprintf(header, sizeof header,
                        "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
                        "Content-Length: %zu\r\nConnection: %s\r\n\r\n",
                        made.status, http_reason_of(made.status), made.size,
                        last ? "close" : "keep-alive");
    berth_piece pieces[] = {{header, (size_t)size}, {made.body, request->head ? 0 : made.size}};
    berth_socket_write_pieces(socket, pieces, 2);
}

void daemon_serve(berth_socket *socket, bool last, daemon_answerer answerer, void *user)
{
    static const daemon_answer wrong = {.status = 0, .body = "", .size = 0};
    char bytes[HTTP_MOST_HEADER];
    while (berth_socket_bytes_to_write(socket) < HIGH) {
        http_request request;
        ptrdiff_t size = berth_socket_peek(socket, bytes, sizeof bytes);
        size_t used = size > 0 ? http_request_parse(bytes, (size_t)size, &request) : 0;
        if (used == 0)
            return;
        berth_socket_skip(socket, used);
        daemon_answer made = request.status == 0 ? answerer(socket, request.path, user) : wrong;
        made.status = request.status == 0 ? made.status : request.status;
        bool more = (size_t)size > used; /* which the client has sent before it was told */
        bool ends = request.status != 0 || !request.keep_alive || (last && !more);
        answer(socket, &request, made, ends);
        if (ends) {
            berth_socket_disconnect_from_host(socket); /* after the answer; this may free it */
            return;
        }
    }
}

void daemon_http_begin(berth_socket *socket)
{
    berth_socket_set_write_marks(socket, LOW, 0); /* an answer is never cut */
    berth_socket_set_read_buffer_size(socket, HTTP_MOST_HEADER);
}
