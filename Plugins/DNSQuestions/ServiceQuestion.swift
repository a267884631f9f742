import CCares
import PluginABI
package import PluginSupport

/// The question for the SRV records of one name (RFC 2782).
package struct ServiceQuestion {
    package struct Record: Equatable {
        /// An absolute name, with a dot at its end.
        package let target: String
        package let port: UInt16
        package let priority: UInt16
        package let weight: UInt16

        /// The target "." says that the service is decidedly not available. Port 0 can't be meant,
        /// and the host would take it for the asking node's own.
        package var isUsable: Bool { target != "." && port > 0 }
    }

    private static let classInternet: CInt = 1
    private static let typeService: CInt = 33

    private let name: String
    private let servers: [DNSServer]
    private let search: SearchList

    /// - Parameters:
    ///   - name: with a dot at its end it is looked for in no search domain.
    ///   - servers: none: the system's.
    ///   - search: where another name is looked for.
    package init(name: String, servers: [DNSServer], search: SearchList = .system) {
        self.name = name
        self.servers = servers
        self.search = search
    }

    /// At least one usable record, in the answer's order.
    package func ask(_ call: Call) throws(CallFailure) -> [Record] {
        let channel = try Channel(servers: servers)
        let search = NameSearch(
            SearchOrder(name, in: search), patience: AddressQuestion.patience
        ) { Self.start($0, channel) }
        let question = "SRV of \(name)"
        do throws(Call.Interruption) {
            try channel.wait(call) {
                search.advance(Call.now)
                return search.isOver
            }
        } catch {
            throw channel.failure(question, error)
        }
        guard let answer = search.best else {
            throw channel.failure(
                question, status: search.status, withoutData: "the name has no SRV records")
        }
        guard answer.records.contains(where: \.isUsable) else {
            let found = answer.records.map { "\"\($0.target)\" at port \($0.port)" }
            throw channel.failure(
                question, RQD_UNAVAILABLE,
                "the service is not available there, as its only target is "
                    + found.joined(separator: ", "))
        }
        return answer.records
    }

    private static func start(_ name: String, _ channel: Channel) -> ServiceAnswer {
        let answer = ServiceAnswer()
        ares_query(
            channel.handle, name, classInternet, typeService,
            { argument, status, _, bytes, count in
                guard let argument else { return }
                // Called once, whatever happens.
                Unmanaged<ServiceAnswer>.fromOpaque(argument).takeRetainedValue()
                    .take(status, bytes, count)
            }, Unmanaged.passRetained(answer).toOpaque())
        return answer
    }
}

/// What the callback leaves. It runs on the thread that asks, inside c-ares.
private final class ServiceAnswer: NameQuestion {
    private(set) var isComplete = false
    private(set) var status: CInt = 0
    private(set) var records: [ServiceQuestion.Record] = []

    /// Records were there, be they of no use.
    var hasData: Bool { isComplete && status == ARES_SUCCESS }

    func take(_ status: CInt, _ bytes: UnsafeMutablePointer<UInt8>?, _ count: CInt) {
        isComplete = true
        self.status = status
        guard status == ARES_SUCCESS else { return }
        var replies: UnsafeMutablePointer<ares_srv_reply>?
        self.status = ares_parse_srv_reply(bytes, count, &replies)
        defer { ares_free_data(replies) }
        var next = replies
        while let reply = next?.pointee {
            let host = reply.host.map { String(cString: $0) } ?? ""
            records.append(
                ServiceQuestion.Record(
                    target: host.hasSuffix(".") ? host : host + ".", port: reply.port,
                    priority: reply.priority, weight: reply.weight))
            next = reply.next
        }
    }
}
