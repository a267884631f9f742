import JSON
import PluginABI
import Time

/// What `/status` shows of discovery, in rqlite's words.
struct PluginStatistics: Sendable {
    /// Members of the plugin's own description.
    private var description: [JSONValue.Member] = []
    /// Wall clock of the last call that was answered.
    private var lastContact: String?
    private var lastAddresses: [String] = []
    /// Goes away with the next success.
    private var lastError: String?
    /// Why the plugin could not be read again, when that was last tried.
    private var renewalError: String?
    private var renewals: UInt64 = 0
    private var calls: UInt64 = 0
    private var failures: UInt64 = 0
    /// Calls that did not come back.
    private var abandoned: UInt64 = 0
    /// By function.
    private var durations: [String: Durations] = [:]

    private struct Durations {
        var calls: UInt64 = 0
        var last = Duration.zero
        var longest = Duration.zero
    }

    /// Of a call that reached the plugin.
    mutating func record(_ request: PluginRequest, took time: Duration) {
        var known = durations[request.name] ?? Durations()
        known.calls += 1
        known.last = time
        known.longest = max(known.longest, time)
        durations[request.name] = known
    }

    mutating func record(
        _ request: PluginRequest, _ result: Result<CallAnswer, PluginError>, at time: String,
        raftPort: UInt16
    ) {
        calls += 1
        switch result {
        case .failure(let error):
            // Giving a call up is the host's doing.
            guard error.code != .cancelled else { return }
            if error.code == .abandoned { abandoned += 1 }
            failures += 1
            lastError = error.message
        case .success(let answer):
            lastError = nil
            if case .start = request { return }
            lastContact = time
            guard case .resolve = request else { return }
            lastAddresses = answer.results.addresses.map { $0.hostAndPort(orPort: raftPort) }
                .sorted()
        }
    }

    /// That another instance has taken the place of the one before, or why not.
    mutating func recordRenewal(_ error: String?) {
        renewalError = error
        if error == nil {
            renewals += 1
            lastError = nil
        }
    }

    /// Ignored unless it is one JSON object.
    mutating func record(description text: String) {
        guard
            case .object(let members)? = try? JSONValue(
                parsing: text, depthLimit: DiscoveryLimits.describeDepth)
        else { return }
        description = members
    }

    /// - Parameters:
    ///   - isolation: as `-disco-isolation` has it.
    ///   - process: the plugin's own process, if it has one.
    func json(mode: String, isolation: String, process: Int32?) -> JSONValue {
        var own: [JSONValue.Member] = [
            .init("mode", .string(mode)), .init("calls", .integer(calls)),
            .init("failures", .integer(failures)), .init("abandoned", .integer(abandoned)),
            .init("isolation", .string(isolation)),
        ]
        if let process { own.append(.init("process_id", .integer(process))) }
        if !durations.isEmpty { own.append(.init("durations", durationsDocument)) }
        if let lastContact { own.append(.init("last_contact", .string(lastContact))) }
        if !lastAddresses.isEmpty {
            own.append(.init("last_addresses", .array(lastAddresses.map { .string($0) })))
        }
        if renewals > 0 { own.append(.init("reloads", .integer(renewals))) }
        if let renewalError {
            own.append(.init("last_reload_error", .string(renewalError)))
        }
        if let lastError { own.append(.init("last_error", .string(lastError))) }
        let taken = own.map(\.name)
        let others = description.filter { !taken.contains($0.name) }
        return .object((own + others).sorted { $0.name < $1.name })
    }

    /// In nanoseconds, as rqlite shows intervals.
    private var durationsDocument: JSONValue {
        .object(
            durations.sorted { $0.key < $1.key }.map { name, times in
                .init(
                    name,
                    .object([
                        .init("calls", .integer(times.calls)),
                        .init("last", .integer(times.last.nanosecondsClamped)),
                        .init("longest", .integer(times.longest.nanosecondsClamped)),
                    ]))
            })
    }
}
