internal import Raft
internal import SQLite
internal import Wire

/// A write under a key is applied once; those that follow under it get its answer
/// (docs/decisions/0139-a-write-may-be-repeated.md):
///
/// 1. What is remembered of it is written right behind its own rows, in the transaction that ends its
///    entry. So which pages the database takes does not depend on batches.
/// 2. While it is applied unit by unit, each unit's transaction also stores the answer so far, so that
///    a restart within the entry changes nothing of what is remembered.
/// 3. What of an answer is kept is decided at the borders of units, on every node alike, whether
///    somebody waits for the answer or not.
extension Applier {
    /// What a command's key leads to that was used before; nil: it must be run.
    func recall(
        _ key: RepeatKey, of command: Command, at milliseconds: Int64, _ isReported: Bool
    ) throws(CommandRunner.Interruption) -> (CommandResult, Repetition)? {
        guard let record = repeats.find(key.name, at: milliseconds) else { return nil }
        guard record.key == key else {
            return (CommandResult([], logIndex: record.index), .conflict)
        }
        guard isReported else { return (CommandResult([], logIndex: record.index), .answered) }
        var answer = KeptAnswer.omitted
        try attempt("reading a kept answer") { () throws(SQLiteError) in
            answer = try repeats.answer(
                to: record, atMost: command.statements.count, on: session.connection)
        }
        return switch answer {
        case .results(let results): (CommandResult(results, logIndex: record.index), .answered)
        case .error(let text):
            (CommandResult([], error: text, logIndex: record.index), .answered)
        case .omitted: (CommandResult([], logIndex: record.index), .done)
        }
    }

    /// A write under a key, and what came of it.
    struct Finished {
        var key: RepeatKey
        var index: LogIndex
        var milliseconds: Int64
        var answer: KeptAnswer.Encoded
    }

    /// In the open transaction.
    func remember(_ finished: Finished) throws(SQLiteError) {
        // It must fit whatever the limit on clients' writes is.
        if repeats.grows { try session.room.lift(on: session.connection) }
        try repeats.remember(
            finished.key, at: finished.index.rawValue, milliseconds: finished.milliseconds,
            finished.answer, on: session.connection)
    }

    /// The answer so far to an entry that is partly applied, as a restart finds it.
    /// - Parameter count: of the command's statements.
    func answerSoFar(
        _ key: RepeatKey, of count: Int, at index: LogIndex
    ) throws(CommandRunner.Interruption) -> KeptAnswer? {
        var found: KeptAnswer?
        try attempt("reading a kept answer") { () throws(SQLiteError) in
            let bytes = try MetadataTable.readAnswerSoFar(on: session.connection)
            var reader = ByteReader(bytes)
            do throws(WireError) {
                let record = try RepeatRecord(from: &reader)
                guard record.key == key, record.index == index.rawValue else { return }
                found = try KeptAnswer(from: &reader, atMost: count)
            } catch {
                throw SQLiteError.damagedRepeat("\(error)")
            }
        }
        return found
    }
}

extension CommandRunner.Committed {
    /// What a restart left of the answer. Without any the entry had come to no border of units.
    mutating func take(_ answer: KeptAnswer?) {
        switch answer {
        case .results(let kept): results = kept
        case .error(let text): error = text
        case .omitted: isAnswerOmitted = true
        case nil: break
        }
    }
}
