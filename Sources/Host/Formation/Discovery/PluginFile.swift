import Glibc

/// A plugin's file as found: who owns it is checked and its note read, nothing more.
package struct PluginFile: Sendable {
    /// Tells whether two paths lead to one file.
    struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    /// Of the shared object.
    package let path: String
    /// What it offers, read without loading it.
    package let note: PluginNote
    let identity: Identity

    /// Where it was found.
    var directory: String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return parts.count == 1 && path.hasPrefix("/") ? "/" : parts.joined(separator: "/")
    }

    init(path: String, trust: PluginTrust) throws(PluginRefusal) {
        // Without O_NONBLOCK a FIFO would hold the start for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        let identity = try Self.check(descriptor, path: path, trust: trust)
        let notes = try ELFNote.read(descriptor)
        self.path = path
        self.identity = identity
        note = try PluginNote(notes)
    }

    /// What a file offers that is not to be used, to tell what it is in the place of. Nil if it can't
    /// be read.
    static func note(ofUntrusted path: String) -> PluginNote? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let notes = try? ELFNote.read(descriptor)
        else { return nil }
        return try? PluginNote(notes)
    }

    /// Nil if it offers none of that name.
    package func mode(named name: String) -> PluginMode? {
        note.modes.first { $0.name == name }
    }

    /// That the file is still the one whose note was read.
    func checkUnchanged(trust: PluginTrust) throws(PluginRefusal) {
        let now = try PluginFile(path: path, trust: trust)
        guard now.identity == identity, now.note == note else {
            throw .notLoadable("it was replaced while it was looked at; start again")
        }
    }

    private static func check(
        _ descriptor: Int32, path: String, trust: PluginTrust
    ) throws(PluginRefusal) -> Identity {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .unreadable(String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .malformedFile("it is not a regular file")
        }
        try trust.check(status, path: path)
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}
