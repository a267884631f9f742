import JSON
import NIOCore
import NIOHTTP1
import Service
import Telemetry
import Wire

/// Loads in parts: see `LoadShipping`. Parts are read where work may wait for the disk.
extension LoopGateway {
    /// A load on its way: the shares of the client's exchange.
    struct Shipment {
        let parcel: LoadParcel
        let isBoot: Bool
        var machine: LoadShipping
    }

    /// From any thread, once for a load. The request must be enrolled.
    func ship(_ parcel: LoadParcel, isBoot: Bool, _ id: RequestID, _ pending: PendingReply) {
        let machine = LoadShipping(
            parts: parcel.parts, patience: TimeAmount(pending.timeout), now: .now())
        let shipment = Shipment(parcel: parcel, isBoot: isBoot, machine: machine)
        // Before any answer comes.
        if loop.inEventLoop {
            begin(shipment, id)
        } else {
            loop.execute { [self] in begin(shipment, id) }
        }
        submit(part: 0, of: shipment, id, pending)
    }

    private func begin(_ shipment: Shipment, _ id: RequestID) {
        guard var found = waiting[id] else { return }
        found.shipment = shipment
        edge.desk.counters.loadParts.add(Int(shipment.parcel.parts))
        if found.pending.format.lines { beginLines(&found) }
        waiting[id] = found
        tell(found, shipment.machine)
    }

    /// Never on the event loop.
    private func submit(
        part number: UInt32, of shipment: Shipment, _ id: RequestID, _ pending: PendingReply
    ) {
        let parcel = shipment.parcel
        guard let bytes = parcel.part(number) else {
            let failure = ServiceError.unsuitable("the file of the load can't be read any more")
            return deliver([Reply(id: id, outcome: .failed(failure))])
        }
        let part = LoadPart(
            id: parcel.id, number: number, byteCount: parcel.byteCount, bytes: bytes)
        service.submit(
            [Self.request(id, .loadPart(part, isBoot: shipment.isBoot), pending)], replyTo: self)
    }

    /// - Returns: whether the load goes on; otherwise the reply is the client's.
    func goOn(with reply: Reply) -> Bool {
        guard var found = waiting[reply.id], var shipment = found.shipment,
            !shipment.machine.isEnding
        else { return false }
        guard found.connection.isOpen else { return false }
        let step = shipment.machine.answered(reply.outcome, now: .now())
        found.shipment = shipment
        waiting[reply.id] = found
        if step == .over { return false }
        let (id, pending, current) = (reply.id, found.pending, shipment)
        switch step {
        case .part(let number):
            edge.desk.counters.loadPartsKept.add(1)
            tell(found, shipment.machine)
            edge.files.run { [self] in submit(part: number, of: current, id, pending) }
        case .again(let number):
            loop.assumeIsolated().scheduleTask(in: .milliseconds(250)) { [self] in
                edge.files.run { [self] in submit(part: number, of: current, id, pending) }
            }
        case .end:
            edge.desk.counters.loadPartsKept.add(1)
            tell(found, shipment.machine)
            var request = Self.request(
                id, shipment.parcel.end(.replace, isBoot: shipment.isBoot), pending)
            request.timeout += LoadShipping.endTime(of: shipment.parcel.byteCount)
            service.submit([request], replyTo: self)
        case .over: break
        }
        return true
    }

    /// The client has its answer, or is gone, and nobody waits under the ID any more. Unless the node
    /// itself has said what became of the end, what is kept is to be forgotten; if that gets lost, it
    /// goes by itself some time later.
    func ended(_ shipment: Shipment, _ reply: Reply, _ pending: PendingReply) {
        edge.desk.counters.loadParts.add(-Int(shipment.parcel.parts))
        edge.desk.counters.loadPartsKept.add(-Int(shipment.machine.kept))
        if shipment.machine.isEnding, case .results = reply.outcome { return }
        let forget = shipment.parcel.end(.forget, isBoot: shipment.isBoot)
        service.submit([Self.request(reply.id, forget, pending)], replyTo: self)
    }

    // MARK: Progress

    /// The answer begins now, and has its lines by and by. Without room for it it comes at the end.
    func beginLines(_ waiting: inout Waiting) {
        let share = Share(of: edge.budgets.answerBytes, for: waiting.pending.account)
        guard share.grow(by: ResultWindow.bytes) == nil else { return }
        let source = AnswerSource(StreamedContent(), holding: share)
        source.feed(ResultPart([.contentBegins(logIndex: 0)]))
        waiting.source = source
        var response = Response(.ok, .lines)
        response.source = source
        if waiting.connection.isOpen {
            waiting.connection.complete(waiting.exchange, with: response)
        }
    }

    private func tell(_ waiting: Waiting, _ machine: LoadShipping) {
        say(
            [
                .init(
                    "progress",
                    .object([
                        .init("parts", .integer(Int(machine.parts))),
                        .init("kept", .integer(Int(machine.kept))),
                    ]))
            ], to: waiting)
    }

    func say(_ members: [JSONValue.Member], to waiting: Waiting) {
        guard let source = waiting.source, waiting.connection.isOpen else { return }
        var line: [UInt8] = []
        JSONValue.object(members).write(to: &line, pretty: false)
        source.feed(ResultPart([.content(line + [UInt8(ascii: "\n")])]))
        waiting.connection.fed(source)
        waiting.connection.flush()
    }

    /// The last line, for a client that was told of the progress.
    func close(_ waiting: Waiting, with outcome: Outcome) {
        var members: [JSONValue.Member] = []
        switch outcome {
        case .results(let result):
            if let error = result.error { members.append(.init("error", .string(error))) }
            members.append(.init("raft_index", .integer(result.logIndex)))
        case .failed(let error): members.append(.init("error", .string(ErrorTable.text(error))))
        default: members.append(.init("error", "the node gave another answer"))
        }
        close(waiting, with: members)
    }

    func close(_ waiting: Waiting, with members: [JSONValue.Member]) {
        say([.init("end", .bool(true))] + members, to: waiting)
        waiting.source?.feed(ResultPart([.end(error: nil, logIndex: 0)]))
        if let source = waiting.source { waiting.connection.fed(source) }
    }
}
