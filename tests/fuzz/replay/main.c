/*
 * Runs a fuzz target on files, without libFuzzer: the corpus and the regressions as plain tests.
 *
 *     fuzz-TARGET FILE|FOLDER...
 *
 * An empty input is tried first, and each file also cut short at each of its first bytes, as a
 * stream may be. Copies of exact size on the heap let a sanitizer see a byte too much being read.
 */
#include "../check.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_CUTS 64

static unsigned long files;

static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void feed_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);
    CHECK(file != NULL);
    CHECK(data != NULL);
    CHECK(fread(data, 1, size, file) == size);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    for (size_t cut = 0; cut < size && cut < MOST_CUTS; cut++)
        feed(data, cut);
    feed(data, size);
    free(data);
    files++;
}

static void feed_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        CHECK(errno == ENOENT); /* a target may have no regressions */
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        feed_file(path, (size_t)status.st_size);
        return;
    }
    DIR *folder = opendir(path);
    CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char inner[4096];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        CHECK(length > 0 && (size_t)length < sizeof inner);
        if (stat(inner, &status) == 0 && S_ISREG(status.st_mode))
            feed_file(inner, (size_t)status.st_size);
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    feed(NULL, 0);
    for (int i = 1; i < argc; i++)
        feed_path(argv[i]);
    printf("%lu files\n", files);
    return EXIT_SUCCESS;
}
