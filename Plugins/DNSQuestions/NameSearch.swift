import CCares

/// A question to name servers that is under way or over. What c-ares calls back changes it, on the
/// thread that waits.
protocol NameQuestion: AnyObject {
    /// Nothing more will come.
    var isComplete: Bool { get }
    /// Something was found, be it not all.
    var hasData: Bool { get }
    /// Of c-ares, where nothing was found.
    var status: CInt { get }
}

/// The search for one name by the search list, in the order of glibc, and at no higher price: a domain
/// whose servers refuse or fail is passed over, and one that is silent holds up the name as it stands
/// for `patience` at most. Further domains are not asked for what a silent one may know.
final class NameSearch<Question: NameQuestion> {
    /// A question without an answer for so long is called silent, in nanoseconds.
    static var silence: UInt64 { 1_500_000_000 }

    private let order: SearchOrder
    private let patience: UInt64
    private let ask: (String) -> Question
    private var asked: [(question: Question, since: UInt64)?]
    /// When something of a question's answer was seen first.
    private var seen: [UInt64?]
    private var place = 0
    private var found: Question?
    /// Nobody needs to wait any more.
    private(set) var isOver = false

    /// - Parameters:
    ///   - patience: for those who are silent, in nanoseconds.
    ///   - ask: begins a question for a name.
    init(_ order: SearchOrder, patience: UInt64, ask: @escaping (String) -> Question) {
        self.order = order
        self.patience = patience
        self.ask = ask
        asked = order.names.map { _ in nil }
        seen = asked.map { _ in nil }
    }

    /// The question that counts, if there were no more time.
    var best: Question? {
        found
            ?? [place, order.absolute].lazy.compactMap { self.question($0) }.first(where: \.hasData)
    }

    /// Why nothing was found: what is worse than "no such name" goes before.
    var status: CInt {
        guard isOver else { return ARES_ECANCELLED }
        let all = asked.compactMap { $0?.question.status }
        let worse = all.first { $0 != ARES_ENOTFOUND && $0 != ARES_ENODATA }
        return worse ?? all.first { $0 == ARES_ENODATA } ?? ARES_ENOTFOUND
    }

    /// Begins what is due, and looks at what came.
    /// - Parameter now: on the clock of `Call`.
    func advance(_ now: UInt64) {
        while !isOver {
            let (question, since) = begin(place, now)
            if question.isComplete {
                if question.hasData { return end(with: question) }
                // Who is silent may know the name, so no further domain is asked.
                let isSilent = question.status == ARES_ETIMEOUT
                place = isSilent ? max(place + 1, order.absolute) : place + 1
                if place >= order.names.count || isSilent && place > order.absolute {
                    isOver = true
                }
                continue
            }
            if question.hasData, seen[place] == nil { seen[place] = now }
            guard now >= since + Self.silence else { return }
            let (absolute, _) = begin(order.absolute, now)
            if question.hasData {
                let first = seen[place] ?? now
                if Lateness.isOver(now, since: since, first: first, patience: patience) {
                    end(with: question)
                }
            } else if absolute.hasData, now >= since + patience {
                end(with: absolute)
            }
            return
        }
    }

    private func question(_ place: Int) -> Question? {
        place < asked.count ? asked[place]?.question : nil
    }

    private func begin(_ place: Int, _ now: UInt64) -> (Question, UInt64) {
        if let known = asked[place] { return known }
        let question = ask(order.names[place])
        asked[place] = (question, now)
        return (question, now)
    }

    private func end(with question: Question) {
        found = question
        isOver = true
    }
}

/// How long the rest of an answer is waited for, in nanoseconds.
enum Lateness {
    /// Where servers are slow, all is late: what comes second is given half as long again as the first
    /// took, and `patience` at least.
    static func isOver(
        _ now: UInt64, since start: UInt64, first: UInt64, patience: UInt64
    ) -> Bool {
        now >= max(start + patience, first + (first - start) / 2)
    }
}
