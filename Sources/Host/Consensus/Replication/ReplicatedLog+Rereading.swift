internal import Raft
internal import Wire

/// Committed entries that are not in memory: those of the time when nothing was applied, and those
/// that a start found too many of. They are read from the log, as many at a time as are applied
/// together.
extension ReplicatedLog {
    /// Where the entry stands that follows what is held to be applied.
    private var wanted: LogIndex {
        (toApply.last?.index ?? applying?.through ?? appliedIndex).next
    }

    /// Committed entries lie in the log only.
    var lacksCommitted: Bool { !isApplyHalted && wanted <= raft.commitIndex }

    /// Keeps entries to be applied if they follow those that are kept. Others lie in the log, and are
    /// read from there when it is their turn.
    mutating func hold(_ committed: [Entry]) {
        guard !isApplyHalted, committed.first?.index == wanted else { return }
        toApply.append(contentsOf: committed)
    }

    /// Asks the log for the next entries, if none is held.
    mutating func reread() {
        guard lacksCommitted, toApply.isEmpty, rereading == nil, wanted <= durableIndex else {
            return
        }
        rereadCount += 1
        // Whom it is for tells it from what followers need.
        let fetch = Effects.LogFetch(
            id: rereadCount, peer: raft.identity.id, from: wanted,
            byteLimit: settings.maxApplyBytes)
        rereading = fetch
        effects.append(.fetchLog(fetch))
    }

    /// The log's answer. It is of no use if a snapshot took the place of what was asked for, or the
    /// applying was halted meanwhile.
    mutating func reread(_ entries: [Entry], for fetch: Effects.LogFetch) {
        guard fetch == rereading else { return }
        rereading = nil
        guard lacksCommitted, toApply.isEmpty, fetch.from == wanted else { return }
        precondition(
            entries.first?.index == fetch.from,
            "entry \(fetch.from) is committed, and the log has \(entries.count) others")
        // Behind what was committed when they were read others may have taken their places since.
        let committed = entries.prefix { entry in
            entry.index <= raft.commitIndex && raft.term(at: entry.index) == entry.term
        }
        hold(committed.map(raft.withoutOldMembership))
    }
}

extension Entry {
    /// The decision to leave another entry out, if the entry is one.
    var skip: EntrySkip? {
        // Nearly every entry is a client's command, which two bytes tell.
        guard case .command(let bytes) = payload, LogCommand.isSkip(bytes) else { return nil }
        guard case .skip(let skip)? = try? LogCommand(decoding: bytes) else { return nil }
        return skip
    }
}
