/* System calls that fail or linger below a folder, for a program that does not know of it (LD_PRELOAD).

   FORGED_FAULTS names a file of rules, read anew at each call, one a line:

       OP PERCENT ERRNO DELAY_US PREFIX

   OP is write, read, fsync, rename, link or noreplace (a rename that must not overwrite). Of the calls whose path begins with
   PREFIX so many in a hundred linger and then, if ERRNO is not 0, fail. ERRNO -1: a write takes only half of what it was given.
   A staged file whose fsync fails loses its first bytes, as the page cache gives up pages that it could not write. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HALF -1
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static size_t path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[size > 0 ? size : 0] = 0;
    return size > 0 ? size : 0;
}

static size_t name_of(int folder, const char *name, char *path) {
    size_t size = 0;
    if (name[0] != '/' && folder != AT_FDCWD) {
        size = path_of(folder, path);
        path[size++] = '/';
    }
    strncpy(path + size, name, PATH_MAX - 1 - size);
    path[PATH_MAX - 1] = 0;
    return size;
}

static size_t rules(char *text, size_t most) {
    const char *file = getenv("FORGED_FAULTS");
    int fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t size = fd < 0 ? 0 : syscall(SYS_read, fd, text, most - 1);
    if (fd >= 0)
        syscall(SYS_close, fd);
    text[size > 0 ? size : 0] = 0;
    return size > 0;
}

/* What is to happen to this call: 0, an errno, or HALF. Lingers first. */
static int fate(const char *op, const char *path) {
    static __thread unsigned int chance;
    char text[8192], word[16], prefix[PATH_MAX];
    int percent, error, delay_us, kept = errno;
    if (chance == 0)
        chance = (unsigned int)syscall(SYS_gettid) ^ (unsigned int)time(NULL);
    if (!path[0] || !rules(text, sizeof text))
        return errno = kept, 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "%15s %d %d %d %4095[^\n]", word, &percent, &error, &delay_us, prefix) != 5 || strcmp(word, op))
            continue;
        if (strncmp(path, prefix, strlen(prefix)) || (int)(rand_r(&chance) % 100) >= percent)
            continue;
        if (delay_us)
            nanosleep(&(struct timespec){delay_us / 1000000, delay_us % 1000000 * 1000L}, NULL);
        if (error)
            return error;
    }
    return errno = kept, 0;
}

static int fate_of(const char *op, int fd) {
    char path[PATH_MAX + 1];
    path_of(fd, path);
    return fate(op, path);
}

static int fate_named(const char *op, int folder, const char *name) {
    char path[PATH_MAX + 1];
    name_of(folder, name, path);
    return fate(op, path);
}

static void lose_pages(int fd) {
    struct stat seen;
    char path[PATH_MAX + 1], nothing[4096] = {0};
    path_of(fd, path);
    if (fstat(fd, &seen) || !S_ISREG(seen.st_mode) || seen.st_nlink != 1 || !strstr(path, "/.forged/staging/"))
        return;
    syscall(SYS_pwrite64, fd, nothing, seen.st_size < 4096 ? seen.st_size : 4096, 0L);
}

static int fails(int error) {
    if (error > 0)
        errno = error;
    return error > 0;
}

/* --- writing and reading ------------------------------------------------------------------------------------------------ */

#define ONE_BUFFER(name, op, constness, rest, ...) \
    ssize_t name(int fd, constness void *data, size_t size rest) { \
        int end = fate_of(op, fd); \
        return fails(end) ? -1 : REAL(name)(fd, data, end == HALF && size > 1 ? size / 2 : size __VA_ARGS__); \
    }

#define COMMA ,
ONE_BUFFER(write, "write", const, )
ONE_BUFFER(pwrite, "write", const, COMMA off_t at, , at)
ONE_BUFFER(pwrite64, "write", const, COMMA off64_t at, , at)
ONE_BUFFER(pread, "read", , COMMA off_t at, , at)
ONE_BUFFER(pread64, "read", , COMMA off64_t at, , at)

static ssize_t half(int fd, const struct iovec *parts, off64_t at) {
    size_t size = parts[0].iov_len > 1 ? parts[0].iov_len / 2 : parts[0].iov_len;
    return syscall(SYS_pwrite64, fd, parts[0].iov_base, size, at);
}

#define BUFFERS(name, op, offset, rest, ...) \
    ssize_t name(int fd, const struct iovec *parts, int count, offset at rest) { \
        int end = fate_of(op, fd); \
        if (end == HALF && count > 0 && op[0] == 'w') \
            return half(fd, parts, at); \
        return fails(end) ? -1 : REAL(name)(fd, parts, count, at __VA_ARGS__); \
    }

BUFFERS(pwritev, "write", off_t, )
BUFFERS(pwritev64, "write", off64_t, )
BUFFERS(pwritev2, "write", off_t, COMMA int flags, , flags)
BUFFERS(pwritev64v2, "write", off64_t, COMMA int flags, , flags)
BUFFERS(preadv, "read", off_t, )
BUFFERS(preadv64, "read", off64_t, )
BUFFERS(preadv2, "read", off_t, COMMA int flags, , flags)
BUFFERS(preadv64v2, "read", off64_t, COMMA int flags, , flags)

ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *end, size_t size, unsigned int flags) {
    return fails(fate_of("write", to)) ? -1 : REAL(copy_file_range)(from, start, to, end, size, flags);
}

/* --- making durable ----------------------------------------------------------------------------------------------------- */

#define SYNC(name) \
    int name(int fd) { \
        int end = fate_of("fsync", fd); \
        if (end <= 0) \
            return REAL(name)(fd); \
        lose_pages(fd); \
        errno = end; \
        return -1; \
    }

SYNC(fsync)
SYNC(fdatasync)

/* --- names -------------------------------------------------------------------------------------------------------------- */

int renameat(int from, const char *name, int to, const char *other) {
    return fails(fate_named("rename", to, other)) ? -1 : REAL(renameat)(from, name, to, other);
}

int rename(const char *name, const char *other) {
    return fails(fate_named("rename", AT_FDCWD, other)) ? -1 : REAL(rename)(name, other);
}

int renameat2(int from, const char *name, int to, const char *other, unsigned int flags) {
    if (fails(fate_named(flags ? "noreplace" : "rename", to, other)) || fails(fate_named("rename", to, other)))
        return -1;
    return REAL(renameat2)(from, name, to, other, flags);
}

int linkat(int from, const char *name, int to, const char *other, int flags) {
    return fails(fate_named("link", to, other)) ? -1 : REAL(linkat)(from, name, to, other, flags);
}
