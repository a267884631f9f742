import Glibc
import Settings
import Telemetry

/// Of `/metrics`: the process, under the names that Prometheus' own libraries give these. What the
/// system doesn't tell is left out.
struct ProcessMetrics {
    var process: ProcessSections

    var families: [MetricFamily] {
        [
            MetricFamily(
                "rqlited_log_lost_lines_total", .counter,
                "Lines of the log that were lost, for nobody took them from standard error",
                [.init(LossySink.standardError.lostLines.current)]),
            MetricFamily(
                "process_cpu_seconds_total", .counter, "Time on processors, of the system included",
                Self.processorTime.map { [.init(.duration($0))] } ?? []),
            MetricFamily(
                "process_resident_memory_bytes", .gauge, "Memory in use",
                Self.residentBytes.map { [.init($0)] } ?? []),
            MetricFamily(
                "process_open_fds", .gauge, "Open descriptors",
                DescriptorLimit.open.map { [.init($0)] } ?? []),
            MetricFamily(
                "process_max_fds", .gauge, "Descriptors that may be open",
                [.init(process.descriptors.budget.limit)]),
            MetricFamily(
                "process_start_time_seconds", .gauge, "When it started, in seconds since 1970",
                [.init(.duration(.seconds(process.startTime.seconds)))]),
        ]
    }

    private static var processorTime: Duration? {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return nil }
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// The second number of `statm`, in pages.
    private static var residentBytes: Int? {
        guard let file = fopen("/proc/self/statm", "re") else { return nil }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 256)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let text = String(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let words = text.split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
