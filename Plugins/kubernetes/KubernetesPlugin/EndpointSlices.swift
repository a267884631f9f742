package import JSON
import PluginABI
package import PluginSupport

/// The addresses in EndpointSlices, as `discovery.k8s.io/v1` has them.
///
/// Endpoints count whether they are ready or not: a node is not ready before it has found the others.
/// Those that end and serve no more don't. Of an endpoint's addresses the first one counts, as for
/// Kubernetes itself.
package struct EndpointSlices {
    private let configuration: KubernetesConfiguration
    private var found: [FoundAddress] = []
    /// Ports of slices that have none of the name.
    private var otherPorts: Set<String> = []
    private var isPortMissing = false

    package init(_ configuration: KubernetesConfiguration) { self.configuration = configuration }

    /// Takes in one slice.
    /// - Throws: `RQD_PROTOCOL` for what is no slice.
    package mutating func take(_ slice: JSONValue) throws(CallFailure) {
        let name = slice["metadata"]?["name"]?.string ?? "?"
        guard slice["addressType"]?.string != nil else {
            throw CallFailure(RQD_PROTOCOL, "the EndpointSlice \(name) has no addressType")
        }
        let endpoints = slice["endpoints"]?.array ?? []
        if endpoints.isEmpty { return }
        guard let port = port(slice["ports"]?.array ?? []) else {
            isPortMissing = true
            return
        }
        for endpoint in endpoints where isThere(endpoint["conditions"]) {
            if found.isExcessive { return }
            guard let address = endpoint["addresses"]?.array?.first?.string, !address.isEmpty else {
                throw CallFailure(
                    RQD_PROTOCOL, "the EndpointSlice \(name) has an endpoint without an address")
            }
            let target = endpoint["targetRef"]?["name"]?.string
            found.append(
                FoundAddress(
                    host: address, port: port, timeToLive: 0,
                    source: "EndpointSlice \(name)" + (target.map { ", \($0)" } ?? "")))
        }
    }

    /// All of them.
    /// - Throws: `RQD_PROTOCOL` where no slice has a port of the name, but some have endpoints.
    package func addresses() throws(CallFailure) -> [FoundAddress] {
        guard found.isEmpty, isPortMissing else { return found }
        let others = otherPorts.sorted().joined(separator: ", ")
        throw CallFailure(
            RQD_PROTOCOL,
            "no EndpointSlice of \(configuration.selector) in \(configuration.namespace) has a port "
                + "named \"\(configuration.portName)\"; "
                + (others.isEmpty ? "none is named" : "there are \(others)"))
    }

    /// Nil: the slice has no port of that name.
    private mutating func port(_ ports: [JSONValue]) -> UInt16? {
        guard !configuration.portName.isEmpty else { return configuration.port }
        for port in ports {
            let name = port["name"]?.string ?? ""
            if name == configuration.portName {
                guard let number = port["port"]?.integer, let exact = UInt16(exactly: number),
                    exact > 0
                else { continue }
                return exact
            }
            if !name.isEmpty { otherPorts.insert(name) }
        }
        return nil
    }

    private func isThere(_ conditions: JSONValue?) -> Bool {
        conditions?["terminating"]?.bool != true || conditions?["serving"]?.bool == true
    }
}
