import Glibc

/// One history in a process of its own, for some histories end theirs.
enum SeedProcess {
    /// - Returns: what `waitpid` says of the end, 0 if all held, and what it printed; -1 if no process
    ///   could be started.
    static func run(_ invocation: Invocation, _ seed: UInt64) -> (status: Int32, text: String) {
        let words = ["rqlite-simulate"] + invocation.arguments(for: seed)
        var arguments = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return (-1, "") }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        for end in ends { posix_spawn_file_actions_addclose(&actions, end) }
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        var process = pid_t()
        let error = posix_spawn(&process, "/proc/self/exe", &actions, nil, arguments, environ)
        close(ends[1])
        guard error == 0 else { return (-1, "") }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(ends[0], &buffer, buffer.count)
            if count > 0 { text += buffer[..<count] }
            guard count > 0 || (count < 0 && errno == EINTR) else { break }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return (status, String(decoding: text, as: UTF8.self))
    }
}
