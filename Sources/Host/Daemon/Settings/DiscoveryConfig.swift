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
        do throws(SmallFile.Fault) {
            return try SmallFile.read(path, atMost: Limits.maxDiscoveryConfigBytes)
        } catch {
            throw Failure(
                description: "-disco-config is neither JSON (it does not begin with {) nor a "
                    + "readable file: \(path): \(error)")
        }
    }
}
