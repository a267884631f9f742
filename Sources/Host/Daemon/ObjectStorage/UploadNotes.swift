internal import Glibc
internal import JSON
internal import Synchronization

/// Which uploads in parts were begun and not ended, in a file each: a storage keeps the parts, and asks
/// money for them, until it is told what becomes of them, which a process that was killed can't do. The
/// next one finds the note. A note's file has the hash of what it says as its name, so one that is spoilt is none. Any
/// thread may call.
package final class UploadNotes: Sendable {
    /// One upload.
    struct Note: Hashable, Sendable {
        /// The bucket, in the form of an address.
        var bucket: String
        /// The object's name.
        var path: String
        /// What the storage calls the upload.
        var id: String
    }

    /// Notes that are read at once; who leaves more behind has them taken back by and by.
    private static let most = 1000
    private static let unfinished = ".note-"

    private let directory: String
    /// Uploads that this process works at.
    private let own = Mutex<Set<Note>>([])

    /// - Parameter directory: made when there is something to note.
    package init(directory: String) { self.directory = directory }

    /// Before the first part goes: when it returns the note is on the disk.
    func begin(_ note: Note) throws(StorageFault) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw StorageFault("making \(directory)", code: errno)
        }
        let document = JSONValue.object([
            .init("bucket", .string(note.bucket)), .init("path", .string(note.path)),
            .init("id", .string(note.id)),
        ])
        let path = try file(of: note)
        own.withLock { _ = $0.insert(note) }
        do throws(StorageFault) {
            try WholeFile.write(to: path, by: "\(directory)/\(Self.unfinished)XXXXXX") {
                descriptor throws(StorageFault) in
                try WholeFile.add(Array(document.text().utf8), to: descriptor, path)
            }
        } catch {
            leave(note)
            throw error
        }
    }

    /// The storage holds nothing of it any more but what is whole.
    func end(_ note: Note) {
        // A note too many is read, and asked about, once more.
        if let path = try? file(of: note) { unlink(path) }
        leave(note)
    }

    /// Somebody else may take it back.
    func leave(_ note: Note) { own.withLock { _ = $0.remove(note) } }

    /// Those that nobody in this process works at.
    func left() -> [Note] {
        var notes: [Note] = []
        // Who ended while a note was written had sent nothing yet.
        for name in DirectoryNames.of(directory) where notes.count < Self.most {
            let path = "\(directory)/\(name)"
            if name.hasPrefix(Self.unfinished) {
                own.withLock { if $0.isEmpty { unlink(path) } }
            }
            guard !name.hasPrefix("."), let text = try? SmallText.read(path),
                let value = try? JSONValue(parsing: text), let bucket = value["bucket"]?.string,
                let object = value["path"]?.string, let id = value["id"]?.string
            else { continue }
            let note = Note(bucket: bucket, path: object, id: id)
            // What a disk has changed names an upload that there is not, and would be asked about for ever: only
            // the note that has this name can be ended.
            if (try? file(of: note)) == path { notes.append(note) }
        }
        return own.withLock { own in notes.filter { !own.contains($0) } }
    }

    private func file(of note: Note) throws(StorageFault) -> String {
        let text = "\(note.bucket)\n\(note.path)\n\(note.id)"
        return "\(directory)/\(try ContentDigest.hex(of: text.utf8).prefix(32))"
    }
}
