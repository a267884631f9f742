import Glibc
import HarnessBackends

/// A directory of a check's own, removed with all that is in it.
final class ScratchDirectory {
    let path: String

    init() throws(BackendError) {
        let parent =
            getenv("TMPDIR").flatMap { $0.pointee == 0 ? nil : String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/disco-harness-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BackendError("\(parent): \(String(cString: strerror(errno)))")
        }
        path = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// What can't be removed is the temporary folder's.
    private static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name == "." || name == ".." { continue }
                if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
            }
            closedir(stream)
        }
        rmdir(path)
    }
}
