/*
 * Libraries that are closed (dlclose) while a thread lives that has used them: its end calls what
 * they left for it.
 *
 *     unloaded LIBRARY [LIBRARY-OF-TLS]
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *library;
static void *library_of_tls;
static pthread_barrier_t used;
static pthread_barrier_t closed;

static void *symbol(void *from, const char *name)
{
    void *found = dlsym(from, name);
    if (found != NULL)
        return found;
    fprintf(stderr, "unloaded: %s\n", dlerror());
    exit(EXIT_FAILURE);
}

static void use(void)
{
    void *(*current)(void);
    void *(*make)(int side, const void *options, size_t size, char *ret_text);
    void (*release)(void *tls);
    void *found = symbol(library, "berth_loop_current");
    memcpy(&current, &found, sizeof current);
    (void)current();
    if (library_of_tls == NULL)
        return;
    found = symbol(library_of_tls, "berth_tls_new_sized");
    memcpy(&make, &found, sizeof make);
    found = symbol(library, "berth_tls_release");
    memcpy(&release, &found, sizeof release);
    release(make(1, NULL, 0, NULL));
}

static void *live(void *unused)
{
    use();
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    return unused;
}

int main(int count, char **arguments)
{
    pthread_t thread;
    library = count > 1 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    library_of_tls = count > 2 ? dlopen(arguments[2], RTLD_NOW) : NULL;
    if (library == NULL || (count > 2 && library_of_tls == NULL)) {
        fprintf(stderr, "unloaded: %s\n", count > 1 ? dlerror() : "which library?");
        return EXIT_FAILURE;
    }
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&closed, NULL, 2);
    if (pthread_create(&thread, NULL, live, NULL) != 0)
        return EXIT_FAILURE;
    pthread_barrier_wait(&used);
    if (library_of_tls != NULL)
        dlclose(library_of_tls);
    dlclose(library);
    pthread_barrier_wait(&closed);
    return pthread_join(thread, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
