internal import CSQLite
package import Raft
internal import SQLite
package import Wire

/// What applying one entry gave.
package struct AppliedEntry: Equatable, Sendable {
    /// Its place in the log.
    package var index: LogIndex
    /// Of a command whose result somebody waits for.
    package var result: CommandResult?
    /// The command had a key that was used before; then nothing was done, and the result is what is
    /// known of the first one.
    package var repetition: Repetition?
}

/// Applies committed entries to the database, in order, and checkpoints it. It owns the only
/// connection that writes, and belongs to one thread: commits and checkpoints can never meet, which
/// SQLite before 3.51.3 would not survive.
///
/// 1. A batch of entries is one transaction, with the new position in it. Answers go out, and
///    `applied` moves, only after COMMIT.
/// 2. If something in a batch ends its transaction (OR ROLLBACK, RAISE(ROLLBACK), an exhausted
///    budget) or can't run in one (VACUUM, ANALYZE), the batch is rolled back and run again, each
///    autocommit unit as a transaction of its own that also stores how far its entry is done.
/// 3. A failure of the machine rolls back what is not committed and is thrown.
package final class Applier {
    /// What is committed in the database.
    package internal(set) var applied: AppliedState
    /// The generation's file.
    package let path: String

    let session: WriteSession
    let limits: ApplierLimits
    var checkpoints = CheckpointState()
    /// Every batch is run unit by unit; tests compare both ways.
    var avoidsSharedTransactions = false
    /// Results of the units of a partly applied entry, for when the disk has room again.
    private var partial: (index: LogIndex, committed: CommandRunner.Committed)?
    private var traceAtMarker: Digest?
    let marker: ApplyMarker?
    let repeats: RepeatMemory
    /// Decisions found in the log ahead of the entries that they are about.
    var decisions: [EntrySkip] = []
    let counts = AppliedCounts()
    /// What the disk of a path has free, in bytes; only tests say otherwise.
    package var room: (String) -> UInt64? = { DiskRoom.bytes(at: $0) }
    /// A call that has gathered more rows than this, in bytes, to hand out ends behind the entry that it is at.
    package var answerBytes = Int.max
    private var gatheredBytes = 0
    private var mustHandOut: Bool { gatheredBytes > answerBytes }
    /// Told of each marker for checksums right behind the commit that it ends, before anything else
    /// is applied: the database stands at the marker.
    package var reachedMarker: ((ReachedMarker) -> Void)?

    /// Opens a generation made by `DatabaseDirectory`.
    /// - Parameter marker: remembers what was being applied when the process ends; nil: nobody does.
    package convenience init(
        path: String, limits: ApplierLimits = ApplierLimits(), marker: ApplyMarker? = nil
    ) throws(ApplyFault) {
        try self.init(path: path, limits: limits, marker: marker, repeats: RepeatMemory())
    }

    /// - Parameter repeats: empty.
    init(
        path: String, limits: ApplierLimits, marker: ApplyMarker?, repeats: RepeatMemory
    ) throws(ApplyFault) {
        self.path = path
        self.repeats = repeats
        self.marker = marker
        self.limits = limits
        do throws(SQLiteError) {
            session = try WriteSession(path: path, limits: limits)
        } catch {
            throw .storage("opening the database \(path)", error)
        }
        do throws(MetadataError) {
            applied = try MetadataTable.read(on: session.connection)
        } catch {
            if case .otherFormat(let found, let supported) = error {
                throw .unsupportedDatabase(path, found: found, supported: supported)
            }
            throw .storage("reading the position of the database \(path)", error.cause)
        }
        do throws(SQLiteError) {
            try MetadataTable.widen(on: session.connection)
            try repeats.load(on: session.connection)
        } catch {
            throw .storage("preparing the database \(path)", error)
        }
        marker?.applied(through: applied.position.index)
        decisions = applied.decided
    }

    /// Applies entries that follow each other. Those applied already are passed over, so that a
    /// batch can be handed in again after a fault. Results of what is committed are appended to
    /// `results` even when a later entry fails. Beyond `answerBytes` of them the call ends before the last
    /// entry, and another goes on behind it.
    ///
    /// `reporting`: whether somebody waits for the result of an entry.
    package func apply(
        _ entries: some Collection<Entry>, reporting: (LogIndex) -> Bool,
        into results: inout [AppliedEntry]
    ) throws(ApplyFault) {
        var pending: [Pending] = []
        pending.reserveCapacity(entries.count)
        gatheredBytes = 0
        var fault: ApplyFault?
        var expected = applied.position.index.next
        for entry in entries where entry.index >= expected {
            guard entry.index == expected else {
                fault = .gap(expected: expected, found: entry.index)
                break
            }
            expected = expected.next
            do throws(ApplyFault) {
                let skip = try decision(about: entry)
                pending.append(
                    Pending(
                        position: entry.position, content: try Self.content(of: entry),
                        isReported: reporting(entry.index), skip: skip))
            } catch let decodingFault {
                fault = decodingFault
                break
            }
        }
        defer {
            csqlite_release_clock()
            marker?.end()
        }
        try applyBetweenMarkers(pending, into: &results)
        marker?.applied(through: applied.position.index)
        if let fault, !mustHandOut { throw fault }
    }

    // MARK: Content

    struct Pending {
        var position: LogPosition
        var content: Content
        var isReported: Bool
        /// It is left out, from a place on.
        var skip: EntrySkip?

        var marker: ChecksumMarker? {
            if case .checksum(let marker) = content { marker } else { nil }
        }

        /// It is about a load, and is not left out.
        var standsAlone: Bool {
            guard skip == nil else { return false }
            switch content {
            case .load, .loadPart, .loadEnd: return true
            default: return false
            }
        }
    }

    enum Content {
        case nothing
        case membership(Membership)
        case settings(ClusterSettings)
        case limits(WriteLimitsChange)
        case skip(EntrySkip)
        case checksum(ChecksumMarker)
        case command(Command)
        case load(DatabaseImage)
        case loadPart(LoadPart)
        case loadEnd(LoadEnd)
    }

    private static func content(of entry: Entry) throws(ApplyFault) -> Content {
        switch entry.payload {
        case .noop: return .nothing
        case .membership(let membership): return .membership(membership)
        case .command(let bytes):
            do throws(WireError) {
                switch try LogCommand(decoding: bytes) {
                case .command(let command): return .command(command)
                case .settings(let settings): return .settings(settings)
                case .limits(let change): return .limits(change)
                case .skip(let skip): return .skip(skip)
                case .checksum(let marker): return .checksum(marker)
                case .load(let image): return .load(image)
                case .loadPart(let part): return .loadPart(part)
                case .loadEnd(let end): return .loadEnd(end)
                }
            } catch {
                guard case .unsupportedVersion(let found, let supported) = error else {
                    throw .malformedEntry(entry.index, error.description)
                }
                throw .unsupportedEntry(entry.index, found: found, supported: supported)
            }
        }
    }

    // MARK: Batches

    /// A batch ends at each marker, so that the database can be looked at as it is there.
    private func applyBetweenMarkers(_ pending: [Pending], into results: inout [AppliedEntry])
        throws(ApplyFault)
    {
        var rest = pending[...]
        while !rest.isEmpty, !mustHandOut {
            if let first = rest.first, first.standsAlone {
                try applyLoad(first, into: &results)
                rest = rest.dropFirst()
                continue
            }
            if let place = rest.firstIndex(where: \.standsAlone) {
                // A load stands alone.
                try applyBetweenMarkers(Array(rest[..<place]), into: &results)
                rest = rest[place...]
                continue
            }
            let place = rest.firstIndex { $0.marker != nil }
            let end = place.map { $0 + 1 } ?? rest.endIndex
            // What the marker finds is what was traced before it.
            let batch = rest[..<end]
            let found = try apply(Array(batch), into: &results)
            guard applied.position == batch.last?.position else { return }
            if let place, let marker = rest[place].marker {
                reachedMarker?(
                    ReachedMarker(position: rest[place].position, marker: marker, trace: found))
            }
            rest = rest[end...]
        }
    }

    /// - Returns: the trace that stood before the last entry, if that is a marker.
    private func apply(_ pending: [Pending], into results: inout [AppliedEntry])
        throws(ApplyFault) -> Digest?
    {
        traceAtMarker = nil
        let mayShare =
            applied.progress == nil && !session.guardian.needsUnits && !avoidsSharedTransactions
        if mayShare, try applyShared(pending, into: &results) { return traceAtMarker }
        for entry in pending {
            try applyInUnits(entry, into: &results)
            if mustHandOut { break }
        }
        return traceAtMarker
    }

    /// One transaction for all. False: it was rolled back, and must be run unit by unit.
    private func applyShared(_ pending: [Pending], into results: inout [AppliedEntry])
        throws(ApplyFault) -> Bool
    {
        var state = applied
        var stored = applied
        var batch: [AppliedEntry] = []
        batch.reserveCapacity(pending.count)
        do throws(CommandRunner.Interruption) {
            try attempt("beginning a batch") { () throws(SQLiteError) in
                try session.begin()
                try session.boundRoom(state.settings.limits, exactly: false)
            }
            for entry in pending {
                let (applied, finished) = try apply(entry, .shared, &state)
                batch.append(applied)
                try store(finished, state, since: &stored)
                if mustHandOut { break }
            }
            marker?.end()
            try attempt("committing a batch") { () throws(SQLiteError) in
                try MetadataTable.writeProgress(state, on: session.connection)
                try session.commit()
            }
        } catch {
            try rollBack()
            guard case .fault(let fault) = error else { return false }
            throw fault
        }
        applied = state
        repeats.commit()
        counts.commit()
        results.append(contentsOf: batch)
        return true
    }

    private func applyInUnits(_ entry: Pending, into results: inout [AppliedEntry])
        throws(ApplyFault)
    {
        var state = applied
        do throws(CommandRunner.Interruption) {
            let (applied, finished) = try apply(entry, .perUnit, &state)
            marker?.end()
            state.progress = nil
            try attempt("committing an entry") { () throws(SQLiteError) in
                try session.begin()
                if let finished { try remember(finished) }
                try write(state, since: self.applied)
                try session.commit()
            }
            repeats.commit()
            counts.commit()
            results.append(applied)
        } catch {
            try rollBack()
            switch error {
            case .fault(let fault): throw fault
            case .needsUnits:
                throw .storage(
                    operation: "applying entry \(entry.position) unit by unit", code: SQLITE_ERROR,
                    message: "SQLite refused a statement of the daemon")
            }
        }
        partial = nil
        applied = state
    }

    /// Applies one entry within the transactions of `mode`, and moves `state` past it.
    private func apply(
        _ entry: Pending, _ mode: CommandRunner.Mode, _ state: inout AppliedState
    ) throws(CommandRunner.Interruption) -> (AppliedEntry, Finished?) {
        var result: CommandResult?
        var repetition: Repetition?
        var finished: Finished?
        marker?.begin(entry.position.index)
        switch entry.content {
        case .nothing: break
        case .skip(let skip):
            // What comes only later nobody has applied, wherever the number is from.
            let isBehind = skip.index < entry.position.index.rawValue
            guard !isBehind || state.skips.contains(skip) else {
                throw .fault(.appliedSkipped(skip))
            }
        case .membership(let membership):
            state.membership = membership
            state.membershipIndex = entry.position.index
        case .settings(let settings):
            state.settings.foreignKeys = settings.foreignKeys
        case .limits(let change):
            state.settings.limits = state.settings.limits.applying(change)
            if mode == .shared {
                try attempt("limiting the size of the database") { () throws(SQLiteError) in
                    try session.boundRoom(state.settings.limits, exactly: false)
                }
            }
        case .checksum(let marker): try reach(marker, &state)
        case .load, .loadPart, .loadEnd:
            // It is left out; see `applyLoad`.
            result = CommandResult([], error: CommandRunner.skippedText)
            result?.logIndex = entry.position.index.rawValue
        case .command(let command):
            let milliseconds = max(state.lastMilliseconds, command.stamp.milliseconds)
            let key = command.kind == .query ? nil : command.key
            if let key,
                let known = try recall(key, of: command, at: milliseconds, entry.isReported)
            {
                (result, repetition) = known
                // A query changes nothing; without a reader of its result it need not run.
            } else if command.kind != .query || entry.isReported {
                csqlite_freeze_clock(milliseconds)
                session.trace.value = state.trace
                let (given, answer) = try run(command, of: entry, mode, state)
                counts.add(command, given)
                result = given
                finished = key.map {
                    Finished(
                        key: $0, index: entry.position.index, milliseconds: milliseconds,
                        answer: answer)
                }
                state.trace = session.trace.value
                result?.logIndex = entry.position.index.rawValue
            }
            state.lastMilliseconds = milliseconds
            state.noteUpkeep(by: command, at: milliseconds)
        }
        if let skip = entry.skip {
            state.skips = Array((state.skips + [skip]).suffix(AppliedState.keptSkips))
        }
        // One that named another entry than the one that stood there has no meaning any more.
        if !state.decided.isEmpty {
            state.decided.removeAll { $0.index <= entry.position.index.rawValue }
        }
        state.position = entry.position
        let applied = AppliedEntry(
            index: entry.position.index, result: entry.isReported ? result : nil,
            repetition: repetition)
        return (applied, finished)
    }

    /// The marker is passed at the same place of the log on every node, and so is what goes with it.
    private func reach(
        _ marker: ChecksumMarker, _ state: inout AppliedState
    ) throws(CommandRunner.Interruption) {
        traceAtMarker = state.trace
        switch marker.tracing {
        case .goOn: break
        case .restart: state.trace = RowTrace.isPossible ? Digest() : nil
        case .stop: state.trace = nil
        }
        guard let load = state.load, load.isAbandoned(at: state.lastMilliseconds) else { return }
        try attempt("forgetting a load") { () throws(SQLiteError) in
            try MetadataTable.dropParts(on: session.connection)
        }
        state.load = nil
    }

    private func run(
        _ command: Command, of entry: Pending, _ mode: CommandRunner.Mode, _ state: AppliedState
    ) throws(CommandRunner.Interruption) -> (CommandResult, KeptAnswer.Encoded) {
        var resuming = CommandRunner.Committed()
        resuming.trace = applied.trace
        if mode == .perUnit, let progress = applied.progress {
            guard progress.isPlace(in: command) else {
                throw .fault(
                    .storage(
                        operation: "going on with entry \(entry.position)", code: SQLITE_CORRUPT,
                        message: "the database says that it came to a place that the entry has not"
                    ))
            }
            if let partial, partial.index == entry.position.index {
                resuming = partial.committed
            } else if let key = command.key {
                resuming.take(
                    try answerSoFar(
                        key, of: command.statements.count, at: entry.position.index))
            }
            resuming.progress = progress
        }
        let runner = CommandRunner(
            session: session, command: command, mode: mode, state: state,
            options: (limits, entry.isReported), resuming: resuming)
        runner.stop = entry.skip?.place
        runner.marker = marker
        // Whatever fails from here on, what is committed of the entry is not run again.
        defer {
            if mode == .perUnit, runner.committed.progress != EntryProgress() {
                applied.progress = runner.committed.progress
                applied.trace = runner.committed.trace
                partial = (entry.position.index, runner.committed)
            }
        }
        try runner.run()
        if entry.isReported { gatheredBytes += runner.rowBytes }
        return (runner.result, runner.keptAnswer())
    }

    /// Puts failures of our own statements in their two classes: those of the machine, and those of
    /// virtual tables that judge their rows late.
    func attempt(_ operation: String, _ body: () throws(SQLiteError) -> Void)
        throws(CommandRunner.Interruption)
    {
        let shortagesBefore = Shortages.met
        do throws(SQLiteError) {
            try body()
        } catch {
            let fault = ApplyFault.judging(
                error, during: operation, on: session.connection, since: shortagesBefore)
            throw fault.map { .fault($0) } ?? .needsUnits
        }
    }

    func rollBack() throws(ApplyFault) {
        repeats.rollBack()
        counts.rollBack()
        do throws(SQLiteError) {
            try session.rollBack()
        } catch {
            throw .storage("rolling back", error)
        }
    }

    /// Sets what the node knows of its cluster without an entry that says it: when it is
    /// bootstrapped, joins, or is recovered by hand.
    /// - Parameters:
    ///   - index: from where on the membership holds; nil: as before.
    ///   - skip: an entry ahead that is to be left out.
    package func establish(
        cluster: ClusterID, membership: Membership, from index: LogIndex? = nil,
        skipping skip: EntrySkip? = nil
    ) throws(ApplyFault) {
        var state = applied
        state.cluster = cluster
        state.membership = membership
        state.membershipIndex = index ?? state.membershipIndex
        if let skip, !state.knows(skip) { state.decided.append(skip) }
        do throws(SQLiteError) {
            try session.begin()
            try write(state, since: applied)
            try session.commit()
        } catch {
            try rollBack()
            throw .storage("storing the cluster ID", error)
        }
        applied = state
        for skip in state.decided { decide(skip) }
    }
}
