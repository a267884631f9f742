/// Linearizable reads that wait until a quorum confirms leadership (ReadIndex, thesis §6.4).
///
/// At most one round runs for new reads: those asked meanwhile share the next one, so rounds grow
/// with the load. A heartbeat starts another in case messages got lost.
struct ReadQueue: Sendable {
    struct Round: Sendable {
        var round: UInt64
        /// commitIndex when the round began.
        var index: LogIndex
        var ids: [ReadID]
    }

    /// The number of the newest round.
    private(set) var round: UInt64 = 0
    private(set) var waiting: [ReadID] = []
    /// Begun and not confirmed, ascending.
    private(set) var running: [Round] = []

    var count: Int { running.reduce(waiting.count) { $0 + $1.ids.count } }
    var all: [ReadID] { running.flatMap(\.ids) + waiting }

    mutating func add(_ id: ReadID) { waiting.append(id) }

    /// - Parameter isNew: unless a rule is broken, no answer to an earlier round counts for it.
    mutating func startRound(at index: LogIndex, isNew: Bool) {
        let number = isNew || round == 0 ? beginRound() : round
        running.append(Round(round: number, index: index, ids: waiting))
        waiting = []
    }

    /// Begins a round that no read waits for: an answer to it answers a question asked from now on.
    /// - Returns: its number.
    mutating func beginRound() -> UInt64 {
        round += 1
        return round
    }

    /// A quorum answered `round`: it and the ones before it are confirmed.
    mutating func confirm(through round: UInt64) -> [Effects.ConfirmedRead] {
        let count = running.prefix { $0.round <= round }.count
        defer { running.removeFirst(count) }
        return running[..<count].flatMap { done in
            done.ids.map { Effects.ConfirmedRead(id: $0, index: done.index) }
        }
    }
}
