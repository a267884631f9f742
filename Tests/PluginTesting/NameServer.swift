import Foundation

/// A real dnsmasq on a loopback port of its own, for one test.
///
/// Not by Foundation's `Process`: dnsmasq closes every descriptor it inherits, which `Process` takes
/// for its end, and then all waiting for other processes hangs.
package final class NameServer: Sendable {
    struct Failure: Error {
        let what: String
    }

    package let port: UInt16
    private let process: pid_t
    private let hosts: String

    /// Answers for `*.test`: what `hosts` (lines of a hosts file) does not have does not exist.
    /// - Parameter options: of dnsmasq, as `--srv-host=…`.
    package init(hosts lines: String, options: [String] = []) throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "rqd-hosts-\(UUID().uuidString)").path
        try lines.write(toFile: path, atomically: false, encoding: .utf8)
        // Another program may take the port between finding and using it.
        var output = ""
        for _ in 0..<5 {
            let port = try Loopback.freePort()
            let process: pid_t
            (process, output) = try Self.start(port, path, options)
            if output.contains("started, version") {
                (self.port, self.process, hosts) = (port, process, path)
                return
            }
            Self.end(process)
        }
        throw Failure(what: output)
    }

    deinit {
        Self.end(process)
        // What can't be removed is the temporary folder's.
        unlink(hosts)
    }

    private static func end(_ process: pid_t) {
        kill(process, SIGKILL)
        while waitpid(process, nil, 0) < 0, errno == EINTR {}
    }

    /// Reads what it says until it has the hosts, or has failed.
    private static func start(
        _ port: UInt16, _ hosts: String, _ options: [String]
    ) throws -> (pid_t, String) {
        let pipe = Pipe()
        let writing = pipe.fileHandleForWriting.fileDescriptor
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, writing, 1)
        posix_spawn_file_actions_adddup2(&actions, writing, 2)
        let arguments =
            [
                "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null",
                "--port=\(port)", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
                "--no-hosts", "--addn-hosts=\(hosts)", "--local=/test/", "--local-ttl=7",
                "--user=\(NSUserName())", "--group=", "--pid-file=",
            ] + options
        var vector = arguments.map { strdup($0) } + [nil]
        defer { for argument in vector { free(argument) } }
        var process: pid_t = 0
        var result: Int32 = ENOENT
        for directory in ["/usr/sbin", "/usr/local/sbin", "/usr/bin"] where result == ENOENT {
            result = posix_spawn(
                &process, "\(directory)/dnsmasq", &actions, nil, &vector, environ)
        }
        guard result == 0 else {
            throw Failure(what: "dnsmasq: \(String(cString: strerror(result)))")
        }
        try pipe.fileHandleForWriting.close()
        var output = ""
        while !output.contains("read \(hosts)") {
            let data = pipe.fileHandleForReading.availableData
            if data.isEmpty { break }
            output += String(decoding: data, as: UTF8.self)
        }
        return (process, output)
    }
}
