internal import Gzip
package import ObjectStorage
package import Raft
internal import Wire

/// The objects of an archive in a storage, by clusters; nothing that is there is ever written over or deleted. Calls
/// block.
package struct ArchiveAccess: Sendable {
    /// Beside whose copy the archive lies.
    package let place: any StoragePlace
    /// Ends what is under way.
    package let stop: StopFlag

    package init(_ place: any StoragePlace, _ stop: StopFlag = StopFlag()) {
        self.place = place
        self.stop = stop
    }

    /// Those that have a folder there.
    package func clusters() throws(StorageFault) -> [ClusterID] {
        try place.list(archive: "", stop).compactMap { name in
            guard name.hasSuffix("/") else { return nil }
            return RandomID(String(name.dropLast())).map { ClusterID($0) }
        }.sorted()
    }

    /// The bases of a cluster, by where the log stood.
    package func bases(of cluster: ClusterID) throws(StorageFault) -> [BaseName] {
        try place.list(archive: "\(cluster)/", stop)
            .compactMap { $0.hasSuffix("/") ? BaseName($0) : nil }
            .sorted { ($0.position.index, $0.text) < ($1.position.index, $1.text) }
    }

    /// - Returns: nil where the base itself is not there.
    package func chain(
        of cluster: ClusterID, from base: BaseName
    ) throws(StorageFault) -> ArchiveChain? {
        let (chain, hasBase) = try folder(of: cluster, from: base)
        return hasBase ? chain : nil
    }

    /// What lies behind a base, which may not be there: its folder is made before it comes, and who puts it there may
    /// end, or it was taken away.
    func folder(
        of cluster: ClusterID, from base: BaseName
    ) throws(StorageFault) -> (chain: ArchiveChain, hasBase: Bool) {
        let names = try place.list(archive: "\(cluster)/\(base.text)/", stop)
        return (ArchiveChain(base: base, names: names), names.contains("base"))
    }

    /// The chain that leads farthest: as a rule that of the newest base, for the one before it ends there. But a
    /// base takes time on its way, and another leader may go on meanwhile behind the one before.
    /// - Parameters:
    ///   - newest: the chain of the newest base that is there.
    ///   - older: the other bases, the newest first.
    func farthest(
        _ newest: ArchiveChain, or older: some Sequence<BaseName>, of cluster: ClusterID
    ) throws(StorageFault) -> ArchiveChain {
        var farthest = newest
        var newer = newest.base
        var rest = Self.mostGivenUp
        for base in older {
            guard let chain = try chain(of: cluster, from: base) else { continue }
            if chain.leadsFarther(than: farthest) {
                farthest = chain
            } else if !chain.pieces.isEmpty {
                // Nobody goes on behind what ends before, if it led to the base that followed. What did not was given up
                // while it caught up with the one before it. One without pieces may have come late itself.
                rest -= 1
                if rest == 0 || chain.end >= newer.position.index { break }
            }
            newer = base
        }
        return farthest
    }

    /// Chains in a row that are looked at though they lead nowhere: each is a listing.
    private static let mostGivenUp = 16

    /// Where a leader goes on: behind the chain that leads farthest. The last of its pieces is read, and must
    /// be what its name says; behind a base alone, the last of those that led to it.
    /// - Returns: nil where there is nothing to go on from.
    package func end(of cluster: ClusterID) throws(StorageFault) -> ArchiveEnd? {
        var rest = try bases(of: cluster).sorted { $0.isNewer(than: $1) }[...]
        while let base = rest.popFirst() {
            guard let newest = try self.chain(of: cluster, from: base) else { continue }
            let chain = try farthest(newest, or: rest, of: cluster)
            guard let last = chain.pieces.last else {
                return ArchiveEnd(
                    of: chain.base, entryHash: try lastEntry(of: chain.base, rest, cluster))
            }
            let (header, entries) = try read(last, of: chain.base, cluster)
            return ArchiveEnd(
                base: chain.base, position: header.last,
                clock: LogClock(milliseconds: header.lastTime), hash: last.hash,
                pieces: chain.pieces.count, entryHash: try entries.last?.digest())
        }
        return nil
    }

    /// A base holds no entry. But before one is put there the pieces go that lead to it from the base before.
    /// - Parameter older: bases before it, the newest first.
    /// - Returns: the SHA-256 of the last entry; nil: no such piece is there.
    private func lastEntry(
        of base: BaseName, _ older: some Sequence<BaseName>, _ cluster: ClusterID
    ) throws(StorageFault) -> String? {
        var rest = Self.mostGivenUp
        for other in older where other != base && rest > 0 {
            guard let chain = try chain(of: cluster, from: other), let last = chain.pieces.last
            else { continue }
            rest -= 1
            guard last.last == base.position.index else { continue }
            let (header, entries) = try read(last, of: other, cluster)
            return try header.last == base.position ? entries.last?.digest() : nil
        }
        return nil
    }

    private func read(
        _ piece: PieceName, of base: BaseName, _ cluster: ClusterID
    ) throws(StorageFault) -> (ArchiveHeader, [Entry]) {
        let object = ArchiveObject(piece: piece, of: base, cluster: cluster)
        let content = Content()
        let header = try object.read(from: self) { bytes throws(StorageFault) in
            guard content.bytes.count + bytes.count <= ArchiveRestore.pieceBytes else {
                throw StorageFault("\(object.path) is larger than any piece")
            }
            content.bytes += bytes
        }
        return (header, try ArchiveRestore.entries(of: content.bytes, header, object.path))
    }

    /// A class, for closures can't hold what changes.
    private final class Content {
        var bytes: [UInt8] = []
    }

    /// Stores a piece.
    package func put(_ piece: ArchivePiece, of cluster: ClusterID) throws(StorageFault) {
        try place.store(piece.file, inArchive: "\(cluster)/\(piece.name)", stop)
    }

    /// Stores a base.
    package func put(
        _ base: UploadFile, as name: BaseName, of cluster: ClusterID
    ) throws(StorageFault) {
        try place.store(base, inArchive: "\(cluster)/\(name.text)/base", stop)
    }
}

