import Glibc
import HTTPRequests
package import JSON
import PluginABI
package import PluginSupport

/// The `consul-kv` mode: records among Consul's keys.
///
///     read    GET /v1/kv/KEY?consistent, which asks the servers' leader, and that a quorum
///     write   PUT /v1/txn with `cas`: answers with the new ModifyIndex, which is the revision
///     erase   PUT /v1/txn with `check-index` and `delete-cas`
///     list    GET /v1/kv/KEY?recurse&consistent
///     wait    GET /v1/kv/KEY?index&wait&consistent, a blocking query
package final class ConsulRegistry: Registry {
    /// Bytes of an answer: one record, and the records of as many nodes as a host takes.
    private static let recordLimit = 1 << 20
    private static let listLimit = 16 << 20
    /// Nanoseconds that one blocking query takes at most: when all of Consul's data are lost its
    /// index begins anew, and a query that waits for an index beyond it sees that only at its end.
    private static let longestQuery: UInt64 = 30_000_000_000
    /// Nanoseconds before the deadline for which no further query is worth while.
    private static let shortestQuery: UInt64 = 100_000_000
    /// Milliseconds before the next query, when one ended early although nothing changed.
    private static let pause: Int32 = 250

    private let configuration: ConsulConfiguration
    private let keys: ConsulKeys
    private let agent: ConsulAgent
    /// `wait` runs beside other calls.
    private let waitingAgent: ConsulAgent

    package init(
        _ arguments: InstanceArguments, log: HostLog, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try ConsulConfiguration(arguments.config, environment: environment)
        keys = try ConsulKeys(discoKey: arguments.key)
        agent = try ConsulAgent(configuration)
        waitingAgent = try ConsulAgent(configuration)
        for notice in configuration.notices { log(.info, notice) }
    }

    package func read(_ name: String, _ call: Call) throws(CallFailure) -> RegistryReading {
        let key = try keys.key(of: name)
        let (state, entry) = try look(at: key, agent, [], call)
        return RegistryReading(
            record: entry.map { Self.record(name, $0) }, token: state.token)
    }

    package func write(
        _ name: String, expected: [UInt8]?, value: [UInt8], _ call: Call
    ) throws(CallFailure) -> [UInt8] {
        let key = try keys.key(of: name)
        let index = expected.map(Self.index) ?? 0
        let exchange = try agent.transact(.write(key: key, index: index, value: value), call)
        guard exchange.answer.status == 200 else {
            throw refusal(of: exchange, name, isExpected: expected != nil, call)
        }
        let results: [ConsulAnswer.Entry]
        do {
            results = try ConsulAnswer.results(of: exchange.answer)
        } catch {
            throw agent.failure(exchange, code: RQD_PROTOCOL, saying: error.what)
        }
        guard let written = results.first(where: { $0.key == key }) else {
            throw agent.failure(
                exchange, code: RQD_PROTOCOL, saying: "no result for the key \(key)")
        }
        return Self.revision(written.modifyIndex)
    }

    package func erase(
        _ name: String, expected: [UInt8], _ call: Call
    ) throws(CallFailure) {
        let key = try keys.key(of: name)
        let index = Self.index(expected)
        let exchange = try agent.transact(.erase(key: key, index: index), call)
        guard exchange.answer.status == 200 else {
            throw refusal(of: exchange, name, isExpected: true, call)
        }
    }

    package func list(prefix: String, _ call: Call) throws(CallFailure) -> [RegistryRecord] {
        let path = ConsulKeys.path(try keys.key(ofPrefix: prefix))
        let exchange = try agent.get(
            path, [("consistent", ""), ("recurse", "")], limit: Self.listLimit, call)
        let entries = try entries(of: exchange, agent)
        guard exchange.answer.header("X-Consul-Results-Filtered-By-ACLs") != "true" else {
            throw agent.failure(
                exchange, code: RQD_AUTH, saying: "the token may not read all of these keys")
        }
        return entries.compactMap { entry in
            keys.name(of: entry.key).map { Self.record($0, entry) }
        }
    }

    package func wait(
        for name: String, token: [UInt8], _ call: Call
    ) throws(CallFailure) -> [UInt8]? {
        let key = try keys.key(of: name)
        guard var seen = ConsulState(token: token) else {
            return try look(at: key, waitingAgent, [], call).state.token
        }
        while true {
            let start = Call.now
            let query = Self.query(after: seen, until: call.deadline, from: start)
            let (state, _) = try look(at: key, waitingAgent, query.parameters, call)
            if state.differs(from: seen) { return state.token }
            // An absence may have a new index, smaller even, when all data were lost.
            seen = state
            let now = Call.now
            if now + Self.shortestQuery > call.deadline {
                try rest(call, key, milliseconds: nil)
            } else if now < start + query.nanoseconds {
                try rest(call, key, milliseconds: Self.pause)
            }
        }
    }

    package func describe() -> JSONValue { configuration.described(below: keys) }

    // MARK: Reading

    private func look(
        at key: String, _ agent: ConsulAgent, _ parameters: ConsulAgent.Parameters, _ call: Call
    ) throws(CallFailure) -> (state: ConsulState, entry: ConsulAnswer.Entry?) {
        let exchange = try agent.get(
            ConsulKeys.path(key), [("consistent", "")] + parameters, limit: Self.recordLimit, call)
        let entries = try entries(of: exchange, agent)
        if let entry = entries.first {
            guard entry.key == key else {
                throw agent.failure(exchange, code: RQD_PROTOCOL, saying: "another key's entry")
            }
            return (.present(entry.modifyIndex), entry)
        }
        do {
            return (.absent(try ConsulAnswer.index(of: exchange.answer)), nil)
        } catch {
            throw agent.failure(exchange, code: RQD_PROTOCOL, saying: error.what)
        }
    }

    /// Empty for a 404 of Consul's. One of somebody else's, a proxy's say, must not be taken for an
    /// empty registry: nodes would found a second cluster.
    private func entries(
        of exchange: ConsulAgent.Exchange, _ agent: ConsulAgent
    ) throws(CallFailure) -> [ConsulAnswer.Entry] {
        do {
            switch exchange.answer.status {
            case 200: return try ConsulAnswer.entries(of: exchange.answer)
            case 404:
                _ = try ConsulAnswer.index(of: exchange.answer)
                return []
            default: break
            }
        } catch {
            throw agent.failure(exchange, code: RQD_PROTOCOL, saying: error.what)
        }
        throw agent.failure(exchange)
    }

    /// What an answer to a transaction that is not 200 means.
    private func refusal(
        of exchange: ConsulAgent.Exchange, _ name: String, isExpected: Bool, _ call: Call
    ) -> CallFailure {
        if ConsulAgent.isRefused(exchange.answer) { return agent.failure(exchange, code: RQD_AUTH) }
        guard exchange.answer.status == 409 else { return agent.failure(exchange) }
        do {
            _ = try ConsulAnswer.refusals(of: exchange.answer)
        } catch {
            return agent.failure(exchange, code: RQD_PROTOCOL, saying: error.what)
        }
        let isAbsent = isExpected && isAbsent(name, call)
        return agent.failure(exchange, code: isAbsent ? RQD_ABSENT : RQD_CONFLICT)
    }

    /// Only to tell the caller more of a conflict: what can't be found out is left open.
    private func isAbsent(_ name: String, _ call: Call) -> Bool {
        do {
            return try read(name, call).record == nil
        } catch {
            return false
        }
    }

    // MARK: Waiting

    /// A query that ends a little before the deadline: Consul adds up to a sixteenth to the time that
    /// it is asked to wait.
    private static func query(
        after seen: ConsulState, until deadline: UInt64, from now: UInt64
    ) -> (parameters: ConsulAgent.Parameters, nanoseconds: UInt64) {
        let left = deadline > now ? deadline - now : 0
        let margin = min(left / 4, 1_000_000_000)
        let nanoseconds = min((left - margin) / 17 * 16, longestQuery)
        let milliseconds = max(nanoseconds / 1_000_000, 1)
        return (
            [("index", String(seen.index)), ("wait", "\(milliseconds)ms")],
            milliseconds * 1_000_000
        )
    }

    /// - Parameter milliseconds: nil for until the deadline.
    private func rest(
        _ call: Call, _ key: String, milliseconds: Int32?
    ) throws(CallFailure) {
        var none: [pollfd] = []
        do {
            repeat { try call.poll(&none, milliseconds: milliseconds) } while milliseconds == nil
        } catch {
            switch error {
            case .deadline:
                throw CallFailure(
                    RQD_TIMEOUT, "\(configuration.server): no change of the key \(key) in time")
            case .cancelled: throw CallFailure(RQD_CANCELLED, "given up")
            }
        }
    }

    // MARK: Records

    private static func record(_ name: String, _ entry: ConsulAnswer.Entry) -> RegistryRecord {
        RegistryRecord(name: name, value: entry.value, revision: revision(entry.modifyIndex))
    }

    private static func revision(_ index: UInt64) -> [UInt8] { Array(String(index).utf8) }

    /// What is no revision of ours becomes one that no record has: Consul then tells whether there is
    /// a record at all. 0 would stand for none.
    private static func index(_ revision: [UInt8]) -> UInt64 {
        let index = UInt64(String(decoding: revision, as: UTF8.self)) ?? .max
        return index == 0 ? .max : index
    }
}
