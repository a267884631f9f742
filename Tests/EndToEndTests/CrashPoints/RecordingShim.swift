import Foundation

/// A library that writes down, in order, all that a process does to the files of one directory: names
/// made, moved and removed, bytes written, sizes changed, and syncs with their begin and their end. It is
/// of the tests alone, loaded by `LD_PRELOAD`.
///
/// One record, little-endian, in one write at the end of the recording:
///
///     0  4  length of what follows the fixed part: path, then bytes
///     4  4  kind, see `DiskRecord.Kind`
///     8  8  inode; of a note: its number
///    16  8  offset, size, or the number of a sync
///    24  4  length of the path
///    28  4  zero
struct RecordingShim: Sendable {
    private static let source = #"""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdarg.h>
        #include <stdint.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <sys/types.h>
        #include <sys/uio.h>
        #include <unistd.h>
        static int recording = -1;
        static const char *root;
        static uint64_t syncs;
        __attribute__((constructor)) static void begin(void) {
            const char *path = getenv("RECORD_FILE");
            root = getenv("RECORD_ROOT");
            if (path && root)
                recording = syscall(SYS_openat, AT_FDCWD, path,
                                    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        }
        static void record(char kind, uint64_t inode, uint64_t number, const char *path,
                           const void *bytes, size_t count) {
            size_t length = path ? strlen(path) : 0;
            uint32_t word[2] = {length + count, kind};
            uint64_t wide[2] = {inode, number};
            uint32_t tail[2] = {length, 0};
            struct iovec parts[5] = {{word, 8}, {wide, 16}, {tail, 8},
                                     {(void *)path, length}, {(void *)bytes, count}};
            int saved = errno;
            if (syscall(SYS_writev, recording, parts, 5) < 0) abort();
            errno = saved;
        }
        static int is_inside(const char *path) {
            size_t length;
            if (recording < 0 || !path) return 0;
            length = strlen(root);
            return strncmp(path, root, length) == 0 && (path[length] == '/' || !path[length]);
        }
        static int holds(int file, struct stat *facts) {
            char link[64], path[4096];
            if (recording < 0) return 0;
            snprintf(link, sizeof link, "/proc/self/fd/%d", file);
            ssize_t length = readlink(link, path, sizeof path - 1);
            if (length <= 0) return 0;
            path[length] = 0;
            return is_inside(path) && fstat(file, facts) == 0;
        }
        #define REAL(result, name, ...) \
            static result (*real)(__VA_ARGS__); \
            if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
        static void opened(int file, const char *path, int flags, int existed) {
            struct stat facts;
            if (file < 0 || !is_inside(path) || fstat(file, &facts) != 0) return;
            if (!existed) record('C', facts.st_ino, 0, path, 0, 0);
            else if (flags & O_TRUNC) record('T', facts.st_ino, 0, 0, 0, 0);
        }
        #define OPEN(name) \
            int name(const char *path, int flags, ...) { \
                REAL(int, name, const char *, int, ...); \
                mode_t mode = 0; \
                if (flags & O_CREAT) { \
                    va_list list; \
                    va_start(list, flags); \
                    mode = va_arg(list, mode_t); \
                    va_end(list); \
                } \
                struct stat facts; \
                int existed = !(flags & O_CREAT) || lstat(path, &facts) == 0; \
                int file = real(path, flags, mode); \
                opened(file, path, flags, existed); \
                return file; \
            }
        OPEN(open)
        OPEN(open64)
        #define WRITTEN \
            struct stat facts; \
            if (done > 0 && holds(file, &facts)) \
                record('W', facts.st_ino, offset, 0, bytes, done); \
            return done
        #define PWRITE(name, type) \
            ssize_t name(int file, const void *bytes, size_t count, type offset) { \
                REAL(ssize_t, name, int, const void *, size_t, type); \
                ssize_t done = real(file, bytes, count, offset); \
                WRITTEN; \
            }
        PWRITE(pwrite, off_t)
        PWRITE(pwrite64, off64_t)
        ssize_t write(int file, const void *bytes, size_t count) {
            REAL(ssize_t, write, int, const void *, size_t);
            ssize_t done = real(file, bytes, count);
            off_t offset = done > 0 ? lseek(file, 0, SEEK_CUR) - done : 0;
            WRITTEN;
        }
        #define RESIZE(name, kind, test, size, parameters, ...) \
            int name parameters { \
                REAL(int, name, __VA_ARGS__); \
                struct stat facts; \
                int failed = test; \
                if (!failed && holds(file, &facts)) record(kind, facts.st_ino, size, 0, 0, 0); \
                return failed; \
            }
        RESIZE(ftruncate, 'T', real(file, length), length, (int file, off_t length), int, off_t)
        RESIZE(ftruncate64, 'T', real(file, length), length, (int file, off64_t length), int,
               off64_t)
        RESIZE(posix_fallocate, 'F', real(file, offset, length), offset + length,
               (int file, off_t offset, off_t length), int, off_t, off_t)
        RESIZE(posix_fallocate64, 'F', real(file, offset, length), offset + length,
               (int file, off64_t offset, off64_t length), int, off64_t, off64_t)
        #define SYNC(name) \
            int name(int file) { \
                REAL(int, name, int); \
                struct stat facts; \
                if (!holds(file, &facts)) return real(file); \
                uint64_t number = __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST); \
                record('B', facts.st_ino, number, 0, 0, 0); \
                int failed = real(file); \
                if (!failed) record('E', facts.st_ino, number, 0, 0, 0); \
                return failed; \
            }
        SYNC(fsync)
        SYNC(fdatasync)
        int rename(const char *from, const char *to) {
            REAL(int, rename, const char *, const char *);
            int failed = real(from, to);
            if (!failed && is_inside(from)) record('R', 0, 0, from, to, strlen(to));
            return failed;
        }
        #define REMOVE(name) \
            int name(const char *path) { \
                REAL(int, name, const char *); \
                int failed = real(path); \
                if (!failed && is_inside(path)) record('U', 0, 0, path, 0, 0); \
                return failed; \
            }
        REMOVE(unlink)
        REMOVE(rmdir)
        int mkdir(const char *path, mode_t mode) {
            REAL(int, mkdir, const char *, mode_t);
            struct stat facts;
            int failed = real(path, mode);
            if (!failed && is_inside(path) && lstat(path, &facts) == 0)
                record('D', facts.st_ino, 0, path, 0, 0);
            return failed;
        }
        """#

    private let directory: TestDirectory

    init() throws {
        directory = try TestDirectory()
        try Self.source.write(
            toFile: "\(directory.path)/record.c", atomically: true, encoding: .utf8)
        try "6b1d0a52-3c1f-4d0a-9a53-0f6f0c7f1e11\n".write(
            toFile: "\(directory.path)/boot_id", atomically: true, encoding: .utf8)
        try run(
            "cc", "-O1", "-shared", "-fPIC", "-o", "\(directory.path)/record.so",
            "\(directory.path)/record.c", "-ldl")
    }

    /// What comes before the program that is recorded. It sees a machine that was started at another
    /// time than this one, so that whoever starts on what it left takes it for the work of a loss of
    /// power.
    func prefix(root: String, recording: String) -> [String] {
        let bootID = "/proc/sys/kernel/random/boot_id"
        return [
            "unshare", "--mount", "sh", "-c",
            "mount --bind \(directory.path)/boot_id \(bootID) && exec \"$@\"", "sh", "env",
            "LD_PRELOAD=\(directory.path)/record.so", "RECORD_ROOT=\(root)",
            "RECORD_FILE=\(recording)",
        ]
    }
}
