package import JSON
import PluginABI
package import PluginSupport
import Synchronization

/// The `mdns` mode: the nodes are what is announced as a service on the link (RFC 6762, RFC 6763), by the
/// machines' own responders, or by the nodes themselves.
package final class MDNSResolver: WatchingResolver, NodeListener {
    private let configuration: MDNSConfiguration
    private let announcer = Mutex<MDNSAnnouncer?>(nil)

    package init(
        _ arguments: InstanceArguments, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try MDNSConfiguration(arguments.config, environment: environment)
    }

    deinit { announcer.withLock { $0 }?.stop() }

    package var listens: Bool { configuration.announces }

    /// Announces the node from the first time on, for others look for it before it is a member; until it
    /// leaves.
    package func update(_ node: NodeState, _ call: Call) throws(CallFailure) {
        guard !node.isLeaving else { return replace(by: nil) }
        guard let (host, port) = AddressLines.endpoint(node.raftAddress), let port,
            let wanted = MDNSAnnouncement(
                service: configuration.service, nodeID: node.id, host: host, port: port)
        else {
            // Not for ever, so that the host says so.
            throw CallFailure(
                RQD_UNAVAILABLE,
                "\(node.raftAddress) can't be announced: -raft-adv-addr must have an IP address")
        }
        if announcer.withLock({ $0?.announcement }) == wanted { return }
        replace(by: nil)
        guard let new = MDNSAnnouncer(wanted, interface: configuration.interface) else {
            throw CallFailure(RQD_UNAVAILABLE, "no thread or descriptor to announce with")
        }
        replace(by: new)
    }

    private func replace(by new: MDNSAnnouncer?) {
        let old = announcer.withLock { announcer in
            defer { announcer = new }
            return announcer
        }
        old?.stop()
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        var query = MDNSQuery(configuration)
        let found = try query.run(call)
        return (found, StateToken.of(addresses: found))
    }

    /// Asks again and again. Silence is no change: what was found stays true until somebody answers
    /// otherwise.
    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        if token.isEmpty { return try look(call).token }
        while true {
            do throws(CallFailure) {
                let state = try look(call).token
                if state != token { return state }
            } catch {
                if error.code == RQD_CANCELLED { throw error }
            }
            try call.pause(
                nanoseconds: configuration.interval,
                orSay: "nobody else announced \(configuration.service)")
        }
    }

    package func describe() -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("service", .string(configuration.service.description))
        ]
        if !configuration.interface.isEmpty {
            members.append(.init("interface", .string(configuration.interface)))
        }
        if let responder = configuration.responder {
            members.append(.init("responder", .string(responder.description)))
        }
        if configuration.announces { members.append(.init("announce", .bool(true))) }
        return .object(members)
    }
}
