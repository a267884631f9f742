import Glibc

/// One history in a process of its own, for some histories end theirs. Its output is read as it
/// comes.
struct SeedProcess {
    /// What became of it.
    struct End {
        /// As `waitpid` has it: 0 if all held; -1 if no process could be started.
        var status: Int32 = -1
        /// What it printed.
        var text = ""

        /// Whether it was played; otherwise nothing is known of the history.
        var isPlayed: Bool { status != -1 }

        /// What was violated, without the numbers that differ between histories; nil: nothing was said.
        /// - Parameter words: so many of its words, at most.
        func complaint(words count: Int) -> String? {
            for line in text.split(separator: "\n") where line.hasPrefix("seed ") {
                let words = line.split(separator: " ")
                guard words.count > 3, words[2] == "failed:" else { continue }
                return words[3...].prefix(count)
                    .map { $0.contains(where: \.isNumber) ? "N" : String($0) }
                    .joined(separator: " ")
            }
            return nil
        }

        /// In which way the history failed; nil: it held, or was not played.
        var failure: String? {
            guard isPlayed, status != 0 else { return nil }
            // A signal ended it, which is what a precondition comes to.
            let isTrap = status & 0x7F != 0
            return complaint(words: 5) ?? (isTrap ? "a trap" : nil)
        }
    }

    private let process: pid_t
    /// Of its output.
    let descriptor: Int32
    private var printed: [UInt8] = []

    /// - Returns: nil if no process could be started.
    init?(_ invocation: Invocation, _ seed: UInt64) {
        let words = ["rqlite-simulate"] + invocation.arguments(for: seed)
        var arguments = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        // No process that is started later holds the ends open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        var process = pid_t()
        let error = posix_spawn(&process, "/proc/self/exe", &actions, nil, arguments, environ)
        close(ends[1])
        guard error == 0 else {
            close(ends[0])
            return nil
        }
        self.process = process
        descriptor = ends[0]
    }

    /// Takes what it has printed, and waits where there is nothing yet.
    /// - Returns: whether it has ended.
    mutating func read() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 { printed += buffer[..<count] }
        return count == 0 || (count < 0 && errno != EINTR)
    }

    /// To be called once, when it has ended.
    func end() -> End {
        close(descriptor)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return End(status: status, text: String(decoding: printed, as: UTF8.self))
    }

    /// Plays one history.
    static func run(_ invocation: Invocation, _ seed: UInt64) -> End {
        guard var process = SeedProcess(invocation, seed) else { return End() }
        while !process.read() {}
        return process.end()
    }

    /// Plays many histories, several at once.
    /// - Parameters:
    ///   - lanes: so many at once, at least one.
    ///   - each: told of each one's end, by its place; in the order in which they end.
    static func run(
        _ histories: [(invocation: Invocation, seed: UInt64)], lanes: Int,
        each: (_ place: Int, _ end: End) -> Void
    ) {
        var waiting = histories.indices
        var running: [(place: Int, process: SeedProcess)] = []
        while !waiting.isEmpty || !running.isEmpty {
            while running.count < lanes, let place = waiting.popFirst() {
                if let process = SeedProcess(histories[place].invocation, histories[place].seed) {
                    running.append((place, process))
                } else {
                    each(place, End())
                }
            }
            var polled = running.map {
                pollfd(fd: $0.process.descriptor, events: Int16(POLLIN), revents: 0)
            }
            poll(&polled, nfds_t(polled.count), -1)
            for lane in running.indices.reversed()
            where polled[lane].revents != 0 && running[lane].process.read() {
                let (place, process) = running.remove(at: lane)
                each(place, process.end())
            }
        }
    }
}
