import Credentials
import Glibc
import JSON
import Settings
import Telemetry
import Threads

/// The verb `auth`: hashes, tokens, and what is wrong with a credentials file. Results go to standard
/// output, what is said about them to standard error.
struct AuthVerb {
    private let command: AuthCommand

    init(_ command: AuthCommand) {
        self.command = command
    }

    /// - Returns: the exit code.
    func run() -> Int32 {
        do {
            switch command {
            case .hash(let method): try hash(method)
            case .token(let name): try token(name)
            case .check(let file): try check(file)
            }
            return 0
        } catch {
            say("\(error)")
            return 1
        }
    }

    private func hash(_ method: String) throws {
        guard let password = try readPassword(), !password.isEmpty else {
            throw Daemon.StartFailure(description: "a password is expected on standard input")
        }
        let method = PasswordHash.Method(rawValue: method) ?? .yescrypt
        try write(try PasswordHash.make(password, method) + "\n")
    }

    private func token(_ name: String) throws {
        let token = "\(name).\(try PasswordHash.secret(bits: 256))"
        let entry = JSONValue.object([
            .init("token", .string(name)),
            .init("hash", .string(try PasswordHash.make(token, .sha256))),
            .init("expires", .string(expiry)), .init("perms", .array([.string("query")])),
        ])
        say("the entry of the file follows the token, which is shown this once:")
        try write("\(token)\n\(entry.text())\n")
    }

    /// For a file of `-cluster-secret-file`; its name says when it was made.
    /// - Returns: the exit code.
    static func printSecret() -> Int32 {
        do {
            let day = WallTime.now().rfc3339.prefix(10)
            let secret =
                "\(day)-\(try PasswordHash.secret(bits: 16)).\(try PasswordHash.secret(bits: 256))"
            return StandardOutput.write(secret + "\n") ? 0 : 1
        } catch {
            StandardErrorSink().write(Array("\(error)\n".utf8))
            return 1
        }
    }

    /// In 90 days, at midnight.
    private var expiry: String {
        let day: Int64 = 86_400
        return WallTime(seconds: (WallTime.now().seconds / day + 91) * day).rfc3339
    }

    private func check(_ file: String) throws {
        let table = try CredentialTable(parsing: try SmallFile.read(file))
        for warning in table.warnings { say("warning: \(warning)") }
        if SmallFile.isReadableByOthers(file) {
            say("warning: every user of this machine can read it: chmod o-r \(file)")
        }
        let (users, tokens) = table.counts
        try write("\(file) can be used: users \(users), tokens \(tokens)\n")
    }

    /// One line, which a terminal does not show.
    private func readPassword() throws -> String? {
        var before = termios()
        let isTerminal = tcgetattr(STDIN_FILENO, &before) == 0
        if isTerminal {
            try Self.giveBack(before)
            StandardErrorSink().write(Array("password: ".utf8))
            var silent = before
            silent.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        }
        defer {
            if isTerminal {
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
                say("")
            }
        }
        return try Self.readLine()
    }

    /// Who interrupts has a terminal that shows what is typed, whatever the shell makes of that.
    private static func giveBack(_ terminal: termios) throws(ThreadShortage) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let watched = set
        try NamedThread("signals") {
            var (set, terminal) = (watched, terminal)
            var number: Int32 = 0
            while sigwait(&set, &number) != 0 {}
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal)
            StandardErrorSink().write([10])
            _exit(128 + number)
        }.detach()
    }

    /// Nil at the end of the input. What is no UTF-8 would be repaired, and the hash another password's.
    private static func readLine() throws(Daemon.StartFailure) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else {
                guard !bytes.isEmpty else { return nil }
                break
            }
            guard byte != 10 else { break }
            bytes.append(byte)
        }
        if bytes.last == 13 { bytes.removeLast() }
        guard let line = String(validating: bytes, as: UTF8.self) else {
            throw Daemon.StartFailure(description: "the password is no UTF-8")
        }
        return line
    }

    private func write(_ text: String) throws {
        guard StandardOutput.write(text) else {
            throw Daemon.StartFailure(description: "standard output is closed")
        }
    }

    private func say(_ text: String) { StandardErrorSink().write(Array((text + "\n").utf8)) }
}
