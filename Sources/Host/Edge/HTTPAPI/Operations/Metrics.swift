import NIOHTTP1
import Rights
import Telemetry

/// `/metrics`: what there is to measure, for Prometheus and those who read its formats.
extension HTTPOperation {
    static let metrics = HTTPOperation(
        answeredHere: "metrics", [.exact("/metrics")], [.GET], [.status],
        note: OperationNote(
            "What there is to measure.", [],
            [
                .stream(200, .prometheus, "In Prometheus' text format."),
                .stream(200, .openMetrics, "In OpenMetrics, where Accept asks for it."),
            ]),
        isObservation: true,
        work: { desk, request in
            let format = MetricsText.Format(accept: request.headers.first(name: "accept"))
            return Response(
                .ok, format == .openMetrics ? .openMetrics : .prometheus,
                body: desk.documents.metrics(format))
        })
}
