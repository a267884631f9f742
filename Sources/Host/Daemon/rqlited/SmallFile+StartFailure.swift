import Glibc
import Settings

/// How the daemon says what is wrong with files that the operator names.
extension SmallFile {
    /// Bytes; nothing that anybody writes by hand is larger.
    private static let limit = 16 << 20

    /// - Throws: `Daemon.StartFailure` with Go's words, which scripts know: `open FILE: …`.
    static func read(_ path: String) throws(Daemon.StartFailure) -> [UInt8] {
        do throws(Fault) {
            return try read(path, atMost: limit)
        } catch {
            let text = error.description
            throw Daemon.StartFailure(
                description: "open \(path): \(text.prefix(1).lowercased())\(text.dropFirst())")
        }
    }

    /// Others than the owner and the group may read it.
    static func isReadableByOthers(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IROTH != 0
    }
}
