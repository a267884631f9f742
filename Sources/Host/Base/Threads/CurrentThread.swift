import Glibc

/// What the thread that runs does with itself.
package enum CurrentThread {
    /// Waits, without a descriptor; a signal may end the wait early. Never on an event loop or one
    /// of Swift's own threads.
    /// - Parameter milliseconds: none for 0.
    package static func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }
}
