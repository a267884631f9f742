internal import Raft
internal import SQLite
internal import Wire

/// What the applier stores of its own, in the transactions of clients' rows.
///
/// It takes pages of the same file, and at which place in the log it does decides which pages are left for what clients
/// make next: they can see where a table's root lies, and how large the database may be is counted in pages. So what
/// an entry leaves is stored right behind it, in a batch as in a transaction of its own; only the position, which has its
/// room, is written at the end.
extension Applier {
    /// Behind an entry of a batch.
    /// - Parameter stored: what the transaction holds; becomes `state`.
    func store(_ finished: Finished?, _ state: AppliedState, since stored: inout AppliedState)
        throws(CommandRunner.Interruption)
    {
        let isFixedAnew = state.fixesOther(than: stored)
        stored = state
        guard finished != nil || isFixedAnew else { return }
        try attempt("storing what an entry leaves") { () throws(SQLiteError) in
            if let finished { try remember(finished) }
            if isFixedAnew { try writeSettings(state) }
            try session.boundRoom(state.settings.limits, exactly: false)
        }
    }

    /// In the open transaction, at its end.
    /// - Parameter stored: what the database holds.
    func write(_ state: AppliedState, since stored: AppliedState) throws(SQLiteError) {
        if state.fixesOther(than: stored) { try writeSettings(state) }
        try MetadataTable.writeProgress(state, on: session.connection)
    }

    private func writeSettings(_ state: AppliedState) throws(SQLiteError) {
        // It must fit whatever the limit on clients' writes is.
        try session.room.lift(on: session.connection)
        try MetadataTable.writeSettings(state, on: session.connection)
    }
}

extension AppliedState {
    /// Whether something else is fixed for all nodes, or what is known of entries ahead.
    fileprivate func fixesOther(than other: AppliedState) -> Bool {
        settings != other.settings || membershipIndex != other.membershipIndex
            || cluster != other.cluster || membership != other.membership || skips != other.skips
            || decided != other.decided || upkeep != other.upkeep
    }
}
