/*
 * HTTP CONNECT as http_connect.h describes it.
 *
 * The header is read line by line; of each line only the beginning is kept, which is all that the
 * four fields of interest need, so a header of any shape takes the same memory. Lines may end in a
 * bare LF, as RFC 9112 lets a recipient allow. A first line that is no status line fails at its
 * first wrong byte, since a peer that speaks something else may send no end of line at all.
 *
 * A chunked body is not read: the connection is given up instead, as for one that ends with it.
 */
#include "http_connect.h"

#include <stdio.h>
#include <string.h>

#include <berth/version.h>

#include "base/text.h"
#include "refusal.h"

enum stage {
    STATUS_LINE,
    FIELDS,
    BODY
};

/* A body up to here is skipped; beyond it a new connection is the cheaper way. Ours. */
#define MOST_BODY ((uint64_t)65536)

static void refuse(berth__http_connect *http, int refusal)
{
    http->step = BERTH__HANDSHAKE_REFUSED;
    http->refusal = refusal;
}

static size_t length_of(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* A name that could end its line early, or be taken for more than a name, is no name. */
static bool is_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > BERTH__MOST_NAME)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("/:?#@[]", byte) != NULL)
            return false;
    }
    return true;
}

/* RFC 7617 wants none in credentials. */
static bool has_control(const char *text)
{
    return text != NULL && berth__has_control(text);
}

static bool has_credentials(const berth__http_request *request)
{
    return length_of(request->user) + length_of(request->password) > 0;
}

void berth__http_connect_begin(berth__http_connect *http, const berth__http_request *request)
{
    memset(http, 0, sizeof *http);
    http->request = *request;
    http->authorized = request->authorized && has_credentials(request);
    http->step = BERTH__HANDSHAKE_SEND;
    if (length_of(request->user) > BERTH__MOST_CREDENTIAL ||
        length_of(request->password) > BERTH__MOST_CREDENTIAL ||
        (request->user != NULL && strchr(request->user, ':') != NULL) ||
        has_control(request->user) || has_control(request->password))
        refuse(http, BERTH__REFUSAL_CREDENTIALS_FORM);
    if (request->name != NULL && !is_name(request->name))
        refuse(http, BERTH__REFUSAL_NAME_FORM);
}

void berth__http_connect_again(berth__http_connect *http)
{
    if (http->step == BERTH__HANDSHAKE_AGAIN)
        http->step = BERTH__HANDSHAKE_SEND;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void put_base64(char *place, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        if (i + 1 < size)
            group |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size)
            group |= data[i + 2];
        memcpy(place, "====", 4);
        place[0] = digits[group >> 18];
        place[1] = digits[group >> 12 & 63];
        if (i + 1 < size)
            place[2] = digits[group >> 6 & 63];
        if (i + 2 < size)
            place[3] = digits[group & 63];
        place += 4;
    }
    *place = '\0';
}

static void format_target(const berth__http_request *request, char *text, size_t size)
{
    berth_address address = request->address;
    address.scope[0] = '\0'; /* means nothing on another host */
    if (request->name != NULL)
        snprintf(text, size, "%s:%u", request->name, (unsigned)request->port);
    else
        berth_endpoint_format(address, request->port, text, size);
}

static void format_credentials(const berth__http_request *request, char *text)
{
    char plain[2 * BERTH__MOST_CREDENTIAL + 2];
    int length = snprintf(plain, sizeof plain, "%s:%s", request->user != NULL ? request->user : "",
                          request->password != NULL ? request->password : "");
    put_base64(text, (const uint8_t *)plain, (size_t)length);
}

size_t berth__http_connect_output(berth__http_connect *http,
                                  uint8_t output[BERTH__HTTP_OUTPUT_SIZE])
{
    if (http->step != BERTH__HANDSHAKE_SEND)
        return 0;
    char target[BERTH__MOST_NAME + BERTH_ENDPOINT_TEXT_SIZE];
    char credentials[(2 * BERTH__MOST_CREDENTIAL + 1) / 3 * 4 + 5] = "";
    format_target(&http->request, target, sizeof target);
    if (http->authorized)
        format_credentials(&http->request, credentials);
    int length = snprintf((char *)output, BERTH__HTTP_OUTPUT_SIZE,
                          "CONNECT %s HTTP/1.1\r\n"
                          "Host: %s\r\n"
                          "Proxy-Connection: keep-alive\r\n"
                          "User-Agent: Berth/" BERTH_VERSION_STRING "\r\n"
                          "%s%s%s"
                          "\r\n",
                          target, target, http->authorized ? "Proxy-Authorization: Basic " : "",
                          credentials, http->authorized ? "\r\n" : "");
    http->step = BERTH__HANDSHAKE_RECEIVE;
    http->stage = STATUS_LINE;
    http->header = 0;
    http->line_size = 0;
    return (size_t)length;
}

/* ---- the header ------------------------------------------------------------------------------ */

static int lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Whether the text begins with `word` (in lower case), and no further letter follows. */
static bool begins_with(const char *text, const char *word)
{
    while (*word != '\0') {
        if (lower(*text++) != *word++)
            return false;
    }
    return *text == '\0' || strchr(" \t,;=:", *text) != NULL;
}

