import Glibc

/// Small files that the operator names, read whole.
enum SmallFile {
    /// Nothing that anybody writes by hand is larger.
    static let limit = 16 << 20

    /// - Throws: `Daemon.StartFailure` with Go's words, which scripts know: `open FILE: …`.
    static func read(_ path: String) throws(Daemon.StartFailure) -> [UInt8] {
        func failure(_ code: Int32) -> Daemon.StartFailure {
            let text = String(cString: strerror(code))
            return Daemon.StartFailure(
                description: "open \(path): \(text.prefix(1).lowercased())\(text.dropFirst())")
        }
        // Without O_NONBLOCK a FIFO would hold the start for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw failure(errno) }
        guard information.st_mode & S_IFMT == S_IFREG else {
            throw Daemon.StartFailure(description: "open \(path): not a regular file")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else {
                throw Daemon.StartFailure(description: "open \(path): larger than \(limit) bytes")
            }
        }
    }

    /// Others than the owner and the group may read it.
    static func isReadableByOthers(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IROTH != 0
    }
}
