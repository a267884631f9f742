internal import Gzip
package import ObjectStorage
package import Raft
internal import Wire

/// Makes one object of an archive in a file without a name. Belongs to one thread.
package final class ArchiveWriter {
    private let file: UploadFile
    private let gzip = GzipWriter()

    /// - Parameter directory: where there is room; it is made if it is missing.
    package init(
        _ header: ArchiveHeader, in directory: String
    ) throws(StorageFault) {
        file = try UploadFile(in: directory)
        try file.add(header.encoded())
    }

    /// The next bytes behind the header, unpacked.
    package func add(_ bytes: [UInt8]) throws(StorageFault) { try pack(bytes, isLast: false) }

    private func pack(_ bytes: [UInt8], isLast: Bool) throws(StorageFault) {
        var packed: [UInt8] = []
        do throws(GzipError) {
            packed = try gzip.add(bytes, isLast: isLast)
        } catch {
            throw StorageFault("packing what goes to the archive: \(error)", isTransient: true)
        }
        if !packed.isEmpty { try file.add(packed) }
    }

    /// All is there. Once.
    /// - Returns: the file, and the SHA-256 of all of it.
    package func finish() throws(StorageFault) -> (file: UploadFile, hash: String) {
        try pack([], isLast: true)
        return (file, try file.finish())
    }
}

/// Where the next piece goes on.
package struct ArchiveEnd: Equatable, Sendable {
    /// What the pieces follow.
    package var base: BaseName
    /// The last entry that is in the archive.
    package var position: LogPosition
    /// The clock of the log there.
    package var clock: LogClock
    /// Of the object that the next one follows.
    package var hash: String
    /// Pieces since the base.
    package var pieces: Int
    /// SHA-256 of the last entry, as it is encoded; nil behind a base to which no piece leads.
    package var entryHash: String?

    package init(
        base: BaseName, position: LogPosition, clock: LogClock, hash: String, pieces: Int,
        entryHash: String? = nil
    ) {
        self.entryHash = entryHash
        self.base = base
        self.position = position
        self.clock = clock
        self.hash = hash
        self.pieces = pieces
    }

    /// Right behind a base.
    package init(of base: BaseName, entryHash: String? = nil) {
        self.init(
            base: base, position: base.position, clock: LogClock(milliseconds: base.milliseconds),
            hash: base.hash, pieces: 0, entryHash: entryHash)
    }

    /// Whether this is the last entry in the archive. Its place alone does not tell, where a cluster was set
    /// back to older copies of its disks: it counts again, and may reach an index in the same term.
    package func isLast(_ entry: Entry) throws(StorageFault) -> Bool {
        guard entry.position == position else { return false }
        guard let entryHash else { return false }
        return try entry.digest() == entryHash
    }
}

/// Entries on their way to the archive.
package struct ArchivePiece {
    /// All of the object.
    package let file: UploadFile
    /// Below the cluster's folder.
    package let name: String
    /// Where the archive stands with it.
    package let end: ArchiveEnd

    /// - Parameters:
    ///   - entries: at least one; committed, and right behind the end.
    ///   - term: in which this node leads.
    ///   - directory: of temporary files.
    package init(
        _ entries: [Entry], behind end: ArchiveEnd, cluster: ClusterID, term: Term,
        in directory: String
    ) throws(StorageFault) {
        guard let first = entries.first, let last = entries.last,
            first.index == end.position.index.next
        else { throw StorageFault("entries that don't follow \(end.position) are no piece") }
        let clock = entries.reduce(end.clock) { $0.after($1) }
        let header = ArchiveHeader(
            kind: .piece, cluster: cluster, predecessor: end.hash, term: term, first: first.index,
            last: last.position, times: (end.clock.milliseconds, clock.milliseconds))
        let writer = try ArchiveWriter(header, in: directory)
        for entry in entries {
            var bytes = ByteWriter(reserving: entry.size)
            entry.encode(into: &bytes)
            try writer.add(bytes.bytes)
        }
        let hash: String
        (file, hash) = try writer.finish()
        let piece = PieceName(
            first: first.index, last: last.index, milliseconds: clock.milliseconds,
            predecessor: end.hash, hash: hash, hasDecisions: entries.contains(where: \.isDecision))
        name = "\(end.base.text)/\(piece.text)"
        self.end = ArchiveEnd(
            base: end.base, position: last.position, clock: clock, hash: hash,
            pieces: end.pieces + 1, entryHash: try last.digest())
    }
}

extension Entry {
    /// SHA-256 of the entry as it is encoded.
    func digest() throws(StorageFault) -> String {
        var bytes = ByteWriter(reserving: size)
        encode(into: &bytes)
        let digest = try ContentDigest()
        bytes.bytes.withUnsafeBytes { digest.add($0) }
        return try digest.finish()
    }

    /// It says that another one is to be left out.
    var isDecision: Bool {
        guard case .command(let bytes) = payload else { return false }
        return LogCommand.isSkip(bytes)
    }
}
