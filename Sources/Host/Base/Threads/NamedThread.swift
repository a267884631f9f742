import CPlatform
import Glibc

/// A thread with a name that tools show, for work that blocks: the disk, SQLite, the core's wait.
package struct NamedThread: Sendable {
    private let thread: pthread_t

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread that runs `body` once. A shortage that passes within about 50 ms is waited
    /// for; whether a longer one ends the node or is lived with, the caller decides.
    /// - Parameters:
    ///   - name: at most 15 bytes are shown by the kernel.
    ///   - stack: its size in bytes; nil: the system's usual one. Where there is no address space
    ///     for more than that the half is taken, and so on; at last the usual one.
    ///   - takesSignals: whether signals of the process may be handled on it. If not, not even its
    ///     first instruction can be interrupted.
    ///   - waits: whether to wait for a shortage to pass; not on an event loop.
    /// - Throws: `ThreadShortage`; `body` is then never called.
    package init(
        _ name: String, stack: Int? = nil, takesSignals: Bool = true, waits: Bool = true,
        _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        var before = sigset_t()
        if !takesSignals {
            // What the new thread inherits.
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, &before)
        }
        defer { if !takesSignals { pthread_sigmask(SIG_SETMASK, &before, nil) } }
        try self.init(
            name, waits: waits,
            create: { thread, start in
                var size = stack ?? Self.usualStack
                while size > Self.usualStack {
                    if Self.create(&thread, start, stack: size) == 0 { return 0 }
                    size /= 2
                }
                let isSmall = (stack ?? Self.usualStack) < Self.usualStack
                return Self.create(&thread, start, stack: isSmall ? stack : nil)
            }, body)
    }

    /// For threads that run SQL of clients. SQLite goes deeper with each view, trigger, foreign key
    /// or common table expression that stands on another; the state machine bounds how much memory
    /// that may take, and with it how deep it can go. A stack costs memory only where it is used.
    package static let deepStack = 1 << 30

    /// What systems give a thread of which nothing is said.
    private static let usualStack = 8 << 20

    /// What starts the thread: 0, or the system's code.
    typealias Creation = (inout pthread_t, UnsafeMutableRawPointer) -> Int32

    /// - Parameter create: for tests, which can't take the machine's threads away.
    init(
        _ name: String, waits: Bool = true, create: Creation,
        _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        var status: Int32 = 0
        for pause in Self.pauses {
            status = create(&thread, start.toOpaque())
            guard status == EAGAIN, waits else { break }
            usleep(pause)
        }
        guard status == 0 else {
            start.release()
            throw ThreadShortage(name: name, code: status)
        }
        self.thread = thread
    }

    /// In microseconds, between attempts.
    private static let pauses: [UInt32] = [1_000, 4_000, 15_000, 30_000, 0]

    private static func create(
        _ thread: inout pthread_t, _ start: UnsafeMutableRawPointer, stack: Int?
    ) -> Int32 {
        var attributes = pthread_attr_t()
        let status = pthread_attr_init(&attributes)
        guard status == 0 else { return status }
        defer { pthread_attr_destroy(&attributes) }
        if let stack { pthread_attr_setstacksize(&attributes, stack) }
        return pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                cplatform_name_thread(start.name)
                start.body()
                return nil
            }, start)
    }

    /// Nobody waits for it: what it took goes back when `body` returns. Instead of `join`, once.
    package func detach() {
        pthread_detach(thread)
    }

    /// Waits until `body` has returned. To be called once at most, and not from the thread itself.
    package func join() {
        pthread_join(thread, nil)
    }
}
