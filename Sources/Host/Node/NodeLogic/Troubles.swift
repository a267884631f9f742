import Time

/// The troubles of a node, and what of them is news. Some are states that are looked at with each
/// tick; others are events, such as a message that breaks the protocol: these are over when they
/// were not repeated for `memory`.
struct Troubles {
    private struct Present {
        var trouble: NodeTrouble
        /// Nil: until it is set otherwise.
        var until: MonotonicTime?
    }

    /// How long an event counts.
    static var memory: Duration { .seconds(30) }
    /// Troubles of one kind at a time; others name their subjects, so that further ones are left out.
    static var limit: Int { 64 }

    /// By kind and subject.
    private var present: [Present] = []
    private var changes: [NodeStateChange] = []

    var all: [NodeTrouble] { present.map(\.trouble) }

    func contains(_ kind: NodeTrouble.Kind) -> Bool { present.contains { $0.trouble.kind == kind } }

    /// What is news since the last call, in its order.
    mutating func takeChanges() -> [NodeStateChange] {
        defer { changes = [] }
        return changes
    }

    /// - Parameter reason: nil: all is well.
    mutating func set(_ kind: NodeTrouble.Kind, _ reason: String?) {
        set(kind, reason.map { [("", $0)] } ?? []) { _ in true }
    }

    /// All troubles of one kind as they are now.
    /// - Parameter isKnown: whether this node can tell how it is with a subject not in the list.
    mutating func set(
        _ kind: NodeTrouble.Kind, _ list: [(subject: String, reason: String)],
        isKnown: (String) -> Bool
    ) {
        guard !list.isEmpty || contains(kind) else { return }
        for old in present where old.trouble.kind == kind {
            if !list.contains(where: { $0.subject == old.trouble.subject }) {
                let subject = old.trouble.subject
                remove(kind, subject, isKnown(subject) ? .over : .forgotten)
            }
        }
        for (subject, reason) in list { put(NodeTrouble(kind, about: subject, reason), until: nil) }
    }

    /// Something happened that counts for a while.
    mutating func note(
        _ kind: NodeTrouble.Kind, about subject: String, _ reason: String, now: MonotonicTime
    ) {
        put(NodeTrouble(kind, about: subject, reason), until: now + Self.memory)
    }

    /// What happened once is over when it was not repeated.
    mutating func expire(now: MonotonicTime) {
        for old in present {
            guard let until = old.until, until <= now else { continue }
            remove(old.trouble.kind, old.trouble.subject, .over)
        }
    }

    private mutating func put(_ trouble: NodeTrouble, until: MonotonicTime?) {
        let place = present.firstIndex { !Self.isBefore($0.trouble, trouble) } ?? present.count
        let isSame =
            place < present.count && present[place].trouble.kind == trouble.kind
            && present[place].trouble.subject == trouble.subject
        if isSame {
            let hasChanged = present[place].trouble.reason != trouble.reason
            present[place] = Present(trouble: trouble, until: until)
            guard hasChanged else { return }
        } else {
            let count = present.count { $0.trouble.kind == trouble.kind }
            guard count < Self.limit else { return }
            present.insert(Present(trouble: trouble, until: until), at: place)
        }
        say(trouble.kind, trouble.subject, .troubled(reason: trouble.reason))
    }

    private mutating func remove(
        _ kind: NodeTrouble.Kind, _ subject: String, _ change: NodeStateChange.Change
    ) {
        present.removeAll { $0.trouble.kind == kind && $0.trouble.subject == subject }
        say(kind, subject, change)
    }

    private mutating func say(
        _ kind: NodeTrouble.Kind, _ subject: String, _ change: NodeStateChange.Change
    ) {
        changes.append(NodeStateChange(kind: kind, subject: subject, change: change))
    }

    private static func isBefore(_ one: NodeTrouble, _ other: NodeTrouble) -> Bool {
        (one.kind.rawValue, one.subject) < (other.kind.rawValue, other.subject)
    }
}
