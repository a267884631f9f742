import CCares
import Glibc
import PluginABI
package import PluginSupport

/// The question for all A and AAAA records of one or several names, which are asked for at once.
package struct AddressQuestion {
    package struct Record: Equatable {
        package let address: String
        /// Seconds; 0 from the hosts file.
        package let timeToLive: UInt32
        package let source: String
    }

    /// How long names without an answer may hold up those with one: a lost packet is asked again
    /// within it.
    package static let patience: UInt64 = 4_000_000_000

    private let names: [String]
    private let servers: [DNSServer]
    private let patience: UInt64

    /// - Parameters:
    ///   - names: one with a dot at its end is looked for in no search domain.
    ///   - servers: none: the system's.
    ///   - patience: nanoseconds.
    package init(
        names: [String], servers: [DNSServer], patience: UInt64 = AddressQuestion.patience
    ) {
        self.names = names
        self.servers = servers
        self.patience = patience
    }

    /// One result for each name, in their order. Throws when there can be none.
    package func ask(_ call: Call) throws(CallFailure) -> [Result<[Record], CallFailure>] {
        let isAbsolute = names.allSatisfy { $0.hasSuffix(".") }
        let channel = try Channel(servers: servers, search: isAbsolute ? .none : .systemDomains)
        // The hosts file knows names without the dot only.
        let answers = names.map { Self.start(isAbsolute ? String($0.dropLast()) : $0, channel) }
        do throws(Call.Interruption) {
            try wait(for: answers, channel, call)
        } catch {
            // At the deadline what is there counts, and the rest is told below.
            if error == .cancelled {
                throw channel.failure(Self.words(names.joined(separator: ", ")), error)
            }
        }
        channel.cancel()
        return zip(names, answers).map { name, answer in
            guard answer.status == ARES_SUCCESS else {
                return .failure(
                    channel.failure(
                        Self.words(name), status: answer.status,
                        withoutData: "the name has no addresses"))
            }
            return .success(answer.addresses.map { record($0, of: name) })
        }
    }

    private static func words(_ names: String) -> String { "A and AAAA of \(names)" }

    private static func start(_ name: String, _ channel: Channel) -> AddressAnswer {
        let answer = AddressAnswer()
        var hints = ares_addrinfo_hints()
        hints.ai_family = AF_UNSPEC
        // Sorting by reachability costs a socket per address and would help nobody here.
        hints.ai_flags = CInt(ARES_AI_NOSORT)
        ares_getaddrinfo(
            channel.handle, name, nil, &hints,
            { argument, status, _, result in
                guard let argument else { return }
                // Called once, whatever happens.
                Unmanaged<AddressAnswer>.fromOpaque(argument).takeRetainedValue()
                    .take(status, result)
            }, Unmanaged.passRetained(answer).toOpaque())
        return answer
    }

    private func wait(
        for answers: [AddressAnswer], _ channel: Channel, _ call: Call
    ) throws(Call.Interruption) {
        let isComplete = { answers.allSatisfy(\.isComplete) }
        let hasAddresses = { answers.contains { !$0.addresses.isEmpty } }
        do throws(Call.Interruption) {
            try channel.wait(call.limited(nanoseconds: patience), until: isComplete)
        } catch {
            if error == .cancelled { throw error }
            if hasAddresses() { return }
            try channel.wait(call) { hasAddresses() || isComplete() }
        }
    }

    private func record(_ found: AddressAnswer.Address, of name: String) -> Record {
        let origin =
            servers.isEmpty ? "" : " from " + servers.map(\.description).joined(separator: ", ")
        return Record(
            address: found.text, timeToLive: found.timeToLive,
            source: "\(found.isVersion6 ? "AAAA" : "A") \(name)\(origin)")
    }
}

/// What the callback leaves. It runs on the thread that asks, inside c-ares.
private final class AddressAnswer {
    struct Address {
        let text: String
        let isVersion6: Bool
        let timeToLive: UInt32
    }

    private(set) var isComplete = false
    private(set) var status = CInt(ARES_ECANCELLED)
    private(set) var addresses: [Address] = []

    func take(_ status: CInt, _ result: UnsafeMutablePointer<ares_addrinfo>?) {
        defer { ares_freeaddrinfo(result) }
        isComplete = true
        self.status = status
        var next = result?.pointee.nodes
        while let node = next {
            if let address = Self.address(node.pointee) { addresses.append(address) }
            next = node.pointee.ai_next
        }
    }

    private static func address(_ node: ares_addrinfo_node) -> Address? {
        guard let socket = node.ai_addr else { return nil }
        let offset: Int?
        switch node.ai_family {
        case AF_INET: offset = MemoryLayout<sockaddr_in>.offset(of: \.sin_addr)
        case AF_INET6: offset = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)
        default: return nil
        }
        guard let offset,
            let text = AddressText.make(node.ai_family, UnsafeRawPointer(socket) + offset)
        else { return nil }
        return Address(
            text: text, isVersion6: node.ai_family == AF_INET6,
            timeToLive: UInt32(clamping: node.ai_ttl))
    }
}
