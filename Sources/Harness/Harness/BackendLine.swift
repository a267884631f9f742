import HarnessBackends
import JSON

/// The line between a check in its process and the fake server in the harness's own.
///
///     ["misbehave", "silent"]  ["misbehave", "drop-after-execution", "1"]
///     ["down"]  ["up"]  ["count"]  ["address"]  ["do", "put", "k", "v"]
///
/// The answer is a text, or an object with `error`.
enum BackendLine {
    /// Serves until the other side is gone.
    static func serve(_ backend: any Backend, on line: MessageLine) {
        while let message = line.receive() {
            let words = (message.array ?? []).compactMap(\.string)
            let answer: JSONValue
            do throws(BackendError) {
                answer = .string(try perform(words, backend))
            } catch {
                answer = ["error": .string(error.description)]
            }
            guard line.send(answer) else { return }
        }
    }

    private static func perform(
        _ words: [String], _ backend: any Backend
    ) throws(BackendError) -> String {
        switch words.first {
        case "misbehave":
            guard words.count >= 2, let fault = Fault(words[1]) else {
                throw BackendError("no such misbehaviour: \(words)")
            }
            backend.misbehave(FaultPlan(fault, times: words.count > 2 ? Int(words[2]) : nil))
        case "down": backend.goDown()
        case "up": try backend.comeUp()
        case "count": return String(backend.requestCount)
        case "address": return backend.url
        case "do": return try backend.command(Array(words.dropFirst()))
        default: throw BackendError("no such message: \(words)")
        }
        return ""
    }
}

/// The fake server, from a check's side.
struct ServerControl {
    private let line: MessageLine

    init(descriptor: Int32) { line = MessageLine(descriptor) }

    func misbehave(_ fault: Fault, times: Int? = nil) throws(Finding) {
        _ = try ask(["misbehave", fault.description] + (times.map { [String($0)] } ?? []))
    }

    func goDown() throws(Finding) { _ = try ask(["down"]) }
    func comeUp() throws(Finding) { _ = try ask(["up"]) }
    func requestCount() throws(Finding) -> Int { Int(try ask(["count"])) ?? 0 }
    func url() throws(Finding) -> String { try ask(["address"]) }
    @discardableResult
    func command(_ words: [String]) throws(Finding) -> String { try ask(["do"] + words) }

    private func ask(_ words: [String]) throws(Finding) -> String {
        guard line.send(.array(words.map { .string($0) })), let answer = line.receive() else {
            throw .skipped("the harness's fake server is gone")
        }
        guard let text = answer.string else {
            throw .skipped(
                "the fake server refused \(words): \(answer["error"]?.string ?? "no reason")")
        }
        return text
    }
}
