import JSON
import NIOHTTP1
import Raft
import Service
import Telemetry
import Wire

/// What operations need to answer: who this node is, what it tells of itself, and the forms that
/// answers have in common. It keeps nothing of a request and may be used on any thread.
struct AnswerDesk: Sendable {
    let advertisedAddress: String
    /// What `/openapi.json` answers.
    let apiDocument: APIDocument.Kept
    let documents: Documents
    let counters: HTTPCounters
    let limits: HTTPLimits
    let budgets: EdgeBudgets

    /// Turns what the node replied into an answer on the wire.
    /// - Parameter isKept: see `finished`.
    func answer(
        _ reply: Reply, to pending: PendingReply, isKept: Bool = false
    ) -> Response {
        if case .failed(let error) = reply.outcome { return failure(error, to: pending) }
        if var response = pending.operation.answer(self, reply, pending) {
            // A copy that was kept shows less.
            let shown = response.logIndex ?? .max
            response.commit = reply.sight.flatMap {
                $0.mark.index.rawValue <= shown ? $0.mark : nil
            }
            let result: CommandResult? =
                switch reply.outcome {
                case .results(let result), .repeated(let result): result
                default: nil
                }
            return finished(response, for: pending, of: result, isKept: isKept)
        }
        return .plain(
            .internalServerError,
            "the node answered \(pending.operation.name) with the outcome of another operation")
    }

    /// Packed, where its client takes that, and counted until it has taken it.
    /// - Parameters:
    ///   - result: what it is made of, of statements.
    ///   - isKept: its client does not take it now, and others are kept for it already: so it counts, whatever it
    ///     is about, unless it is no larger than a refusal would be.
    func finished(
        _ response: Response, for pending: PendingReply, of result: CommandResult? = nil,
        isKept: Bool = false
    ) -> Response {
        var response = response
        response.pack(for: pending)
        let size = response.body.count
        let isLarge = size > limits.uncountedBytes && !pending.operation.isObservation
        guard isLarge || isKept && size > limits.freeAnswerBytes else { return response }
        let share = Share(of: budgets.answerBytes, for: pending.account)
        if let shortage = share.grow(by: size) {
            return noRoom(shortage, for: pending, of: result)
        }
        response.share = share
        return response
    }

    func failure(_ error: ServiceError, to pending: PendingReply) -> Response {
        if case .noLeader = error { counters.leaderNotFound.add() }
        var response: Response
        switch ErrorTable.answer(to: pending, failedBy: error) {
        case .plain(let status, let text): response = .plain(status, text)
        case .lines(let lines):
            response = Response(.serviceUnavailable, .text, body: Array(lines.utf8))
        case .redirect(let location):
            response = .redirect(.movedPermanently, to: location)
            if pending.operation.code == .command { response.content = .json }
        case .envelope(let text):
            response = results(CommandResult([], error: text), servedBy: nil, pending)
        }
        let isRedirect = response.status == .movedPermanently
        if pending.wantsProblem, !isRedirect, !pending.operation.isObservation {
            response = Problem.response(to: error)
        }
        if !isRedirect { response.errorCode = Problem.code(of: error) }
        if response.status == .serviceUnavailable, error.passesByItself {
            response.retryAfter = 1
        }
        return response
    }

    /// What became of a queued write, as far as its client wants to know.
    func answer(_ verdict: WriteQueueMachine.Verdict, to pending: PendingReply) -> Response {
        switch verdict {
        case .taken(let sequence): return queued(sequence, nil, pending)
        case .executed(let sequence, let error): return queued(sequence, error, pending)
        // As if it had not been queued.
        case .refused(let error): return failure(error, to: pending)
        case .waitedTooLong: return .plain(.requestTimeout, "queue wait timeout")
        case .full: return failure(.busy, to: pending)
        case .stopped: return .plain(.internalServerError, "queue closed")
        }
    }

    private func queued(
        _ sequence: UInt64, _ error: String?, _ pending: PendingReply
    ) -> Response {
        var members: [JSONValue.Member] = [.init("results", .array([]))]
        if let error { members.append(.init("error", .string(error))) }
        if pending.format.timings {
            members.append(.init("time", .number(pending.elapsed.decimalSeconds)))
        }
        members.append(.init("sequence_number", .integer(sequence)))
        var body: [UInt8] = []
        JSONValue.object(members).write(to: &body, pretty: pending.format.pretty)
        // Who waits may look at nothing but the status: with rqlite 200 says that it was carried out.
        return Response(error == nil ? .ok : .badRequest, .json, body: body)
    }

    // MARK: Forms

