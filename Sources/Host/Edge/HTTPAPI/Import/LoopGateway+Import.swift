import JSON
import NIOCore
import NIOHTTP1
import Service
import Telemetry
import Wire

/// Imports: one batch is asked for when the one before is in the log and carried out. A batch is asked
/// for once: whether one whose fate is unknown took effect, nobody could tell from a second.
extension LoopGateway {
    /// Not on the event loop, or of a test's. The request must be enrolled.
    func importRows(_ run: ImportRun, _ id: RequestID, _ pending: PendingReply) {
        if loop.inEventLoop {
            beginImport(run, id)
        } else {
            loop.execute { [self] in beginImport(run, id) }
        }
        submitBatch(of: run, id, pending)
    }

    private func beginImport(_ run: ImportRun, _ id: RequestID) {
        guard var found = waiting[id] else { return }
        found.importing = run
        if found.pending.format.lines { beginLines(&found) }
        waiting[id] = found
    }

    private func submitBatch(of run: ImportRun, _ id: RequestID, _ pending: PendingReply) {
        var fault: ImportFault?
        do throws(ImportFault) {
            if try run.makeBatch(), let batch = run.batch {
                return service.submit(
                    [Self.request(id, .loadDump(batch.command), pending)], replyTo: self)
            }
        } catch {
            fault = error
        }
        let end = fault
        if loop.inEventLoop {
            endImport(id, end)
        } else {
            loop.execute { [self] in endImport(id, end) }
        }
    }

    /// - Returns: whether the reply was one to a batch.
    func goOnImporting(with reply: Reply) -> Bool {
        guard let found = waiting[reply.id], let run = found.importing else { return false }
        guard found.connection.isOpen else { return false }
        switch reply.outcome {
        case .results(let result):
            if let fault = run.note(result) {
                endImport(reply.id, fault)
                return true
            }
            say(run.progress, to: found)
            let (id, pending) = (reply.id, found.pending)
            edge.files.run { [self] in submitBatch(of: run, id, pending) }
        case .failed(let error):
            // Nothing was done yet: it is refused like any other request.
            if run.importedRows == 0, found.source == nil, !error.leavesDoubt { return false }
            let doubt = error.leavesDoubt ? "; whether this batch took effect is unknown" : ""
            endImport(
                reply.id,
                ImportFault(
                    line: run.batch?.lines.first, text: error.textOfBatch + doubt),
                failedBy: error)
        default: return false
        }
        return true
    }

    /// - Parameter error: the node's or the cluster's, and none of the rows'. There is no word of trying
    ///   again: what went in would go in twice.
    private func endImport(
        _ id: RequestID, _ fault: ImportFault?, failedBy error: ServiceError? = nil
    ) {
        guard let found = remove(id), let run = found.importing else { return }
        edge.desk.counters.times.record(found.pending)
        defer { endDrainingIfDue() }
        guard found.connection.isOpen else { return }
        if found.source != nil {
            close(found, with: run.summary(fault))
        } else {
            var body: [UInt8] = []
            JSONValue.object(run.summary(fault)).write(
                to: &body, pretty: found.pending.format.pretty)
            let isOfRows = error == nil && fault?.isOfNode != true
            let failure: HTTPResponseStatus = isOfRows ? .badRequest : .serviceUnavailable
            var response = Response(fault == nil ? .ok : failure, .json, body: body)
            response.errorCode = error.map { Problem.code(of: $0) }
            found.connection.complete(found.exchange, with: response)
        }
        found.connection.flush()
    }
}

extension ServiceError {
    /// Of a batch behind which others are done: nothing that would have all of them sent again.
    fileprivate var textOfBatch: String {
        guard case .busy = self else { return ErrorTable.text(self) }
        return "too many requests are waiting already: this batch was not carried out"
    }

    /// What was asked for may have been done.
    fileprivate var leavesDoubt: Bool {
        switch self {
        case .leadershipLost, .timedOut, .forwardingFailed: true
        default: false
        }
    }
}
