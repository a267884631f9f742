/// Measurements of one kind under one name, as monitoring reads them: `/metrics` is a list of these.
package struct MetricFamily: Sendable {
    /// What may be done with the values.
    package enum Kind: String, Sendable {
        /// Only grows while the process runs; its name ends in `_total`.
        case counter
        case gauge
        /// Durations; its name ends in `_seconds`.
        case histogram
    }

    package enum Value: Sendable {
        case integer(Int64)
        /// In seconds, which the text has to the nanosecond.
        case duration(Duration)
        case distribution(Histogram.Distribution)
    }

    /// A value, and of what it is one.
    package struct Sample: Sendable {
        /// Names and values, in the order in which they are written. Values may hold anything.
        package var labels: [(name: String, value: String)]
        package var value: Value

        package init(_ value: Value, _ labels: [(name: String, value: String)] = []) {
            self.labels = labels
            self.value = value
        }

        /// - Parameter value: what doesn't fit into 64 bits with a sign counts as the limit.
        package init(
            _ value: some BinaryInteger, _ labels: [(name: String, value: String)] = []
        ) {
            self.init(.integer(Int64(clamping: value)), labels)
        }
    }

    package let name: String
    package let kind: Kind
    /// A sentence without its point, on one line.
    package let help: String
    /// May be empty: then the family is named, and has nothing to say yet.
    package let samples: [Sample]

    package init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        precondition(
            (kind == .counter) == name.hasSuffix("_total"), "\(name) is not named like a \(kind)")
        self.name = name
        self.kind = kind
        self.help = help
        self.samples = samples
    }
}
