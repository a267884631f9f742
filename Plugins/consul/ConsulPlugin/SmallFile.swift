import Glibc

/// A regular file that is read whole.
struct SmallFile {
    /// Words of the system's, or why it is not read.
    struct Failure: Error {
        let what: String
    }

    private let path: String

    init(_ path: String) { self.path = path }

    /// - Parameter limit: bytes; a longer file fails.
    func contents(limit: Int) throws(Failure) -> [UInt8] {
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

    private static func failure() -> Failure { Failure(what: String(cString: strerror(errno))) }
}
