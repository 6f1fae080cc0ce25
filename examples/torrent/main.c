/*
 * berth-torrent: downloads torrents and serves them to others.
 *
 * The command line; everything else is in session.c and below. Several torrents share one port. The
 * exit status is 0 if every torrent is complete at the end, 1 if not, 2 for a wrong command line or
 * a program that cannot begin.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "session.h"
#include "show.h"

#define PROGRAM "berth-torrent"

static const char help[] =
    "Usage: berth-torrent [OPTION]... FILE.torrent...\n"
    "Downloads torrents, and serves them to other clients.\n"
    "\n"
    "  --directory D              where the files are (default: here)\n"
    "  --listen [ADDRESS:]PORT    default: any address, the first free port of 6881 to 6889\n"
    "  --peer HOST:PORT           a peer to connect to; may be repeated\n"
    "  --no-tracker               do not ask trackers\n"
    "  --seed-ratio R             end when complete and R times the size was uploaded; 0 ends at\n"
    "                             once (default: seed until SIGINT)\n"
    "  --download-limit N         bytes a second, 0 for none (default)\n"
    "  --upload-limit N           likewise\n"
    "  --max-peers N              connections at most (default: 200)\n"
    "  --max-peers-per-address N  of one address, in each torrent (default: 4)\n"
    "  --connecting N             attempts at once (default: 20)\n"
    "  --upload-slots N           peers that are served at once, and one more (default: 4)\n"
    "  --check                    check the files and exit\n"
    "  --show                     print what the torrent files say and exit\n"
    "  --authorities FILE         that certify https trackers, a PEM file or folder (default: "
    "those\n"
    "                             of the system)\n"
    "  --proxy URL                socks5:// or http://[USER[:PASSWORD]@]HOST:PORT\n"
    "  --threads N                for the disk and hashes (default: 2)\n"
    "  --backend NAME             io_uring or epoll\n"
    "  --log                      a line for each connection that ends\n"
    "  --help\n";

enum {
    OPTION_DIRECTORY = 256,
    OPTION_LISTEN,
    OPTION_PEER,
    OPTION_NO_TRACKER,
    OPTION_SEED_RATIO,
    OPTION_DOWNLOAD_LIMIT,
    OPTION_UPLOAD_LIMIT,
    OPTION_MAX_PEERS,
    OPTION_MAX_PEERS_PER_ADDRESS,
    OPTION_CONNECTING,
    OPTION_UPLOAD_SLOTS,
    OPTION_CHECK,
    OPTION_SHOW,
    OPTION_AUTHORITIES,
    OPTION_PROXY,
    OPTION_THREADS,
    OPTION_BACKEND,
    OPTION_LOG,
    OPTION_HELP
};

static const struct option options[] = {
    {"directory", required_argument, NULL, OPTION_DIRECTORY},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"no-tracker", no_argument, NULL, OPTION_NO_TRACKER},
    {"seed-ratio", required_argument, NULL, OPTION_SEED_RATIO},
    {"download-limit", required_argument, NULL, OPTION_DOWNLOAD_LIMIT},
    {"upload-limit", required_argument, NULL, OPTION_UPLOAD_LIMIT},
    {"max-peers", required_argument, NULL, OPTION_MAX_PEERS},
    {"max-peers-per-address", required_argument, NULL, OPTION_MAX_PEERS_PER_ADDRESS},
    {"connecting", required_argument, NULL, OPTION_CONNECTING},
    {"upload-slots", required_argument, NULL, OPTION_UPLOAD_SLOTS},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"show", no_argument, NULL, OPTION_SHOW},
    {"authorities", required_argument, NULL, OPTION_AUTHORITIES},
    {"proxy", required_argument, NULL, OPTION_PROXY},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"log", no_argument, NULL, OPTION_LOG},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* Fails unless the text is HOST:PORT. */
static const char *peer_from(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        fail(PROGRAM, "a peer has the form HOST:PORT, not '%s'", text);
    number_from(PROGRAM, "the peer's port", colon + 1, 1, 65535);
    return text;
}

