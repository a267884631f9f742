import CHarness
import Glibc

/// What a guest must leave as it was, of the process and of the calling thread.
struct ProcessState: Equatable {
    private var facts: [(name: String, value: String)] = []

    /// As it is now, for this thread.
    static func now() -> ProcessState {
        var state = ProcessState()
        state.add("the file mode mask", ProcessFacts.statusLine("Umask"))
        state.add("a resource limit", ProcessFacts.text("/proc/self/limits") ?? "")
        state.add("the working directory", ProcessFacts.workingDirectory())
        state.add("the root directory", ProcessFacts.link("/proc/self/root"))
        state.add("the locale", ProcessFacts.locale())
        state.add("the environment", ProcessFacts.environment().joined(separator: "\n"))
        for signal in ProcessFacts.handlers() {
            state.add("what \(ProcessFacts.signalName(signal.key)) does", String(signal.value))
        }
        state.add("the signals that the thread blocks", ProcessFacts.blockedSignals())
        state.add("rounding or traps of floating point", String(charness_arithmetic()))
        for descriptor in Int32(0)...2 {
            state.add(
                "standard descriptor \(descriptor)",
                ProcessFacts.link("/proc/self/fd/\(descriptor)")
                    + " \(fcntl(descriptor, F_GETFD)) \(fcntl(descriptor, F_GETFL))")
        }
        state.add("the priority", String(getpriority(Int32(0), 0)))
        state.facts.sort { $0.name < $1.name }
        return state
    }

    private mutating func add(_ name: String, _ value: String) { facts.append((name, value)) }

    /// What is another than it was; nil if nothing is.
    func changes(since before: ProcessState) -> String? {
        let changed = facts.filter { fact in
            before.facts.first { $0.name == fact.name }?.value != fact.value
        }
        return changed.isEmpty
            ? nil : changed.map(\.name).joined(separator: ", ") + " changed"
    }

    static func == (one: ProcessState, other: ProcessState) -> Bool {
        one.changes(since: other) == nil && other.changes(since: one) == nil
    }
}
