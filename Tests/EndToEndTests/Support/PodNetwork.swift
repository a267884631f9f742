import Foundation
import Synchronization

/// A network as pods have it: a bridge, a namespace with one address for each pod, and a DNS server
/// that knows the pods of a headless service by name. Goes with the object.
final class PodNetwork: Sendable {
    /// What a cluster's DNS calls the service.
    static let domain = "rqlite-svc-internal.default.svc.cluster.local"

    private let number = NetworkNumber.next()
    private let subnet: String
    private let tag: String
    private let directory: TestDirectory
    private let records: [String]
    private let dnsmasq = Mutex<ChildProcess?>(nil)
    private let addresses = Mutex<[String: String]>([:])
    private let lastUsed = Mutex(10)

    /// The host's own address on the bridge.
    var hostAddress: String { "\(subnet).1" }

    private var bridge: String { "rqb\(tag)" }
    private var hostsPath: String { "\(directory.path)/hosts" }

    /// - Parameter names: of all pods there may be, `rqlite-0`, …; for their SRV records.
    init(names: [String]) throws {
        subnet = "10.\(Int(getpid()) % 30 + 220).\(number)"
        tag = "\(number)x\(getpid() % 100_000)"
        directory = try TestDirectory()
        let bridge = "rqb\(tag)"
        try run("ip", "link", "add", bridge, "type", "bridge")
        try run("ip", "addr", "add", "\(subnet).1/24", "dev", bridge)
        try run("ip", "link", "set", bridge, "up")
        records = names.map {
            "--srv-host=_raft._tcp.\(Self.domain),\($0).\(Self.domain),4002"
        }
    }

    deinit {
        stopDNS()
        do {
            for name in addresses.withLock({ $0.keys.sorted() }) { try disconnect(name) }
            try run("ip", "link", "del", bridge)
        } catch {
            FileHandle.standardError.write(Data("left behind: \(bridge): \(error)\n".utf8))
        }
    }

    /// The namespace of a pod.
    func namespace(_ pod: String) -> String { "rqp-\(tag)-\(pod)" }

    /// Gives a pod an address that none had before, and tells DNS.
    func add(_ pod: String) throws -> String {
        let last = lastUsed.withLock { last in
            last += 1
            return last
        }
        let address = "\(subnet).\(last)"
        let namespace = namespace(pod)
        let (outside, inside) = (outside("\(last)"), "rq\(last)p\(tag)")
        try run("ip", "netns", "add", namespace)
        try run(
            "ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns",
            namespace)
        try run("ip", "link", "set", outside, "master", bridge, "up")
        try run("ip", "-n", namespace, "addr", "add", "\(address)/24", "dev", inside)
        try run("ip", "-n", namespace, "link", "set", inside, "up")
        try run("ip", "-n", namespace, "link", "set", "lo", "up")
        // As the kubelet writes them.
        let settings = "/etc/netns/\(namespace)"
        try FileManager.default.createDirectory(
            atPath: settings, withIntermediateDirectories: true)
        try """
        nameserver \(subnet).1
        search default.svc.cluster.local svc.cluster.local cluster.local
        options ndots:5 timeout:1

        """.write(toFile: "\(settings)/resolv.conf", atomically: true, encoding: .utf8)
        try "127.0.0.1 localhost\n\(address) \(pod).\(Self.domain) \(pod)\n".write(
            toFile: "\(settings)/hosts", atomically: true, encoding: .utf8)
        addresses.withLock { $0[pod] = address }
        try tellDNS()
        return address
    }

    /// The host's end of the link to the pod whose address ends so.
    private func outside(_ last: String) -> String { "rq\(last)h\(tag)" }

    /// Takes the pod's address away, as when it is deleted.
    func remove(_ pod: String) throws {
        try disconnect(pod)
        addresses.withLock { $0[pod] = nil }
        try tellDNS()
    }

    /// The link by name: a namespace lives on as long as the kernel closes its connections.
    private func disconnect(_ pod: String) throws {
        if let last = addresses.withLock({ $0[pod]?.split(separator: ".").last }) {
            try run("ip", "link", "del", outside(String(last)))
        }
        try run("ip", "netns", "del", namespace(pod))
        try FileManager.default.removeItem(atPath: "/etc/netns/\(namespace(pod))")
    }

    /// Started anew, for only a signal that it is ready for could make it read its hosts again.
    private func tellDNS() throws {
        let lines = addresses.withLock { $0.sorted { $0.key < $1.key } }.map { pod, address in
            "\(address) \(pod).\(Self.domain) \(Self.domain)\n"
        }
        try lines.joined().write(toFile: hostsPath, atomically: true, encoding: .utf8)
        stopDNS()
        let server = try ChildProcess(
            [
                "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                "--addn-hosts=\(hostsPath)", "--conf-file=/dev/null", "--bind-interfaces",
                "--listen-address=\(subnet).1", "--port=53", "--user=root", "--pid-file=",
                "--local=/cluster.local/",
            ] + records)
        dnsmasq.withLock { $0 = server }
    }

    private func stopDNS() {
        dnsmasq.withLock { server in
            server?.kill()
            server?.waitForEnd()
            server = nil
        }
    }
}
