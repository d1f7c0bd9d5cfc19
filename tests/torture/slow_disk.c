/* Makes a disk slow for the programs that load this: each call that must reach the disk, or a file server, takes
   SLOW_MS milliseconds more. SQLite's calls are among them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void dawdle(void)
{
    const char *told = getenv("SLOW_MS");
    if (told)
        usleep(1000 * (useconds_t)atoi(told));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) { dawdle(); return REAL(fsync)(file); }
int fdatasync(int file) { dawdle(); return REAL(fdatasync)(file); }
int rename(const char *from, const char *to) { dawdle(); return REAL(rename)(from, to); }
int unlink(const char *path) { dawdle(); return REAL(unlink)(path); }
int link(const char *from, const char *to) { dawdle(); return REAL(link)(from, to); }
