/*
 * Certificates for tests, made when they are wanted: nothing that expires is in the tree.
 *
 * Each of these fails the process when it cannot do what it is asked for.
 */
#ifndef BERTH_TESTS_AUTHORITY_H
#define BERTH_TESTS_AUTHORITY_H

#include <stdbool.h>

enum identity_kind {
    IDENTITY_ECDSA, /* P-256 */
    IDENTITY_RSA,   /* 2048 bits */
    IDENTITY_SHORT  /* RSA with 1024, which is not safe */
};

/* Both in PEM. */
struct identity {
    char certificate[4096];
    char key[4096];
};

struct identity_wish {
    enum identity_kind kind;
    const char *name;    /* "example.org"; NULL: "test" */
    const char *address; /* "127.0.0.1"; NULL: none */
    int from_days;       /* from today; 0 with until_days 0: yesterday and in a year */
    int until_days;
    bool authority;
};

/* Signed by `signer`; NULL: by itself. */
void identity_make(struct identity *identity, const struct identity_wish *wish,
                   const struct identity *signer);

/* Shorter: for a name, by that signer; and an authority. */
void identity_for(struct identity *identity, const char *name, const struct identity *signer);
void identity_authority(struct identity *identity);

/* The date that many days from today, "2026-01-02". */
const char *identity_day(int days);

#endif
