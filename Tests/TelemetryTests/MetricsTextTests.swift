import Testing

@testable import Telemetry

/// What monitoring reads, byte by byte.
@Suite struct MetricsTextTests {
    private static func text(
        _ families: [MetricFamily], as format: MetricsText.Format = .prometheus
    ) -> String {
        String(decoding: MetricsText.render(families, as: format), as: UTF8.self)
    }

    @Test func `A family has its help, its type, and a line per sample`() {
        let family = MetricFamily(
            "node_bytes_total", .counter, "Bytes sent",
            [.init(7, [("peer", "2"), ("way", "out")]), .init(UInt64.max)])
        #expect(
            Self.text([family]) == """
                # HELP node_bytes_total Bytes sent
                # TYPE node_bytes_total counter
                node_bytes_total{peer="2",way="out"} 7
                node_bytes_total 9223372036854775807

                """)
    }

    @Test func `OpenMetrics describes a counter without its ending, names units, and has an end`() {
        let families = [
            MetricFamily("sent_bytes_total", .counter, "Says \"so\"", [.init(7)]),
            MetricFamily("age_seconds", .gauge, "Age", [.init(.duration(.milliseconds(1500)))]),
            MetricFamily("nothing", .gauge, "Yet", []),
        ]
        #expect(
            Self.text(families, as: .openMetrics) == """
                # HELP sent_bytes Says \\"so\\"
                # TYPE sent_bytes counter
                # UNIT sent_bytes bytes
                sent_bytes_total 7
                # HELP age_seconds Age
                # TYPE age_seconds gauge
                # UNIT age_seconds seconds
                age_seconds 1.5
                # HELP nothing Yet
                # TYPE nothing gauge
                # EOF

                """)
    }

    @Test func `No name of a node ends a label or a line`() {
        let name = "a\"b\\c\nd"
        let family = MetricFamily("x", .gauge, "One\nline", [.init(1, [("id", name)])])
        #expect(
            Self.text([family])
                == "# HELP x One\\nline\n# TYPE x gauge\nx{id=\"a\\\"b\\\\c\\nd\"} 1\n")
    }

    @Test func `A histogram's buckets add up, and end with all`() {
        let histogram = Histogram()
        for duration in [Duration.nanoseconds(16_383), .milliseconds(1), .seconds(100)] {
            histogram.record(duration)
        }
        let family = MetricFamily(
            "t_seconds", .histogram, "Time",
            [.init(.distribution(histogram.distribution()), [("op", "q")])])
        let lines = Self.text([family]).split(separator: "\n")
        #expect(lines.count == 2 + 21 + 3)
        #expect(lines[2] == #"t_seconds_bucket{op="q",le="0.000016383"} 1"#)
        #expect(lines[8] == #"t_seconds_bucket{op="q",le="0.001048575"} 2"#)
        #expect(lines[22] == #"t_seconds_bucket{op="q",le="17.179869183"} 2"#)
        #expect(lines[23] == #"t_seconds_bucket{op="q",le="+Inf"} 3"#)
        #expect(lines[24] == #"t_seconds_sum{op="q"} 100.001016383"#)
        #expect(lines[25] == #"t_seconds_count{op="q"} 3"#)
    }

    @Test(arguments: [
        (nil, false), ("*/*", false), ("text/plain;version=0.0.4", false),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*", true),
        ("Application/OpenMetrics-Text", true),
    ])
    func `The format is the one that Prometheus asks for`(accept: String?, isOpen: Bool) {
        #expect((MetricsText.Format(accept: accept) == .openMetrics) == isOpen)
    }

    @Test(arguments: [
        (Duration.zero, "0.0"), (.seconds(-2), "-2.0"), (.nanoseconds(1), "0.000000001"),
        (.nanoseconds(-1_500_000_000), "-1.5"), (.seconds(Int64.max), "9223372036854775807.0"),
    ])
    func `Seconds are written to the nanosecond`(duration: Duration, text: String) {
        #expect(duration.decimalSeconds == text)
    }
}
