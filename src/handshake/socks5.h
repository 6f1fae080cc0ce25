/*
 * The client's side of SOCKS version 5: RFC 1928, with user and password by RFC 1929.
 *
 *     greeting -> method [-> credentials -> verdict] -> request -> reply, for BIND -> second reply
 *
 * The greeting offers one method: 2 (user and password) if either is given, else 0; the proxy may
 * answer 0 in both cases. A CONNECT names its target by address or by name, and its one reply ends
 * the handshake. A BIND names the address to listen on; its first reply says where the proxy
 * listens (`bound` becomes true), its second who has come, and that one ends the handshake.
 *
 * It fails with a reply other than 0, as soon as that byte is there; with credentials that the
 * proxy does not take or that do not fit; with anything that is not SOCKS5, a name in the reply to
 * a BIND included.
 */
#ifndef BERTH_HANDSHAKE_SOCKS5_H
#define BERTH_HANDSHAKE_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>

#include "handshake.h"

typedef enum berth__socks5_command {
    BERTH__SOCKS5_CONNECT = 1,
    BERTH__SOCKS5_BIND = 2
} berth__socks5_command;

/* What is asked for. The strings are borrowed; NULL is empty. */
typedef struct berth__socks5_request {
    berth__socks5_command command;
    const char *name; /* of the target; NULL: `address` is asked for */
    berth_address address;
    uint16_t port;
    const char *user;
    const char *password;
} berth__socks5_request;

/* Bytes that hold every output. */
#define BERTH__SOCKS5_OUTPUT_SIZE 515u

typedef struct berth__socks5 {
    berth__socks5_request request;
    berth__handshake step;
    int refusal;           /* of step REFUSED */
    bool bound;            /* BIND: the first reply has come */
    berth_address replied; /* address of the latest reply; null if it was a name */
    uint16_t replied_port; /* its port */
    uint8_t stage;         /* what is sent or received next */
    uint8_t method;        /* that was offered */
    uint16_t filled;       /* bytes of `answer` that have come */
    uint16_t expected;     /* bytes it has */
    uint8_t answer[262];   /* the longest is a reply with a name */
} berth__socks5;

void berth__socks5_begin(berth__socks5 *socks5, const berth__socks5_request *request);

/* In step SEND: writes what is to be sent now and goes on to RECEIVE. Returns its size. */
size_t berth__socks5_output(berth__socks5 *socks5, uint8_t output[BERTH__SOCKS5_OUTPUT_SIZE]);

/* Takes input; returns how many bytes were used. After the first reply to a BIND it returns, so
 * that the owner can look at it; the next call goes on with the second. */
size_t berth__socks5_input(berth__socks5 *socks5, const uint8_t *data, size_t size);

/* How many bytes may be read now without taking one that is not the handshake's; 0 unless the step
 * is RECEIVE. */
size_t berth__socks5_wanted(const berth__socks5 *socks5);

#endif
