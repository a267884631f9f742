import CHarness
import Glibc

/// What this process has, as the system tells it: descriptors, threads, memory, handlers.
enum ProcessFacts {
    static func descriptors() -> Set<Int32> {
        // The listing's own descriptor is open only while it is read.
        var found = Set(numbers(in: "/proc/self/fd").map { Int32($0) })
        found = found.filter { fcntl($0, F_GETFD) >= 0 }
        return found
    }

    /// Where a descriptor leads, for people.
    static func target(of descriptor: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        let count = readlink("/proc/self/fd/\(descriptor)", &buffer, buffer.count)
        let bytes = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        return "descriptor \(descriptor) (\(String(decoding: bytes, as: UTF8.self)))"
    }

    static func isCloseOnExec(_ descriptor: Int32) -> Bool {
        let flags = fcntl(descriptor, F_GETFD)
        return flags < 0 || flags & FD_CLOEXEC != 0
    }

    static func threads() -> Set<Int> { Set(numbers(in: "/proc/self/task")) }

    /// The signals, as a bit each, that a thread does not block but should; nil once it is gone.
    static func openSignals(ofThread thread: Int) -> UInt64? {
        guard let text = text("/proc/self/task/\(thread)/status"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("SigBlk:") }),
            let blocked = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16)
        else { return nil }
        // All but SIGKILL, SIGSTOP, and 32 and 33, which the C library keeps for itself; and those
        // that a thread gets for its own faults, which nobody can block in earnest.
        var wanted = UInt64.max
        for signal in [SIGKILL, SIGSTOP, 32, 33, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS] {
            wanted &= ~(1 << UInt64(signal - 1))
        }
        return wanted & ~blocked
    }

    /// Processes that this one has started.
    static func children() -> [Int] {
        threads().flatMap { thread -> [Int] in
            (text("/proc/self/task/\(thread)/children") ?? "").split(separator: " ")
                .compactMap { Int($0) }
        }
    }

    /// What signals do, for those that a program can change.
    static func handlers() -> [Int32: UInt] {
        var found: [Int32: UInt] = [:]
        for signal in Int32(1)...64 where ![SIGKILL, SIGSTOP, 32, 33].contains(signal) {
            found[signal] = UInt(charness_handler(signal))
        }
        return found
    }

    static func signalName(_ signal: Int32) -> String {
        String(cString: charness_signal_name(signal))
    }

    /// Of `/proc/self/status`, without its name.
    static func statusLine(_ name: String, of process: String = "self") -> String {
        (text("/proc/\(process)/status") ?? "").split(separator: "\n")
            .first { $0.hasPrefix("\(name):") }
            .map { String($0.dropFirst(name.utf8.count + 1)) } ?? ""
    }

    /// Where a link leads; empty if it leads nowhere.
    static func link(_ path: String) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        return String(
            decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Of the calling thread.
    static func blockedSignals() -> String {
        var mask = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &mask)
        return (Int32(1)...64).filter { sigismember(&mask, $0) == 1 }.map(String.init)
            .joined(separator: " ")
    }

    /// Of a process: how many there are in one of its directories.
    static func count(in directory: String) -> Int { numbers(in: directory).count }

    static func allocatedBytes() -> Int { Int(charness_allocated()) }

    /// The largest the process has been, in bytes.
    static func peakMemory() -> Int {
        guard let text = text("/proc/self/status"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
        else { return 0 }
        return (Int(line.split(separator: " ").dropLast().last ?? "0") ?? 0) << 10
    }

    static func workingDirectory() -> String {
        guard let path = getcwd(nil, 0) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }

    static func locale() -> String { charness_locale().map { String(cString: $0) } ?? "" }

    static func environment() -> [String] {
        var found: [String] = []
        var next = environ
        while let entry = next.pointee {
            found.append(String(cString: entry))
            next += 1
        }
        return found.sorted()
    }

    private static func numbers(in directory: String) -> [Int] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var found: [Int] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = Int(name) { found.append(number) }
        }
        return found
    }

    /// Of a file whose size the system does not tell.
    static func text(_ path: String) -> String? { TextFile.read(path, limit: 1 << 20) }
}
