import Time

/// Writes families of metrics as text: Prometheus' format, version 0.0.4,
///
///     # HELP rqlited_log_sync_seconds Time of a sync of the log
///     # TYPE rqlited_log_sync_seconds histogram
///     rqlited_log_sync_seconds_bucket{le="0.000016383"} 3
///
/// or OpenMetrics 1.0, which leaves `_total` out of a counter's name where it describes it, names
/// units, and ends with `# EOF`.
package struct MetricsText: Sendable {
    package enum Format: Sendable {
        case prometheus
        case openMetrics

        /// The format that a client wants: OpenMetrics if its `Accept` names that, whatever else it
        /// takes, as Prometheus itself asks.
        package init(accept: String?) {
            let wanted = accept?.lowercased() ?? ""
            self = wanted.contains("application/openmetrics-text") ? .openMetrics : .prometheus
        }
    }

    private let format: Format
    private var text = ""

    private init(_ format: Format) { self.format = format }

    /// The families in their order, each with all of its samples.
    package static func render(_ families: [MetricFamily], as format: Format) -> [UInt8] {
        var writer = MetricsText(format)
        for family in families { writer.write(family) }
        if format == .openMetrics { writer.text += "# EOF\n" }
        return Array(writer.text.utf8)
    }

    private mutating func write(_ family: MetricFamily) {
        var described = family.name
        if format == .openMetrics, family.kind == .counter { described.removeLast(6) }
        text += "# HELP \(described) \(Self.escaped(family.help, quotes: format == .openMetrics))\n"
        text += "# TYPE \(described) \(family.kind.rawValue)\n"
        for unit in ["seconds", "bytes"]
        where format == .openMetrics && described.hasSuffix("_" + unit) {
            text += "# UNIT \(described) \(unit)\n"
        }
        for sample in family.samples { write(sample, family.name) }
    }

    private mutating func write(_ sample: MetricFamily.Sample, _ name: String) {
        switch sample.value {
        case .integer(let value): line(name, sample.labels, "\(value)")
        case .duration(let value): line(name, sample.labels, value.decimalSeconds)
        case .distribution(let distribution):
            for bucket in distribution.buckets {
                let bound = Duration.nanoseconds(Int64(clamping: bucket.bound)).decimalSeconds
                line("\(name)_bucket", sample.labels + [("le", bound)], "\(bucket.count)")
            }
            line("\(name)_bucket", sample.labels + [("le", "+Inf")], "\(distribution.count)")
            let total = Duration.nanoseconds(Int64(clamping: distribution.total))
            line("\(name)_sum", sample.labels, total.decimalSeconds)
            line("\(name)_count", sample.labels, "\(distribution.count)")
        }
    }

    private mutating func line(
        _ name: String, _ labels: [(name: String, value: String)], _ value: String
    ) {
        text += name
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }
            text += "{\(pairs.joined(separator: ","))}"
        }
        text += " \(value)\n"
    }

    /// Whatever would end the value or the line early.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension Duration {
    /// To the nanosecond and without an exponent: `1.5`, `0.000016383`, `-2.0`.
    package var decimalSeconds: String {
        let total = exactNanoseconds
        let magnitude = total.magnitude
        // The leading 1 keeps the zeros that stand first.
        var fraction = String(magnitude % 1_000_000_000 + 1_000_000_000).dropFirst()
        while fraction.count > 1, fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(total < 0 ? "-" : "")\(magnitude / 1_000_000_000).\(fraction)"
    }
}
