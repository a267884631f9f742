package import JSON
import PluginABI
package import PluginSupport

/// The addresses in a JSON document: where the pointer leads stand a list, an object whose members'
/// values count, or a single text.
package struct AddressDocument {
    private let configuration: HTTPConfiguration

    package init(_ configuration: HTTPConfiguration) { self.configuration = configuration }

    /// - Throws: `RQD_PROTOCOL`, naming the place that is not as the configuration says.
    package func addresses(in document: JSONValue) throws(CallFailure) -> [FoundAddress] {
        let pointer = configuration.list.description
        guard let value = configuration.list.value(in: document), value != .null else {
            throw CallFailure(RQD_PROTOCOL, "the document has nothing at \"\(pointer)\"")
        }
        var found: [FoundAddress] = []
        switch value {
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                found.append(try address(element, at: "\(pointer)/\(index)"))
            }
        case .object(let members):
            for member in members {
                found.append(try address(member.value, at: "\(pointer)/\(member.name)"))
            }
        case .string: found.append(try address(value, at: pointer))
        case .null, .bool, .number:
            throw CallFailure(
                RQD_PROTOCOL,
                "the document has neither a list nor an object nor a text at \"\(pointer)\"")
        }
        return found
    }

    private func address(
        _ element: JSONValue, at place: String
    ) throws(CallFailure) -> FoundAddress {
        let hostPlace = AddressLines.quote(place + configuration.host.description)
        guard let text = configuration.host.value(in: element)?.string else {
            throw CallFailure(RQD_PROTOCOL, "the document has no text at \(hostPlace)")
        }
        guard let (host, written) = AddressLines.endpoint(text) else {
            throw CallFailure(
                RQD_PROTOCOL,
                "the document has \(AddressLines.quote(text)) at \(hostPlace), not one host[:port]")
        }
        var port = written ?? configuration.port
        if let pointer = configuration.portPointer {
            let value = pointer.value(in: element)
            guard let number = value?.integer ?? value?.string.flatMap({ Int64($0) }),
                let given = UInt16(exactly: number), given > 0
            else {
                throw CallFailure(
                    RQD_PROTOCOL,
                    "the document has no port at \(AddressLines.quote(place + pointer.description))"
                )
            }
            port = given
        }
        return FoundAddress(
            host: host, port: port, timeToLive: 0, source: "\(place) of \(configuration.server)")
    }
}
