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
    /// - Parameter name: at most 15 bytes are shown by the kernel.
    /// - Throws: `ThreadShortage`; `body` is then never called.
    package init(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        try self.init(name, create: Self.create, body)
    }

    /// What starts the thread: 0, or the system's code.
    typealias Creation = (inout pthread_t, UnsafeMutableRawPointer) -> Int32

    /// - Parameter create: for tests, which can't take the machine's threads away.
    init(
        _ name: String, create: Creation, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        var status: Int32 = 0
        for pause in Self.pauses {
            status = create(&thread, start.toOpaque())
            guard status == EAGAIN else { break }
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
        _ thread: inout pthread_t, _ start: UnsafeMutableRawPointer
    ) -> Int32 {
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                Self.setName(start.name)
                start.body()
                return nil
            }, start)
    }

    /// The C library's call for this is hidden from Swift; the kernel's file does the same.
    private static func setName(_ name: String) {
        guard let file = fopen("/proc/thread-self/comm", "we") else { return }
        fputs(String(name.prefix(15)), file)
        fclose(file)
    }

    /// Waits until `body` has returned. To be called once at most, and not from the thread itself.
    package func join() {
        pthread_join(thread, nil)
    }
}
