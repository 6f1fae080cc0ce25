/*
 * The display: see progress.h.
 *
 * The bar shows all pieces, in their order: a place is full, partly full or empty. Where the
 * output is a terminal the lines of the last time are overwritten; as many are drawn as it has, and
 * as far as they fit.
 */
#include "progress.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "show.h"
#include "torrent.h"

#define PLAIN_EACH 10000
#define MOST_BAR 40
#define LEAST_BAR 10
#define NAME_WIDTH 20

static size_t drawn;        /* lines at the terminal */
static uint64_t next_plain; /* time of the next plain line */

static bool at_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

bool progress_may_print(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) != 0; /* an error is that of the write */
}

/* A line that is wrapped, or that has left at the top, cannot be drawn over. */
static struct winsize size_of_terminal(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

static void format_bytes(char *to, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(to, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void format_time(char *to, size_t size, uint64_t seconds)
{
    if (seconds >= 86400)
        snprintf(to, size, "%" PRIu64 " d %02" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
    else if (seconds >= 3600)
        snprintf(to, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
    else
        snprintf(to, size, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
}

/* One place of the bar stands for several pieces, or a piece for several places. */
static const char *place_of_bar(const torrent *self, uint32_t place, uint32_t places)
{
    uint64_t count = self->info->piece_count;
    uint64_t first = place * count / places;
    uint64_t end = (place + 1) * count / places;
    uint64_t there = 0;
    if (end == first)
        end = first + 1;
    for (uint64_t i = first; i < end; i++)
        there += bits_has(&self->have, (uint32_t)i);
    if (there == end - first)
        return "█";
    return there > 0 ? "▒" : "░";
}

static void draw_bar(const torrent *self, uint32_t places)
{
    for (uint32_t i = 0; i < places; i++)
        fputs(place_of_bar(self, i, places), stdout);
}

/* What is behind the bar; and all of a plain line. */
static void describe(const torrent *self, uint64_t now, char *to, size_t size)
{
    char down[24];
    char up[24];
    char rest[32] = "";
    uint32_t rate = speed_average(&self->down, now);
    uint64_t left = torrent_left(self);
    double percent = 100.0 * (double)(self->info->length - left) / (double)self->info->length;
    if (self->state == TORRENT_CHECKING) {
        snprintf(to, size, "checking %u of %u pieces", self->checked, self->info->piece_count);
        return;
    }
    if (self->state != TORRENT_ACTIVE) {
        snprintf(to, size, self->state == TORRENT_BROKEN ? "the disk has failed" : "ending");
        return;
    }
    format_bytes(down, sizeof(down), rate);
    format_bytes(up, sizeof(up), speed_average(&self->up, now));
    if (self->complete)
        snprintf(rest, sizeof(rest), "seeding");
    else if (rate > 0)
        format_time(rest, sizeof(rest), left / rate);
    else
        snprintf(rest, sizeof(rest), "waiting");
    snprintf(to, size, "%5.1f %%  down %s/s  up %s/s  peers %u  %s", percent, down, up,
             self->peer_count, rest);
}

/* Columns that a byte of UTF-8 begins, at most. */
static int width_of(unsigned char byte)
{
    if ((byte & 0xc0) == 0x80)
        return 0; /* it continues a character */
    return byte < 0xe1 ? 1 : 2;
}

/* Prints as much as goes into NAME_WIDTH columns, and blanks behind less. */
static void draw_name(const char *name)
{
    char text[4 * NAME_WIDTH + 1];
    size_t used = 0;
    int count = 0;
    for (; name[used] && used + 1 < sizeof(text); used++) {
        int width = width_of((unsigned char)name[used]);
        if (width > 0 && count + width > NAME_WIDTH)
            break;
        count += width;
        text[used] = name[used];
    }
    text[used] = '\0';
    print_text(text);
    printf("%*s", NAME_WIDTH - count + 1, "");
}

static void draw(const torrent *self, uint64_t now, int width)
{
    char text[160];
    describe(self, now, text, sizeof(text));
    int places = width - (int)strlen(text) - NAME_WIDTH - 4;
    int room = width - NAME_WIDTH - 2;
    places = places > MOST_BAR ? MOST_BAR : places;
    draw_name(self->info->name);
    if (places >= LEAST_BAR) {
        draw_bar(self, (uint32_t)places);
        putchar(' ');
    }
    printf("%.*s\n", room > 0 ? room : 0, text);
}

void progress_clear(const session *shared)
{
    (void)shared;
    if (drawn > 0)
        printf("\033[%zuA\033[J", drawn);
    drawn = 0;
}

void progress_show(const session *shared, uint64_t now)
{
    char text[160];
    bool terminal = at_terminal();
    struct winsize size = size_of_terminal();
    if ((!terminal && now < next_plain) || !progress_may_print())
        return;
    next_plain = now + PLAIN_EACH;
    progress_clear(shared);
    for (size_t i = 0; i < shared->torrent_count && progress_may_print(); i++) {
        const torrent *it = shared->torrents[i];
        if (!it)
            continue;
        if (terminal && drawn + 1 < size.ws_row) {
            draw(it, now, size.ws_col);
            drawn++;
        } else if (!terminal) {
            describe(it, now, text, sizeof(text));
            print_text(it->info->name);
            printf(": %s\n", text);
        }
        fflush(stdout);
    }
}
