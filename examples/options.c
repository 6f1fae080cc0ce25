/*
 * Numbers on the command line, and the one way to fail; options.h says what each does.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *program, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

long number_from(const char *program, const char *what, const char *text, long least, long most)
{
    char *end = NULL;
    errno = 0;
    /* strtol alone would take blanks and signs in front. */
    long number = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || number < least || number > most)
        fail(program, "%s must be a number from %ld to %ld, not '%s'", what, least, most, text);
    return number;
}
