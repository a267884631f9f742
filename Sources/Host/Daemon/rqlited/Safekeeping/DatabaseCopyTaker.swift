import Gzip
import ObjectStorage
import Service
import Wire

/// Gathers a copy of the leader's database in a file, packed if it is to be, and hashes its content, so
/// that equal content is known.
struct DatabaseCopyTaker {
    /// A copy that is whole.
    struct Copy {
        var file: UploadFile
        var marker: BackupMarker
        /// Clients have made nothing in it.
        var isEmpty: Bool
    }

    let node: NodeEnquiry
    /// Where the file is made.
    let directory: String
    let isCompressed: Bool
    let vacuums: Bool

    /// - Returns: nil where this node does not lead.
    func take(cluster: String, while isWanted: () -> Bool) throws(StorageFault) -> Copy? {
        let intake = Intake(
            file: try UploadFile(in: directory), content: try ContentFingerprint(),
            packing: isCompressed)
        var request = BackupRequest(form: vacuums ? .binary : .delete, vacuum: vacuums)
        // It takes the place of the copy before, which may be the last good one.
        request.isChecked = true
        guard try node.copy(request, while: isWanted, into: intake) else { return nil }
        let (index, digest, isEmpty) = try intake.finish()
        return Copy(
            file: intake.file,
            marker: BackupMarker(index: index, cluster: cluster, digest: digest), isEmpty: isEmpty)
    }

    private final class Intake: CopyIntake {
        let file: UploadFile
        private let content: ContentFingerprint
        private let gzip: Packing?
        private var index: UInt64 = 0

        /// A class, for closures can't hold what can't be copied.
        private final class Packing {
            let writer = GzipWriter()
        }

        init(file: UploadFile, content: ContentFingerprint, packing: Bool) {
            self.file = file
            self.content = content
            gzip = packing ? Packing() : nil
        }

        func take(_ piece: ResultPart.Piece) throws(StorageFault) {
            switch piece {
            case .contentBegins(let index): self.index = index
            case .content(let bytes): try add(bytes)
            default: break
            }
        }

        private func add(_ bytes: [UInt8], isLast: Bool = false) throws(StorageFault) {
            content.add(bytes)
            guard let gzip else { return try file.add(bytes) }
            let packed: [UInt8]
            do throws(GzipError) {
                packed = try gzip.writer.add(bytes, isLast: isLast)
            } catch {
                throw StorageFault("packing a copy of the database: \(error)")
            }
            try file.add(packed)
        }

        func finish() throws(StorageFault) -> (index: UInt64, digest: String, isEmpty: Bool) {
            if gzip != nil { try add([], isLast: true) }
            _ = try file.finish()
            return (index, try content.finish(), content.isEmpty)
        }
    }
}

/// What tells the content of one database file from another's: a hash of all but the counters in its
/// head, which change with every transaction, also where no row does
/// (https://sqlite.org/fileformat2.html §1.3).
final class ContentFingerprint {
    /// The change counter; the version for which the page count holds, and SQLite's.
    private static let counters = [24..<28, 92..<100]
    /// The head, and the head of the schema's page: its kind, and how many cells it has.
    private static let headBytes = 108

    private let digest: ContentDigest
    private var head: [UInt8] = []

    init() throws(StorageFault) { digest = try ContentDigest() }

    func add(_ bytes: [UInt8]) {
        var rest = bytes[...]
        if head.count < Self.headBytes {
            let missing = rest.prefix(Self.headBytes - head.count)
            head += missing
            rest = rest.dropFirst(missing.count)
            guard head.count == Self.headBytes else { return }
            var masked = head
            for range in Self.counters { for place in range { masked[place] = 0 } }
            masked.withUnsafeBytes { digest.add($0) }
        }
        rest.withUnsafeBytes { digest.add($0) }
    }

    /// The schema is a leaf without cells.
    var isEmpty: Bool {
        head.count == Self.headBytes && head[100] == 0x0D && head[103] == 0 && head[104] == 0
    }

    func finish() throws(StorageFault) -> String { try digest.finish() }
}
