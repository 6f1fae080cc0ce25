/*
 * The tunnel through an HTTP proxy: requests, answers cut at every byte, challenges on the same
 * connection and on a new one, every status, and what is not HTTP.
 *
 * spec: S6.26 S6.27 S6.28 S6.29
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "handshake/http_connect.h"
#include "handshake/refusal.h"

static berth__http_connect http;
static char sent[4096]; /* all output so far */
static size_t sent_size;
static unsigned connections;

static const berth__http_request plain = {.name = "host.example", .port = 443};
static const berth__http_request with_user = {
    .name = "host.example", .port = 443, .user = "Aladdin", .password = "open sesame"};

static void send_all(void)
{
    uint8_t output[BERTH__HTTP_OUTPUT_SIZE];
    if (http.step == BERTH__HANDSHAKE_AGAIN) {
        connections++;
        berth__http_connect_again(&http);
    }
    size_t size = berth__http_connect_output(&http, output);
    ck_assert_uint_le(size, sizeof output);
    ck_assert_uint_lt(sent_size + size, sizeof sent);
    memcpy(sent + sent_size, output, size);
    sent_size += size;
    sent[sent_size] = '\0';
}

static size_t give(const berth__http_request *request, const char *input, size_t size, size_t cut)
{
    size_t used = 0;
    sent_size = 0;
    connections = 1;
    berth__http_connect_begin(&http, request);
    for (;;) {
        send_all();
        size_t part = size - used < cut ? size - used : cut;
        uint8_t *copy = malloc(part + 1);
        memcpy(copy, input + used, part);
        size_t taken = berth__http_connect_input(&http, copy, part);
        free(copy);
        ck_assert_uint_le(taken, part);
        used += taken;
        if (taken == 0)
            return used;
    }
}

/* For every size of pieces the answer succeeds, and what lies behind it is left. */
static void succeeds(const berth__http_request *request, const char *answer)
{
    char more[4096];
    size_t size = (size_t)snprintf(more, sizeof more, "%smore", answer);
    for (size_t cut = 1; cut <= size; cut++) {
        ck_assert_uint_eq(give(request, more, size, cut), size - 4);
        ck_assert_int_eq(http.step, BERTH__HANDSHAKE_DONE);
    }
    for (size_t early = 0; early < size - 4; early++) {
        ck_assert_uint_eq(give(request, more, early, SIZE_MAX), early);
        ck_assert_int_ne(http.step, BERTH__HANDSHAKE_DONE);
        ck_assert_int_ne(http.step, BERTH__HANDSHAKE_REFUSED);
    }
    give(request, more, size, SIZE_MAX);
}

static int refusal_of(const berth__http_request *request, const char *answer)
{
    size_t size = strlen(answer);
    for (size_t cut = 1; cut <= size; cut++) {
        give(request, answer, size, cut);
        ck_assert_int_eq(http.step, BERTH__HANDSHAKE_REFUSED);
    }
    return http.refusal;
}

START_TEST(requests)
{
    succeeds(&plain, "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n");
    ck_assert_ptr_eq(strstr(sent, "CONNECT host.example:443 HTTP/1.1\r\n"), sent);
    ck_assert_ptr_nonnull(strstr(sent, "\r\nHost: host.example:443\r\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\r\nProxy-Connection: keep-alive\r\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\r\nUser-Agent: Berth/"));
    ck_assert_ptr_null(strstr(sent, "Proxy-Authorization"));
    ck_assert_str_eq(sent + sent_size - 4, "\r\n\r\n");

    berth__http_request ipv6 = {.address = BERTH_ADDRESS_LOOPBACK_IPV6, .port = 80};
    succeeds(&ipv6, "HTTP/1.0 200 OK\r\n\r\n");
    ck_assert_ptr_eq(strstr(sent, "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n"), sent);
    berth__http_request ipv4 = {.address = BERTH_ADDRESS_LOOPBACK, .port = 65535};
    succeeds(&ipv4, "HTTP/1.1 200\r\n\r\n");
    ck_assert_ptr_eq(strstr(sent, "CONNECT 127.0.0.1:65535 HTTP/1.1\r\n"), sent);
}
END_TEST

