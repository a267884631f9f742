import PluginABI
package import PluginSupport

/// What is known of the instances of a service (RFC 6763): who they are, where they are, at which addresses.
/// Records come in any order; what is missing is asked for.
package struct MDNSBrowse {
    /// Of records: more than the nodes that a cluster may have need.
    private static let mostRecords = 8192
    private static let mostInstances = 2048

    private struct Place {
        var priority: UInt16
        var weight: UInt16
        var port: UInt16
        var target: MDNSName
    }

    private struct Address {
        var text: String
        var timeToLive: UInt32
    }

    private let service: MDNSName
    private var instances: [MDNSName] = []
    private var places: [MDNSName: Place] = [:]
    private var addresses: [MDNSName: [Address]] = [:]
    private var count = 0

    package init(_ service: MDNSName) { self.service = service }

    package var isEmpty: Bool { instances.isEmpty }

    /// What was heard, whether it was asked for or not. What is no more is left out.
    package mutating func take(_ records: [MDNSMessage.Record]) {
        for record in records where record.timeToLive > 0 && count < Self.mostRecords {
            count += 1
            switch record.data {
            case .pointer(let instance):
                if record.name == service, instances.count < Self.mostInstances,
                    !instances.contains(instance)
                {
                    instances.append(instance)
                }
            case .service(let priority, let weight, let port, let target):
                places[record.name] = Place(
                    priority: priority, weight: weight, port: port, target: target)
            case .address(let text):
                // Of IPv6 those that each link has lead nowhere without the name of the link.
                guard !text.lowercased().hasPrefix("fe80:") else { continue }
                let known = addresses[record.name] ?? []
                guard !known.contains(where: { $0.text == text }) else { continue }
                addresses[record.name] =
                    known + [Address(text: text, timeToLive: record.timeToLive)]
            }
        }
    }

    /// Whether all is known of those that were heard of.
    package var isComplete: Bool { missing.isEmpty }

    /// What has to be asked to know more, in the order that it came up.
    package var missing: [MDNSMessage.Question] {
        var questions: [MDNSMessage.Question] = []
        for instance in instances {
            guard let place = places[instance] else {
                questions.append(.init(name: instance, kind: .service))
                continue
            }
            guard !place.target.isRoot, addresses[place.target] == nil else { continue }
            questions.append(.init(name: place.target, kind: .address4))
            questions.append(.init(name: place.target, kind: .address6))
        }
        return questions
    }

    /// One more than an answer may have at most: anybody on the link may put many instances at one target
    /// with many addresses.
    package var found: [FoundAddress] {
        var all: [FoundAddress] = []
        for instance in instances {
            guard let place = places[instance], place.port > 0 else { continue }
            for address in addresses[place.target] ?? [] {
                var found = FoundAddress(
                    host: address.text, port: place.port, timeToLive: address.timeToLive,
                    source: "multicast DNS: \(instance.instance)")
                found.priority = place.priority
                found.weight = place.weight
                all.append(found)
                if all.isExcessive { return all }
            }
        }
        return all
    }

    /// The names of those that were heard of, for an error.
    package var names: String {
        let shown = instances.prefix(3).map { "\"\($0.instance)\"" }.joined(separator: ", ")
        return shown + (instances.count > 3 ? ", …" : "")
    }
}
