import JSON
import NodeLogic
import Registry
import Replica
import Telemetry
import Time

/// `/status`, member `disco`, in registry modes: what rqlite shows there, what the plugin tells of
/// itself, and what the node knows of its registry.
struct RegistrySection {
    /// Of the plugin's instance.
    let plugin: JSONValue
    let registry: RegistryStatus?

    /// Between two looks of a node that waits for its cluster.
    private static let registerInterval = Duration.seconds(1)
    /// After so long at the latest a leader makes sure of its entry.
    private static let reportInterval = Duration.seconds(10)

    func document() -> JSONValue {
        var members = own
        let taken = members.map(\.name)
        if case .object(let others) = plugin {
            members += others.filter { !taken.contains($0.name) }
        }
        if !members.contains(where: { $0.name == "last_contact" }) {
            members.append(.init("last_contact", .string(WallTime.never.rfc3339)))
        }
        return .object(members.sorted { $0.name < $1.name })
    }

    private var own: [JSONValue.Member] {
        guard let registry else { return [] }
        var members: [JSONValue.Member] = [
            .init(
                "alarms",
                .array(
                    (registry.alarms.map { $0.text(clearCommand: registry.clearCommand) }
                        + [registry.notShared].compactMap(\.self)).map { .string($0) })),
            .init("register_interval", Self.nanoseconds(Self.registerInterval)),
            .init("report_interval", Self.nanoseconds(Self.reportInterval)),
            .init("watching", .bool(registry.isWatching)),
        ]
        if let entry = Self.record(registry.entry) { members.append(.init("leader", entry)) }
        if let own = Self.record(registry.ownRecord) { members.append(.init("node", own)) }
        if let waiting = registry.waitingFor {
            members.append(.init("waiting_for", .string(waiting)))
        }
        if let failure = registry.failure {
            members.append(.init("registry_error", .string(failure)))
        }
        if let reason = registry.nodeRecordsOff {
            members.append(.init("node_records_off", .string(reason)))
        }
        return members
    }

    /// Revision and content as last seen; null if there was no record, nil if nobody looked yet.
    private static func record(_ sighting: RegistryStatus.Sighting) -> JSONValue? {
        switch sighting {
        case .unknown: return nil
        case .absent: return .null
        case .found(let record):
            let text = String(decoding: record.value, as: UTF8.self)
            let value = try? JSONValue(parsing: text, depthLimit: 8)
            return .object([
                .init("revision", .string("\(record.revision)")),
                .init("value", value ?? .string(text)),
            ])
        }
    }

    private static func nanoseconds(_ duration: Duration) -> JSONValue {
        .integer(duration.nanosecondsClamped)
    }
}
