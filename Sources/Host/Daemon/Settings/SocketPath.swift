/// Where a Unix socket is, and who may connect to it: `unix:/path`, or `unix:/path,mode=600`.
package struct SocketPath: Equatable, Sendable, CustomStringConvertible {
    /// Absolute.
    package let path: String
    /// The file's permission bits. Whoever may write to the file may connect.
    package let mode: UInt16

    /// The owner and the group.
    private static let defaultMode: UInt16 = 0o660
    private static let scheme = "unix:"
    /// What the kernel's address holds, without its zero.
    private static let longest = 107

    package var description: String { Self.scheme + path }

    /// A flag that begins like this means a socket.
    static func isMeant(by text: String) -> Bool { text.hasPrefix(scheme) }

    /// - Throws: `NodeSettings.Invalid` for a path that is relative, empty or too long, and a mode that
    ///   is none.
    init(_ text: String, of flag: String) throws(NodeSettings.Invalid) {
        let rest = text.dropFirst(Self.scheme.count)
        let parts = rest.split(separator: ",mode=", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts[0])
        guard path.hasPrefix("/"), !path.hasSuffix("/"), !path.utf8.contains(0) else {
            throw .init(
                "-\(flag) \(text): behind unix: stands the absolute path of a file, and "
                    + "perhaps ,mode= and permissions in octal")
        }
        guard path.utf8.count <= Self.longest else {
            throw .init(
                "-\(flag) \(text): the path has \(path.utf8.count) bytes, and a socket's may "
                    + "have \(Self.longest)")
        }
        guard parts.count == 2 else {
            mode = Self.defaultMode
            return
        }
        guard let mode = UInt16(parts[1], radix: 8), mode <= 0o777, mode & 0o600 == 0o600,
            parts[1].utf8.first != UInt8(ascii: "+")
        else {
            throw .init(
                "-\(flag) \(text): the mode is three octal digits, of which the first lets "
                    + "the owner read and write, as 600, 660 or 666")
        }
        self.mode = mode
    }
}
