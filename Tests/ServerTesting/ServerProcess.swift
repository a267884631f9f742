import Foundation
import Synchronization

/// A server that a test runs as a child, and what it prints.
///
/// Started without Foundation's `Process`, which takes a child that closes its inherited descriptors
/// for an ended one.
package final class ServerProcess: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let pid: pid_t
    private let output: Output
    private let isGone = Mutex(false)

    /// Returns when the server has printed `ready`; throws with what it printed if it ends before, or is not
    /// ready within a minute.
    package init(_ words: [String], ready: String) throws {
        var ends: [Int32] = [0, 0]
        // Not a pipe: that can't be made close-on-exec at once, and others start programs meanwhile.
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw Failure(description: "no pair of sockets")
        }
        output = Output(ends[0])
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        var vector = words.map { strdup($0) } + [nil]
        defer { for word in vector { free(word) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, words[0], &actions, nil, &vector, environ)
        // The child has the last writing end, so that its end shows.
        close(ends[1])
        guard result == 0 else {
            throw Failure(description: "\(words[0]): \(String(cString: strerror(result)))")
        }
        self.pid = pid
        guard output.waitFor(ready) else {
            end(SIGKILL)
            throw Failure(description: "\(words.joined(separator: " ")): \(output.text)")
        }
    }

    deinit { end(SIGKILL) }

    package var printed: String { output.text }

    /// Stops it where it stands; returns when its last thread has stopped.
    package func pause() {
        isGone.withLock { isGone in
            guard !isGone, kill(pid, SIGSTOP) == 0 else { return }
            var status: Int32 = 0
            while waitpid(pid, &status, WUNTRACED) < 0, errno == EINTR {}
            // Or it has ended by itself.
            isGone = status & 0xFF != 0x7F
        }
    }

    package func resume() {
        isGone.withLock { if !$0 { kill(pid, SIGCONT) } }
    }

    /// Waits until it is gone.
    package func end(_ signal: Int32) {
        isGone.withLock { isGone in
            guard !isGone else { return }
            kill(pid, signal)
            while waitpid(pid, nil, 0) < 0, errno == EINTR {}
            isGone = true
        }
    }
}

/// Reads a descriptor to its end on a thread, so that the child never waits for a reader.
private final class Output: Sendable {
    private struct State {
        var text = ""
        var isAtEnd = false
    }

    private static let kept = 1 << 20
    /// Seconds until a server must be ready, on a machine that does much else.
    private static let patience = 60.0

    private let state = Mutex(State())
    private let arrived = DispatchSemaphore(value: 0)

    init(_ descriptor: Int32) {
        // The thread keeps this object until the child has closed its end.
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                take(buffer[..<max(count, 0)])
                if count <= 0 { break }
            }
            close(descriptor)
        }
    }

    var text: String { state.withLock { $0.text } }

    func waitFor(_ ready: String) -> Bool {
        let deadline = DispatchTime.now() + Self.patience
        while true {
            let (isReady, isAtEnd) = state.withLock { ($0.text.contains(ready), $0.isAtEnd) }
            if isReady || isAtEnd { return isReady }
            if arrived.wait(timeout: deadline) == .timedOut { return false }
        }
    }

    private func take(_ bytes: ArraySlice<UInt8>) {
        state.withLock { state in
            if bytes.isEmpty { state.isAtEnd = true }
            if state.text.utf8.count < Self.kept {
                state.text += String(decoding: bytes, as: UTF8.self)
            }
        }
        arrived.signal()
    }
}
