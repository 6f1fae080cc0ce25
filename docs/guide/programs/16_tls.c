/*
 * A service that encrypts: it has a certificate for each of two names, agrees on a protocol,
 * resumes sessions, and renews a certificate while it serves. A second server of it begins without
 * TLS and encrypts when the client asks for that, as mail servers do.
 *
 * The program makes the certificates with the openssl command, and is its own client, who trusts
 * nothing but them. The exit status is 0 if everything went as it should.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <berth/berth.h>

static const char *const protocols[] = {"who/1", NULL};

typedef struct service {
    char folder[32];
    berth_server *encrypting;
    berth_server *plain; /* STARTTLS */
    berth_tls *tls;      /* of both, for "localhost" */
    berth_tls_ticket_key key;
    unsigned right; /* visits that went as they should */
} service;

/* ---- certificates ---------------------------------------------------------------------------- */

static bool make_certificate(const service *all, const char *name)
{
    char command[512];
    snprintf(command, sizeof(command),
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
             "-days 30 -subj /CN=%s -addext subjectAltName=DNS:%s "
             "-keyout %s.key.pem -out %s.pem 2>/dev/null",
             all->folder, name, name, name, name);
    if (system(command) == 0)
        return true;
    fprintf(stderr, "openssl cannot make a certificate for %s\n", name);
    return false;
}

static void remove_certificates(const service *all)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", all->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", all->folder);
}

/* Reads what is in the files now. The ticket key outlives the certificate, and so do sessions. */
static berth_tls *configure_server(const service *all, const char *name)
{
    char certificate[80], key[80], text[BERTH_TLS_TEXT_SIZE];
    berth_tls_options options = {.certificate = certificate, .key = key, .protocols = protocols};
    snprintf(certificate, sizeof(certificate), "%s/%s.pem", all->folder, name);
    snprintf(key, sizeof(key), "%s/%s.key.pem", all->folder, name);
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
    if (!tls)
        fprintf(stderr, "%s\n", text);
    else
        berth_tls_set_ticket_keys(tls, &all->key, 1);
    return tls;
}

/* Of a client that trusts the certificate of `name`. */
static berth_tls *configure_client(const service *all, const char *name)
{
    char authorities[80], text[BERTH_TLS_TEXT_SIZE];
    berth_tls_options options = {.authorities = authorities, .protocols = protocols};
    snprintf(authorities, sizeof(authorities), "%s/%s.pem", all->folder, name);
    berth_tls *tls = berth_tls_new(BERTH_TLS_CLIENT, &options, text);
    if (!tls)
        fprintf(stderr, "%s\n", text);
    return tls;
}

/* On SIGHUP, say. If the files are broken, everything stays as it is. */
static bool renew(service *all)
{
    berth_tls *tls = configure_server(all, "localhost");
    if (!tls)
        return false;
    if (!berth_server_set_tls(all->encrypting, tls)) {
        fprintf(stderr, "%s\n", berth_server_error_string(all->encrypting));
        berth_tls_release(tls);
        return false;
    }
    berth_tls_release(all->tls);
    all->tls = tls;
    return true;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void answer(berth_socket *socket, void *user)
{
    char line[16], text[128];
    (void)user;
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_read_line(socket, line, sizeof(line));
    if (berth_socket_is_encrypted(socket))
        snprintf(text, sizeof(text), "%s, %s, %s\n", berth_socket_tls_server_name(socket),
                 berth_socket_tls_protocol(socket),
                 berth_socket_tls_was_resumed(socket) ? "resumed" : "full");
    else
        snprintf(text, sizeof(text), strcmp(line, "starttls\n") == 0 ? "go\n" : "starttls first\n");
    berth_socket_write(socket, text, strlen(text));
}

/* "go" has been sent, in the clear; nothing else may be, from here on. */
static void encrypt(berth_socket *socket, size_t bytes, void *user)
{
    service *all = user;
    (void)bytes;
    if (!berth_socket_is_encrypted(socket) && berth_socket_bytes_to_write(socket) == 0 &&
        !berth_socket_start_server_encryption(socket, all->tls))
        berth_socket_abort(socket); /* the client has sent more than it should have */
}

static void welcome(berth_server *server, void *user)
{
    static const berth_socket_handlers encrypted = {.ready_read = answer,
                                                    .disconnected = berth_socket_free_in_handler};
    static const berth_socket_handlers plain = {.ready_read = answer,
                                                .bytes_written = encrypt,
                                                .disconnected = berth_socket_free_in_handler};
    const service *all = user;
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(server)) != NULL)
        berth_socket_set_handlers(socket, server == all->plain ? &plain : &encrypted, user);
}

