import Histories

/// All that the clients of a run saw, by place; places change every few seconds, so that each has a
/// history that can be judged.
struct NemesisRecord: Sendable {
    enum Workload: String, CaseIterable, Sendable {
        case register
        case bank
        case list
        case set
    }

    /// How operations of one workload ended.
    struct Counts: Sendable {
        var done = 0
        var refused = 0
        var unknown = 0
    }

    static let accounts = 4

    private(set) var counts: [Workload: (writes: Counts, reads: Counts)] = [:]
    /// What nodes said when they did not do what they were asked, and how often.
    private(set) var words: [String: Int] = [:]
    private(set) var registers: [Int: RegisterHistory] = [:]
    private(set) var banks: [Int: BankHistory] = [:]
    private(set) var lists: [Int: CollectionHistory] = [:]
    private(set) var sets: [Int: CollectionHistory] = [:]

    mutating func count(_ workload: Workload, isRead: Bool, _ answer: NemesisAnswer) {
        var both = counts[workload] ?? (Counts(), Counts())
        var counts = isRead ? both.reads : both.writes
        switch answer.outcome {
        case .done: counts.done += 1
        case .refused: counts.refused += 1
        case .unknown: counts.unknown += 1
        }
        if isRead { both.reads = counts } else { both.writes = counts }
        self.counts[workload] = both
        if !answer.words.isEmpty { words[Self.generalized(answer.words), default: 0] += 1 }
    }

    /// Without addresses and numbers, so that the same words count together.
    private static func generalized(_ words: String) -> String {
        String(words.map { $0.isNumber ? "#" : $0 }.prefix(90))
    }

    // MARK: One place

    mutating func change(register key: Int, _ body: (inout RegisterHistory) -> Void) {
        body(&registers[key, default: RegisterHistory(name: "register \(key)")])
    }

    mutating func change(bank key: Int, _ body: (inout BankHistory) -> Void) {
        body(&banks[key, default: BankHistory(name: "bank \(key)", accounts: Self.accounts)])
    }

    mutating func change(list key: Int, _ body: (inout CollectionHistory) -> Void) {
        body(&lists[key, default: CollectionHistory(.list, name: "list \(key)")])
    }

    mutating func change(set key: Int, _ body: (inout CollectionHistory) -> Void) {
        body(&sets[key, default: CollectionHistory(.set, name: "set \(key)")])
    }

    /// What can't be, in all places.
    func violations() -> [Violation] {
        var found: [Violation] = []
        for (_, history) in registers { found += history.violations() }
        for (_, history) in banks { found += history.violations() }
        for (_, history) in lists { found += history.violations() }
        for (_, history) in sets { found += history.violations() }
        return found
    }

    /// Writes that were acknowledged.
    var acknowledged: Int { counts.values.reduce(0) { $0 + $1.writes.done } }

    /// Of which nobody wrote anything, or nobody read: what became of them was not tried.
    var idle: [Workload] {
        Workload.allCases.filter { workload in
            guard let (writes, reads) = counts[workload] else { return true }
            return writes.done == 0 || reads.done == 0
        }
    }

    /// A table of what was done, for a report.
    var table: String {
        var lines = ["workload: writes done/refused/unknown, reads done/refused/unknown"]
        for workload in Workload.allCases {
            let (writes, reads) = counts[workload] ?? (Counts(), Counts())
            lines.append(
                "\(workload.rawValue): \(writes.done)/\(writes.refused)/\(writes.unknown), "
                    + "\(reads.done)/\(reads.refused)/\(reads.unknown)")
        }
        for (said, count) in words.sorted(by: { $0.value > $1.value }) {
            lines.append("\(count) times: \(said)")
        }
        return lines.joined(separator: "\n")
    }
}
