import Foundation
import Synchronization

/// A network namespace of the test's own: several addresses, a DNS server and a `resolv.conf` that
/// names it, joined to the host by a veth pair so that the test reaches the nodes. It goes with the
/// object.
final class Namespace: Sendable {
    let name: String
    /// The interface that the nodes' addresses are on.
    let device: String
    private let subnet: String
    private let domain: String
    private let dnsmasq = Mutex<ChildProcess?>(nil)
    private let relay = Mutex<ChildProcess?>(nil)
    private let directory: TestDirectory

    static var isPossible: Bool {
        geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/dnsmasq")
    }

    /// - Parameters:
    ///   - nodes: addresses to make, ending in 11, 12, …
    ///   - domain: name that the DNS server resolves to all of them; `node-1.`, `node-2.`, … before
    ///     it are one each.
    ///   - named: the addresses that the names lead to at first; nil: all.
    ///   - options: more of dnsmasq's options, as `--srv-host=…`.
    init(
        nodes: Int, domain: String, named: Range<Int>? = nil, options: [String] = []
    ) throws {
        let number = Int(getpid()) % 200 + 20
        let serial = NetworkNumber.next()
        let name = "rqt-\(getpid())-\(serial)"
        let subnet = "10.\(number).\(serial)"
        self.name = name
        self.subnet = subnet
        self.domain = domain
        directory = try TestDirectory()
        let outside = "rq\(serial)h\(getpid() % 10000)"
        let inside = "rq\(serial)n\(getpid() % 10000)"
        device = inside
        try run("ip", "netns", "add", name)
        try run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        try run("ip", "addr", "add", "\(subnet).1/24", "dev", outside)
        try run("ip", "link", "set", outside, "up")
        try run("ip", "-n", name, "link", "set", "lo", "up")
        try run("ip", "-n", name, "link", "set", inside, "up")
        for last in [53, 54] + (0..<nodes).map({ 11 + $0 }) {
            try run("ip", "-n", name, "addr", "add", "\(subnet).\(last)/24", "dev", inside)
        }
        let settings = "/etc/netns/\(name)"
        try FileManager.default.createDirectory(
            atPath: settings, withIntermediateDirectories: true)
        try "nameserver \(subnet).53\noptions timeout:1 attempts:2\n".write(
            toFile: "\(settings)/resolv.conf", atomically: true, encoding: .utf8)
        try serve(named ?? 0..<nodes, options: options)
    }

    /// Lets the names lead to these addresses from now on.
    /// - Parameter isDual: to the nodes' addresses of the other family, too.
    func serve(_ nodes: Range<Int>, isDual: Bool = false, options: [String] = []) throws {
        let hosts = nodes.enumerated().map { number, node in
            let addresses = [address(node)] + (isDual ? [address6(node)] : [])
            return addresses.map { "\($0) \(domain) node-\(number + 1).\(domain)\n" }.joined()
        }.joined()
        try hosts.write(toFile: "\(directory.path)/hosts", atomically: true, encoding: .utf8)
        stopServing()
        let server = try ChildProcess(
            prefix + [
                "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                "--addn-hosts=\(directory.path)/hosts", "--conf-file=/dev/null",
                "--bind-interfaces", "--listen-address=\(subnet).53", "--port=53", "--user=root",
                "--pid-file=",
            ] + options)
        dnsmasq.withLock { $0 = server }
    }

    /// Every node's file `/etc/hosts` says this from now on; it may be another for each.
    /// - Returns: what comes before a program that shall see it.
    func prefix(hosts: String, for node: Int) throws -> [String] {
        let path = "\(directory.path)/hosts-\(node)"
        try hosts.write(toFile: path, atomically: true, encoding: .utf8)
        return prefix + [
            "unshare", "--mount", "sh", "-c",
            "mount --bind \(path) /etc/hosts && exec \"$@\"", "sh",
        ]
    }

    /// Gives each node a second address, of the other family.
    func addVersion6(nodes: Int) throws {
        let device = try run("ip", "-n", name, "-o", "link").split(separator: "\n")
            .first { $0.contains("rq") }?.split(separator: " ")[1].split(separator: "@")[0]
        for node in 0..<nodes {
            try run(
                "ip", "-n", name, "addr", "add", "\(address6(node))/64", "dev",
                String(device ?? "lo").replacingOccurrences(of: ":", with: ""), "nodad")
        }
    }

    func address6(_ node: Int) -> String { "fd00:7271::\(11 + node)" }

    /// The nodes ask a server from now on whose every answer comes so much later.
    func delayAnswers(by milliseconds: Int, search: String = "") throws {
        let relay = try ChildProcess(
            prefix + [
                "python3", Self.double("slow_dns.py"), "\(subnet).54", "\(subnet).53",
                "\(milliseconds)",
                "\(directory.path)/questions",
            ])
        self.relay.withLock { $0 = relay }
        try "nameserver \(subnet).54\noptions timeout:5 attempts:2\n\(search)".write(
            toFile: "/etc/netns/\(name)/resolv.conf", atomically: true, encoding: .utf8)
    }

    /// The nodes ask a server from now on that answers as `Tests/Doubles/strange_dns.py` says of the kind.
    func serveStrangely(
        _ kind: String, _ addresses: [String], search: String = ""
    ) async throws {
        let sign = "\(directory.path)/serves"
        let server = try ChildProcess(
            prefix + ["python3", Self.double("strange_dns.py"), "\(subnet).54", kind, sign]
                + addresses)
        relay.withLock { $0 = server }
        try "nameserver \(subnet).54\noptions timeout:2 attempts:2 ndots:2\n\(search)".write(
            toFile: "/etc/netns/\(name)/resolv.conf", atomically: true, encoding: .utf8)
        try await eventually("the server is there") {
            FileManager.default.fileExists(atPath: sign) ? true : nil
        }
    }

    /// How many questions the delayed server was asked.
    var questions: Int {
        let text = try? String(contentsOfFile: "\(directory.path)/questions", encoding: .utf8)
        return text?.split(separator: "\n").count ?? 0
    }

    private static func double(_ name: String) -> String {
        URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Doubles/\(name)").path
    }

    /// No name server answers any more.
    func silenceDNS() {
        stopServing()
        let relay = relay.withLock { $0.take() }
        relay?.kill()
        relay?.waitForEnd()
    }

    private func stopServing() {
        let server = dnsmasq.withLock { $0.take() }
        server?.kill()
        server?.waitForEnd()
    }

    deinit {
        silenceDNS()
        do {
            try run("ip", "netns", "del", name)
            try FileManager.default.removeItem(atPath: "/etc/netns/\(name)")
        } catch {
            FileHandle.standardError.write(Data("left behind: \(name): \(error)\n".utf8))
        }
    }

    func address(_ node: Int) -> String { "\(subnet).\(11 + node)" }

    /// The host's own address, as the nodes reach it.
    var hostAddress: String { "\(subnet).1" }

    var prefix: [String] { ["ip", "netns", "exec", name] }
}
