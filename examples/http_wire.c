/* The parts of HTTP/1.1 that a server of files needs: see http_wire.h. */
#include "http_wire.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- requests: a parser without a socket ----------------------------------------------------- */

bool http_same(http_text given, const char *word)
{
    return given.size == strlen(word) && strncasecmp(given.data, word, given.size) == 0;
}

static int hex_digit(char letter)
{
    return isdigit((unsigned char)letter)    ? letter - '0'
           : isxdigit((unsigned char)letter) ? tolower((unsigned char)letter) - 'a' + 10
                                             : -1;
}

/* The path of a target in either form, "/path?query" or "http://host/path?query". */
static int parse_target(http_text target, http_request *made)
{
    size_t at = 0;
    size_t size = 0;
    if (target.size >= 7 && strncasecmp(target.data, "http://", 7) == 0)
        for (at = 7; at < target.size && target.data[at] != '/';)
            at++;
    if (at == target.size || target.data[at] != '/')
        return 400;
    while (at < target.size && target.data[at] == '/')
        at++;
    const char *query = memchr(target.data + at, '?', target.size - at);
    if (query) {
        made->query = (http_text){query + 1, (size_t)(target.data + target.size - query) - 1};
        target.size = (size_t)(query - target.data);
    }
    made->raw_path = (http_text){target.data + at, target.size - at};
    while (at < target.size) {
        char letter = target.data[at++];
        if (letter == '%') {
            int high = at + 2 <= target.size ? hex_digit(target.data[at]) : -1;
            int low = high >= 0 ? hex_digit(target.data[at + 1]) : -1;
            if (low < 0)
                return 400;
            letter = (char)(high << 4 | low);
            at += 2;
        }
        if (letter == '\0')
            return 400;
        if (size == HTTP_MOST_PATH - 1)
            return 414;
        made->path[size++] = letter;
    }
    made->path[size] = '\0';
    return 0;
}

static int parse_request_line(http_text line, http_request *made)
{
    const char *end = line.data + line.size;
    const char *first = memchr(line.data, ' ', line.size);
    const char *second = first ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return 400;
    http_text method = made->method = (http_text){line.data, (size_t)(first - line.data)};
    http_text version = {second + 1, (size_t)(end - second - 1)};
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0)
        return 400;
    if (version.data[5] != '1' || version.data[6] != '.')
        return 505;
    made->old = version.data[7] == '0';
    made->keep_alive = !made->old;
    made->head = method.size == 4 && memcmp(method.data, "HEAD", 4) == 0;
    int status = parse_target((http_text){first + 1, (size_t)(second - first - 1)}, made);
    if (status == 0 && !made->head && (method.size != 3 || memcmp(method.data, "GET", 3) != 0))
        return 405;
    return status;
}

bool http_lists(http_text value, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= value.size; at++)
        if (strncasecmp(value.data + at, word, length) == 0 &&
            (at == 0 || strchr(", \t", value.data[at - 1])) &&
            (at + length == value.size || strchr(", \t", value.data[at + length])))
            return true;
    return false;
}

static int parse_field(http_text line, http_request *made)
{
    const char *colon = memchr(line.data, ':', line.size);
    http_text name = {line.data, colon ? (size_t)(colon - line.data) : 0};
    if (name.size == 0)
        return 400;
    for (size_t at = 0; at < name.size; at++)
        if (!isalnum((unsigned char)name.data[at]) && !strchr("!#$%&'*+-.^_`|~", name.data[at]))
            return 400; /* also for a blank: continued lines are obsolete */
    http_text value = {colon + 1, line.size - name.size - 1};
    for (; value.size > 0 && strchr(" \t", *value.data); value.size--)
        value.data++;
    while (value.size > 0 && strchr(" \t", value.data[value.size - 1]))
        value.size--;
    if (http_same(name, "Host")) {
        if (made->host.data)
            return 400;
        made->host = value;
    } else if (http_same(name, "Connection")) {
        made->keep_alive =
            !http_lists(value, "close") && (made->keep_alive || http_lists(value, "keep-alive"));
    } else if (http_same(name, "Content-Length") || http_same(name, "Transfer-Encoding")) {
        if (!http_same(value, "0"))
            return 413; /* bodies are not accepted, and one could hide a request */
    } else if (http_same(name, "Range")) {
        made->range = value;
    } else if (http_same(name, "If-Range")) {
        made->if_range = value;
    } else if (http_same(name, "If-None-Match")) {
        made->if_none_match = value;
    } else if (http_same(name, "If-Modified-Since")) {
        made->if_modified_since = value;
    }
    return 0;
}

/* A line without its end; false if it is not there whole. A control character in it, or an end
 * other than CR LF, sets the status. */
