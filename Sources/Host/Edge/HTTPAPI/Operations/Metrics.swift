import NIOHTTP1
import Rights
import Telemetry

/// `/metrics`: what there is to measure, for Prometheus and those who read its formats.
extension HTTPOperation {
    static let metrics = HTTPOperation(
        answeredHere: "metrics", [.exact("/metrics")], [.GET], [.status], isObservation: true,
        work: { desk, request in
            let format = MetricsText.Format(accept: request.headers.first(name: "accept"))
            return Response(
                .ok, format == .openMetrics ? .openMetrics : .prometheus,
                body: desk.documents.metrics(format))
        })
}
