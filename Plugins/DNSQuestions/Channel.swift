import CCares
import Glibc
import PluginABI
import PluginSupport

/// A channel of c-ares, which asks the hosts file or name servers for a name as it stands. There is one
/// per question, so that the system's servers are read anew each time, as containers change them. The
/// search list is not c-ares' (`NameSearch`), which gives up where one domain's servers fail.
final class Channel {
    /// Who is asked, as c-ares calls it.
    enum Source: String {
        case hostsFile = "f"
        case servers = "b"
    }

    /// First wait for a server, doubled with each round; three rounds. A dead server then costs less
    /// than the resolver's usual five seconds before the next is asked.
    private static let firstTimeout: Int32 = 1500
    private static let rounds: Int32 = 3
    /// Between two looks at the clock while answers are awaited, in milliseconds.
    private static let longestNap: Int32 = 100

    /// c-ares wants to be initialised once per process, before its first use.
    private static let library = ares_library_init(CInt(ARES_LIB_INIT_ALL))

    let handle: ares_channel
    private let asked: [String]

    /// - Parameter servers: none: the system's.
    init(servers: [DNSServer], source: Source = .servers) throws(CallFailure) {
        guard Self.library == ARES_SUCCESS else {
            throw CallFailure(RQD_INTERNAL, "c-ares can't start: \(Self.text(Self.library))")
        }
        var options = ares_options()
        options.timeout = Self.firstTimeout
        options.tries = Self.rounds
        let lookups = strdup(source.rawValue)
        defer { free(lookups) }
        options.lookups = lookups
        // Domains are given as none.
        let given = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS
        var channel: ares_channel?
        var status = ares_init_options(&channel, &options, CInt(given))
        guard status == ARES_SUCCESS, let channel else {
            throw CallFailure(RQD_INTERNAL, "c-ares can't start: \(Self.text(status))")
        }
        handle = channel
        guard !servers.isEmpty else {
            asked = Self.servers(of: channel)
            return
        }
        asked = servers.map(\.description)
        status = ares_set_servers_ports_csv(channel, asked.joined(separator: ","))
        guard status == ARES_SUCCESS else {
            throw CallFailure(RQD_CONFIG, "c-ares refuses the servers: \(Self.text(status))")
        }
    }

    deinit { ares_destroy(handle) }

    /// Ends what is under way, with the status `ARES_ECANCELLED`.
    func cancel() { ares_cancel(handle) }

    /// Moves bytes until the answers are there.
    func wait(_ call: Call, until isComplete: () -> Bool) throws(Call.Interruption) {
        while !isComplete() {
            var descriptors = interest()
            var time = timeval()
            let next = ares_timeout(handle, nil, &time).map {
                Int32($0.pointee.tv_sec * 1000 + $0.pointee.tv_usec / 1000 + 1)
            }
            try call.poll(&descriptors, milliseconds: min(next ?? Self.longestNap, Self.longestNap))
            let ready = descriptors.filter { $0.revents != 0 }
            for descriptor in ready {
                let canRead = descriptor.revents & ~Int16(POLLOUT) != 0
                let canWrite = descriptor.revents & Int16(POLLOUT) != 0
                ares_process_fd(
                    handle, canRead ? descriptor.fd : ARES_SOCKET_BAD,
                    canWrite ? descriptor.fd : ARES_SOCKET_BAD)
            }
            // Without a descriptor it looks at its clock.
            if ready.isEmpty { ares_process_fd(handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD) }
        }
    }

    private func interest() -> [pollfd] {
        var sockets = [ares_socket_t](repeating: 0, count: Int(ARES_GETSOCK_MAXNUM))
        let interest = UInt32(
            bitPattern: ares_getsock(handle, &sockets, CInt(ARES_GETSOCK_MAXNUM)))
        var descriptors: [pollfd] = []
        for (index, socket) in sockets.enumerated() {
            // One bit for reading, and sixteen above it one for writing.
            let isRead = interest & (1 << UInt32(index)) != 0
            let isWrite = interest & (1 << UInt32(index + sockets.count)) != 0
            guard isRead || isWrite else { continue }
            let events = (isRead ? POLLIN : 0) | (isWrite ? POLLOUT : 0)
            descriptors.append(pollfd(fd: socket, events: Int16(events), revents: 0))
        }
        return descriptors
    }

    /// Why a question came to nothing. `question` is as in "A and AAAA of db.local".
    func failure(_ question: String, status: CInt, withoutData: String) -> CallFailure {
        switch status {
        case ARES_ENOTFOUND: failure(question, RQD_UNAVAILABLE, "no such name")
        case ARES_ENODATA: failure(question, RQD_UNAVAILABLE, withoutData)
        case ARES_ENOMEM: failure(question, RQD_INTERNAL, "out of memory")
        case ARES_EBADNAME: failure(question, RQD_CONFIG, "this is no host name")
        case ARES_ECANCELLED: failure(question, RQD_TIMEOUT, "no answer in time")
        default: failure(question, RQD_UNAVAILABLE, Self.text(status))
        }
    }

    func failure(_ question: String, _ cause: Call.Interruption) -> CallFailure {
        switch cause {
        case .deadline: failure(question, RQD_TIMEOUT, "no answer in time")
        case .cancelled: failure(question, RQD_CANCELLED, "given up")
        }
    }

    func failure(_ question: String, _ code: rqd_code, _ what: String) -> CallFailure {
        let whom = asked.isEmpty ? "no server" : asked.joined(separator: ", ")
        return CallFailure(code, "DNS question for \(question) to \(whom): \(what)")
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
