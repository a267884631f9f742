internal import Raft
internal import Wire

/// For databases that are made or tried on no cluster's behalf.
extension Applier {
    /// Applies a command as the entry that comes next.
    /// - Returns: its result; nil: there is none.
    func apply(alone command: Command) throws(ApplyFault) -> CommandResult? {
        let entry = Entry(
            index: applied.position.index.next, term: Term(1),
            payload: .command(LogCommand.command(command).encoded()))
        var results: [AppliedEntry] = []
        try apply([entry], reporting: { _ in true }, into: &results)
        return results.last?.result
    }
}
