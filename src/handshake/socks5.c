/*
 * SOCKS5 as socks5.h describes it.
 *
 * Every answer of the proxy is collected in `answer` until it is whole, and only then read; how
 * long it is becomes known on the way: a reply shows it in its fourth byte, or in its fifth if it
 * has a name. So `expected` never goes beyond the answer, which is what makes `wanted` exact.
 */
#include "socks5.h"

#include <string.h>

#include "base/text.h"
#include "refusal.h"

enum stage {
    GREETING,
    CREDENTIALS,
    REQUEST,
    SECOND_REPLY
};

enum {
    VERSION = 5,
    AUTHENTICATION_VERSION = 1,
    METHOD_NONE = 0,
    METHOD_PASSWORD = 2,
    NO_METHOD = 0xff,
    TYPE_IPV4 = 1,
    TYPE_NAME = 3,
    TYPE_IPV6 = 4,
    SHORT_ANSWER = 2, /* of the first two exchanges */
    REPLY_HEAD = 5    /* of a reply: enough to know its length, and shorter than any */
};

static void refuse(berth__socks5 *socks5, int refusal)
{
    socks5->step = BERTH__HANDSHAKE_REFUSED;
    socks5->refusal = refusal;
}

static size_t length_of(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

void berth__socks5_begin(berth__socks5 *socks5, const berth__socks5_request *request)
{
    memset(socks5, 0, sizeof *socks5);
    socks5->request = *request;
    socks5->step = BERTH__HANDSHAKE_SEND;
    size_t user = length_of(request->user);
    size_t password = length_of(request->password);
    socks5->method = user + password > 0 ? METHOD_PASSWORD : METHOD_NONE;
    if (user > BERTH__MOST_CREDENTIAL || password > BERTH__MOST_CREDENTIAL)
        refuse(socks5, BERTH__REFUSAL_CREDENTIALS_FORM);
    size_t name = length_of(request->name);
    if (request->name != NULL &&
        (name == 0 || name > BERTH__MOST_NAME || berth__has_control(request->name)))
        refuse(socks5, BERTH__REFUSAL_NAME_FORM);
}

/* ---- output ---------------------------------------------------------------------------------- */

static uint8_t *put_text(uint8_t *place, const char *text)
{
    size_t length = length_of(text);
    *place++ = (uint8_t)length;
    if (length > 0)
        memcpy(place, text, length);
    return place + length;
}

static uint8_t *put_target(uint8_t *place, const berth__socks5_request *request)
{
    if (request->name != NULL) {
        *place++ = TYPE_NAME;
        return put_text(place, request->name);
    }
    bool ipv6 = request->address.family == BERTH_ADDRESS_FAMILY_IPV6;
    size_t size = ipv6 ? 16 : 4; /* the wildcard of both families goes as 0.0.0.0 */
    *place++ = ipv6 ? TYPE_IPV6 : TYPE_IPV4;
    memcpy(place, request->address.bytes, size);
    return place + size;
}

static void expect(berth__socks5 *socks5, uint16_t size)
{
    socks5->step = BERTH__HANDSHAKE_RECEIVE;
    socks5->filled = 0;
    socks5->expected = size;
}

size_t berth__socks5_output(berth__socks5 *socks5, uint8_t output[BERTH__SOCKS5_OUTPUT_SIZE])
{
    const berth__socks5_request *request = &socks5->request;
    uint8_t *place = output;
    if (socks5->step != BERTH__HANDSHAKE_SEND)
        return 0;
    switch (socks5->stage) {
    case GREETING:
        *place++ = VERSION;
        *place++ = 1; /* method */
        *place++ = socks5->method;
        expect(socks5, SHORT_ANSWER);
        break;
    case CREDENTIALS:
        *place++ = AUTHENTICATION_VERSION;
        place = put_text(place, request->user);
        place = put_text(place, request->password);
        expect(socks5, SHORT_ANSWER);
        break;
    default:
        *place++ = VERSION;
        *place++ = (uint8_t)request->command;
        *place++ = 0;
        place = put_target(place, request);
        *place++ = (uint8_t)(request->port >> 8);
        *place++ = (uint8_t)request->port;
        expect(socks5, REPLY_HEAD);
        break;
    }
    return (size_t)(place - output);
}

/* ---- input ----------------------------------------------------------------------------------- */

static void send_next(berth__socks5 *socks5, uint8_t stage)
{
    socks5->stage = stage;
    socks5->step = BERTH__HANDSHAKE_SEND;
}

static void read_method(berth__socks5 *socks5)
{
    uint8_t method = socks5->answer[1];
    if (method == METHOD_NONE)
        send_next(socks5, REQUEST);
    else if (method == METHOD_PASSWORD && socks5->method == METHOD_PASSWORD)
        send_next(socks5, CREDENTIALS);
    else if (method != NO_METHOD)
        refuse(socks5, BERTH__REFUSAL_SOCKS5_METHOD);
    else if (socks5->method == METHOD_PASSWORD)
        refuse(socks5, BERTH__REFUSAL_CREDENTIALS);
    else
        refuse(socks5, BERTH__REFUSAL_NO_CREDENTIALS);
}

static void read_verdict(berth__socks5 *socks5)
{
    if (socks5->answer[1] == 0)
        send_next(socks5, REQUEST);
    else
        refuse(socks5, BERTH__REFUSAL_CREDENTIALS);
}

/* The head is there: how long is the reply? */
static void measure_reply(berth__socks5 *socks5)
{
    bool connect = socks5->request.command == BERTH__SOCKS5_CONNECT;
    switch (socks5->answer[3]) {
    case TYPE_IPV4:
        socks5->expected = 4 + 4 + 2;
        break;
    case TYPE_IPV6:
        socks5->expected = 4 + 16 + 2;
        break;
    case TYPE_NAME:
        if (connect) {
            socks5->expected = (uint16_t)(REPLY_HEAD + socks5->answer[4] + 2);
            break;
        }
        /* fall through */
    default:
        refuse(socks5, BERTH__REFUSAL_SOCKS5_MALFORMED);
    }
}

static void read_reply(berth__socks5 *socks5)
{
    const uint8_t *answer = socks5->answer;
    const uint8_t *port = answer + socks5->expected - 2;
    socks5->replied = (berth_address){0};
    if (answer[3] == TYPE_IPV6) {
        socks5->replied = berth_address_ipv6(answer + 4);
    } else if (answer[3] == TYPE_IPV4) {
        socks5->replied.family = BERTH_ADDRESS_FAMILY_IPV4;
        memcpy(socks5->replied.bytes, answer + 4, 4);
    }
    socks5->replied_port = (uint16_t)(port[0] << 8 | port[1]);
    if (socks5->request.command == BERTH__SOCKS5_CONNECT || socks5->bound) {
        socks5->step = BERTH__HANDSHAKE_DONE;
        return;
    }
    socks5->bound = true;
    socks5->stage = SECOND_REPLY;
    expect(socks5, REPLY_HEAD);
}

/* What can be seen before the answer is whole. A refusing proxy may send no more than the code. */
static void check_head(berth__socks5 *socks5)
{
    uint8_t version = socks5->stage == CREDENTIALS ? AUTHENTICATION_VERSION : VERSION;
    if (socks5->answer[0] != version) {
        refuse(socks5, BERTH__REFUSAL_SOCKS5_MALFORMED);
        return;
    }
    bool reply = socks5->stage == REQUEST || socks5->stage == SECOND_REPLY;
    if (!reply || socks5->filled < 2 || socks5->answer[1] == 0)
        return;
    int by_name = socks5->request.name != NULL ? 0x100 : 0;
    refuse(socks5, BERTH__REFUSAL_SOCKS5 + by_name + socks5->answer[1]);
}

static void answer_whole(berth__socks5 *socks5)
{
    switch (socks5->stage) {
    case GREETING:
        read_method(socks5);
        break;
    case CREDENTIALS:
        read_verdict(socks5);
        break;
    default:
        if (socks5->filled == REPLY_HEAD)
            measure_reply(socks5);
        if (socks5->step == BERTH__HANDSHAKE_RECEIVE && socks5->filled == socks5->expected)
            read_reply(socks5);
    }
}

size_t berth__socks5_wanted(const berth__socks5 *socks5)
{
    if (socks5->step != BERTH__HANDSHAKE_RECEIVE)
        return 0;
    return (size_t)socks5->expected - socks5->filled;
}

size_t berth__socks5_input(berth__socks5 *socks5, const uint8_t *data, size_t size)
{
    size_t used = 0;
    bool bound = socks5->bound;
    while (used < size && socks5->step == BERTH__HANDSHAKE_RECEIVE && socks5->bound == bound) {
        size_t part = berth__socks5_wanted(socks5);
        part = part < size - used ? part : size - used;
        memcpy(socks5->answer + socks5->filled, data + used, part);
        socks5->filled = (uint16_t)(socks5->filled + part);
        used += part;
        check_head(socks5);
        if (socks5->step == BERTH__HANDSHAKE_RECEIVE && socks5->filled == socks5->expected)
            answer_whole(socks5);
    }
    return used;
}
