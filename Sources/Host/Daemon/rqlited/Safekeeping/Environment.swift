import Glibc

/// The variables that the process was started with.
enum Environment {
    /// Nil: it is not set.
    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
