package import Raft
package import Wire

/// Why a node applies nothing more although entries are committed. It goes on voting, writing its
/// log and committing, but serves nothing (docs/decisions/0052-an-entry-can-be-skipped.md).
package enum ApplyHalt: Equatable, Sendable {
    /// The entry ended the process each time it was applied.
    case suspected(SuspectEntry)
    /// All nodes leave the entry out, and this one had applied it: its database is another than
    /// theirs, until a snapshot of theirs takes its place.
    case appliedSkipped(EntrySkip)

    /// For the operator: what happened, and the ways out.
    /// - Parameter options: those of the node that is halted.
    package func note(_ options: NodeOptions) -> HaltNote {
        switch self {
        case .suspected(let entry):
            let tryAgain = options.command(posting: "/cluster/apply/retry")
            let skip = options.command(
                posting: "/cluster/apply/skip",
                document: "{\"index\":\(entry.index),\"hash\":\(entry.hash)}")
            return HaltNote(
                text: "\(entry.text). Nothing is applied until you decide. If a kill or a lack of "
                    + "memory was the cause, let this node try again: \(tryAgain) To leave the "
                    + "entry out on all nodes: \(skip)", tryAgain: tryAgain, skip: skip)
        case .appliedSkipped(let skip):
            return HaltNote(
                text: "a database like that of the others: this node had applied log entry "
                    + "\(skip.index), which the cluster decided to leave out. It is in quarantine "
                    + "until another node's database takes the place of its own")
        }
    }

    /// In one word.
    package var state: String {
        switch self {
        case .suspected: "halted"
        case .appliedSkipped: "diverged"
        }
    }

    /// The entry that it is about.
    package var index: LogIndex {
        switch self {
        case .suspected(let entry): entry.index
        case .appliedSkipped(let skip): LogIndex(skip.index)
        }
    }

    /// CRC-32C of its payload.
    package var hash: UInt32 {
        switch self {
        case .suspected(let entry): entry.hash
        case .appliedSkipped(let skip): skip.hash
        }
    }
}

/// An `ApplyHalt` in words. The commands are complete: they can be pasted into a shell.
package struct HaltNote: Equatable, Sendable {
    /// What happened and what can be done, commands included.
    package var text: String
    /// Lets the node apply the entry once more; nil where there is nothing to try.
    package var tryAgain: String?
    /// Leaves the entry out on all nodes.
    package var skip: String?
}

/// An entry that ended the process more than once while it was applied.
package struct SuspectEntry: Equatable, Sendable {
    /// Its place in the log.
    package var index: LogIndex
    /// As a skip must name it.
    package var hash: UInt32
    /// From where on a skip would leave it out.
    package var place: StatementPlace
    /// How often it ended the process.
    package var ends: Int
    /// The beginning of the statement at that place.
    package var statement: String

    package init(
        index: LogIndex, hash: UInt32, place: StatementPlace, ends: Int, statement: String
    ) {
        self.index = index
        self.hash = hash
        self.place = place
        self.ends = ends
        self.statement = statement
    }

    /// The number of the statement's text in the request, and the byte at which it begins there.
    package var places: (text: Int, offset: Int) { (place.text, place.offset) }

    /// What leaves it out on every node.
    var skip: EntrySkip { EntrySkip(index: index.rawValue, hash: hash, place: place) }

    var text: String {
        "log entry \(index) ended this node's process \(ends) times while it was being applied, at "
            + "the statement: \(statement)"
    }
}
