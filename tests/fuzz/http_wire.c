/*
 * Requests and ranges of the HTTP example. However much of the input is there, a request that is
 * found is the same one; its texts lie in the input, its path has no terminator in it, and a range
 * lies in the file.
 *
 * The first byte chooses how the input is cut and how long the file is.
 */
#include "check.h"

#include "../../examples/http_wire.c"

static void check_inside(http_text part, const char *data, size_t size)
{
    CHECK(part.data == NULL || (part.data >= data && part.data + part.size <= data + size));
}

static void check_range(http_text range, uint64_t whole)
{
    uint64_t offset = 0;
    uint64_t size = 0;
    int status = http_range_parse(range, whole, &offset, &size);
    CHECK(status == 200 || status == 206 || status == 416);
    if (status == 206)
        CHECK(size > 0 && offset < whole && size <= whole - offset);
    if (status == 200)
        CHECK(offset == 0 && size == whole);
}

static void check_request(const http_request *request, const char *data, size_t size)
{
    check_inside(request->raw_path, data, size);
    check_inside(request->method, data, size);
    check_inside(request->host, data, size);
    check_inside(request->range, data, size);
    check_inside(request->if_range, data, size);
    check_inside(request->if_none_match, data, size);
    check_inside(request->if_modified_since, data, size);
    CHECK(memchr(request->path, '\0', HTTP_MOST_PATH) != NULL);
    CHECK(request->path[0] != '/' || request->raw_path.data[0] == '%');
    CHECK(request->status == 0 || http_reason_of(request->status)[0] != '\0');
    CHECK(strchr(http_type_of(request->path), '/') != NULL);
    http_lists(request->if_none_match, "\"1-2-3\"");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    uint64_t whole = data[0] % 2 ? data[0] : UINT64_MAX / 2 - data[0];
    size_t step = data[0] % 7u + 1;
    size_t used = 0;
    static http_request request;
    static http_request early;
    size--;
    check_range((http_text){text, size}, whole);
    used = http_request_parse(text, size, &request);
    CHECK(used <= size);
    if (used > 0)
        check_request(&request, text, size);
    for (size_t cut = 0; cut < size; cut += step) {
        size_t found = http_request_parse(text, cut, &early);
        CHECK(found == (cut < used || used == 0 ? 0 : used));
        CHECK(found == 0 || early.status == request.status);
    }
    if (used > 0 && request.range.data)
        check_range(request.range, whole);
    return 0;
}
