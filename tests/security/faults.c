/* Stands before the C library's sync calls and lets them fail, or ends the process in them, when it was asked to. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static int skip, fail, error, mortal;

/* After `after` further syncs, `count` of them fail with `code`. */
void fault_fail(int after, int count, int code) { skip = after; fail = count; error = code; }

/* After `after` further syncs the process is killed at the next one, before it is made. */
void fault_kill(int after) { skip = after; mortal = 1; }

static int faulty(void) {
    if (!fail && !mortal) return 0;
    if (skip > 0) { skip--; return 0; }
    if (mortal) kill(getpid(), SIGKILL);
    fail--;
    errno = error;
    return 1;
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return faulty() ? -1 : real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return faulty() ? -1 : real(fd);
}