    /// An answer without content.
    func done(servedBy server: PeerAddress?) -> Response {
        var response = Response(.ok)
        response.servedBy = server?.rawValue ?? advertisedAddress
        return response
    }

    /// At once where it is small, else in slices, as long as the answers that wait for their
    /// clients leave room.
    func results(
        _ result: CommandResult, servedBy server: PeerAddress?, _ pending: PendingReply
    ) -> Response {
        if pending.format.lines { return lines(result, servedBy: server, pending) }
        let size = Self.estimatedSize(of: result)
        var response: Response
        if size > limits.sliceBytes
            || size + Self.repeatedNames(in: result, pending.format) > limits.sliceBytes
        {
            let share = Share(of: budgets.answerBytes, for: pending.account)
            if let shortage = share.grow(by: size) {
                return noRoom(shortage, for: pending, of: result)
            }
            response = Response(.ok, .json)
            response.source = AnswerSource(
                ResultDocument(result, pending.format, elapsed: { pending.elapsed }),
                holding: share)
        } else {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(size)
            do throws(WireError) {
                let body = try ResultDocument.render(
                    result, pending.format, elapsed: pending.elapsed, continuing: bytes)
                response = Response(.ok, .json, body: body)
            } catch {
                return .plain(
                    .internalServerError,
                    "the rows of the result are damaged: \(error.description)")
            }
        }
        if result.error == nil { response.servedBy = server?.rawValue ?? advertisedAddress }
        return response
    }

    /// An earlier request had its effect, of which no more is known: `{"results":[],"done_at":N}`.
    func doneBefore(
        _ index: LogIndex, servedBy server: PeerAddress?, _ pending: PendingReply
    ) -> Response {
        var members: [JSONValue.Member] = [
            .init("results", .array([])), .init("done_at", .integer(index.rawValue)),
        ]
        if pending.format.raftIndex {
            members.append(.init("raft_index", .integer(index.rawValue)))
        }
        var body: [UInt8] = []
        JSONValue.object(members).write(to: &body, pretty: pending.format.pretty)
        var response = Response(.ok, .json, body: body)
        response.servedBy = server?.rawValue ?? advertisedAddress
        response.isRepeated = true
        return response
    }

    /// In parts, of which the first is here, as long as the answers that wait for their clients leave
    /// room.
    func results(
        beginning part: ResultPart, servedBy server: PeerAddress?, _ pending: PendingReply
    ) -> Response {
        let share = Share(of: budgets.answerBytes, for: pending.account)
        if let shortage = share.grow(by: ResultWindow.bytes) {
            // Only readers make parts here: nothing went through the log. Of what another node has done, the parts
            // that follow may say that it failed.
            return noRoom(shortage, for: pending, of: server == nil ? CommandResult([]) : nil)
        }
        let source = AnswerSource(
            StreamedDocument(pending.format, elapsed: { pending.elapsed }), holding: share)
        source.feed(part)
        var response = Response(.ok, pending.format.lines ? .lines : .json)
        response.source = source
        response.servedBy = server?.rawValue ?? advertisedAddress
        return response
    }

    /// A result that is there, as lines.
    private func lines(
        _ result: CommandResult, servedBy server: PeerAddress?, _ pending: PendingReply
    ) -> Response {
        if let error = result.error { return line(error, result.logIndex, pending) }
        let pieces = result.statements.map { ResultPart.Piece.statement($0) }
        let share = Share(of: budgets.answerBytes, for: pending.account)
        let part = ResultPart(pieces + [.end(error: nil, logIndex: result.logIndex)])
        // All of it is there: nothing comes ahead of the client. There is always room to say that a write was carried
        // out, as in the other form.
        let size = part.byteCount
        if size > limits.freeAnswerBytes, let shortage = share.grow(by: size) {
            return noRoom(shortage, for: pending, of: result)
        }
        var response = Response(.ok, .lines)
        let source = AnswerSource(
            StreamedDocument(pending.format, elapsed: { pending.elapsed }), holding: share,
            of: size)
        source.feed(part)
        response.source = source
        response.servedBy = server?.rawValue ?? advertisedAddress
        return response
    }

    /// A request that failed as a whole. There is always room to say so: without it nobody would know
    /// that it was not carried out.
    private func line(_ error: String, _ logIndex: UInt64, _ pending: PendingReply) -> Response {
        var output = JSONOutput(continuing: [])
        ResultMembers(format: pending.format).writeEndLine(
            error: error, logIndex: logIndex, elapsed: { pending.elapsed }, to: &output)
        return Response(.ok, .lines, body: output.bytes)
    }

