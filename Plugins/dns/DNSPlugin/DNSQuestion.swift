import CCares
import Glibc
import PluginABI
package import PluginSupport

/// One question to the domain name system by c-ares, which honours the hosts file, the system's name
/// servers and its search domains. They are read anew each time, as containers change them.
package struct DNSQuestion {
    package struct Record: Equatable {
        package let address: String
        /// Seconds; 0 from the hosts file.
        package let timeToLive: UInt32
        package let source: String
    }

    let name: String
    /// Empty: the system's.
    let servers: [String]

    /// First wait for a server, doubled with each round; three rounds. A dead server then costs less
    /// than the resolver's usual five seconds before the next is asked.
    private static let firstTimeout: Int32 = 1500
    private static let rounds: Int32 = 3

    /// c-ares wants to be initialised once per process, before its first use.
    private static let library = ares_library_init(CInt(ARES_LIB_INIT_ALL))

    package init(name: String, servers: [String]) {
        self.name = name
        self.servers = servers
    }

    package func ask(_ call: Call) throws(CallFailure) -> [Record] {
        let channel = try open()
        defer { ares_destroy(channel) }
        let asked = servers.isEmpty ? Self.servers(of: channel) : servers
        let answer = Answer()
        var hints = ares_addrinfo_hints()
        hints.ai_family = AF_UNSPEC
        // Sorting by reachability costs a socket per address and would help nobody here.
        hints.ai_flags = CInt(ARES_AI_NOSORT)
        // The answer outlives the call: `ares_destroy` runs the callback if it is still pending.
        let argument = Unmanaged.passUnretained(answer).toOpaque()
        ares_getaddrinfo(
            channel, name, nil, &hints,
            { argument, status, _, result in
                guard let argument else { return }
                Unmanaged<Answer>.fromOpaque(argument).takeUnretainedValue().take(status, result)
            }, argument)
        do throws(Call.Interruption) {
            try wait(channel, answer, call)
        } catch {
            ares_cancel(channel)
            throw interrupted(error, asked)
        }
        return try records(answer, asked)
    }

    private func open() throws(CallFailure) -> ares_channel {
        guard Self.library == ARES_SUCCESS else {
            throw CallFailure(RQD_INTERNAL, "c-ares can't start: \(Self.text(Self.library))")
        }
        var options = ares_options()
        options.timeout = Self.firstTimeout
        options.tries = Self.rounds
        var channel: ares_channel?
        var status = ares_init_options(
            &channel, &options, CInt(ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES))
        guard status == ARES_SUCCESS, let channel else {
            throw CallFailure(RQD_INTERNAL, "c-ares can't start: \(Self.text(status))")
        }
        guard !servers.isEmpty else { return channel }
        status = ares_set_servers_ports_csv(channel, servers.joined(separator: ","))
        guard status == ARES_SUCCESS else {
            ares_destroy(channel)
            throw CallFailure(RQD_CONFIG, "c-ares refuses the servers: \(Self.text(status))")
        }
        return channel
    }

    /// Moves bytes until the answer is there.
    private func wait(
        _ channel: ares_channel, _ answer: Answer, _ call: Call
    ) throws(Call.Interruption) {
        while !answer.isComplete {
            var sockets = [ares_socket_t](repeating: 0, count: Int(ARES_GETSOCK_MAXNUM))
            let interest = UInt32(
                bitPattern: ares_getsock(channel, &sockets, CInt(ARES_GETSOCK_MAXNUM)))
            var descriptors: [pollfd] = []
            for (index, socket) in sockets.enumerated() {
                // One bit for reading, and sixteen above it one for writing.
                let isRead = interest & (1 << UInt32(index)) != 0
                let isWrite = interest & (1 << UInt32(index + sockets.count)) != 0
                guard isRead || isWrite else { continue }
                let events = (isRead ? POLLIN : 0) | (isWrite ? POLLOUT : 0)
                descriptors.append(pollfd(fd: socket, events: Int16(events), revents: 0))
            }
            var time = timeval()
            let next = ares_timeout(channel, nil, &time).map {
                Int32($0.pointee.tv_sec * 1000 + $0.pointee.tv_usec / 1000 + 1)
            }
            try call.poll(&descriptors, milliseconds: next)
            let ready = descriptors.filter { $0.revents != 0 }
            for descriptor in ready {
                let canRead = descriptor.revents & ~Int16(POLLOUT) != 0
                let canWrite = descriptor.revents & Int16(POLLOUT) != 0
                ares_process_fd(
                    channel, canRead ? descriptor.fd : ARES_SOCKET_BAD,
                    canWrite ? descriptor.fd : ARES_SOCKET_BAD)
            }
            // Without a descriptor it looks at its clock.
            if ready.isEmpty { ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD) }
        }
    }

    private func records(_ answer: Answer, _ asked: [String]) throws(CallFailure) -> [Record] {
        switch answer.status {
        case ARES_SUCCESS: break
        case ARES_ENOTFOUND:
            throw CallFailure(RQD_UNAVAILABLE, "\(question(asked)): no such name")
        case ARES_ENODATA:
            throw CallFailure(RQD_UNAVAILABLE, "\(question(asked)): the name has no addresses")
        case ARES_ENOMEM:
            throw CallFailure(RQD_INTERNAL, "\(question(asked)): out of memory")
        case ARES_EBADNAME:
            throw CallFailure(RQD_CONFIG, "\(question(asked)): this is no host name")
        case let status:
            throw CallFailure(RQD_UNAVAILABLE, "\(question(asked)): \(Self.text(status))")
        }
        let origin = servers.isEmpty ? "" : " from " + servers.joined(separator: ", ")
        return answer.addresses.map { found in
            Record(
                address: found.text, timeToLive: found.timeToLive,
                source: "\(found.isVersion6 ? "AAAA" : "A") \(name)\(origin)")
        }
    }

    private func interrupted(_ cause: Call.Interruption, _ asked: [String]) -> CallFailure {
        switch cause {
        case .deadline: CallFailure(RQD_TIMEOUT, "\(question(asked)): no answer in time")
        case .cancelled: CallFailure(RQD_CANCELLED, "\(question(asked)): given up")
        }
    }

    private func question(_ asked: [String]) -> String {
        let whom = asked.isEmpty ? "no server" : asked.joined(separator: ", ")
        return "DNS question for A and AAAA of \(name) to \(whom)"
    }

    private static func servers(of channel: ares_channel) -> [String] {
        var list: UnsafeMutablePointer<ares_addr_port_node>?
        guard ares_get_servers_ports(channel, &list) == ARES_SUCCESS else { return [] }
        defer { ares_free_data(list) }
        var texts: [String] = []
        var next = list
        while let node = next {
            let port = node.pointee.udp_port == 0 ? 53 : node.pointee.udp_port
            if let text = withUnsafeBytes(
                of: &node.pointee.addr, { AddressText.make(node.pointee.family, $0.baseAddress) })
            {
                texts.append(
                    node.pointee.family == AF_INET6 ? "[\(text)]:\(port)" : "\(text):\(port)")
            }
            next = node.pointee.next
        }
        return texts
    }

    private static func text(_ status: CInt) -> String { String(cString: ares_strerror(status)) }
}

/// What the callback leaves. It runs on the thread that asks, inside c-ares.
private final class Answer {
    struct Address {
        let text: String
        let isVersion6: Bool
        let timeToLive: UInt32
    }

    private(set) var isComplete = false
    private(set) var status: CInt = 0
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

private enum AddressText {
    static func make(_ family: Int32, _ address: UnsafeRawPointer?) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, address, &buffer, socklen_t(buffer.count)) != nil else {
            return nil
        }
        return String(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