/* A client that never got so far as to be a connection. */
static void regret(berth_server *server, const berth_tls_failure *failure, void *user)
{
    (void)server;
    (void)user;
    printf("  (the server: %s)\n", failure->text);
}

/* ---- the client ------------------------------------------------------------------------------ */

typedef struct visit {
    berth_tls *tls;
    const char *name;
    bool starttls;
    bool stay;        /* the connection is left open */
    char result[256]; /* the answer, or the error */
    uint8_t session[4096];
    size_t session_size;
    uint8_t certificate[1024];
    size_t certificate_size;
} visit;

static void ask(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, "who?\n", 5);
}

static void begin(berth_socket *socket, void *user)
{
    const visit *self = user;
    if (self->starttls)
        berth_socket_write(socket, "starttls\n", 9);
}

static void read_answer(berth_socket *socket, void *user)
{
    visit *self = user;
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_read_line(socket, self->result, sizeof(self->result));
    if (!berth_socket_is_encrypted(socket)) {
        if (strcmp(self->result, "go\n") != 0 ||
            !berth_socket_start_client_encryption(socket, self->tls, self->name))
            berth_socket_abort(socket);
        return;
    }
    self->session_size = berth_socket_tls_session(socket, self->session, sizeof(self->session));
    const void *certificate = berth_socket_peer_certificate(socket, &self->certificate_size);
    if (certificate && self->certificate_size <= sizeof(self->certificate))
        memcpy(self->certificate, certificate, self->certificate_size);
    if (self->stay)
        berth_loop_stop(NULL, 0);
    else
        berth_socket_disconnect_from_host(socket);
}

static void fail(berth_socket *socket, berth_error error, void *user)
{
    visit *self = user;
    if (error != BERTH_ERROR_REMOTE_HOST_CLOSED)
        snprintf(self->result, sizeof(self->result), "%s\n", berth_socket_error_string(socket));
}

static void end(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
    berth_loop_stop(NULL, 0);
}

static const berth_socket_handlers visiting = {.connected = begin,
                                               .encrypted = ask,
                                               .ready_read = read_answer,
                                               .error_occurred = fail,
                                               .disconnected = end};

/* Visits the server, and returns when there is a result; the socket is the caller's. */
static berth_socket *go(const service *all, visit *self)
{
    berth_socket *socket = berth_socket_new(NULL, &visiting, self);
    const berth_server *server = self->starttls ? all->plain : all->encrypting;
    if (!self->starttls)
        berth_socket_set_tls(socket, self->tls, self->name);
    berth_socket_set_tls_session(socket, self->session, self->session_size);
    berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
    berth_loop_run(NULL);
    return socket;
}

