/// Which writes to stable storage were asked for, and what is durable. Tickets become durable in
/// order.
struct WriteLedger: Sendable {
    private struct Write: Sendable {
        var ticket: PersistTicket
        /// The last entry that is durable with it; lowered when entries are discarded later.
        var through: LogIndex
    }

    /// Asked for and not yet durable, ascending.
    private var open: [Write] = []
    private var lastTicket = PersistTicket(0)
    private(set) var durableTicket = PersistTicket(0)
    /// Every entry of the log through here is durable.
    private(set) var durableIndex: LogIndex
    /// The write that holds the newest hard state.
    private(set) var hardStateTicket = PersistTicket(0)

    init(durableIndex: LogIndex) { self.durableIndex = durableIndex }

    var isHardStateDurable: Bool { hardStateTicket <= durableTicket }

    mutating func begin() -> PersistTicket {
        lastTicket = PersistTicket(lastTicket.rawValue + 1)
        open.append(Write(ticket: lastTicket, through: .zero))
        return lastTicket
    }

    /// The newest write holds the hard state.
    mutating func addHardState() { hardStateTicket = lastTicket }

    /// The newest write holds entries through `index`.
    mutating func addEntries(through index: LogIndex) { open[open.count - 1].through = index }

    /// Entries from `index` on are no part of the log any more, whatever was written of them.
    mutating func discard(from index: LogIndex) {
        let last = index.previous
        durableIndex = min(durableIndex, last)
        for i in open.indices { open[i].through = min(open[i].through, last) }
    }

    /// An installed snapshot made everything through `index` durable.
    mutating func coveredBySnapshot(through index: LogIndex) {
        durableIndex = max(durableIndex, index)
    }

    mutating func persisted(_ ticket: PersistTicket) {
        precondition(ticket <= lastTicket, "ticket \(ticket.rawValue) was never given out")
        durableTicket = max(durableTicket, ticket)
        while let write = open.first, write.ticket <= ticket {
            durableIndex = max(durableIndex, write.through)
            open.removeFirst()
        }
    }

    /// The write after which the entry at `index`, and so all before it, is durable.
    func ticket(holding index: LogIndex) -> PersistTicket {
        guard index > durableIndex else { return durableTicket }
        guard let write = open.first(where: { $0.through >= index }) else {
            preconditionFailure("entry \(index) was never written")
        }
        return write.ticket
    }
}
