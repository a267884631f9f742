import ObjectStorage
import Service
import Wire

/// Takes a copy of the leader's database as it comes.
protocol CopyIntake: AnyObject {
    /// - Throws: why the copy is of no use; no more of it is asked for.
    func take(_ piece: ResultPart.Piece) throws(StorageFault)
}

extension NodeEnquiry {
    /// Of each wait for the node while it makes the copy ready.
    private static let copyTimeout = Duration.seconds(30)
    /// Nothing is heard while SQLite vacuums the copy, or checks it: at 4 MiB a second, 80 GiB.
    private static let longPatience = Duration.seconds(6 * 3600)

    /// Has the leader copy its database.
    /// - Returns: whether the intake was given all of it; false where this node does not lead.
    func copy(
        _ request: BackupRequest, while isWanted: () -> Bool, into intake: some CopyIntake
    ) throws(StorageFault) -> Bool {
        var fault: StorageFault?
        let operation = ClientRequest.Operation.backup(request, ReadOptions(level: .weak))
        let isLong = request.vacuum || request.isForArchive || request.isChecked
        let patience = isLong ? Self.longPatience : Self.patience
        let outcome = ask(
            operation, timeout: Self.copyTimeout, patience: patience, while: isWanted
        ) { part in
            do throws(StorageFault) {
                for piece in part.pieces {
                    if case .end(let error?, _) = piece {
                        throw StorageFault(error, isTransient: true)
                    }
                    try intake.take(piece)
                }
                return true
            } catch {
                fault = error
                return false
            }
        }
        if let fault { throw fault }
        switch outcome {
        case .part: return true
        case .failed(.notLeader), .failed(.noLeader): return false
        case .results(let result):
            throw StorageFault(result.error ?? "the node gave no copy", isTransient: true)
        case .failed(let error):
            throw StorageFault("the node gave no copy: \(error)", isTransient: true)
        default: throw StorageFault("the node gave no copy in time", isTransient: true)
        }
    }
}