    /// The answer can't be held until its client takes it. Of what may have been done nobody must be told
    /// that it was not: it would be sent again. Nor that all of it was where a statement has failed, which may have
    /// undone the rest.
    /// - Parameter result: nil: nothing is known of it.
    private func noRoom(
        _ shortage: Shortage, for pending: PendingReply, of result: CommandResult?
    ) -> Response {
        guard pending.operation.mayHaveEffect, !Self.changedNothing(result, pending) else {
            return noRoom(shortage, of: Self.keptAnswers, for: pending)
        }
        return Problem.droppedAnswer(of: result, asDocument: pending.wantsProblem)
    }

    /// It failed as a whole; or it might have written, and stands nowhere in the log.
    private static func changedNothing(_ result: CommandResult?, _ pending: PendingReply) -> Bool {
        guard let result else { return false }
        return result.error != nil
            || pending.operation.need == .levelOrLog && result.logIndex == 0
    }

    private static let keptAnswers = "answers that wait for their clients"

    /// Nothing was done, for want of one of the things of which there are so many, or of a share of them.
    func noRoom(_ shortage: Shortage, of things: String, for pending: PendingReply) -> Response {
        guard shortage == .ofClient else { return failure(.busy, to: pending) }
        counters.overShare.add()
        return Problem.overShare(of: things, asDocument: pending.wantsProblem)
    }

    /// Bytes that go out as they are, of which the first part is here.
    func content(
        _ content: Response.Content, beginning part: ResultPart, servedBy server: PeerAddress?,
        _ pending: PendingReply
    ) -> Response {
        let logIndex: UInt64
        switch part.pieces.first {
        case .contentBegins(let index):
            guard !CopyFields.needsMatch(pending.head.headers) else { return .goneCopy }
            logIndex = index
        case .copyBegins(let head):
            return copy(head, beginning: part, servedBy: server, pending)
        default:
            var text = "the node answered with results in place of a body"
            if case .end(let error?, _)? = part.pieces.last { text = error }
            return .plain(.internalServerError, text)
        }
        var response = self.content(content, at: logIndex, part, servedBy: server, pending)
        response.acceptedRanges = "none"
        return response
    }

    func content(
        _ content: Response.Content, at logIndex: UInt64, _ part: ResultPart,
        servedBy server: PeerAddress?, _ pending: PendingReply
    ) -> Response {
        let share = Share(of: budgets.answerBytes, for: pending.account)
        if let shortage = share.grow(by: ResultWindow.bytes) {
            return noRoom(shortage, of: Self.keptAnswers, for: pending)
        }
        let source = AnswerSource(StreamedContent(), holding: share)
        source.timeOfEnd = counters.lastBackup
        source.feed(part)
        var response = Response(.ok, content)
        response.source = source
        response.servedBy = server?.rawValue ?? advertisedAddress
        response.logIndex = logIndex
        return response
    }

    func emptyResult(_ request: HTTPRequest, of operation: HTTPOperation) -> Response {
        results(CommandResult([]), servedBy: nil, PendingReply(operation, request))
    }

    func count(_ statements: Int, _ kind: CommandKind) {
        switch kind {
        case .execute: counters.executeStatements.add(statements)
        case .query: counters.queryStatements.add(statements)
        case .request: counters.requestStatements.add(statements)
        }
    }

    /// Spares most answers a second allocation.
    private static func estimatedSize(of result: CommandResult) -> Int {
        var size = 64
        for statement in result.statements {
            switch statement.outcome {
            case .rows(let rows):
                size += 64 + 32 * rows.columns.count + rows.cells.count + rows.cells.count / 4
                for name in rows.columns { size += name.utf8.count }
            case .failed(let text): size += 64 + min(text.utf8.count, ResultMembers.longestError)
            case .changed, .empty: size += 64
            }
        }
        return size
    }

    /// What the associative form makes more of a result that is small: each row has all names, of which
    /// each byte may become six. What the result takes in memory is as before.
    private static func repeatedNames(in result: CommandResult, _ format: ResultFormat) -> Int {
        guard format.associative else { return 0 }
        return result.statements.reduce(0) { sum, statement in
            guard case .rows(let rows) = statement.outcome else { return sum }
            return sum + rows.rowCount * rows.columns.reduce(0) { $0 + 4 + 6 * $1.utf8.count }
        }
    }
}

extension ServiceError {
    /// The same request may succeed later without anybody doing something about it.
    fileprivate var passesByItself: Bool {
        switch self {
        case .busy, .noLeader, .notReady, .leadershipLost, .diskFull, .timedOut: true
        default: false
        }
    }
}
