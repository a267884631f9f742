import Foundation
import Synchronization

/// A child of the test, started without Foundation's `Process`: that takes a child which closes the
/// descriptors it inherited for an ended one, and then waits for no process any more.
final class ChildProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let pid: pid_t
    private let status = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - words: the program, searched on PATH, and its arguments.
    ///   - output: file that takes standard output and error, at its end; nil: nowhere.
    init(_ words: [String], output: String? = nil) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var vector = words.map { strdup($0) } + [nil]
        defer { for word in vector { free(word) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, words[0], &actions, nil, &vector, environ)
        guard result == 0 else {
            throw Failure(description: "\(words[0]): \(String(cString: strerror(result)))")
        }
        self.pid = pid
    }

    /// The exit status (128 + signal when killed); nil while it runs.
    var exitStatus: Int32? {
        status.withLock { known in
            if known == nil { known = collect(WNOHANG) }
            return known
        }
    }

    var isRunning: Bool { exitStatus == nil }

    /// Waits for the end; for processes that are about to end.
    @discardableResult
    func waitForEnd() -> Int32 {
        status.withLock { known in
            while known == nil { known = collect(0) }
            return known ?? -1
        }
    }

    private func collect(_ options: Int32) -> Int32? {
        var raw: Int32 = 0
        guard waitpid(pid, &raw, options) == pid else { return errno == ECHILD ? -1 : nil }
        let signal = raw & 0x7F
        return signal == 0 ? raw >> 8 & 0xFF : 128 + signal
    }

    /// The first child of this process: what a wrapper such as `strace` runs.
    var child: pid_t? {
        let list = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        return list?.split(separator: " ").first.flatMap { pid_t($0) }
    }

    func kill(_ signal: Int32 = SIGKILL) {
        guard isRunning else { return }
        Glibc.kill(pid, signal)
    }
}

/// Runs a program to its end.
/// - Returns: what it printed.
@discardableResult
func run(_ words: String...) throws -> String { try run(words) }

@discardableResult
func run(_ words: [String]) throws -> String {
    let path = FileManager.default.temporaryDirectory
        .appendingPathComponent("rqlited-output-\(UUID().uuidString)").path
    defer { unlink(path) }
    let child = try ChildProcess(words, output: path)
    let status = child.waitForEnd()
    let text = try String(contentsOfFile: path, encoding: .utf8)
    guard status == 0 else {
        throw ChildProcess.Failure(
            description: "\(words.joined(separator: " ")): status \(status): \(text)")
    }
    return text
}