/* Whether a list, separated by commas, has a member that begins with `word`. */
static bool list_has(const char *list, const char *word)
{
    for (const char *member = list; member != NULL; member = strchr(member, ',')) {
        member += strspn(member, ", \t");
        if (begins_with(member, word))
            return true;
    }
    return false;
}

/* Checks the bytes of the status line that are there. */
static bool may_be_status_line(const char *line, size_t size)
{
    static const char pattern[] = "HTTP/1.d ddd";
    for (size_t i = 0; i < size && i < sizeof pattern - 1; i++) {
        if (pattern[i] == 'd' ? !is_digit(line[i]) : line[i] != pattern[i])
            return false;
    }
    return size < sizeof pattern || line[sizeof pattern - 1] == ' ' ||
           line[sizeof pattern - 1] == '\r';
}

static void read_status_line(berth__http_connect *http)
{
    const char *line = http->line;
    if (http->line_size < sizeof "HTTP/1.1 200" - 1) {
        refuse(http, BERTH__REFUSAL_NOT_HTTP);
        return;
    }
    http->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    http->keeps = line[7] != '0';
    http->sized = http->coded = http->basic = false;
    http->body = 0;
    http->stage = FIELDS;
}

static void read_length(berth__http_connect *http, const char *value)
{
    uint64_t length = 0;
    const char *digit = value;
    for (; is_digit(*digit) && length <= MOST_BODY; digit++)
        length = length * 10 + (uint64_t)(*digit - '0');
    http->sized = digit != value && length <= MOST_BODY;
    http->body = length;
}

static void read_field(berth__http_connect *http)
{
    const char *line = http->line;
    const char *colon = strchr(line, ':');
    if (colon == NULL)
        return;
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (begins_with(line, "content-length")) {
        read_length(http, value);
    } else if (begins_with(line, "transfer-encoding")) {
        http->coded = true;
    } else if (begins_with(line, "proxy-authenticate")) {
        http->basic = http->basic || list_has(value, "basic");
    } else if (begins_with(line, "connection") || begins_with(line, "proxy-connection")) {
        if (list_has(value, "close"))
            http->keeps = false;
        else if (list_has(value, "keep-alive"))
            http->keeps = true;
    }
}

static void ask_again(berth__http_connect *http)
{
    http->step =
        http->keeps && http->sized && !http->coded ? BERTH__HANDSHAKE_SEND : BERTH__HANDSHAKE_AGAIN;
}

static void challenged(berth__http_connect *http)
{
    if (!http->basic) {
        refuse(http, BERTH__REFUSAL_HTTP_SCHEME);
    } else if (!has_credentials(&http->request)) {
        refuse(http, BERTH__REFUSAL_NO_CREDENTIALS);
    } else if (http->authorized) {
        refuse(http, BERTH__REFUSAL_CREDENTIALS);
    } else {
        http->authorized = true;
        http->stage = BODY;
        if (!http->keeps || !http->sized || http->coded || http->body == 0)
            ask_again(http);
    }
}

static void header_whole(berth__http_connect *http)
{
    if (http->status == 200)
        http->step = BERTH__HANDSHAKE_DONE;
    else if (http->status == 407)
        challenged(http);
    else if (http->status >= 100 && http->status < 200 && http->status != 101)
        http->stage = STATUS_LINE;
    else
        refuse(http, BERTH__REFUSAL_HTTP + http->status);
}

static void line_whole(berth__http_connect *http)
{
    if (http->line_size > 0 && http->line[http->line_size - 1] == '\r')
        http->line_size--;
    http->line[http->line_size] = '\0';
    if (http->stage == STATUS_LINE)
        read_status_line(http);
    else if (http->line_size == 0)
        header_whole(http);
    else
        read_field(http);
    http->line_size = 0;
}

static void take_header_byte(berth__http_connect *http, uint8_t byte)
{
    if (++http->header > BERTH__HTTP_MOST_HEADER) {
        refuse(http, BERTH__REFUSAL_HTTP_HEADER_SIZE);
        return;
    }
    if (byte == '\n') {
        line_whole(http);
        return;
    }
    if (http->line_size < sizeof http->line - 1)
        http->line[http->line_size++] = (char)byte;
    if (http->stage == STATUS_LINE && !may_be_status_line(http->line, http->line_size))
        refuse(http, BERTH__REFUSAL_NOT_HTTP);
}

static size_t take_body(berth__http_connect *http, size_t size)
{
    size_t part = size < http->body ? size : (size_t)http->body;
    http->body -= part;
    if (http->body == 0)
        ask_again(http);
    return part;
}

size_t berth__http_connect_input(berth__http_connect *http, const uint8_t *data, size_t size)
{
    size_t used = 0;
    while (used < size && http->step == BERTH__HANDSHAKE_RECEIVE) {
        if (http->stage == BODY)
            used += take_body(http, size - used);
        else
            take_header_byte(http, data[used++]);
    }
    return used;
}
