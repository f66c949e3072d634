/* A mount that shows old attributes: what `stat` said of a path below BAD_WORLD is said
   again until BAD_WORLD_SECONDS have passed. Open files are asked (close-to-open), as on
   a network mount. BAD_WORLD.seen appears when something old was said. Built and preloaded by test_faults_places.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 8192, LENGTH = 512 };

static struct slot {
    char path[LENGTH];
    struct stat64 status;
    double since;
} slots[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static struct slot *find(const char *path) {
    const char *root = getenv("BAD_WORLD");
    if (!root || !path || strncmp(path, root, strlen(root)) || strlen(path) >= LENGTH)
        return NULL;
    unsigned long hash = 5381;
    for (const char *c = path; *c; c++) hash = hash * 33 + (unsigned char)*c;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *one = &slots[(hash + i) % SLOTS];
        if (!one->path[0] || !strcmp(one->path, path)) return one;
    }
    return NULL;
}

static void note(void) {
    char path[LENGTH + 8];
    snprintf(path, sizeof path, "%s.seen", getenv("BAD_WORLD"));
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int answer(const char *path, struct stat64 *status, int failed) {
    if (failed) return failed;
    double seconds = atof(getenv("BAD_WORLD_SECONDS") ?: "60");
    pthread_mutex_lock(&lock);
    struct slot *one = find(path);
    if (one && one->path[0] && now() - one->since < seconds) {
        if (status->st_mtim.tv_nsec != one->status.st_mtim.tv_nsec) note();
        *status = one->status;
    } else if (one) {
        strcpy(one->path, path);
        one->status = *status;
        one->since = now();
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

int stat64(const char *path, struct stat64 *status) {
    return answer(path, status, REAL(stat64)(path, status));
}

int lstat64(const char *path, struct stat64 *status) {
    return answer(path, status, REAL(lstat64)(path, status));
}

int fstatat64(int folder, const char *path, struct stat64 *status, int flags) {
    return answer(path, status, REAL(fstatat64)(folder, path, status, flags));
}
