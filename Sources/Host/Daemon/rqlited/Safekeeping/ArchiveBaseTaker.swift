import Archive
import ObjectStorage
import Raft
import Service
import Wire

/// Gathers a base for the archive: the leader's database with all that a node keeps in it, packed.
struct ArchiveBaseTaker {
    /// A base that is whole.
    struct Base {
        var file: UploadFile
        var name: BaseName
        var cluster: ClusterID
    }

    let node: NodeEnquiry
    /// Where the file is made.
    let directory: String
    /// In which the node leads.
    let term: Term

    /// - Returns: nil where this node does not lead.
    func take(while isWanted: () -> Bool) throws(StorageFault) -> Base? {
        var request = BackupRequest()
        request.isForArchive = true
        let intake = Intake(directory: directory, term: term)
        guard try node.copy(request, while: isWanted, into: intake) else { return nil }
        return try intake.finish()
    }

    private final class Intake: CopyIntake {
        private let directory: String
        private let term: Term
        private var writer: ArchiveWriter?
        private var header: ArchiveHeader?

        init(directory: String, term: Term) {
            self.directory = directory
            self.term = term
        }

        func take(_ piece: ResultPart.Piece) throws(StorageFault) {
            switch piece {
            case .copyBegins(let head): try begin(head)
            case .content(let bytes): try writer?.add(bytes)
            default: break
            }
        }

        private func begin(_ head: CopyHead) throws(StorageFault) {
            guard let mark = ArchiveMark(head.tag), let id = RandomID(mark.cluster) else {
                throw StorageFault("the node gave a copy that says nothing of itself")
            }
            let position = LogPosition(index: LogIndex(mark.index), term: Term(mark.term))
            let header = ArchiveHeader(
                kind: .base, cluster: ClusterID(id), term: term, first: position.index,
                last: position, times: (mark.milliseconds, mark.milliseconds))
            self.header = header
            writer = try ArchiveWriter(header, in: directory)
        }

        func finish() throws(StorageFault) -> Base {
            guard let writer, let header else {
                throw StorageFault("the node gave no copy", isTransient: true)
            }
            let (file, hash) = try writer.finish()
            let name = BaseName(
                position: header.last, milliseconds: header.lastTime, hash: hash)
            return Base(file: file, name: name, cluster: header.cluster)
        }
    }
}
