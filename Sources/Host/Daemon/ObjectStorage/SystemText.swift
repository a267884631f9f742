import Glibc

/// The system's words for its error numbers.
enum SystemText {
    static func of(_ code: Int32) -> String { String(cString: strerror(code)) }
}
