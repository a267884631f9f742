import Foundation

/// A library that ends a process when SQLite runs a certain statement: what a fault in SQLite, or a
/// lack of memory, would do. It is of the tests alone, loaded by `LD_PRELOAD`.
struct PoisonShim: Sendable {
    /// What a statement must contain.
    static let word = "poisonous"

    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        typedef struct sqlite3_stmt sqlite3_stmt;
        extern const char *sqlite3_sql(sqlite3_stmt *);
        int sqlite3_step(sqlite3_stmt *statement) {
            static int (*step)(sqlite3_stmt *);
            if (!step) step = (int (*)(sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");
            const char *sql = sqlite3_sql(statement);
            if (sql && strstr(sql, "\(word)")) _exit(99);
            return step(statement);
        }
        """

    static let hindrance: String? =
        (try? run("sh", "-c", "command -v cc")) == nil ? "not found: cc" : nil

    private let directory: TestDirectory

    init() throws {
        directory = try TestDirectory()
        try Self.source.write(
            toFile: "\(directory.path)/poison.c", atomically: true, encoding: .utf8)
        try run(
            "cc", "-shared", "-fPIC", "-o", "\(directory.path)/poison.so",
            "\(directory.path)/poison.c", "-ldl")
    }

    /// What comes before the program that shall end so.
    var prefix: [String] { ["env", "LD_PRELOAD=\(directory.path)/poison.so"] }

    /// Three nodes on loopback, not started, of which the first `count` end so and the others never.
    func cluster(ending count: Int = 3) throws -> TestCluster {
        var cluster = try TestCluster.joined(3)
        cluster.nodes =
            cluster.nodes.prefix(count).map { node in
                Daemon(
                    id: node.id, host: node.host, httpPort: node.httpPort, raftPort: node.raftPort,
                    directory: URL(fileURLWithPath: node.dataDirectory).deletingLastPathComponent()
                        .path, arguments: node.arguments, prefix: prefix)
            } + cluster.nodes.dropFirst(count)
        return cluster
    }
}