static void expect(service *all, const visit *self, const char *what, const char *expected)
{
    bool right = strstr(self->result, expected) != NULL;
    all->right += right;
    printf("%s: %s%s", what, self->result, right ? "" : "  which is wrong\n");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool has_same(const visit *one, const visit *other)
{
    return one->certificate_size == other->certificate_size &&
           memcmp(one->certificate, other->certificate, one->certificate_size) == 0;
}

static void visit_names(service *all, berth_tls *client)
{
    visit guest = {.tls = client, .name = "localhost"};
    berth_socket_free(go(all, &guest));
    expect(all, &guest, "a visit", "localhost, who/1, full\n");
    berth_socket_free(go(all, &guest));
    expect(all, &guest, "another one", "localhost, who/1, resumed\n");

    visit wrong = {.tls = client, .name = "elsewhere.example"};
    berth_socket_free(go(all, &wrong));
    expect(all, &wrong, "a wrong name", "not for the name elsewhere.example");

    visit shop = {.tls = configure_client(all, "shop.example"), .name = "shop.example"};
    berth_socket_free(go(all, &shop));
    expect(all, &shop, "the other name", "shop.example, who/1, full\n");
    berth_tls_release(shop.tls);

    visit mail = {.tls = client, .name = "localhost", .starttls = true};
    berth_socket_free(go(all, &mail));
    expect(all, &mail, "with STARTTLS", "localhost, who/1, full\n");
}

static void visit_across_renewal(service *all, berth_tls *client)
{
    visit old = {.tls = client, .name = "localhost", .stay = true};
    berth_socket *open = go(all, &old);
    expect(all, &old, "before the renewal", "localhost, who/1, full\n");
    if (!make_certificate(all, "localhost") || !renew(all))
        return;
    visit new = {.tls = configure_client(all, "localhost"), .name = "localhost"};
    berth_socket_free(go(all, &new));
    expect(all, &new, "after it", has_same(&new, &old) ? "another" : "localhost, who/1, full\n");
    berth_tls_release(new.tls);

    berth_socket_write(open, "who?\n", 5);
    berth_loop_run(NULL);
    expect(all, &old, "on the old connection", "localhost, who/1, full\n");
    berth_socket_disconnect_from_host(open);
    berth_loop_run(NULL);
    berth_socket_free(open);
    old.stay = false;
    berth_socket_free(go(all, &old));
    expect(all, &old, "with the old session", "localhost, who/1, resumed\n");
}

/* Each part says itself what has failed. */
static bool configure(service *all)
{
    berth_tls *shop = configure_server(all, "shop.example");
    bool good = shop && renew(all);
    if (good && !berth_server_set_tls_host(all->encrypting, "shop.example", shop)) {
        fprintf(stderr, "%s\n", berth_server_error_string(all->encrypting));
        good = false;
    }
    berth_tls_release(shop); /* the server holds it */
    return good;
}

static bool listen_on_any_port(berth_server *server)
{
    if (berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return true;
    fprintf(stderr, "%s\n", berth_server_error_string(server));
    return false;
}

int main(void)
{
    static const berth_server_handlers handlers = {.new_connection = welcome,
                                                   .handshake_failed = regret};
    service all = {.folder = "/tmp/berth-XXXXXX"};
    all.encrypting = berth_server_new(NULL, &handlers, &all);
    all.plain = berth_server_new(NULL, &handlers, &all);
    if (!all.encrypting || !all.plain) {
        fprintf(stderr, "cannot make two servers: %s\n", berth_server_error_string(NULL));
        return 1;
    }
    if (getrandom(&all.key, sizeof(all.key), 0) != sizeof(all.key) || !mkdtemp(all.folder)) {
        perror("cannot make a key and a folder");
        return 1;
    }
    berth_tls *client = NULL;
    if (!make_certificate(&all, "localhost") || !make_certificate(&all, "shop.example") ||
        !(client = configure_client(&all, "localhost")) || !configure(&all) ||
        !listen_on_any_port(all.encrypting) || !listen_on_any_port(all.plain)) {
        remove_certificates(&all);
        return 1;
    }
    visit_names(&all, client);
    visit_across_renewal(&all, client);

    berth_loop_free(berth_loop_current());
    berth_tls_release(client);
    berth_tls_release(all.tls);
    remove_certificates(&all);
    printf("%u of 9 as expected\n", all.right);
    return all.right == 9 ? 0 : 1;
}
