/// Writes the log of one module. Messages are constants and data is metadata, so that a message can
/// be searched for; secrets belong in neither. Any thread may call; lines never interleave.
package struct Logger: Sendable {
    /// Pairs in the order in which they are written; only what is logged is turned into text.
    package typealias Metadata = KeyValuePairs<StaticString, any CustomStringConvertible>

    /// Stands in brackets at the beginning of each line.
    package let module: String
    private let threshold: LogLevel?
    private let sink: any LogSink
    private let now: @Sendable () -> WallTime

    /// `threshold`: lines below it are dropped; nil drops all but what is announced.
    package init(
        module: String, threshold: LogLevel? = .info,
        sink: any LogSink = LossySink.standardError,
        now: @escaping @Sendable () -> WallTime = { WallTime.now() }
    ) {
        self.module = module
        self.threshold = threshold
        self.sink = sink
        self.now = now
    }

    /// The same destination under another module's name.
    package func named(_ module: String) -> Logger {
        Logger(module: module, threshold: threshold, sink: sink, now: now)
    }

    /// A promise was broken, and somebody has to look.
    package func error(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.error, message, metadata)
    }

    /// Degraded, but serving.
    package func warning(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.warning, message, metadata)
    }

    /// An operator did something, or something that was wrong is over.
    package func notice(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.notice, message, metadata)
    }

    /// The node's life cycle.
    package func info(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.info, message, metadata)
    }

    /// For those who look for a fault; the only level that may come with every request.
    package func debug(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.debug, message, metadata)
    }

    /// A whole sentence for the operator, whatever the threshold: for the few lines scripts wait for,
    /// and for texts that are composed elsewhere, such as the cause of a failed start.
    package func announce(_ text: String) {
        write(.info, text, [], always: true)
    }

    private func log(_ level: LogLevel, _ message: StaticString, _ metadata: () -> Metadata) {
        guard isEnabled(level) else { return }
        var line = LogLine(module: module, time: now())
        line.append(message: message.description)
        for (key, value) in metadata() {
            line.append(key: key.description, value: value.description)
        }
        write(line, level)
    }

    /// Whether a line of that level would be written.
    package func isEnabled(_ level: LogLevel) -> Bool {
        guard let threshold else { return false }
        return level >= threshold
    }

    /// A line that another part decided on, as values.
    /// - Parameter always: whatever the threshold, as `announce` does.
    package func write(
        _ level: LogLevel, _ message: String, _ details: [(String, String)], always: Bool = false
    ) {
        guard always || isEnabled(level) else { return }
        var line = LogLine(module: module, time: now())
        line.append(message: message)
        for (key, value) in details { line.append(key: key, value: value) }
        write(line, level)
    }

    private func write(_ line: LogLine, _ level: LogLevel) {
        var line = line
        if let mark = level.mark { line.append(key: "level", value: mark) }
        sink.write(line.bytes())
    }
}
