package import Raft
package import Wire

/// Entries that end the process, and the way past them
/// (docs/decisions/0052-an-entry-can-be-skipped.md).
///
/// 1. `ApplyMarker` counts how often the process ended within an entry. From the second time on
///    `apply` throws `ApplyFault.suspected` in its place, after all that stands before it.
/// 2. `tryAgain()` lets it be applied once more.
/// 3. `decide(_:)` is told of a `LogCommand.skip` that is committed, before the entry that it names
///    is handed in: the entry is then left out, and the database remembers it.
/// 4. When the skip's own turn comes, a database that remembers nothing of it had applied the entry:
///    `ApplyFault.appliedSkipped`.
extension Applier {
    /// What keeps the node from applying; without a hash before the entry was handed in.
    package var suspicion: PoisonSuspicion? { marker?.suspicion }

    /// Lets the suspected entry be applied once more.
    package func tryAgain() {
        marker?.tryAgain()
    }

    /// Takes note of a skip that stands in the log, committed, behind the entry that it names. May be
    /// called again with the same one.
    package func decide(_ skip: EntrySkip) {
        guard skip.index > applied.position.index.rawValue, !decisions.contains(skip)
        else { return }
        decisions.append(skip)
    }

    /// Whether an entry that is to be left out is ahead, or left out already.
    /// - Throws: `ApplyFault.appliedSkipped` if it was applied, or partly beyond the place.
    package func accepts(_ skip: EntrySkip) throws(ApplyFault) {
        guard !applied.knows(skip) else { return }
        let next = applied.position.index.next.rawValue
        let isPartly = skip.index == next && applied.progress.map { $0.place > skip.place } ?? false
        guard skip.index >= next, !isPartly else { throw .appliedSkipped(skip) }
    }

    /// What a skip must name of an entry: CRC-32C of its payload, zero where it is no command.
    package static func hash(of entry: Entry) -> UInt32 {
        guard case .command(let bytes) = entry.payload else { return 0 }
        return CRC32C(bytes).value
    }

    /// The skip that is about this entry, or nil; an entry that is suspected needs one.
    func decision(about entry: Entry) throws(ApplyFault) -> EntrySkip? {
        let suspicion = marker?.suspicion
        let isSuspected = suspicion?.index == entry.index
        guard isSuspected || !decisions.isEmpty else { return nil }
        // Not those of entries that were only handed in: without room, or with many rows to hand out, they are once more.
        decisions.removeAll { $0.index <= applied.position.index.rawValue }
        let hash = Self.hash(of: entry)
        let skip = decisions.first { $0.index == entry.index.rawValue && $0.hash == hash }
        guard let skip else {
            guard isSuspected, var suspicion else { return nil }
            suspicion.hash = hash
            // What is committed of the entry can't be left out any more.
            if let done = applied.progress?.place { suspicion.place = max(suspicion.place, done) }
            throw .suspected(suspicion)
        }
        if let done = applied.progress?.place, done > skip.place { throw .appliedSkipped(skip) }
        return skip
    }

    /// What stands at a place in an entry, for people: the beginning of the statement.
    package static func excerpt(of entry: Entry, at place: StatementPlace) -> String {
        switch entry.payload {
        case .noop: return "(none: the entry only marks a term)"
        case .membership: return "(none: the entry changes the membership)"
        case .command(let bytes):
            guard case .command(let command)? = try? LogCommand(decoding: bytes),
                place.text < command.statements.count
            else { return "(none: the entry is the daemon's own)" }
            let text = command.statements[place.text].sql.utf8.dropFirst(place.offset)
            let shown = text.prefix(excerptBytes)
            return String(decoding: shown, as: UTF8.self)
                + (shown.count < text.count ? "… (\(text.count) bytes)" : "")
        }
    }

    private static var excerptBytes: Int { 200 }
}

extension EntryProgress {
    var place: StatementPlace { StatementPlace(text: statement, offset: offset) }
}

extension AppliedState {
    /// The entry is left out, or will be.
    package func knows(_ skip: EntrySkip) -> Bool {
        skips.contains(skip) || decided.contains(skip)
    }
}
