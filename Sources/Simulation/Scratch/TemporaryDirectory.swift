import Glibc

/// A directory that goes away with the value, and with all that is in it. For tests.
package final class TemporaryDirectory: Sendable {
    /// Absolute, without a slash at its end.
    package let path: String

    /// - Parameters:
    ///   - name: what the directory's name begins with, so that one that was left tells whose it was.
    ///   - isInMemory: below `/dev/shm` where there is such a place, for tests that sync a lot; else
    ///     below `TMPDIR`, or `/tmp`.
    /// - Throws: the system's error.
    package init(_ name: String, isInMemory: Bool = true) throws(SystemFailure) {
        let usual =
            getenv("TMPDIR").flatMap { $0.pointee == 0 ? nil : String(cString: $0) } ?? "/tmp"
        let base = isInMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : usual
        var template = Array("\(base)/\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw SystemFailure(operation: "mkdtemp", path: base, code: errno)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// What can't be removed stays; links are not followed.
    private static func remove(_ path: String) {
        guard unlink(path) != 0, errno == EISDIR || errno == EPERM else { return }
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { remove("\(path)/\(name)") }
            }
            closedir(directory)
        }
        rmdir(path)
    }

    /// Writes a file anew, with all of the bytes.
    package static func write(_ bytes: [UInt8], to path: String) throws(SystemFailure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SystemFailure(operation: "open", path: path, code: errno)
        }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                throw SystemFailure(operation: "write", path: path, code: errno)
            }
            rest = rest.dropFirst(count)
        }
    }
}

/// What the system would not do for a test.
package struct SystemFailure: Error, Equatable, CustomStringConvertible {
    /// The call, as its manual page is named.
    package let operation: String
    /// Of what.
    package let path: String
    /// The call's `errno`.
    package let code: Int32

    package var description: String {
        "\(operation) \(path): \(String(cString: strerror(code)))"
    }
}
