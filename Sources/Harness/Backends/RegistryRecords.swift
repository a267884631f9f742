import Synchronization
import Threads
import Time

/// The state of a fake registry: records with one counter of changes for all, as Consul's index and
/// etcd's revision are. Linearizable, for there is one lock.
package final class RegistryRecords: Sendable {
    package struct Record: Equatable, Sendable {
        package let key: String
        package let value: [UInt8]
        /// The store's index when the record was made, and when it was last written.
        package let createIndex: UInt64
        package let modifyIndex: UInt64
        /// Writes since it was made, the first included.
        package let version: UInt64
    }

    package enum Outcome: Equatable, Sendable {
        case done(Record)
        /// The condition does not hold; what there is instead.
        case refused(Record?)
        case full
    }

    private struct State {
        var records: [String: Record] = [:]
        /// Before the last change, as a member that lags behind shows it.
        var older: [String: Record] = [:]
        var index: UInt64 = 1
    }

    private let state = Mutex(State())

    package init() {}

    /// Grows with every change.
    package var index: UInt64 { state.withLock { $0.index } }

    package func read(_ key: String) -> (record: Record?, index: UInt64) {
        state.withLock { ($0.records[key], $0.index) }
    }

    /// As a read that need not be linearizable may find it: the last change is not there yet.
    package func readStale(_ key: String) -> (record: Record?, index: UInt64) {
        state.withLock { ($0.older[key], max($0.index, 2) - 1) }
    }

    /// Sorted by key.
    /// - Parameter isStale: see `readStale`.
    package func list(
        prefix: String, isStale: Bool = false
    ) -> (records: [Record], index: UInt64) {
        state.withLock { state in
            let found = (isStale ? state.older : state.records).values.filter {
                $0.key.utf8.starts(with: prefix.utf8)
            }
            return (
                found.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }, state.index
            )
        }
    }

    /// - Parameter condition: sees what there is, nil for nothing, and says whether to write.
    package func write(
        _ key: String, _ value: [UInt8], if condition: (Record?) -> Bool
    ) -> Outcome {
        state.withLock { state in
            let old = state.records[key]
            guard condition(old) else { return .refused(old) }
            guard old != nil || state.records.count < BackendLimits.records else { return .full }
            state.older = state.records
            state.index += 1
            let record = Record(
                key: key, value: value, createIndex: old?.createIndex ?? state.index,
                modifyIndex: state.index, version: (old?.version ?? 0) + 1)
            state.records[key] = record
            return .done(record)
        }
    }

    /// Removes the record there is, if `condition` holds for it. Nil if there is none.
    package func erase(_ key: String, if condition: (Record) -> Bool) -> Outcome? {
        state.withLock { state in
            guard let old = state.records[key] else { return nil }
            guard condition(old) else { return .refused(old) }
            state.older = state.records
            state.index += 1
            state.records[key] = nil
            return .done(old)
        }
    }

    package func eraseAll() {
        state.withLock { state in
            state.older = state.records
            state.index += 1
            state.records = [:]
        }
    }

    /// Waits until `isDifferent` says so of what it sees. False when the exchange was over first, or
    /// the time (CLOCK_MONOTONIC, nanoseconds).
    package func wait(
        _ exchange: HTTPExchange, until deadline: UInt64, _ isDifferent: (RegistryRecords) -> Bool
    ) -> Bool {
        while !isDifferent(self) {
            guard !exchange.isOver, MonotonicTime.now.nanoseconds < deadline else { return false }
            exchange.pause()
        }
        return true
    }
}
