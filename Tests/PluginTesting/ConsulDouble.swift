import Foundation
package import JSON
import Synchronization

/// A double of Consul, `Tests/Doubles/consul_double.py`, running for one test.
package final class ConsulDouble: Sendable {
    struct Failure: Error {
        let what: String
    }

    /// The child, its standard input and output, and what it said after the last line that was taken.
    private struct Channel {
        let pid: pid_t
        let descriptor: Int32
        var unread = Data()

        /// Not by Foundation's `Process`: it takes a child that closes its inherited descriptors for
        /// an ended one, and may then wait for ever. And not by pipes, which can't be made
        /// close-on-exec at once, while other tests start programs.
        init(_ words: [String]) throws {
            var ends: [Int32] = [0, 0]
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
                throw Failure(what: "no pair of sockets")
            }
            defer { close(ends[1]) }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
            posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
            var vector = words.map { strdup($0) } + [nil]
            defer { for word in vector { free(word) } }
            var pid: pid_t = 0
            let result = posix_spawnp(&pid, words[0], &actions, nil, &vector, environ)
            guard result == 0 else {
                close(ends[0])
                throw Failure(what: "\(words[0]): \(String(cString: strerror(result)))")
            }
            self.pid = pid
            descriptor = ends[0]
        }

        func say(_ line: Data) throws {
            let sent = line.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent == line.count else { throw Failure(what: "the double has ended") }
        }

        mutating func line() throws -> JSONValue {
            while true {
                if let end = unread.firstIndex(of: 0x0A) {
                    let line = [UInt8](unread[..<end])
                    unread = Data(unread[(end + 1)...])
                    return try JSONValue(parsing: line)
                }
                var part = [UInt8](repeating: 0, count: 65_536)
                let count = read(descriptor, &part, part.count)
                guard count > 0 else { throw Failure(what: "the double has ended") }
                unread += part[..<count]
            }
        }

        /// It ends with its input.
        func end() {
            close(descriptor)
            while waitpid(pid, nil, 0) < 0, errno == EINTR {}
        }
    }

    package let httpPort: Int
    /// 0 without `--tls`.
    package let httpsPort: Int
    private let channel: Mutex<Channel>

    /// - Parameter arguments: as the script documents them.
    package init(_ arguments: [String] = []) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Doubles/consul_double.py")
        // Without files of bytecode among the sources.
        var channel = try Channel(["python3", "-B", script.path] + arguments)
        let ports = try channel.line()
        httpPort = Int(ports["http"]?.integer ?? 0)
        httpsPort = Int(ports["https"]?.integer ?? 0)
        self.channel = Mutex(channel)
    }

    deinit { channel.withLock { $0.end() } }

    package var address: String { "127.0.0.1:\(httpPort)" }
    package var secureAddress: String { "localhost:\(httpsPort)" }

    /// Tells it something, as the script documents it: the member of a JSON object.
    @discardableResult
    package func control(_ name: String, _ value: JSONValue, times: Int? = nil) throws -> JSONValue
    {
        var members = [JSONValue.Member(name, value)]
        if let times { members.append(.init("times", .integer(times))) }
        let line = Data("\(JSONValue.object(members).text())\n".utf8)
        let answer = try channel.withLock { channel in
            try channel.say(line)
            return try channel.line()
        }
        if let error = answer["error"]?.string { throw Failure(what: error) }
        return answer
    }

    /// What it was asked that no documented API would be asked; empty, or the client is wrong.
    package func violations() throws -> [String] {
        try control("violations", .null).array?.compactMap(\.string) ?? []
    }

    /// `METHOD TARGET STATUS` of the requests since the last time.
    package func log() throws -> [String] {
        try (control("log", .null).array ?? []).map { request in
            let parts = [request["method"]?.string, request["target"]?.string]
            return (parts.map { $0 ?? "" } + [String(request["status"]?.integer ?? 0)])
                .joined(separator: " ")
        }
    }
}
