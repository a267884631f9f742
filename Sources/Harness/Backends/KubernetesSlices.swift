import JSON
import Synchronization

/// The EndpointSlices of a fake API server, with what happened to them.
final class KubernetesSlices: Sendable {
    struct Event {
        let version: UInt64
        /// ADDED, MODIFIED, DELETED or BOOKMARK.
        let type: String
        /// With its slash: "default/a". Empty for a bookmark.
        let key: String
        let object: JSONValue
    }

    /// What the server does beside its slices.
    struct Rules {
        /// Nil: whoever comes is let in.
        var token: String?
        var forbidden: Set<String> = []
        /// Counts: a watch ends when it is another one than at its beginning.
        var hangUps = 0
    }

    struct State {
        var slices: [String: JSONValue] = [:]
        var events: [Event] = []
        var version: UInt64 = 1000
        /// What happened up to it is forgotten.
        var compacted: UInt64 = 0
        /// A watch from before that is refused with a status, not with an event.
        var saysStatus = false
        var rules = Rules()

        /// In the order of their names.
        func slices(of namespace: String) -> [JSONValue] {
            slices.filter { $0.key.hasPrefix(namespace + "/") }.sorted { $0.key < $1.key }
                .map(\.value)
        }
    }

    private let content = Mutex(State())

    var state: State { content.withLock { $0 } }

    func rule(_ change: (inout Rules) -> Void) {
        content.withLock { state in
            var rules = state.rules
            change(&rules)
            state.rules = rules
        }
    }

    func put(
        _ name: String, service: String, ports: String, addresses: [String]
    ) throws(BackendError) {
        let key = Self.key(name)
        let ports = try Self.ports(ports)
        content.withLock { state in
            let type = state.slices[key] == nil ? "ADDED" : "MODIFIED"
            Self.change(&state, key, type) { version in
                Self.slice(key, service, ports, addresses, version)
            }
        }
    }

    func touch(_ name: String) {
        let key = Self.key(name)
        content.withLock { state in
            guard let old = state.slices[key], var members = old.members else { return }
            Self.change(&state, key, "MODIFIED") { version in
                for index in members.indices where members[index].name == "metadata" {
                    var inner = (members[index].value.members ?? []).filter {
                        $0.name != "resourceVersion" && $0.name != "annotations"
                    }
                    inner.append(.init("resourceVersion", .string("\(version)")))
                    inner.append(.init("annotations", ["touched": .string("\(version)")]))
                    members[index].value = .object(inner)
                }
                return .object(members)
            }
        }
    }

    func delete(_ name: String) {
        let key = Self.key(name)
        content.withLock { state in
            guard let old = state.slices[key] else { return }
            Self.change(&state, key, "DELETED") { _ in old }
        }
    }

    func deleteAll() {
        for key in state.slices.keys.sorted() { delete(key) }
    }

    func compact(saysStatus: Bool) {
        content.withLock { state in
            state.version += 1
            state.compacted = state.version
            state.events = []
            state.saysStatus = saysStatus
        }
    }

    /// Time goes on elsewhere, and those who watch are told how far.
    func bookmark() {
        content.withLock { state in
            state.version += 1
            let object: JSONValue = [
                "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
                "metadata": ["resourceVersion": .string("\(state.version)")],
            ]
            state.events.append(
                Event(version: state.version, type: "BOOKMARK", key: "", object: object))
        }
    }

    private static func change(
        _ state: inout State, _ key: String, _ type: String, _ make: (UInt64) -> JSONValue
    ) {
        state.version += 1
        let object = make(state.version)
        state.slices[key] = type == "DELETED" ? nil : object
        state.events.append(Event(version: state.version, type: type, key: key, object: object))
        if state.events.count > BackendLimits.records {
            state.compacted = state.events.removeFirst().version
        }
    }

    private static func key(_ name: String) -> String {
        name.contains("/") ? name : "default/\(name)"
    }

    private static func ports(_ text: String) throws(BackendError) -> JSONValue {
        if text == "-" { return .null }
        var ports: [JSONValue] = []
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, let number = UInt16(parts[1]) else {
                throw BackendError("\(pair) is no NAME=PORT")
            }
            ports.append([
                "name": .string(String(parts[0])), "port": .integer(number), "protocol": "TCP",
            ])
        }
        return .array(ports)
    }

    /// As the controller of Kubernetes makes them.
    private static func slice(
        _ key: String, _ service: String, _ ports: JSONValue, _ addresses: [String],
        _ version: UInt64
    ) -> JSONValue {
        let (namespace, name) = (key.prefix { $0 != "/" }, key.drop { $0 != "/" }.dropFirst())
        let isSix = addresses.first?.contains(":") == true
        let endpoints = addresses.enumerated().map { index, text -> JSONValue in
            let parts = text.split(separator: "!", omittingEmptySubsequences: false).map(
                String.init)
            let marks = Set(parts.dropFirst())
            let isEnding = marks.contains("terminating")
            return [
                "addresses": [.string(parts[0])],
                "conditions": [
                    "ready": .bool(!isEnding && !marks.contains("notready")),
                    "serving": .bool(!isEnding || marks.contains("serving")),
                    "terminating": .bool(isEnding),
                ],
                "targetRef": ["kind": "Pod", "name": .string("\(service)-\(index)")],
            ]
        }
        return [
            "metadata": [
                "name": .string(String(name)), "namespace": .string(String(namespace)),
                "resourceVersion": .string("\(version)"),
                "labels": [
                    "kubernetes.io/service-name": .string(service),
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                ],
            ],
            "addressType": .string(isSix ? "IPv6" : "IPv4"),
            "endpoints": endpoints.isEmpty ? .null : .array(endpoints),
            "ports": ports,
        ]
    }
}