static void listen_from(settings *self, char *text)
{
    char *colon = strrchr(text, ':');
    if (colon) {
        *colon = '\0';
        size_t length = (size_t)(colon - text);
        if (text[0] == '[' && length > 1 && text[length - 1] == ']') {
            text[length - 1] = '\0';
            text++;
        }
        self->address = address_from(PROGRAM, text);
        text = colon + 1;
    }
    self->port = (uint16_t)number_from(PROGRAM, "the port", text, 1, 65535);
}

static double ratio_from(const char *text)
{
    char *end = NULL;
    double ratio = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(ratio) || ratio < 0)
        fail(PROGRAM, "the seed ratio must be a number from 0, not '%s'", text);
    return ratio;
}

static uint32_t count_from(const char *what, const char *text, long least, long most)
{
    return (uint32_t)number_from(PROGRAM, what, text, least, most);
}

/* Options with a number. Returns whether it was one. */
static bool take_number(settings *self, int option, const char *text)
{
    switch (option) {
    case OPTION_DOWNLOAD_LIMIT:
        self->download_limit = (uint64_t)number_from(PROGRAM, "the limit", text, 0, LONG_MAX);
        return true;
    case OPTION_UPLOAD_LIMIT:
        self->upload_limit = (uint64_t)number_from(PROGRAM, "the limit", text, 0, LONG_MAX);
        return true;
    case OPTION_MAX_PEERS:
        self->most_peers = count_from("the number of peers", text, 1, 10000);
        return true;
    case OPTION_MAX_PEERS_PER_ADDRESS:
        self->most_per_address = count_from("the number of peers", text, 0, 10000);
        return true;
    case OPTION_CONNECTING:
        self->most_dialling = count_from("the number of attempts", text, 1, 1000);
        return true;
    case OPTION_UPLOAD_SLOTS:
        self->upload_slots = count_from("the number of slots", text, 1, 1000);
        return true;
    case OPTION_THREADS:
        self->threads = (int)number_from(PROGRAM, "the number of threads", text, 1, 64);
        return true;
    default:
        return false;
    }
}

static void take(settings *self, bool *show, int option, char *text)
{
    static berth_proxy proxy;
    switch (option) {
    case OPTION_DIRECTORY:
        self->folder = text;
        break;
    case OPTION_LISTEN:
        listen_from(self, text);
        break;
    case OPTION_PEER:
        if (self->peer_count == MOST_GIVEN_PEERS)
            fail(PROGRAM, "more than %d peers were given", MOST_GIVEN_PEERS);
        self->peers[self->peer_count++] = peer_from(text);
        break;
    case OPTION_NO_TRACKER:
        self->use_trackers = false;
        break;
    case OPTION_SEED_RATIO:
        self->ratio = ratio_from(text);
        break;
    case OPTION_CHECK:
        self->check_only = true;
        break;
    case OPTION_SHOW:
        *show = true;
        break;
    case OPTION_AUTHORITIES:
        self->authorities = text;
        break;
    case OPTION_PROXY:
        proxy = proxy_from(PROGRAM, text);
        self->proxy = &proxy;
        break;
    case OPTION_BACKEND:
        self->backend = text;
        break;
    case OPTION_LOG:
        self->log = true;
        break;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(0);
    default: /* getopt_long has said what */
        exit(2);
    }
}

int main(int argc, char **argv)
{
    settings given = {
        .program = PROGRAM,
        .folder = ".",
        .address = BERTH_ADDRESS_ANY,
        .use_trackers = true,
        .ratio = -1,
        .most_peers = 200,
        .most_per_address = 4,
        .most_dialling = 20,
        .upload_slots = 4,
        .threads = 2,
    };
    session shared;
    bool show = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_number(&given, option, optarg))
            take(&given, &show, option, optarg);
    if (optind == argc)
        fail(PROGRAM, "no torrent file was given; --help says more");
    if (argc - optind > MOST_TORRENTS)
        fail(PROGRAM, "more than %d torrents were given", MOST_TORRENTS);
    if (show)
        return show_torrents(PROGRAM, argv + optind, argc - optind);
    session_open(&shared, &given);
    for (int i = optind; i < argc; i++)
        session_add(&shared, argv[i]);
    int status = session_run(&shared);
    session_close(&shared);
    return status;
}
