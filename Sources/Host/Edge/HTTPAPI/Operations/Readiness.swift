import NIOHTTP1
import Rights
import Service
import Telemetry

/// `/readyz`: whether clients may be sent to this node.
extension HTTPOperation {
    static let readiness = HTTPOperation(
        "readiness", [.prefix("/readyz")], [.GET], [.ready], need: .node, code: .readiness,
        note: OperationNote(
            "Whether clients may be sent to this node.",
            [.nodeAlone, .sync, .timeout] + OperationParameter.idle.prefix(1),
            [.text(200, "They may."), .text(503, "They may not; the lines say why.")]),
        content: .text, counting: { $0.readinessChecks }, isObservation: true,
        work: { _, request in
            .submit(
                .readiness(
                    ClientRequest.ReadinessCheck(
                        nodeOnly: request.parameters.has(.noleader),
                        sync: request.parameters.has(.sync))))
        },
        answer: { _, reply, pending in
            guard case .readiness(let readiness) = reply.outcome else { return nil }
            let lines = ReadinessText.lines(
                for: readiness, sync: pending.parameters.has(.sync))
            return Response(
                ReadinessText.isReady(readiness) ? .ok : .serviceUnavailable, .text,
                body: Array(lines.utf8))
        },
        failure: { error in
            switch error {
            case .noLeader: .lines(ReadinessText.lines(for: .noLeader(waitingFor: ""), sync: false))
            case .notReady(let detail):
                .plain(
                    .serviceUnavailable,
                    ReadinessText.lines(for: .storeNotReady(detail), sync: false))
            default:
                .plain(
                    .internalServerError, "leader address: \(ErrorTable.text(error))")
            }
        })
}
