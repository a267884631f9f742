import Glibc

/// Files that an operator names and somebody wrote by hand: small ones, read whole.
package enum SmallFile {
    /// Why one can't be read; the description names neither file nor flag.
    package enum Fault: Error, Equatable, CustomStringConvertible {
        /// The system's error number, of opening or reading it.
        case system(Int32)
        /// It is a directory, a device or a pipe.
        case irregular
        /// It has more bytes than this.
        case tooLarge(Int)

        package var description: String {
            switch self {
            case .system(let code): String(cString: strerror(code))
            case .irregular: "not a regular file"
            case .tooLarge(let limit): "larger than \(limit) bytes"
            }
        }
    }

    /// Waits for the disk, and for nothing else.
    /// - Parameter limit: in bytes.
    package static func read(_ path: String, atMost limit: Int) throws(Fault) -> [UInt8] {
        // Without O_NONBLOCK a FIFO would hold the start for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system(errno) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw .system(errno) }
        guard information.st_mode & S_IFMT == S_IFREG else { throw .irregular }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw .tooLarge(limit) }
        }
    }
}
