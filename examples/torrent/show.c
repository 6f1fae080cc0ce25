/*
 * --show: names and lengths of the files, hash, pieces, trackers. Names come from strangers:
 * control characters are not printed.
 */
#include "show.h"

#include <inttypes.h>
#include <stdio.h>

#include "metainfo.h"

void print_text(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    for (; *at; at++) {
        bool second = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; /* of UTF-8, above ASCII */
        at += second;
        putchar(second || *at < ' ' || *at == 127 ? '?' : *at);
    }
}

static void show(const metainfo *info)
{
    fputs("name: ", stdout);
    print_text(info->name);
    fputs("\nhash: ", stdout);
    for (int i = 0; i < HASH_SIZE; i++)
        printf("%02x", info->hash[i]);
    printf("\nlength: %" PRIu64 "\npieces: %" PRIu32 " of %" PRIu32 " bytes\n", info->length,
           info->piece_count, info->piece_length);
    if (info->is_private)
        puts("private");
    for (uint32_t i = 0; i < info->tracker_count; i++) {
        printf("tracker %" PRIu32 ": ", info->tiers[i] + 1);
        print_text(info->trackers[i]);
        putchar('\n');
    }
    for (uint32_t i = 0; i < info->file_count; i++) {
        if (info->files[i].pad)
            continue;
        printf("%12" PRIu64 " ", info->files[i].length);
        print_text(info->files[i].path);
        putchar('\n');
    }
}

int show_torrents(const char *program, char **paths, int count)
{
    int status = 0;
    for (int i = 0; i < count; i++) {
        char error[512] = "";
        metainfo *info = metainfo_load(paths[i], error, sizeof(error));
        if (info) {
            show(info);
        } else {
            fprintf(stderr, "%s: %s\n", program, error);
            status = 1;
        }
        metainfo_free(info);
    }
    return status;
}
