import DNSQuestions
package import JSON
import PluginABI
package import PluginSupport

/// The `dns-srv` mode: all addresses of all targets of one service, asked anew on each call, each
/// with the port, priority and weight of its SRV record.
///
/// A target that leads nowhere costs only its own addresses. How long the answer holds is unknown,
/// as c-ares keeps the SRV records' time to live to itself.
package final class DNSSRVResolver: Resolver {
    private let configuration: DNSSRVConfiguration
    private let log: HostLog
    private var lastSeen: [String] = []
    private var lastProblems: [String] = []

    package init(
        _ arguments: InstanceArguments, log: HostLog, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try DNSSRVConfiguration(arguments.config, environment: environment)
        self.log = log
    }

    package func resolve(_ call: Call) throws(CallFailure) -> [FoundAddress] {
        let records = try ServiceQuestion(
            name: configuration.question, servers: configuration.servers
        ).ask(call)
        let targets = try addresses(of: records, call)
        var found: [FoundAddress] = []
        var problems: [CallFailure] = []
        for record in records {
            // Many records may share a target with many addresses.
            if found.isExcessive { break }
            do throws(CallFailure) {
                found += try addresses(of: record, targets)
            } catch {
                // Several records may share a target.
                if !problems.contains(error) { problems.append(error) }
            }
        }
        guard !found.isEmpty else { throw nothingLeft(problems) }
        report(found, problems.map(\.message))
        return found
    }

    package func describe() -> JSONValue {
        let question = configuration.question
        return .object(
            [
                .init("name", .string(configuration.name)),
                .init("service", .string(configuration.service)),
                // As rqlite shows it, which ends all names with the root's dot.
                .init("dns_name", .string(question.hasSuffix(".") ? question : question + ".")),
            ] + DNSServer.status(of: configuration.servers))
    }

    private typealias Answers = [String: Result<[AddressQuestion.Record], CallFailure>]

    /// Each usable target is asked for once.
    private func addresses(
        of records: [ServiceQuestion.Record], _ call: Call
    ) throws(CallFailure) -> Answers {
        var names: [String] = []
        for record in records where record.isUsable && !names.contains(record.target) {
            names.append(record.target)
        }
        if names.isEmpty { return [:] }
        let answers = try AddressQuestion(names: names, servers: configuration.servers).ask(call)
        return Dictionary(uniqueKeysWithValues: zip(names, answers))
    }

    private func addresses(
        of record: ServiceQuestion.Record, _ targets: Answers
    ) throws(CallFailure) -> [FoundAddress] {
        guard let answer = targets[record.target], record.isUsable else {
            throw CallFailure(
                RQD_UNAVAILABLE,
                "the SRV record with target \(record.target) and port \(record.port) leads nowhere")
        }
        return try answer.get().map { address in
            var found = FoundAddress(
                host: address.address, port: record.port, timeToLive: 0, source: address.source)
            found.priority = record.priority
            found.weight = record.weight
            return found
        }
    }

    /// Only what changed.
    private func report(_ found: [FoundAddress], _ problems: [String]) {
        let seen = found.map { $0.hostAndPort }.sorted()
        if seen != lastSeen {
            let list = seen.joined(separator: ", ")
            log(.info, "\(configuration.question) has the addresses \(list)")
            lastSeen = seen
        }
        if problems != lastProblems {
            for problem in problems where !lastProblems.contains(problem) {
                log(.warning, "a target of \(configuration.question) is left out: \(problem)")
            }
            lastProblems = problems
        }
    }

    /// Retried in any case: a target's name is not the configuration's fault.
    private func nothingLeft(_ problems: [CallFailure]) -> CallFailure {
        let isLate = problems.allSatisfy { $0.code == RQD_TIMEOUT }
        let list = problems.map(\.message).joined(separator: "; ")
        return CallFailure(
            isLate ? RQD_TIMEOUT : RQD_UNAVAILABLE,
            "no target of the SRV records of \(configuration.question) has addresses: \(list)")
    }
}

extension FoundAddress {
    fileprivate var hostAndPort: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
