internal import Glibc
package import ObjectStorage

/// A directory for the files of one restore, gone with the object. It is locked (flock) as long as its process
/// lives: so the next restore beside it knows one that a killed process left, and removes it. Belongs to
/// one thread.
package final class RestoreDirectory {
    /// Of this one alone.
    package let path: String
    private let descriptor: Int32

    private static let prefix = ".rqlited-restore-"
    /// In it, with files alone in them.
    private static let folders = ["tmp", "extensions"]
    private static let tries = 10

    /// Where files go that are to lie nowhere else. A variable that is empty is as if it were not set.
    /// - Parameter environment: the variables by their names.
    package static func usualParent(environment: (String) -> String?) -> String {
        environment("TMPDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    }

    /// - Parameter parent: where there is room for what it is to hold; what a restore that was killed left
    ///   there is removed.
    package init(in parent: String) throws(StorageFault) {
        Self.removeAbandoned(in: parent)
        for _ in 0..<Self.tries {
            var template = Array("\(parent)/\(Self.prefix)XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw Self.fault(parent) }
            let made = String(
                decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let opened = open(made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            // Somebody who removes what was left may have come in between: then another one is made.
            // Where nothing can be locked nobody removes anything.
            if opened >= 0, flock(opened, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
                Self.isThere(opened)
            {
                path = made
                descriptor = opened
                return
            }
            if opened >= 0 { close(opened) }
        }
        throw Self.fault(parent)
    }

    deinit {
        Self.remove(descriptor, path)
        close(descriptor)
    }

    /// Removes what restores that were killed left in a directory. What another process works at, or
    /// another user owns, stays.
    package static func removeAbandoned(in parent: String) {
        for name in DirectoryNames.of(parent) where name.hasPrefix(prefix) {
            let path = "\(parent)/\(name)"
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var about = stat()
            guard fstat(descriptor, &about) == 0, about.st_uid == geteuid(),
                flock(descriptor, LOCK_EX | LOCK_NB) == 0
            else { continue }
            remove(descriptor, path)
        }
    }

    /// All of its files, from any thread. No link leads out of it.
    /// - Parameter descriptor: the directory's.
    static func remove(_ descriptor: Int32, _ path: String) {
        for folder in folders {
            let inner = openat(descriptor, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard inner >= 0 else { continue }
            clear(inner)
            close(inner)
            unlinkat(descriptor, folder, AT_REMOVEDIR)
        }
        clear(descriptor)
        rmdir(path)
    }

    /// How the directory is removed while somebody may still work in it.
    var place: RestoreInterruption.Place { .init(descriptor: descriptor, path: path) }

    private static func clear(_ descriptor: Int32) {
        let other = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard other >= 0 else { return }
        for name in DirectoryNames.of(fdopendir(other)) { unlinkat(descriptor, name, 0) }
    }

    private static func isThere(_ descriptor: Int32) -> Bool {
        var about = stat()
        return fstat(descriptor, &about) == 0 && about.st_nlink > 0
    }

    private static func fault(_ parent: String) -> StorageFault {
        StorageFault("making a directory in \(parent): \(String(cString: strerror(errno)))")
    }
}
