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

    private static let timeout = Duration.seconds(30)

    /// - Returns: nil where this node does not lead.
    func take(while isWanted: () -> Bool) throws(StorageFault) -> Base? {
        var request = BackupRequest()
        request.isForArchive = true
        let intake = Intake(directory: directory, term: term)
        let outcome = node.ask(
            .backup(request, ReadOptions(level: .weak)), timeout: Self.timeout, while: isWanted,
            take: intake.take)
        if let fault = intake.fault { throw fault }
        switch outcome {
        case .part: break
        case .failed(.notLeader), .failed(.noLeader): return nil
        case .results(let result):
            throw StorageFault(result.error ?? "the node gave no copy", isTransient: true)
        case .failed(let error):
            throw StorageFault("the node gave no copy: \(error)", isTransient: true)
        default: throw StorageFault("the node gave no copy in time", isTransient: true)
        }
        return try intake.finish()
    }

    /// Takes the parts as they come.
    private final class Intake {
        var fault: StorageFault?
        private let directory: String
        private let term: Term
        private var writer: ArchiveWriter?
        private var header: ArchiveHeader?

        init(directory: String, term: Term) {
            self.directory = directory
            self.term = term
        }

        func take(_ part: ResultPart) -> Bool {
            do throws(StorageFault) {
                for piece in part.pieces {
                    switch piece {
                    case .copyBegins(let head): try begin(head)
                    case .content(let bytes): try writer?.add(bytes)
                    case .end(let error?, _): throw StorageFault(error, isTransient: true)
                    default: break
                    }
                }
                return true
            } catch {
                fault = error
                return false
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
