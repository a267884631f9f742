package import Registry

/// What a node knows of its registry, for `/status` and metrics.
package struct RegistryStatus: Equatable, Sendable {
    /// What the last look at a record showed.
    package enum Sighting: Equatable, Sendable {
        case unknown
        case absent
        case found(StoredRecord)
    }

    /// What a node without a cluster waits for.
    package var waitingFor: String?
    /// The record `leader`.
    package var entry: Sighting
    /// This node's record.
    package var ownRecord: Sighting
    /// Why there are no records of nodes, if the registry permits none.
    package var nodeRecordsOff: String?
    /// What only an operator can put right; empty if all is well.
    package var alarms: [RegistryAlarm]
    /// Why other nodes seem to see nothing of what this one writes; nil: they do, as far as is known.
    package var notShared: String?
    /// Why the registry can't be used now.
    package var failure: String?
    /// The registry says when something changes; else it is read again and again.
    package var isWatching: Bool
    /// What an operator types to repair the registry by hand, but for the last flag.
    package var clearCommand = "rqlited disco clear"
}
