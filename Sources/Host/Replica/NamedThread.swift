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

    /// - Parameter name: at most 15 bytes are shown by the kernel.
    package init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                Self.setName(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        precondition(status == 0, "no thread for \(name): error \(status)")
        self.thread = thread
    }

    /// The C library's call for this is hidden from Swift; the kernel's file does the same.
    private static func setName(_ name: String) {
        guard let file = fopen("/proc/thread-self/comm", "we") else { return }
        fputs(String(name.prefix(15)), file)
        fclose(file)
    }

    package func join() {
        pthread_join(thread, nil)
    }
}
