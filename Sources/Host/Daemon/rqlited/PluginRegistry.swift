import Discovery
import NodeLogic
import Registry
import Replica
import Telemetry

/// The registry that a discovery plugin leads to, as the core asks for it: carries requests to the
/// plugin and its answers back, in the words of either side, and counts them.
final class PluginRegistry: RegistryAccess {
    private let instance: PluginInstance
    private let counters: Counters

    /// The metrics of module `disco` in registry modes.
    private struct Counters: Sendable {
        let reads: Counter
        let writes: Counter
        let lists: Counter
        let erasures: Counter
        let conflicts: Counter
        let failures: Counter
        let watches: Counter
        let alarms: Gauge

        init(_ metrics: MetricRegistry) {
            reads = metrics.counter("disco", "registry_reads")
            writes = metrics.counter("disco", "registry_writes")
            lists = metrics.counter("disco", "registry_lists")
            erasures = metrics.counter("disco", "registry_erasures")
            conflicts = metrics.counter("disco", "registry_conflicts")
            failures = metrics.counter("disco", "registry_failures")
            watches = metrics.counter("disco", "registry_watches")
            alarms = metrics.gauge("disco", "registry_alarms")
        }
    }

    init(_ instance: PluginInstance, metrics: MetricRegistry) {
        self.instance = instance
        counters = Counters(metrics)
    }

    /// To be called before metrics are read: the alarms are the core's.
    func note(_ status: RegistryStatus?) {
        counters.alarms.set(
            (status?.alarms.count ?? 0) + (status?.notShared == nil ? 0 : 1))
    }

    func perform(
        _ request: RegistryRequest, timeout: Duration,
        completion: @escaping @Sendable (RegistryReply) -> Void
    ) {
        switch request {
        case .read(let name):
            counters.reads.add()
            instance.read(name, timeout: timeout) { [self] result in
                answer(result, completion) { reading in
                    RegistryReply(
                        .record(reading.record.map(StoredRecord.init)), token: reading.token)
                }
            }
        case .write(let name, let value, let expected):
            counters.writes.add()
            instance.write(name, value: value, expected: expected?.bytes, timeout: timeout) {
                [self] result in
                answer(result, completion) { RegistryReply(self.answer(to: $0)) }
            }
        case .erase(let name, let expected):
            counters.erasures.add()
            instance.erase(name, expected: expected.bytes, timeout: timeout) { [self] result in
                answer(result, completion) { RegistryReply(self.answer(to: $0)) }
            }
        case .list(let prefix):
            counters.lists.add()
            instance.list(prefix: prefix, timeout: timeout) { [self] result in
                answer(result, completion) {
                    RegistryReply(.records($0.map(StoredRecord.init)))
                }
            }
        }
    }

    func watch(
        token: [UInt8], timeout: Duration,
        completion: @escaping @Sendable (RegistryWatchOutcome) -> Void
    ) {
        counters.watches.add()
        instance.wait(for: RecordName.leader, token: token, timeout: timeout) { result in
            switch result {
            case .success(.changed(let token)): completion(.changed(token: token))
            case .success(.unchanged): completion(.unchanged)
            case .failure(let error):
                completion(error.code == .unsupported ? .unsupported : .failed)
            }
        }
    }

    private func answer<Answer>(
        _ result: Result<Answer, PluginError>, _ completion: (RegistryReply) -> Void,
        _ reply: (Answer) -> RegistryReply
    ) {
        switch result {
        case .success(let answer): completion(reply(answer))
        case .failure(let error):
            counters.failures.add()
            completion(RegistryReply(.failed(RegistryFailure(error))))
        }
    }

    private func answer(to erasure: RegistryErasure) -> RegistryAnswer {
        switch erasure {
        case .erased, .absent: return .erased
        case .conflict:
            counters.conflicts.add()
            return .conflict
        }
    }

    private func answer(to writing: RegistryWriting) -> RegistryAnswer {
        guard case .written(let revision) = writing else {
            counters.conflicts.add()
            return .conflict
        }
        return .written(Revision(revision))
    }
}

extension StoredRecord {
    fileprivate init(_ record: RegistryRecord) {
        self.init(name: record.name, value: record.value, revision: Revision(record.revision))
    }
}

extension RegistryFailure {
    fileprivate init(_ error: PluginError) {
        let kind: Kind =
            switch error.code {
            case .timeout: .timeout
            case .auth: .forbidden
            default: error.retry == .never ? .permanent : .unavailable
            }
        self.init(kind, error.message)
    }
}
