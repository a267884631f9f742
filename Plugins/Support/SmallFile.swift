import Glibc

/// A regular file that is read whole, as secrets and certificates are.
package struct SmallFile {
    /// Words of the system's, or why it is not read.
    package struct Failure: Error {
        package let what: String
    }

    private let path: String

    /// Reads nothing yet.
    package init(_ path: String) { self.path = path }

    /// - Parameter limit: bytes; a longer file fails.
    package func contents(limit: Int) throws(Failure) -> [UInt8] {
        // A pipe must not block, and is refused below.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure() }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(what: "not a regular file") }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure() }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else {
                throw Failure(what: "more than \(limit) bytes")
            }
            bytes += buffer.prefix(count)
        }
    }

    /// The text of a file that holds one line: what is secret, or a name. White space around it doesn't
    /// count.
    /// - Throws: also where more than that is in it, or nothing.
    package func line(limit: Int) throws(Failure) -> String {
        let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        let bytes = try contents(limit: limit).drop { blanks.contains($0) }
        let end = bytes.lastIndex { !blanks.contains($0) }
        let text = end.map { bytes[...$0] } ?? []
        guard !text.isEmpty else { throw Failure(what: "empty") }
        guard text.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw Failure(what: "not one line of ASCII text")
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func failure() -> Failure { Failure(what: String(cString: strerror(errno))) }
}
