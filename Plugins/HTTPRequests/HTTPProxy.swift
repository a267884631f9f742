import Glibc

/// Which proxy a request goes through, where libcurl would choose another than Go's programs do, by
/// whose rules operators set these variables for rqlite: what is on this machine is never asked for
/// through a proxy, and `HTTP_PROXY` counts in capitals, too. `NO_PROXY` and `no_proxy` are libcurl's
/// affair: names, their subdomains, addresses and networks.
enum HTTPProxy {
    /// Empty: none. Nil: as libcurl finds it.
    static func choice(
        for server: ServerAddress, environment: (String) -> String? = Self.environment
    ) -> String? {
        if server.unixSocket != nil || isLoopback(server.host) { return "" }
        // In a CGI program the capital one would come from a client's header; Go leaves it out, too.
        guard !server.isTLS, environment("http_proxy") == nil,
            environment("REQUEST_METHOD") == nil, let proxy = environment("HTTP_PROXY")
        else { return nil }
        return proxy.isEmpty ? nil : proxy
    }

    /// `localhost`, 127.0.0.0/8 and ::1.
    static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" { return true }
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            return UInt32(bigEndian: four.s_addr) >> 24 == 127
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, host, &six) == 1 else { return false }
        let bytes = withUnsafeBytes(of: six) { Array($0) }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127]
        return bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
            || Array(bytes.prefix(13)) == mapped
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
