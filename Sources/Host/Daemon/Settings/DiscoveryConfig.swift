import Glibc

/// The value of `-disco-config`: a JSON text, or the path of a file that holds one. The bytes go to
/// the plugin as they are, neither parsed nor expanded here.
package enum DiscoveryConfig: Equatable, Sendable {
    /// The plugin's defaults.
    case absent
    case text(String)
    case file(path: String)

    /// The file can't be read, or the text is too long.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        /// One line for the operator that names the flag.
        package let description: String
    }

    init(_ value: String) {
        let first = value.utf8.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        switch first {
        case nil: self = .absent
        case UInt8(ascii: "{"): self = .text(value)
        default: self = .file(path: value)
        }
    }

    /// Reads the file, if there is one.
    package func bytes() throws(Failure) -> [UInt8] {
        switch self {
        case .absent: return []
        case .text(let text):
            let bytes = Array(text.utf8)
            guard bytes.count <= Limits.maxDiscoveryConfigBytes else {
                throw Failure(
                    description: "-disco-config holds \(bytes.count) bytes; at most "
                        + "\(Limits.maxDiscoveryConfigBytes) are allowed")
            }
            return bytes
        case .file(let path): return try Self.read(path)
        }
    }

    private static func read(_ path: String) throws(Failure) -> [UInt8] {
        func failure(_ cause: String) -> Failure {
            Failure(
                description: "-disco-config is neither JSON (it does not begin with {) nor a "
                    + "readable file: \(path): \(cause)")
        }
        // Without O_NONBLOCK a FIFO would hold the start for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw failure(String(cString: strerror(errno)))
        }
        guard information.st_mode & S_IFMT == S_IFREG else { throw failure("not a regular file") }
        let limit = Limits.maxDiscoveryConfigBytes
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(String(cString: strerror(errno))) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw failure("larger than \(limit) bytes") }
        }
    }
}
