package import JSON
import Synchronization

/// All metrics of the node, by module and name. A module asks for its metrics once, when it is made,
/// and keeps them: looking one up takes a lock, counting does not.
package final class MetricRegistry: Sendable {
    private enum Metric {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private let modules = Mutex<[String: [String: Metric]]>([:])

    package init() {}

    /// The same name gives the same counter.
    package func counter(_ module: String, _ name: String) -> Counter {
        modules.withLock { modules in
            if let known = modules[module]?[name] {
                guard case .counter(let counter) = known else {
                    preconditionFailure("\(module) \(name) is no counter")
                }
                return counter
            }
            let counter = Counter()
            modules[module, default: [:]][name] = .counter(counter)
            return counter
        }
    }

    /// The same name gives the same gauge. A name belongs to one kind of metric for ever: another
    /// is a bug, and traps.
    package func gauge(_ module: String, _ name: String) -> Gauge {
        modules.withLock { modules in
            if let known = modules[module]?[name] {
                guard case .gauge(let gauge) = known else {
                    preconditionFailure("\(module) \(name) is no gauge")
                }
                return gauge
            }
            let gauge = Gauge()
            modules[module, default: [:]][name] = .gauge(gauge)
            return gauge
        }
    }

    /// The same name gives the same histogram; see `gauge`.
    package func histogram(_ module: String, _ name: String) -> Histogram {
        modules.withLock { modules in
            if let known = modules[module]?[name] {
                guard case .histogram(let histogram) = known else {
                    preconditionFailure("\(module) \(name) is no histogram")
                }
                return histogram
            }
            let histogram = Histogram()
            modules[module, default: [:]][name] = .histogram(histogram)
            return histogram
        }
    }

    /// What a module counts, by name; histograms are not among it. Sorted by name.
    package func values(of module: String) -> [(name: String, value: Int64)] {
        let metrics = modules.withLock { $0[module] ?? [:] }
        return metrics.sorted { $0.key < $1.key }.compactMap { name, metric in
            switch metric {
            case .counter(let counter): (name, counter.current)
            case .gauge(let gauge): (name, gauge.current)
            case .histogram: nil
            }
        }
    }

    /// The histograms of a module, sorted by name.
    package func histograms(of module: String) -> [(name: String, histogram: Histogram)] {
        let metrics = modules.withLock { $0[module] ?? [:] }
        return metrics.sorted { $0.key < $1.key }.compactMap { name, metric in
            if case .histogram(let histogram) = metric { (name, histogram) } else { nil }
        }
    }

    /// An object per module, of its metrics' values; modules and names are sorted.
    package func snapshot() -> [JSONValue.Member] {
        let modules = modules.withLock { $0 }
        return modules.sorted { $0.key < $1.key }.map { module, metrics in
            let members = metrics.sorted { $0.key < $1.key }.map { name, metric in
                JSONValue.Member(name, Self.value(of: metric))
            }
            return JSONValue.Member(module, .object(members))
        }
    }

    private static func value(of metric: Metric) -> JSONValue {
        switch metric {
        case .counter(let counter): return .integer(counter.current)
        case .gauge(let gauge): return .integer(gauge.current)
        case .histogram(let histogram):
            let summary = histogram.summary()
            return .object([
                .init("count", .integer(summary.count)),
                .init("p50", .string(summary.median.goText)),
                .init("p99", .string(summary.percentile99.goText)),
                .init("max", .string(summary.largest.goText)),
            ])
        }
    }
}