START_TEST(answers_in_other_shapes)
{
    succeeds(&plain, "HTTP/1.1 200 OK\n\n");
    succeeds(&plain, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"); /* has no body all the same */
    succeeds(&plain, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    char answer[2048] = "HTTP/1.1 200 OK\r\nX: ";
    memset(answer + strlen(answer), 'y', 1500);
    strcat(answer, "\r\nno field\r\n\r\n");
    succeeds(&plain, answer);
}
END_TEST

#define CHALLENGE                              \
    "HTTP/1.1 407 Authentication Required\r\n" \
    "proxy-authenticate: Digest realm=\"a\", Basic realm=\"b\"\r\n"
#define CREDENTIALS "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"

START_TEST(challenge_on_the_same_connection)
{
    succeeds(&with_user, CHALLENGE "Content-Length: 9\r\n\r\n"
                                   "HTTP/1.1 "
                                   "HTTP/1.1 200 OK\r\n\r\n");
    ck_assert_uint_eq(connections, 1);
    char *credentials = strstr(sent, CREDENTIALS);
    ck_assert_ptr_nonnull(credentials);
    ck_assert(credentials > strstr(sent + 1, "CONNECT host.example:443 HTTP/1.1\r\n"));

    succeeds(&with_user, CHALLENGE "Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    ck_assert_uint_eq(connections, 1);
    succeeds(&with_user, "HTTP/1.0 407 x\r\nProxy-Authenticate: Basic\r\nConnection: Keep-Alive\r\n"
                         "Content-Length: 1\r\n\r\nxHTTP/1.0 200 OK\r\n\r\n");
    ck_assert_uint_eq(connections, 1);
}
END_TEST

START_TEST(challenge_that_ends_the_connection)
{
    static const char *const ends[] = {
        CHALLENGE "Connection: close\r\nContent-Length: 9\r\n\r\n",
        CHALLENGE "Proxy-Connection: foo, Close\r\nContent-Length: 9\r\n\r\n",
        CHALLENGE "\r\n",
        CHALLENGE "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHALLENGE "Content-Length: 99999999999999999999999\r\n\r\n",
        CHALLENGE "Content-Length: x\r\n\r\n",
        "HTTP/1.0 407 x\r\nProxy-Authenticate: BASIC realm=\"b\"\r\nContent-Length: 9\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char answer[512];
        snprintf(answer, sizeof answer, "%sHTTP/1.1 200 OK\r\n\r\n", ends[i]);
        succeeds(&with_user, answer);
        ck_assert_uint_eq(connections, 2);
        ck_assert_ptr_nonnull(strstr(sent, CREDENTIALS));
    }
}
END_TEST

START_TEST(challenge_without_an_answer)
{
    ck_assert_int_eq(refusal_of(&plain, CHALLENGE "\r\n"), BERTH__REFUSAL_NO_CREDENTIALS);
    ck_assert_int_eq(refusal_of(&with_user, CHALLENGE "Content-Length: 0\r\n\r\n" CHALLENGE "\r\n"),
                     BERTH__REFUSAL_CREDENTIALS);
    ck_assert_int_eq(
        refusal_of(&with_user, "HTTP/1.1 407 x\r\nProxy-Authenticate: Digest a=b\r\n\r\n"),
        BERTH__REFUSAL_HTTP_SCHEME);
    ck_assert_int_eq(refusal_of(&with_user, "HTTP/1.1 407 x\r\n\r\n"), BERTH__REFUSAL_HTTP_SCHEME);
    ck_assert_int_eq(refusal_of(&with_user, "HTTP/1.1 407 x\r\n"
                                            "Proxy-Authenticate: Basically\r\n\r\n"),
                     BERTH__REFUSAL_HTTP_SCHEME);
}
END_TEST

START_TEST(every_status)
{
    for (int status = 0; status < 1000; status++) {
        bool handled = status == 200 || status == 407 || (status >= 100 && status < 200);
        if (handled && status != 101)
            continue;
        char answer[64];
        char text[BERTH__REFUSAL_TEXT_SIZE];
        char number[12];
        snprintf(number, sizeof number, "%d", status);
        snprintf(answer, sizeof answer, "HTTP/1.1 %03d x\r\n\r\n", status);
        int refusal = refusal_of(&plain, answer);
        berth_error class = status == 403 || status == 405 ? BERTH_ERROR_SOCKET_ACCESS
                            : status == 404                ? BERTH_ERROR_HOST_NOT_FOUND
                            : status == 503                ? BERTH_ERROR_CONNECTION_REFUSED
                                                           : BERTH_ERROR_PROXY_PROTOCOL;
        ck_assert_int_eq(berth__refusal_class(refusal), class);
        ck_assert_ptr_nonnull(strstr(berth__refusal_reason(refusal, text, sizeof text), number));
    }
}
END_TEST

START_TEST(what_is_not_http)
{
    static const char *const answers[] = {"SSH-2.0-OpenSSH_9.2\r\n",
                                          "\r\n\r\n",
                                          "\n",
                                          "\5\xff",
                                          "HTTP/2.0 200 OK\r\n\r\n",
                                          "HTTP/1.1 2000 OK\r\n\r\n",
                                          "HTTP/1.1 20x OK\r\n\r\n",
                                          "HTTP/1.1 20\r\n\r\n",
                                          "http/1.1 200 OK\r\n\r\n"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        ck_assert_int_eq(refusal_of(&plain, answers[i]), BERTH__REFUSAL_NOT_HTTP);
    ck_assert_int_eq(berth__refusal_class(BERTH__REFUSAL_NOT_HTTP), BERTH_ERROR_PROXY_PROTOCOL);
}
END_TEST

START_TEST(header_without_an_end)
{
    size_t size = 70000;
    char *answer = malloc(size);
    memset(answer, 'x', size);
    memcpy(answer, "HTTP/1.1 200 OK\r\n", 17);
    size_t used = give(&plain, answer, size, 1000);
    ck_assert_int_eq(http.refusal, BERTH__REFUSAL_HTTP_HEADER_SIZE);
    ck_assert_uint_eq(used, BERTH__HTTP_MOST_HEADER + 1);
    for (size_t i = 17; i + 3 <= size; i += 3)
        memcpy(answer + i, "a:\n", 3);
    give(&plain, answer, size, 1000);
    ck_assert_int_eq(http.refusal, BERTH__REFUSAL_HTTP_HEADER_SIZE);
    free(answer);
}
END_TEST

START_TEST(what_does_not_fit)
{
    char text[258];
    memset(text, 'x', sizeof text);
    text[255] = '\0';
    berth__http_request request = {.name = text, .port = 65535, .user = text, .password = text};
    give(&request, CHALLENGE "\r\n", strlen(CHALLENGE "\r\n"), SIZE_MAX);
    ck_assert_uint_gt(sent_size, 255 * 4 + 684);

    text[255] = 'x';
    text[256] = '\0';
    request = (berth__http_request){.name = "h", .port = 1, .password = text};
    berth__http_connect_begin(&http, &request);
    ck_assert_int_eq(http.refusal, BERTH__REFUSAL_CREDENTIALS_FORM);
    request = (berth__http_request){.name = "h", .port = 1, .user = "a:b"};
    berth__http_connect_begin(&http, &request);
    ck_assert_int_eq(http.refusal, BERTH__REFUSAL_CREDENTIALS_FORM);
    request = (berth__http_request){.name = "h", .port = 1, .user = "a\r\n"};
    berth__http_connect_begin(&http, &request);
    ck_assert_int_eq(http.refusal, BERTH__REFUSAL_CREDENTIALS_FORM);
    request = (berth__http_request){.name = "h", .port = 1, .password = "\x7f"};
    berth__http_connect_begin(&http, &request);
    ck_assert_int_eq(http.refusal, BERTH__REFUSAL_CREDENTIALS_FORM);
    const char *names[] = {"", text, "a b", "a\r\nX: y", "a:1", "a/b", "u@h", "[::1]", "\xe4"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        request = (berth__http_request){.name = names[i], .port = 1};
        berth__http_connect_begin(&http, &request);
        ck_assert_int_eq(http.step, BERTH__HANDSHAKE_REFUSED);
        ck_assert_int_eq(http.refusal, BERTH__REFUSAL_NAME_FORM);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_connect");
    TCase *tests = tcase_create("http_connect");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, requests);
    tcase_add_test(tests, answers_in_other_shapes);
    tcase_add_test(tests, challenge_on_the_same_connection);
    tcase_add_test(tests, challenge_that_ends_the_connection);
    tcase_add_test(tests, challenge_without_an_answer);
    tcase_add_test(tests, every_status);
    tcase_add_test(tests, what_is_not_http);
    tcase_add_test(tests, header_without_an_end);
    tcase_add_test(tests, what_does_not_fit);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
