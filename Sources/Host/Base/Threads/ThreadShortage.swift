import Glibc

/// The system gives the process no more threads.
package struct ThreadShortage: Error, Equatable, Sendable, CustomStringConvertible {
    /// Of the thread that was wanted.
    package let name: String
    /// The system's code, of pthread_create(3).
    package let code: Int32

    package init(name: String, code: Int32) {
        self.name = name
        self.code = code
    }

    package var description: String {
        "no thread for \(name): \(String(cString: strerror(code))). Raise the limit of processes "
            + "(ulimit -u, TasksMax of systemd, pids of a container), or give it more memory"
    }
}
