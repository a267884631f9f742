import Foundation

/// Programs that run to their end.
package enum Program {
    /// - Returns: what it printed. Throws it if it fails.
    @discardableResult
    package static func run(_ words: [String]) throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "rqd-output-\(UUID().uuidString)").path
        defer { unlink(path) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var vector = words.map { strdup($0) } + [nil]
        defer { for word in vector { free(word) } }
        var pid: pid_t = 0
        var status: Int32 = 0
        let result = posix_spawnp(&pid, words[0], &actions, nil, &vector, environ)
        guard result == 0 else {
            throw ServerProcess.Failure(
                description: "\(words[0]): \(String(cString: strerror(result)))")
        }
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        guard status == 0 else {
            throw ServerProcess.Failure(
                description: "\(words.joined(separator: " ")): status \(status): \(text)")
        }
        return text
    }
}