static bool next_line(const char *data, size_t size, size_t *at, http_text *ret_line,
                      int *ret_status)
{
    const char *start = data + *at;
    const char *end = memchr(start, '\n', size - *at);
    if (!end)
        return false;
    *ret_line = (http_text){start, (size_t)(end - start)};
    *at += ret_line->size + 1;
    if (ret_line->size == 0 || start[--ret_line->size] != '\r')
        *ret_status = 400;
    for (size_t i = 0; i < ret_line->size; i++)
        if (((unsigned char)start[i] < ' ' && start[i] != '\t') || start[i] == 127)
            *ret_status = 400;
    return true;
}

size_t http_request_parse(const char *data, size_t size, http_request *made)
{
    size_t seen = size < HTTP_MOST_HEADER ? size : HTTP_MOST_HEADER;
    size_t at = 0;
    http_text line;
    *made = (http_request){.status = 0};
    for (int number = 0; next_line(data, seen, &at, &line, &made->status); number++) {
        if (made->status == 0 && number > HTTP_MOST_FIELDS)
            made->status = 431;
        else if (made->status == 0 && number == 0)
            made->status = parse_request_line(line, made);
        else if (made->status == 0 && line.size > 0)
            made->status = parse_field(line, made);
        else if (made->status == 0 && !made->old && !made->host.data)
            made->status = 400;
        if (made->status != 0 || line.size == 0)
            return at;
    }
    made->status = 431;
    return seen == HTTP_MOST_HEADER ? seen : 0;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* Digits at the front of a text, which are taken off it; false if there are none. What is too large
 * for any file stays too large. */
static bool take_number(http_text *given, uint64_t *ret_number)
{
    const char *start = given->data;
    for (*ret_number = 0; given->size > 0 && isdigit((unsigned char)*given->data); given->size--) {
        uint64_t digit = (uint64_t)(*given->data++ - '0');
        *ret_number = *ret_number < UINT64_MAX / 20 ? *ret_number * 10 + digit : UINT64_MAX / 2;
    }
    return given->data != start;
}

int http_range_parse(http_text range, uint64_t whole, uint64_t *ret_offset, uint64_t *ret_size)
{
    uint64_t first = 0;
    uint64_t last = 0;
    *ret_offset = 0;
    *ret_size = whole;
    if (range.size < 6 || strncasecmp(range.data, "bytes=", 6) != 0)
        return 200;
    range = (http_text){range.data + 6, range.size - 6};
    bool has_first = take_number(&range, &first);
    if (range.size == 0 || *range.data != '-')
        return 200;
    range = (http_text){range.data + 1, range.size - 1};
    bool has_last = take_number(&range, &last);
    if (range.size > 0 || (!has_first && !has_last) || (has_first && has_last && last < first))
        return 200;
    uint64_t end = whole; /* after the last byte */
    if (!has_first)
        first = last < whole ? whole - last : 0;
    else if (has_last && last < whole)
        end = last + 1;
    if (first >= whole || end <= first)
        return 416;
    *ret_offset = first;
    *ret_size = end - first;
    return 206;
}
/* ---- tables ---------------------------------------------------------------------------------- */

const char *http_type_of(const char *path)
{
    static const char *const types[][2] = {{"html", "text/html; charset=utf-8"},
                                           {"css", "text/css; charset=utf-8"},
                                           {"js", "text/javascript; charset=utf-8"},
                                           {"txt", "text/plain; charset=utf-8"},
                                           {"md", "text/markdown; charset=utf-8"},
                                           {"json", "application/json"},
                                           {"xml", "application/xml"},
                                           {"pdf", "application/pdf"},
                                           {"wasm", "application/wasm"},
                                           {"zip", "application/zip"},
                                           {"gz", "application/gzip"},
                                           {"svg", "image/svg+xml"},
                                           {"png", "image/png"},
                                           {"jpg", "image/jpeg"},
                                           {"jpeg", "image/jpeg"},
                                           {"gif", "image/gif"},
                                           {"webp", "image/webp"},
                                           {"ico", "image/x-icon"},
                                           {"woff2", "font/woff2"},
                                           {"mp3", "audio/mpeg"},
                                           {"mp4", "video/mp4"},
                                           {"webm", "video/webm"}};
    const char *dot = strrchr(path, '.');
    for (size_t at = 0; dot && at < sizeof(types) / sizeof(types[0]); at++)
        if (strcasecmp(dot + 1, types[at][0]) == 0)
            return types[at][1];
    return "application/octet-stream";
}

const char *http_reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {{200, "OK"},
                 {206, "Partial Content"},
                 {301, "Moved Permanently"},
                 {304, "Not Modified"},
                 {400, "Bad Request"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {416, "Range Not Satisfiable"},
                 {431, "Request Header Fields Too Large"},
                 {503, "Service Unavailable"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t at = 0; at < sizeof(known) / sizeof(known[0]); at++)
        if (known[at].status == status)
            return known[at].text;
    return "";
}

void http_date_format(time_t when, char *text)
{
    struct tm parts;
    if (!gmtime_r(&when, &parts) ||
        strftime(text, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &parts) == 0)
        text[0] = '\0';
}
