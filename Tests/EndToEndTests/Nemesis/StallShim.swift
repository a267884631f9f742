import Foundation

/// A library that lets writes and syncs of files hang for as long as the test says, as a disk does that
/// does not answer. It is of the tests alone, loaded by `LD_PRELOAD`.
final class StallShim: Sendable {
    private static let source = """
        #define _GNU_SOURCE
        #include <dirent.h>
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/mman.h>
        #include <sys/stat.h>
        #include <sys/types.h>
        #include <time.h>
        #include <unistd.h>
        static const volatile char *control;
        __attribute__((constructor)) static void look(void) {
            const char *path = getenv("STALL_CONTROL");
            int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            if (file < 0) return;
            void *page = mmap(0, 1, PROT_READ, MAP_SHARED, file, 0);
            if (page != MAP_FAILED) control = page;
            close(file);
        }
        /* Files alone; those that standard output and error go to only where that is said. */
        static int stalls(int file) {
            struct stat facts;
            char what = control ? *control : '0', link[64], path[4096];
            if (what == '0' || (file <= 2) != (what == 'L')) return 0;
            if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) return 0;
            if (what == 'L') return 1;
            if (what == '1') return 1;
            if (what != 'C') return 0;
            snprintf(link, sizeof link, "/proc/self/fd/%d", file);
            ssize_t length = readlink(link, path, sizeof path - 1);
            if (length <= 0) return 0;
            path[length] = 0;
            return strstr(path, "/.upload-") != 0;
        }
        static void stall(int file) {
            struct timespec pause = {0, 5000000};
            while (stalls(file)) nanosleep(&pause, 0);
        }
        #define REAL(type, name) \\
            static type real; \\
            if (!real) real = (type)dlsym(RTLD_NEXT, name); \\
            stall(file)
        typedef ssize_t (*write_call)(int, const void *, size_t);
        typedef ssize_t (*pwrite_call)(int, const void *, size_t, off64_t);
        typedef int (*sync_call)(int);
        ssize_t write(int file, const void *bytes, size_t count) {
            REAL(write_call, "write");
            return real(file, bytes, count);
        }
        ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
            REAL(pwrite_call, "pwrite64");
            return real(file, bytes, count, offset);
        }
        ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
            REAL(pwrite_call, "pwrite64");
            return real(file, bytes, count, offset);
        }
        DIR *opendir(const char *path) {
            static DIR *(*real)(const char *);
            struct timespec pause = {0, 5000000};
            if (!real) real = (DIR *(*)(const char *))dlsym(RTLD_NEXT, "opendir");
            while (control && *control == 'D' && strncmp(path, "/proc", 5)) nanosleep(&pause, 0);
            return real(path);
        }
        int fsync(int file) {
            REAL(sync_call, "fsync");
            return real(file);
        }
        int fdatasync(int file) {
            REAL(sync_call, "fdatasync");
            return real(file);
        }
        """

    private let directory: TestDirectory

    /// - Parameter nodes: how many get a switch of their own.
    init(nodes: Int) throws {
        directory = try TestDirectory()
        try Self.source.write(
            toFile: "\(directory.path)/stall.c", atomically: true, encoding: .utf8)
        try run(
            "cc", "-O1", "-shared", "-fPIC", "-o", "\(directory.path)/stall.so",
            "\(directory.path)/stall.c", "-ldl")
        for node in 0..<nodes {
            try Data("0".utf8).write(to: URL(fileURLWithPath: control(node)))
        }
    }

    private func control(_ node: Int) -> String { "\(directory.path)/control-\(node)" }

    /// What comes before the program of the node at this position, from 0.
    func prefix(_ node: Int) -> [String] {
        ["env", "LD_PRELOAD=\(directory.path)/stall.so", "STALL_CONTROL=\(control(node))"]
    }

    /// What hangs of a node.
    enum Part: String {
        case nothing = "0"
        /// Writes and syncs of all files.
        case writes = "1"
        /// Those of copies that are put into a directory.
        case copies = "C"
        /// Those of the files that standard output and error go to.
        case log = "L"
        /// Looks into directories.
        case names = "D"
    }

    /// From now on the node's writes hang, or go on.
    func stall(_ node: Int, _ isStalled: Bool) throws {
        try hang(node, isStalled ? .writes : .nothing)
    }

    /// From now on this hangs, and nothing else.
    func hang(_ node: Int, _ part: Part) throws {
        // In place, for the node has mapped this file and no other.
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: control(node)))
        defer { try? file.close() }
        try file.write(contentsOf: Data(part.rawValue.utf8))
    }
}
