import JSON
import Testing

@testable import Telemetry

@Suite struct MetricTests {
    @Test func `A name stands for one metric`() {
        let registry = MetricRegistry()
        registry.counter("http", "queries").add()
        registry.counter("http", "queries").add(2)
        registry.gauge("db", "open").set(5)
        registry.gauge("db", "open").add(-1)
        #expect(
            JSONValue.object(registry.snapshot()).text()
                == #"{"db":{"open":4},"http":{"queries":3}}"#)
    }

    @Test func `Counts from many tasks are all there`() async {
        let registry = MetricRegistry()
        let counter = registry.counter("m", "n")
        let histogram = registry.histogram("m", "h")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter.add()
                        histogram.record(.microseconds(3))
                    }
                }
            }
        }
        #expect(counter.current == 8000)
        #expect(histogram.summary().count == 8000)
    }

    @Test func `Every value falls into the bucket whose end is the next at or above it`() {
        var values: [UInt64] = Array(0...5000)
        for bit in 13..<64 { values += [1 << bit - 1, 1 << bit, 1 << bit + 1] }
        values.append(.max)
        for value in values {
            let bucket = Histogram.bucket(of: value)
            #expect(Histogram.upperEnd(of: bucket) >= value)
            if bucket > 0 { #expect(Histogram.upperEnd(of: bucket - 1) < value) }
        }
    }

    @Test func `Quantiles are right to an eighth`() {
        let histogram = Histogram()
        for milliseconds in 1...1000 { histogram.record(.milliseconds(milliseconds)) }
        let summary = histogram.summary()
        #expect((.milliseconds(500) ... .milliseconds(563)).contains(summary.median))
        #expect((.milliseconds(990) ... .milliseconds(1000)).contains(summary.percentile99))
        #expect(summary.largest == .seconds(1))
        #expect(Histogram().summary().percentile99 == .zero)
    }

    @Test func `A distribution counts exactly what took no longer than each bound`() {
        let histogram = Histogram()
        var values: [UInt64] = [0, 1, 5_000_000_000, 100_000_000_000]
        for bit in 13..<36 { values += [1 << bit - 1, 1 << bit] }
        for value in values { histogram.record(.nanoseconds(Int64(value))) }
        let distribution = histogram.distribution()
        #expect(distribution.count == UInt64(values.count))
        #expect(distribution.total == values.reduce(0, +))
        #expect(distribution.buckets.count == 21)
        for (bound, count) in distribution.buckets {
            #expect(count == UInt64(values.filter { $0 <= bound }.count), "\(bound)")
        }
    }

    @Test func `A module tells its counts and its histograms apart`() {
        let registry = MetricRegistry()
        registry.counter("a", "y").add(2)
        registry.gauge("a", "x").set(-1)
        registry.histogram("a", "h").record(.seconds(1))
        registry.counter("b", "z").add()
        #expect(registry.values(of: "a").map { "\($0.name) \($0.value)" } == ["x -1", "y 2"])
        #expect(registry.histograms(of: "a").map(\.name) == ["h"])
        #expect(registry.values(of: "none").isEmpty && registry.histograms(of: "none").isEmpty)
    }
}
