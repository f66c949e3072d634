/* A wall clock that somebody sets: it goes wrong by as many seconds as the file
   FALSE_CLOCK says, which is read anew every 50 ms; FALSE_CLOCK.seen tells what a process
   went by. The monotonic clock goes on, and
   sleeping takes as long as it takes. Built and preloaded by test_faults_places.py;
   libfaketime 0.9.10 makes clock_nanosleep, and with it Python's time.sleep, fail. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset, read_at; /* torn or doubled reads do no harm in a test */

static void ask(clockid_t clock, struct timespec *t) {
    syscall(SYS_clock_gettime, clock, t);
}

static long long wrong_by(void) {
    struct timespec t;
    ask(CLOCK_MONOTONIC, &t);
    long long now = t.tv_sec * 1000LL + t.tv_nsec / 1000000;
    if (now - read_at < 50) return offset;
    read_at = now;
    const char *name = getenv("FALSE_CLOCK");
    char text[32] = "", path[4096];
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return offset;
    int length = read(file, text, sizeof text - 1);
    close(file);
    if (length > 0 && atoll(text) != offset) {
        offset = atoll(text);
        snprintf(path, sizeof path, "%s.seen", name);
        file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        dprintf(file, "%d %lld\n", getpid(), offset);
        close(file);
    }
    return offset;
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return syscall(SYS_clock_gettime, clock, t);
    ask(clock, t);
    t->tv_sec += wrong_by();
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
