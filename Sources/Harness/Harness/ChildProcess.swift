import CHarness
import Glibc
import HarnessBackends
import Threads
import Time

/// A child process with a socket or two, whose output is collected.
///
/// To be started and ended on one thread: the child dies with the thread that started it.
final class ChildProcess {
    private static let outputLimit = 16 << 10

    let process: pid_t
    /// To the child's descriptors 3 and 4.
    private let sockets: [Int32]
    private let outputDescriptor: Int32
    private(set) var output: [UInt8] = []

    /// - Parameter environment: `NAME=value`.
    init(_ command: [String], environment: [String], sockets count: Int) throws(BackendError) {
        var own: [Int32] = []
        var childs: [Int32] = []
        defer { for end in childs { close(end) } }
        for _ in 0..<count {
            let pair = try Self.pair(Int32(SOCK_STREAM.rawValue))
            own.append(pair.0)
            childs.append(pair.1)
        }
        let output = try Self.pair(Int32(SOCK_STREAM.rawValue))
        childs.append(output.1)
        do {
            process = try Self.spawn(command, environment, childs)
        } catch {
            for end in own + [output.0] { close(end) }
            throw error
        }
        sockets = own
        outputDescriptor = output.0
    }

    deinit { for descriptor in sockets + [outputDescriptor] { close(descriptor) } }

    func socket(_ index: Int) -> Int32 { sockets[index] }

    /// Above the numbers that the child's are moved to.
    private static func pair(_ type: Int32) throws(BackendError) -> (Int32, Int32) {
        var pair: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, type | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw BackendError("socketpair: \(String(cString: strerror(errno)))")
        }
        let high = fcntl(pair[1], F_DUPFD_CLOEXEC, 16)
        close(pair[1])
        guard high >= 0 else {
            close(pair[0])
            throw BackendError("no descriptor: \(String(cString: strerror(errno)))")
        }
        return (pair[0], high)
    }

    /// - Parameter descriptors: for 3, 4, …; the last one for 1 and 2.
    private static func spawn(
        _ command: [String], _ environment: [String], _ descriptors: [Int32]
    ) throws(BackendError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for number in Int32(1)...2 {
            posix_spawn_file_actions_adddup2(&actions, descriptors[descriptors.count - 1], number)
        }
        for (index, descriptor) in descriptors.dropLast().enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(3 + index))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        var arguments = command.map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var process: pid_t = 0
        let result = posix_spawnp(
            &process, command.first ?? "", &actions, &attributes, &arguments, &variables)
        guard result == 0 else {
            throw BackendError("\(command.first ?? ""): \(String(cString: strerror(result)))")
        }
        return process
    }

    /// Waits until the first socket has something to read or was closed, and collects what the child
    /// writes meanwhile. False when it is `time` (CLOCK_MONOTONIC, nanoseconds) first.
    func waitForMessage(until time: UInt64) -> Bool {
        while true {
            let now = MonotonicTime.now.nanoseconds
            guard now < time else { return false }
            var descriptors = [
                pollfd(fd: sockets[0], events: Int16(POLLIN), revents: 0),
                pollfd(fd: outputDescriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&descriptors, 2, Int32(clamping: (time - now) / 1_000_000 + 1))
            if descriptors[1].revents != 0, !collect() {
                // Both ends are closed: only the message is left to wait for.
                if descriptors[0].revents == 0 { CurrentThread.pause(milliseconds: 1) }
            }
            if descriptors[0].revents != 0 { return true }
        }
    }

    private func collect() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(outputDescriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        guard count > 0 else { return count < 0 && errno == EAGAIN }
        if output.count < Self.outputLimit { output += buffer.prefix(count) }
        return true
    }

    /// Waits for the end, until `time`, then ends the child and all it has started. Returns the
    /// status as `waitpid` tells it.
    func end(at time: UInt64) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, WNOHANG) == 0 {
            guard MonotonicTime.now.nanoseconds < time else {
                kill(process, SIGKILL)
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                break
            }
            _ = collect()
            CurrentThread.pause(milliseconds: 1)
        }
        kill(-process, SIGKILL)
        while collect(), output.count < Self.outputLimit, hasOutput {}
        return status
    }

    private var hasOutput: Bool {
        var descriptor = pollfd(fd: outputDescriptor, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) > 0
    }
}