/// An object that is to be read: what it must be by its name.
package struct ArchiveObject: Sendable {
    /// Below the archive's folder.
    package let path: String
    /// SHA-256 of all its bytes, 64 digits.
    package let hash: String
    /// What the header must say, but for what no name tells.
    private let cluster: ClusterID
    private let kind: ArchiveHeader.Kind
    private let first: LogIndex
    private let last: LogIndex
    private let lastTerm: Term?
    private let lastTime: Int64

    /// A piece, below its base.
    package init(piece: PieceName, of base: BaseName, cluster: ClusterID) {
        path = "\(cluster)/\(base.text)/\(piece.text)"
        hash = piece.hash
        self.cluster = cluster
        kind = .piece
        (first, last, lastTerm) = (piece.first, piece.last, nil)
        lastTime = piece.milliseconds
    }

    /// A base.
    package init(_ base: BaseName, cluster: ClusterID) {
        path = "\(cluster)/\(base.text)/base"
        hash = base.hash
        self.cluster = cluster
        kind = .base
        (first, last, lastTerm) = (
            base.position.index, base.position.index, base.position.term
        )
        lastTime = base.milliseconds
    }

    /// Fetches it, and hands on all of its bytes, packed as they are; they count only when it returns.
    /// - Parameter sink: takes them in order.
    /// - Throws: `StorageFault` that names it where a byte is another than when it was stored, or where
    ///   it is none that belongs there.
    package func read(
        from store: ArchiveAccess,
        to sink: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) -> ArchiveHeader {
        let intake = try Intake(sink)
        try store.place.fetch(fromArchive: path, store.stop) {
            bytes throws(StorageFault) in try intake.take(bytes)
        }
        guard try intake.digest.finish() == hash else {
            throw StorageFault(
                "\(path) of \(store.place.name) is spoilt: its bytes have another hash than its name "
                    + "says")
        }
        let header: ArchiveHeader
        do throws(WireError) {
            header = try ArchiveHeader(decoding: intake.head)
        } catch {
            throw StorageFault("\(path) of \(store.place.name) can't be read: \(error)")
        }
        guard header.kind == kind, header.cluster == cluster, header.first == first,
            header.last.index == last, lastTerm == nil || header.last.term == lastTerm,
            header.lastTime == lastTime
        else {
            throw StorageFault(
                "\(path) of \(store.place.name) is another object: it says that it is of cluster "
                    + "\(header.cluster), entries \(header.first) to \(header.last.index)")
        }
        return header
    }

    /// A class, for closures can't hold what changes.
    private final class Intake {
        let digest: ContentDigest
        var head: [UInt8] = []
        private let sink: ([UInt8]) throws(StorageFault) -> Void

        init(_ sink: @escaping ([UInt8]) throws(StorageFault) -> Void) throws(StorageFault) {
            digest = try ContentDigest()
            self.sink = sink
        }

        func take(_ bytes: [UInt8]) throws(StorageFault) {
            bytes.withUnsafeBytes { digest.add($0) }
            if head.count < ArchiveHeader.size {
                head += bytes.prefix(ArchiveHeader.size - head.count)
            }
            try sink(bytes)
        }
    }
}
