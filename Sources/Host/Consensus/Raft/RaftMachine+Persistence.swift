/// Writing before speaking: what must become durable, and which messages wait for it.
extension RaftMachine {
    /// Appends entries to the log and asks for them to be written.
    mutating func append(_ entries: [Entry]) {
        guard let last = entries.last else { return }
        log.append(entries)
        openWrite { persist in
            // What this write holds from the first new index on was discarded meanwhile.
            while let held = persist.entries.last, held.index >= entries[0].index {
                persist.entries.removeLast()
            }
            persist.entries += entries
        }
        writes.addEntries(through: last.index)
        for entry in entries {
            if case .membership(let membership) = withoutOldMembership(entry).payload {
                memberships.append(membership, at: entry.index)
                membershipChanged()
            }
        }
    }

    /// Discards `index` and all after it: entries of an earlier leader that were never committed.
    /// New entries follow at once, and so the write that discards them on disk.
    mutating func discardEntries(from index: LogIndex) {
        precondition(index > commitIndex, "committed entry \(index) would be discarded")
        pending.observations.append(.entriesDiscarded(from: index))
        log.truncate(from: index)
        writes.discard(from: index)
        retractAnswers()
        if memberships.truncate(from: index) { membershipChanged() }
    }

    /// Answers that still wait here name entries that will not be durable; the leader asks again.
    mutating func retractAnswers() {
        pending.messagesAfterPersist.removeAll {
            if case .appendAnswer = $0.message.body { true } else { false }
        }
    }

    mutating func setHardState(_ state: HardState) {
        precondition(
            state.term > hardState.term
                || (state.term == hardState.term
                    && (hardState.votedFor == nil || hardState.votedFor == state.votedFor)),
            "term \(hardState.term) or its vote would be taken back")
        guard state != hardState else { return }
        hardState = state
        openWrite { $0.hardState = state }
        writes.addHardState()
    }

    private mutating func openWrite(_ change: (inout Persist) -> Void) {
        var persist =
            pending.persist ?? Persist(ticket: writes.begin(), hardState: nil, entries: [])
        pending.persist = nil
        change(&persist)
        pending.persist = persist
    }

    /// Sends a message, now or once what it says is durable. Everything this node sends goes
    /// through here: no message leaves before the term and the vote it was sent under are durable,
    /// and none that names an entry as held before that entry is (thesis §3.8).
    ///
    /// - Parameters:
    ///   - term: differs from the node's own in pre-votes only.
    ///   - held: the last entry the message says is held durably.
    mutating func send(
        _ body: Message.Body, to peer: NodeID, term: Term? = nil, held: LogIndex = .zero
    ) {
        let message = Message(
            cluster: cluster, from: identity, to: peer, term: term ?? self.term, body: body)
        let ticket = max(writes.hardStateTicket, writes.ticket(holding: held))
        if ticket <= writes.durableTicket {
            pending.messages.append(message)
        } else {
            pending.messagesAfterPersist.append(.init(after: ticket, message: message))
        }
    }

    /// Entries that are applied, and durable here, may leave the memory; so may those that are
    /// committed while nothing is applied.
    mutating func settleLog() {
        let needless = isApplyHalted ? commitIndex : appliedIndex
        log.settle(through: min(needless, writes.durableIndex))
    }
}
