import Foundation
import Synchronization

/// A child that is told lines on its standard input and answers each with a line on its standard
/// output. It is killed with the object.
final class ControlledProcess: Sendable {
    private struct Channel {
        var descriptor: Int32
        /// What came after the last line that was taken.
        var unread: [UInt8] = []
    }

    private let pid: pid_t
    private let channel: Mutex<Channel>

    init(_ words: [String]) throws {
        var ends: [Int32] = [0, 0]
        // Not pipes: see `ServerProcess`.
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw ServerProcess.Failure(description: "no pair of sockets")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        var vector = words.map { strdup($0) } + [nil]
        defer { for word in vector { free(word) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, words[0], &actions, nil, &vector, environ)
        close(ends[1])
        guard result == 0 else {
            close(ends[0])
            throw ServerProcess.Failure(
                description: "\(words[0]): \(String(cString: strerror(result)))")
        }
        self.pid = pid
        channel = Mutex(Channel(descriptor: ends[0]))
    }

    deinit {
        channel.withLock { _ = close($0.descriptor) }
        // Threads that start children may have other signals blocked, which children inherit.
        kill(pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0, errno == EINTR {}
    }

    /// The next line, without its end. Waits for it.
    func line() throws -> [UInt8] { try channel.withLock { try Self.line(&$0) } }

    /// Sends one line and waits for the answer.
    func exchange(_ line: [UInt8]) throws -> [UInt8] {
        try channel.withLock { channel in
            var rest = (line + [0x0A])[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    send(channel.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Self.end }
                rest = rest.dropFirst(count)
            }
            return try Self.line(&channel)
        }
    }

    private static let end = ServerProcess.Failure(description: "the child has ended")

    private static func line(_ channel: inout Channel) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let end = channel.unread.firstIndex(of: 0x0A) {
                defer { channel.unread.removeFirst(end + 1) }
                return Array(channel.unread[..<end])
            }
            let count = read(channel.descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw end }
            channel.unread += buffer.prefix(count)
        }
    }
}
