import Glibc
import ObjectStorage
import StateMachine

/// The SQLite extensions by which a restore does what the cluster's nodes did, in a folder of their own
/// for as long as it runs.
struct RestoreExtensions {
    /// Nil: there are none.
    private let folder: String?

    /// - Parameter paths: as `-extensions-path` has them.
    /// - Throws: what can't be loaded, by its name.
    init(_ paths: [String]) throws(StorageFault) {
        guard !paths.isEmpty else {
            folder = nil
            return
        }
        let place = Environment.value("TMPDIR") ?? "/tmp"
        var template = Array("\(place)/rqlited-restore-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw StorageFault(
                "making a folder in \(place) failed: \(String(cString: strerror(errno)))")
        }
        let folder = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.folder = folder
        do throws(ExtensionFault) {
            try SQLExtensions.install(paths, in: folder)
        } catch {
            remove()
            throw StorageFault(error.description)
        }
    }

    /// At the end; what can't be removed is left.
    func remove() {
        guard let folder else { return }
        SQLExtensions.removeFiles(in: folder)
        _ = rmdir(folder)
    }
}
